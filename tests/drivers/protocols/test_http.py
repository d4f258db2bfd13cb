import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.fault import Fault
from drivers.protocols.http import DISCARD_BYTES_MAX, Event, Exchange, HttpRequest
from tests.drivers.protocols import cutting

DATE = "Sun, 22 Nov 2026 09:00:00 GMT"
BODY = b"1001\t2026-11-20 09:40:15\t0\t25\t0\n"
POST = b"POST /iclock/cdata?SN=1 HTTP/1.1\r\nHost: k\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


def exchange(body_bytes_max: int = 1024) -> Exchange:
    return Exchange(body_bytes_max=body_bytes_max, unwanted=lambda target: "photo" in target)


def whole(data: bytes, places: list[int] | None = None) -> tuple[list[Event], bytes]:
    """Every request of a connection, each answered as it comes, and the answers."""
    connection = exchange()
    events: list[Event] = []
    sent = b""
    for chunk in cutting.cut(data, places or []):
        found = list(connection.feed(chunk)) if chunk else []
        while found:
            events += found
            if isinstance(found[0], Fault):
                return events, sent + connection.refusal(DATE)
            answer, ends = connection.answer("OK", DATE)
            sent += answer
            if ends:
                return events, sent
            found = list(connection.next())
    return events, sent


def test_a_request_and_its_answer() -> None:
    [request], sent = whole(POST)
    assert request == HttpRequest("POST", "/iclock/cdata?SN=1", BODY)
    assert b"1001" not in repr(request).encode()
    assert sent.startswith(b"HTTP/1.1 200")
    assert b"Date: " + DATE.encode() in sent
    assert sent.endswith(b"\r\n\r\nOK")


@given(count=st.integers(min_value=1, max_value=4), places=cutting.places)
def test_any_cut_of_a_connection_gives_the_same_requests(count: int, places: list[int]) -> None:
    events, sent = whole(POST * count, places)
    assert events == [HttpRequest("POST", "/iclock/cdata?SN=1", BODY)] * count
    assert sent.count(b"HTTP/1.1 200") == count


def test_old_terminals_speak_http_1_0_and_hang_up() -> None:
    [request], sent = whole(b"GET /iclock/ping HTTP/1.0\r\n\r\n")
    assert request == HttpRequest("GET", "/iclock/ping")
    assert b"close" in sent.lower()


@given(count=st.integers(min_value=1, max_value=4), places=cutting.places)
def test_a_request_without_a_host_is_taken_however_it_is_cut(count: int, places: list[int]) -> None:
    events, sent = whole(POST.replace(b"Host: k\r\n", b"") * count, places)
    assert events == [HttpRequest("POST", "/iclock/cdata?SN=1", BODY)] * count
    assert sent.count(b"HTTP/1.1 200") == count


def test_a_host_in_the_body_is_no_header() -> None:
    body = b"x\r\nHost: y\r\n\r\n"
    head = b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert whole(head + body + POST)[0] == [
        HttpRequest("POST", "/a", body),
        HttpRequest("POST", "/iclock/cdata?SN=1", BODY),
    ]


def test_pieces_of_a_chunked_body_are_one() -> None:
    head = b"POST /a HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: chunked\r\n\r\n"
    [request], _ = whole(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert request == HttpRequest("POST", "/a", b"abcde")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\xff\xfe\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, b"413"),
        (b"GET /" + b"a" * 70_000, b"431"),
        (b"\x16\x03\x01", b"400"),  # TLS
        (b"GET / HTTP/1.1\r\nHost: k\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"HEAD /iclock/cdata?SN=1 HTTP/1.1\r\nHost: k\r\n\r\n", b"405"),
        (b"CONNECT k:80 HTTP/1.1\r\nHost: k\r\n\r\n", b"405"),
        (b"get / HTTP/1.1\r\nHost: k\r\n\r\n", b"405"),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, status: bytes) -> None:
    events, sent = whole(data)
    assert isinstance(events[-1], Fault)
    assert sent.startswith(b"HTTP/1.1 " + status)


def test_a_body_that_nobody_wants_is_passed_over_and_the_request_is_answered() -> None:
    size = 3 * 1024 * 1024
    connection = exchange()
    head = b"POST /photo HTTP/1.1\r\nHost: k\r\nContent-Length: %d\r\n\r\n" % size
    assert not connection.feed(head)
    events: list[Event] = []
    for _ in range(size // 4096):
        events += connection.feed(b"\xff" * 4096)
        assert len(connection._body) == 0
    assert events == [HttpRequest("POST", "/photo")]
    endless = exchange()
    endless.feed(b"POST /photo HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    found: list[Event] = []
    for _ in range(DISCARD_BYTES_MAX // 65_536 + 1):
        found += endless.feed(piece)
    assert found == [Fault("a request that is too large")]


@given(data=st.binary(max_size=300))
def test_rubbish_is_at_most_a_fault(data: bytes) -> None:
    events, _ = whole(data)
    assert len(events) <= 1 or all(isinstance(event, HttpRequest) for event in events[:-1])
