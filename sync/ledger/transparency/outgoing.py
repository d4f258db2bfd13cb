"""Requests that the ledger makes itself: to its witness, and to those who wish to hear of visits.

Each goes over a connection of its own, verified TLS except on this very machine; nothing is redirected, and neither the
size nor the duration of an answer is left to the other end.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sync.errors import Unreachable
from sync.ledger.errors import NotUnderstood

POST_TIMEOUT_S: Final = 10.0
REPLY_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class OutgoingReply:
    """The answer to a request of the ledger's own."""

    status: int
    content_type: str
    body: bytes


def check_address(url: str) -> SplitResult:
    """Returns the parts of an address to which the ledger may speak: https, or http on this machine.

    Raises NotUnderstood.
    """
    parts = urlsplit(url)
    try:
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.username is not None or parts.fragment:
        raise NotUnderstood(f"{url!r} is no address: write it as https://host/path")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return parts
    raise NotUnderstood(f"{url!r} must begin with https://; plain http is for this very machine alone")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(slots=True)
class _Deadline:
    """Cuts a connection when its time is over: a socket's own timeout begins anew with every byte that comes."""

    connection: http.client.HTTPConnection
    opened: list[socket.socket] = field(default_factory=list)  # what an answer is read from outlives the connection's
    is_over: threading.Event = field(default_factory=threading.Event)

    def cut(self) -> None:
        self.is_over.set()
        for sock in (self.connection.sock, *self.opened):
            if sock is not None:
                with suppress(OSError):  # it has been closed already
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own: it would wait for the other end


def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float = POST_TIMEOUT_S) -> OutgoingReply:
    """Returns the answer to a POST. Raises `Unreachable` where no whole one came, NotUnderstood for a bad address.

    `timeout_s`: for connecting, and for all that follows.
    """
    parts = check_address(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    deadline = _Deadline(connection)
    timer = threading.Timer(2 * timeout_s, deadline.cut)
    timer.daemon = True
    timer.start()
    try:
        connection.connect()
        deadline.opened.append(connection.sock)
        connection.request("POST", target, body, dict(headers))
        response = connection.getresponse()
        answered = response.read(REPLY_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{host}: {error or type(error).__name__}; it is tried again") from error
    finally:
        timer.cancel()
        connection.close()
    if len(answered) > REPLY_BYTES_MAX:
        raise Unreachable(f"{host}: an answer of more than {REPLY_BYTES_MAX} bytes")
    if deadline.is_over.is_set() or response.length:
        raise Unreachable(f"{host}: the answer broke off, or took too long; it is tried again")
    return OutgoingReply(response.status, response.headers.get("content-type", ""), answered)
