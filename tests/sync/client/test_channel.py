from datetime import UTC, datetime, timedelta

import pytest

from sync.client.channel import HttpResponse, LedgerChannel, retry_after_s
from sync.contract import receipt, signature, wire
from sync.contract.wire import Cursor, ProblemDocument, ProblemType
from sync.errors import RequestRejected, Unauthorised, Unreachable
from tests.sync.client.disk import KEY
from tests.sync.client.ledger import SERVER_KEY, SERVER_PUBLIC

NOW = datetime(2026, 11, 22, 4, 40, tzinfo=UTC)


class FixedTransport:
    def __init__(self, response: HttpResponse) -> None:
        self.response = response

    def request(self, *_: object) -> HttpResponse:
        return self.response


def request_cursor(status: int, body: bytes = b"", **headers: str) -> Cursor:
    response = HttpResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
    return LedgerChannel(FixedTransport(response), KEY, "k1", lambda: NOW).get(Cursor, "/v1/devices/k1/cursor")


@pytest.mark.parametrize("status", [401, 403])
def test_not_trusted(status: int) -> None:
    with pytest.raises(Unauthorised, match="register"):
        request_cursor(status)


@pytest.mark.parametrize("status", [301, 302, 307, 408, 425, 429, 500, 502, 503, 504, 599])
def test_again_later(status: int) -> None:
    with pytest.raises(Unreachable) as caught:
        request_cursor(status)
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), ("0", 0.0), ("Sun, 22 Nov 2026 04:41:00 GMT", 60.0), ("Sun, 22 Nov 2026 04:00:00 GMT", 0.0)],
)
def test_when(status: int, header: str, seconds: float) -> None:
    with pytest.raises(Unreachable) as caught:
        request_cursor(status, retry_after=header)
    assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "1.5", "9" * 40, "Sun, 22 Nov 2026", "Sun, 99 Nov 2026 04:41:00 GMT"]
)
def test_when_it_is_no_time(text: str) -> None:
    assert retry_after_s(text, NOW) is None


class StrictTransport:
    """A ledger that answers a question only if it is dated by its own clock, and signs whatever it says."""

    def __init__(self, ledger_time: datetime, *, signs: bool = True) -> None:
        self.ledger_time = ledger_time
        self.signs = signs
        self.requests = 0

    def request(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, _: int) -> HttpResponse:
        self.requests += 1
        request = signature.SignableRequest(method, path, query, headers, body)
        created = signature.verify(request, KEY.public_bytes).created
        now = int(self.ledger_time.timestamp())
        answer = HttpResponse(200, {}, wire.to_json(Cursor(time=wire.time_text(self.ledger_time))))
        if abs(created - now) > 300:
            answer = HttpResponse(401, {}, wire.to_json(ProblemDocument(type=ProblemType.CLOCK, status=401)))
        if not self.signs:
            return answer
        whole = signature.SignableAnswer(answer.status, answer.headers, answer.body)
        signed = signature.sign_answer(whole, request, SERVER_KEY, receipt.fingerprint(SERVER_PUBLIC), now)
        return HttpResponse(answer.status, signed, answer.body)


@pytest.mark.parametrize("lag", [timedelta(hours=5), timedelta(days=-400)])
def test_a_kiosk_with_a_wrong_clock_learns_the_ledgers_time(lag: timedelta) -> None:
    transport = StrictTransport(NOW + lag)
    channel = LedgerChannel(transport, KEY, "k1", lambda: NOW, SERVER_PUBLIC)
    assert channel.get(Cursor, "/v1/devices/k1/cursor").time == wire.time_text(NOW + lag)
    assert transport.requests == 2
    channel.get(Cursor, "/v1/devices/k1/cursor")
    assert transport.requests == 3, "it goes on by the ledger's time"
    assert channel.clock_lag_s == lag.total_seconds()


def test_a_strangers_word_changes_no_time() -> None:
    transport = StrictTransport(NOW + timedelta(hours=5), signs=False)
    channel = LedgerChannel(transport, KEY, "k1", lambda: NOW, SERVER_PUBLIC)
    with pytest.raises(Unauthorised):
        channel.get(Cursor, "/v1/devices/k1/cursor")
    assert (transport.requests, channel.clock_lag_s) == (1, 0)


def test_rejected_with_and_without_a_problem_document() -> None:
    problem = b'{"type":"urn:canteen:problem:gap","title":"gap","status":409,"expected_seq":7}'
    with pytest.raises(RequestRejected, match="409 gap") as caught:
        request_cursor(409, problem, content_type=wire.PROBLEM_JSON)
    assert (caught.value.problem.type, caught.value.problem.expected_seq) == (ProblemType.GAP.value, 7)
    with pytest.raises(RequestRejected) as caught:
        request_cursor(404, b"<html>nothing here</html>")
    assert caught.value.problem.type == "about:blank"


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"time":', b"\x28\xb5\x2f\xfd"])
def test_an_answer_that_says_nothing(body: bytes) -> None:
    with pytest.raises(Unreachable):
        request_cursor(200, body)
    with pytest.raises(Unreachable):
        request_cursor(200, body, content_encoding="zstd")
    with pytest.raises(Unreachable):
        request_cursor(200, body, content_encoding="br")
