"""The settings of the screen's web servers, and listeners that take a bounded number of connections."""

import socket
from collections import Counter
from typing import Any

import uvicorn
from starlette.types import ASGIApp


def build_config(application: ASGIApp, connections_max: int) -> uvicorn.Config:
    """Returns uvicorn's settings: nothing is logged below a warning, and no header of a proxy is believed."""
    return uvicorn.Config(
        application,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=connections_max,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=16 * 1024,
    )


class BoundedListener(socket.socket):
    """A listening socket that closes connections beyond a number, in all and from one address.

    A stranger who opens thousands would else use up the files that the journal needs.
    """

    def __init__(self, family: int, connections_max: int, address_max: int) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._connections_max = connections_max
        self._address_max = address_max
        self._open: list[tuple[socket.socket, str]] = []

    def accept(self) -> tuple[socket.socket, Any]:
        """Returns the next connection. Raises ConnectionAbortedError where it was one too many: asyncio goes on."""
        connection, address = super().accept()
        self._open = [(other, host) for other, host in self._open if other.fileno() != -1]
        if (
            len(self._open) >= self._connections_max
            or Counter(host for _, host in self._open)[address[0]] >= self._address_max
        ):
            connection.close()
            raise ConnectionAbortedError
        self._open.append((connection, address[0]))
        return connection, address


def listen(host: str, port: int, connections_max: int, address_max: int) -> BoundedListener:
    """Returns a socket that listens there; `port` 0 lets the system choose one. Raises OSError."""
    listener = BoundedListener(socket.AF_INET6 if ":" in host else socket.AF_INET, connections_max, address_max)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(connections_max)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
