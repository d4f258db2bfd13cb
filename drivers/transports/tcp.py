"""A TCP port that terminals call: several peers at once, each with a number of its own, served by one thread.

Unlike the other transports it tells peers apart, so `poll` stands in the place of `read`. The rest of the rules are
theirs. Bounds: PEERS_MAX at once (the one that has been silent longest makes room), and one read of each a round.
"""

import errno
import select
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from drivers.base import Transport
from drivers.errors import DeviceBusy, DeviceGone, NotSupported
from drivers.transports.base import READ_BYTES_MAX

PEERS_MAX = 16
TCP_BACKLOG_MAX = 16


@dataclass(frozen=True, slots=True)
class PeerBytes:
    """Bytes of a peer; empty when it has hung up. `address` is without its port."""

    peer: int
    address: str
    data: bytes = field(repr=False)


class Peers(Protocol):
    """The part of a TCP port that a driver needs when several peers call."""

    def open(self) -> None: ...

    def poll(self, timeout_s: float) -> Sequence[PeerBytes]: ...

    def send(self, peer: int, data: bytes) -> None:
        """Sends bytes to one peer. Bytes that it does not take, because it is gone or asleep, are lost."""

    def drop(self, peer: int) -> None: ...

    def close(self) -> None: ...


class TcpListener:
    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._in_use = threading.Lock()
        self._closing = threading.Lock()
        self._listener: socket.socket | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._peers: dict[int, socket.socket] = {}  # by number; heard longest ago first
        self._last = 0

    def open(self) -> None:
        with self._closing, self._in_use:
            if self._listener is not None:
                raise RuntimeError(f"{self.host}:{self.port} is already open: close it first")
            if not 0 < self.port < 65_536:
                raise NotSupported(f"listen: {self.port} is no port; accepted: 1 to 65535")
            try:
                listener = socket.create_server((self.host, self.port), backlog=TCP_BACKLOG_MAX)
            except OSError as error:
                raise self._translated(error) from error
            listener.setblocking(False)
            self._listener, self._wake = listener, socket.socketpair()

    def poll(self, timeout_s: float) -> Sequence[PeerBytes]:
        with self._in_use:
            if self._listener is None or self._wake is None:
                raise DeviceGone(f"{self.host}:{self.port} is not open")
            numbers = {peer.fileno(): number for number, peer in self._peers.items()}
            listening, woken = self._listener.fileno(), self._wake[1].fileno()
            ready, _, _ = select.select([woken, listening, *numbers], (), (), timeout_s)
            if woken in ready:
                return ()
            received = [self._received(numbers[descriptor]) for descriptor in ready if descriptor in numbers]
            if listening in ready:
                self._accept(self._listener)
            return [descriptor for descriptor in received if descriptor is not None]

    def send(self, peer: int, data: bytes) -> None:
        with self._in_use:
            if peer in self._peers:
                with suppress(OSError):  # it hung up, or reads nothing: it will ask again
                    self._peers[peer].sendall(data)

    def drop(self, peer: int) -> None:
        with self._in_use:
            self._drop(peer)

    def close(self) -> None:
        with self._closing:
            if self._wake is None:
                return
            with suppress(OSError):
                self._wake[0].send(b"x")
            with self._in_use:
                for end in (self._listener, *self._peers.values(), *self._wake):
                    if end is not None:
                        end.close()
                self._peers.clear()
                self._listener = self._wake = None

    def _accept(self, listener: socket.socket) -> None:
        try:
            peer, _ = listener.accept()
        except OSError:  # it changed its mind between our waking and our taking it
            return
        peer.setblocking(False)
        if len(self._peers) == PEERS_MAX:
            self._drop(next(iter(self._peers)))
        self._last += 1
        self._peers[self._last] = peer

    def _received(self, number: int) -> PeerBytes | None:
        peer = self._peers.pop(number)
        self._peers[number] = peer
        try:
            address = str(peer.getpeername()[0])
            data = peer.recv(READ_BYTES_MAX)
        except BlockingIOError:
            return None
        except OSError:
            address, data = "", b""
        if not data:
            self._drop(number)
        return PeerBytes(number, address, data)

    def _drop(self, number: int) -> None:
        peer = self._peers.pop(number, None)
        if peer is not None:
            peer.close()

    def _translated(self, error: OSError) -> DeviceBusy | DeviceGone | NotSupported:
        where = f"{self.host}:{self.port}"
        match error.errno:
            case errno.EADDRINUSE:
                return DeviceBusy(
                    f"{where} is served by another program: `lsof -i :{self.port}` says by which; stop it, or choose "
                    "another port here and in the terminal"
                )
            case errno.EACCES | errno.EPERM:
                return NotSupported(f"{where}: ports below 1024 need a privilege that we do without; choose a higher")
            case errno.EADDRNOTAVAIL:
                return DeviceGone(f"{self.host} is no address of this machine, or its network is down")
        return NotSupported(f"listen: cannot listen on {where}: {error.strerror or error}")


class SinglePeer:
    """Makes any transport the only peer: a recording, or memory."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def open(self) -> None:
        self._transport.open()

    def poll(self, timeout_s: float) -> Sequence[PeerBytes]:
        data = self._transport.read(timeout_s)
        return [PeerBytes(0, "", data)] if data else ()

    def send(self, peer: int, data: bytes) -> None:
        self._transport.write(data)

    def drop(self, peer: int) -> None:
        """Does nothing, since there is no other peer: it goes on with a fresh request."""

    def close(self) -> None:
        self._transport.close()
