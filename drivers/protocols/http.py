"""One HTTP connection of a terminal that calls us, after h11: bytes in, requests out, answers to bytes. No socket.

Terminals are sold that say HTTP/1.1 and send no Host header, which the standard forbids and h11 refuses. Nothing here
depends on a host, so each head waits here until it is whole, and gets a Host where it has none.

Bounds: heads as h11 has them (16 KiB), bodies `body_bytes_max`. A body that the caller does not want is passed over as
it comes, up to DISCARD_BYTES_MAX, and never kept; of one that a sieve is for, only what the sieve gives back. Terminals
say GET and POST; other methods have rules of their own for their answers (none may follow a HEAD with a body) and are
refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import h11

from drivers.protocols.fault import Fault

DISCARD_BYTES_MAX = 16 * 1024 * 1024
HEAD_BYTES_MAX = 16 * 1024  # h11's own bound: a longer head goes to it as it is, and is refused
METHODS = frozenset({b"GET", b"POST"})
_HEAD_END = re.compile(rb"\n\r?\n")
_HOST = re.compile(rb"\nhost[ \t]*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    target: str  # path and query as they came
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)  # names in small letters


class BodySieve(Protocol):
    """Takes a body as it comes and gives back the part of it that is kept."""

    def feed(self, data: bytes) -> bytes: ...


def _no_sieve(content_type: str) -> BodySieve | None:
    return None


Event = HttpRequest | Fault


class Exchange:
    """One connection. After a Fault there is nothing more to read from it: send `refusal` and hang up."""

    def __init__(
        self,
        *,
        body_bytes_max: int,
        unwanted: Callable[[str], bool],
        sieve: Callable[[str], BodySieve | None] = _no_sieve,
    ) -> None:
        self._connection = h11.Connection(h11.SERVER)  # of one request; the next one gets another
        self._unparsed = bytearray()  # a head that is not whole yet
        self._body_bytes_max, self._unwanted, self._start_sieve = body_bytes_max, unwanted, sieve
        self._head: h11.Request | None = None
        self._headers: Mapping[str, str] = {}
        self._sieve: BodySieve | None = None
        self._body = bytearray()
        self._body_remaining = 0  # bytes of the body that are still taken
        self._refused = 400

    def feed(self, data: bytes) -> Sequence[Event]:
        """Takes bytes and returns the request that is now whole, if any. `next` gives the one behind it once this is
        answered.
        """
        self._receive(data)
        return self.next()

    def next(self) -> Sequence[Event]:
        try:
            return self._next()
        except h11.RemoteProtocolError as error:
            self._refused = error.error_status_hint
            return [Fault("a request that is no HTTP")]

    def answer(self, body: str, date: str, status: int = 200) -> tuple[bytes, bool]:
        """Returns the bytes of an answer, and True when the connection ends with it. `date` is as HTTP writes it."""
        content = body.encode("utf-8")
        headers = [
            *([("Date", date)] if date else []),
            ("Content-Type", "text/plain"),
            ("Content-Length", str(len(content))),
            *([("Connection", "close")] if status != 200 else []),
        ]
        sent = [
            self._connection.send(h11.Response(status_code=status, headers=headers, reason=b"")),
            self._connection.send(h11.Data(data=content)),
            self._connection.send(h11.EndOfMessage()),
        ]
        ends = self._connection.our_state is not h11.DONE or self._connection.their_state is not h11.DONE
        if not ends:
            behind, _ = self._connection.trailing_data
            self._connection = h11.Connection(h11.SERVER)
            self._receive(behind)
        return b"".join(part or b"" for part in sent), ends

    def refusal(self, date: str) -> bytes:
        """Returns the answer to a request that was a Fault; empty when it is too late for one."""
        if self._connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return b""
        return self.answer("", date, self._refused)[0]

    def _receive(self, data: bytes) -> None:
        """Passes bytes on; those of a head wait until it is whole."""
        if self._connection.their_state is not h11.IDLE:
            self._connection.receive_data(data)
            return
        self._unparsed += data
        end = _HEAD_END.search(self._unparsed)
        is_method = self._unparsed[:1].isalpha()  # the first byte tells a caller that speaks TLS, for one
        if end is None and (is_method or not self._unparsed) and len(self._unparsed) <= HEAD_BYTES_MAX:
            return
        ready, self._unparsed = bytes(self._unparsed), bytearray()
        self._connection.receive_data(ready if end is None else _with_host(ready, end.end()))

    def _next(self) -> Sequence[Event]:
        while True:
            match self._connection.next_event():
                case h11.Request(method=method) if method not in METHODS:
                    self._refused = 405
                    return [Fault("a request that is neither GET nor POST")]
                case h11.Request() as head:
                    self._begin(head)
                case h11.Data(data=data):
                    self._body_remaining -= len(data)
                    if not self._skips():
                        self._body += data if self._sieve is None else self._sieve.feed(data)
                    if self._body_remaining < 0 or len(self._body) > self._body_bytes_max:
                        self._refused = 413
                        return [Fault("a request that is too large")]
                case h11.EndOfMessage() if self._head is not None:
                    return [
                        HttpRequest(
                            self._head.method.decode("ascii"),
                            self._head.target.decode("ascii"),
                            bytes(self._body),
                            self._headers,
                        )
                    ]
                case _:  # more must come, an answer is awaited first, or the terminal has hung up
                    return []

    def _begin(self, head: h11.Request) -> None:
        self._head = head
        self._headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        self._sieve = self._start_sieve(self._headers.get("content-type", ""))
        self._body.clear()
        is_passed_over = self._skips() or self._sieve is not None
        self._body_remaining = DISCARD_BYTES_MAX if is_passed_over else self._body_bytes_max

    def _skips(self) -> bool:
        return self._head is not None and self._unwanted(self._head.target.decode("ascii"))


def _with_host(data: bytes, head_size: int) -> bytes:
    """Returns the bytes with a Host header behind the first line, where an HTTP/1.1 head has none."""
    line, end, headers = data[:head_size].partition(b"\n")
    if not line.rstrip(b"\r").endswith(b"HTTP/1.1") or _HOST.search(end + headers):
        return data
    return line + b"\nHost: kiosk\r\n" + headers + data[head_size:]
