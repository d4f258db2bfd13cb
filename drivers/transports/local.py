"""A unix socket that we listen on: one peer at a time sends us bytes. For terminals that an outside program feeds.

The socket is ours alone (mode 0600). A peer that hangs up is no fault: the next one is taken.
"""

import os
import select
import socket
import stat
import threading
from contextlib import suppress
from pathlib import Path

from drivers.errors import DeviceBusy, DeviceGone, NotSupported
from drivers.transports.base import READ_BYTES_MAX, device_gone_on_error

SOCKET_BACKLOG_MAX = 4
PATH_BYTES_MAX = 107  # sockaddr_un


class LocalSocket:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.peers = 0  # taken so far: what one left unfinished is no part of what the next says
        self._in_use = threading.Lock()
        self._closing = threading.Lock()
        self._listener: socket.socket | None = None
        self._peer: socket.socket | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None

    def open(self) -> None:
        with self._closing, self._in_use:
            if self._listener is not None:
                raise RuntimeError(f"{self.path} is already open: close it first")
            if len(os.fsencode(self.path)) > PATH_BYTES_MAX:
                raise NotSupported(f"socket: {self.path} is longer than {PATH_BYTES_MAX} bytes: choose a shorter path")
            self._clear_the_way()
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                with device_gone_on_error(f"cannot listen on {self.path}; check that its folder is there and ours"):
                    listener.bind(os.fspath(self.path))
                    self.path.chmod(0o600)
                    listener.listen(SOCKET_BACKLOG_MAX)
            except DeviceGone:
                listener.close()
                raise
            self._listener, self._wake = listener, socket.socketpair()

    def read(self, timeout_s: float) -> bytes:
        with self._in_use:
            if self._listener is None or self._wake is None:
                raise DeviceGone(f"{self.path} is not open")
            waiting = [self._wake[1], self._peer or self._listener]
            ready, _, _ = select.select(waiting, (), (), timeout_s)
            if self._wake[1] in ready or not ready:
                return b""
            if self._peer is None:
                with device_gone_on_error(str(self.path)):
                    self._peer, _ = self._listener.accept()
                    self._peer.setblocking(False)
                self.peers += 1
                return b""
            return self._received(self._peer)

    def write(self, data: bytes) -> None:
        with self._in_use:
            if self._listener is None:
                raise DeviceGone(f"{self.path} is not open")
            if self._peer is not None:
                with suppress(OSError):  # it hung up or does not listen; what it has said is still to be read
                    self._peer.sendall(data)

    def close(self) -> None:
        with self._closing:
            if self._wake is None:
                return
            with suppress(OSError):
                self._wake[0].send(b"x")
            with self._in_use:
                for end in (self._listener, self._peer, *self._wake):
                    if end is not None:
                        end.close()
                self._listener = self._peer = self._wake = None
                with suppress(OSError):
                    self.path.unlink()

    def _received(self, peer: socket.socket) -> bytes:
        try:
            data = peer.recv(READ_BYTES_MAX)
        except (BlockingIOError, ConnectionResetError):
            data = b""
        if not data:
            peer.close()
            self._peer = None
        return data

    def _clear_the_way(self) -> None:
        """Removes the socket that a killed process left behind. Refuses a path on which somebody listens, or that is no
        socket.
        """
        with device_gone_on_error(str(self.path)):
            try:
                mode = self.path.lstat().st_mode
            except FileNotFoundError:
                return
            if not stat.S_ISSOCK(mode):
                raise NotSupported(f"socket: {self.path} is there and is no socket: choose another path")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.setblocking(False)
                try:
                    probe.connect(os.fspath(self.path))
                except ConnectionRefusedError:
                    self.path.unlink()
                    return
                except BlockingIOError:
                    pass  # a full backlog: somebody does listen
        raise DeviceBusy(f"{self.path} is served by another process: `lsof {self.path}` says by which")
