"""Rules about strangers: however many knock, and however slowly, kiosks are served."""

import socket
from contextlib import ExitStack

from sync.contract import wire
from sync.ledger.checking.conformance_kiosk import ConformanceKiosk
from sync.ledger.checking.rules import ContractDeparture, RuleNotTried, expect_status, ledger_rule

_CONNECTIONS = 10
_REQUESTS = 10  # a connection: enough for a limit that counts kiosks and strangers together
_STRANGERS_WAIT_S = 20.0  # for what a stranger is told; kiosks are asked afterwards in any case


@ledger_rule(
    "A ledger must answer a kiosk at once while strangers knock, also those behind the kiosk's address.",
    "count requests without a known key by address and apart, signed ones by device; never all in one bucket.",
)
def a_crowd_of_strangers_keeps_no_kiosk_out(kiosk: ConformanceKiosk) -> str:
    request = kiosk.connection.request_line("GET", wire.cursor_path(kiosk.device)) + b"\r\n"
    with ExitStack() as crowd:
        strangers = [crowd.enter_context(kiosk.connection.connect()) for _ in range(_CONNECTIONS)]
        for stranger in strangers:
            stranger.settimeout(_STRANGERS_WAIT_S)
            stranger.sendall(request * _REQUESTS)
        for stranger in strangers:
            _read_answers(stranger, _REQUESTS)
        expect_status(kiosk.send("GET", wire.cursor_path(kiosk.device)), 200)
    return f"{_CONNECTIONS * _REQUESTS} unsigned requests before it"


@ledger_rule(
    "A ledger must not wait for ever for the rest of a header.",
    "end a connection whose header is not whole within some ten seconds.",
)
def half_a_header_is_not_waited_for(kiosk: ConformanceKiosk) -> str:
    _expect_end(kiosk, kiosk.connection.request_line("GET", wire.cursor_path(kiosk.device)) + b"X-Slow: ")
    return f"ended within {kiosk.patience_s:.0f} s"


@ledger_rule(
    "A ledger must not wait for ever for the rest of a body, a known kiosk's neither.",
    "end a request whose body is not whole within a minute or two, by 408 or by closing the connection.",
)
def half_a_body_is_not_waited_for(kiosk: ConformanceKiosk) -> str:
    path = wire.batches_path(kiosk.device, kiosk.epoch)
    request = kiosk.sign("POST", path, kiosk.compose(1, 5), kind=wire.NDJSON)
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    half = request.body[: len(request.body) // 2]
    head = f"{headers}content-length: {len(request.body)}\r\n\r\n".encode("latin-1")
    _expect_end(kiosk, kiosk.connection.request_line("POST", path) + head + half)
    return f"ended within {kiosk.patience_s:.0f} s"


def _expect_end(kiosk: ConformanceKiosk, half: bytes) -> None:
    """Sends half a request, and waits for an answer or the end of the connection. Raises ContractDeparture."""
    if not kiosk.patience_s:
        raise RuleNotTried("it takes up to two minutes; --time-limits tries it")
    with kiosk.connection.connect() as waiting:
        waiting.settimeout(kiosk.patience_s)
        waiting.sendall(half)
        try:
            waiting.recv(1)
        except TimeoutError as error:
            raise ContractDeparture(
                f"end of a half request: expected within {kiosk.patience_s:.0f} s, came nothing"
            ) from error
        except ConnectionError:
            return  # closed without a word: an end, too


def _read_answers(stranger: socket.socket, answers: int) -> None:
    """Reads until this many answers have begun, the connection has ended, or nothing more comes."""
    text = b""
    while text.count(b"HTTP/1.1 ") < answers:
        try:
            part = stranger.recv(65_536)
        except OSError:  # a limit that lets strangers wait, or cuts them off, is a good one
            return
        if not part:
            return
        text += part


DOOR_RULES = (
    a_crowd_of_strangers_keeps_no_kiosk_out,
    half_a_header_is_not_waited_for,
    half_a_body_is_not_waited_for,
)
