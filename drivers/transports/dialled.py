"""A socket to a device that listens: TCP, or UDP where a read is one datagram.

Devices of this kind serve one program well and two badly, so a name that no two programs of one machine can have at
once is held while the socket is open.
"""

import errno
import select
import socket
import threading
from contextlib import ExitStack, suppress

from drivers.errors import DeviceBusy, DeviceGone, NotSupported
from drivers.transports.base import device_gone_on_error

CONNECT_S = 5.0
DIALLED_READ_BYTES_MAX = 64 * 1024


class DialledSocket:
    """The way to `host:port`."""

    def __init__(self, host: str, port: int, *, udp: bool = False) -> None:
        self._host, self._port, self._udp = host, port, udp
        self._where = f"{host}:{port}"
        self._in_use = threading.Lock()
        self._closing = threading.Lock()
        self._socket: socket.socket | None = None
        self._name: socket.socket | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None

    def open(self) -> None:
        with self._closing, self._in_use:
            if self._socket is not None:
                raise RuntimeError(f"{self._where} is already open: close it first")
            with ExitStack() as opened:
                name = opened.enter_context(self._hold_name())
                dialled = opened.enter_context(self._dial())
                self._wake = socket.socketpair()
                self._name, self._socket = name, dialled
                opened.pop_all()

    def read(self, timeout_s: float) -> bytes:
        with self._in_use:
            if self._socket is None or self._wake is None:
                raise DeviceGone(f"{self._where} is not open")
            with device_gone_on_error(f"{self._where} went away"):
                ready, _, _ = select.select([self._socket, self._wake[1]], (), (), timeout_s)
                if self._wake[1] in ready or self._socket not in ready:
                    return b""
                data = self._socket.recv(DIALLED_READ_BYTES_MAX)
            if not data and not self._udp:
                raise DeviceGone(f"{self._where} hung up: is it switched off, or did another program call it?")
            return data

    def write(self, data: bytes) -> None:
        with self._in_use:
            if self._socket is None:
                raise DeviceGone(f"{self._where} is not open")
            with device_gone_on_error(f"{self._where} takes nothing"):
                self._socket.sendall(data)

    def close(self) -> None:
        with self._closing:
            if self._wake is None:
                return
            with suppress(OSError):
                self._wake[0].send(b"x")
            with self._in_use:
                for end in (self._socket, self._name, *self._wake):
                    if end is not None:
                        end.close()
                self._socket = self._name = self._wake = None

    def _dial(self) -> socket.socket:
        kind = socket.SOCK_DGRAM if self._udp else socket.SOCK_STREAM
        with device_gone_on_error(f"{self._where} does not answer: check address, power and cable"):
            address = socket.getaddrinfo(self._host, self._port, socket.AF_INET, kind)[0][4]
            dialled = socket.socket(socket.AF_INET, kind)
            try:
                dialled.settimeout(CONNECT_S)
                dialled.connect(address)
            except OSError:
                dialled.close()
                raise
        return dialled

    def _hold_name(self) -> socket.socket:
        name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            name.bind(f"\0edge-agent {self._where}")
        except OSError as error:
            name.close()
            if error.errno == errno.EADDRINUSE:
                raise DeviceBusy(
                    f"{self._where} is called by another program of this machine: `lsof -U | grep edge-agent` says by "
                    "which; stop it, or name the device once in the settings"
                ) from error
            raise NotSupported(f"cannot hold a name for {self._where}: {error.strerror or error}") from error
        return name
