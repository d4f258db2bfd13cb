"""A network and a ledger as they are on a bad day, in front of the real ones. For demonstrations and tests.

Each fault is one that real ledgers and networks show. What it does not imitate: a ledger that lies (tests have their
own for that), and slowness that only a real wait would show; `SLOW` ends as a slow answer does, in a timeout.
"""

from collections.abc import Callable
from enum import StrEnum

from sync.client.channel import Answer, Transport
from sync.contract import wire
from sync.contract.wire import ProblemDocument, ProblemType
from sync.errors import Unreachable


class Fault(StrEnum):
    NONE = "none"
    DOWN = "down"  # the request never arrives
    LOST_REPLY = "lost-reply"  # it arrives and is carried out; the answer does not come back
    SLOW = "slow"  # the same to whoever waits
    TRUNCATED = "truncated"  # the answer is cut in the middle, and the connection ends in good order
    TWICE = "twice"  # a proxy sends the request again; the second answer is the one that comes back
    BUSY = "busy"  # 429 with Retry-After
    STORM = "storm"  # 503 without a word, from a proxy
    PORTAL = "portal"  # a captive portal answers 200 with a page of its own


class FaultyTransport:
    """`draw` says at each request what goes wrong with it."""

    def __init__(self, transport: Transport, draw: Callable[[], Fault], retry_after_s: int = 30) -> None:
        self._transport = transport
        self._draw = draw
        self._retry_after_s = retry_after_s

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> Answer:
        fault = self._draw()
        match fault:
            case Fault.DOWN:
                raise Unreachable("connection refused")
            case Fault.BUSY:
                problem = wire.to_json(
                    ProblemDocument(type=ProblemType.BUSY.value, title="too many at once", status=429)
                )
                headers = {"content-type": wire.PROBLEM_JSON, "retry-after": str(self._retry_after_s)}
                return Answer(429, headers, problem)
            case Fault.STORM:
                return Answer(503, {"content-type": "text/html"}, b"<h1>503 Service Unavailable</h1>")
            case Fault.PORTAL:
                return Answer(200, {"content-type": "text/html"}, b"<html>Please accept our terms</html>")
            case Fault.NONE | Fault.LOST_REPLY | Fault.SLOW | Fault.TRUNCATED | Fault.TWICE:
                pass
        answer = self._transport.request(method, path, query, headers, body, bytes_max)
        match fault:
            case Fault.LOST_REPLY | Fault.SLOW:
                raise Unreachable("timed out while waiting for the answer")
            case Fault.TRUNCATED:
                return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
            case Fault.TWICE:
                return self._transport.request(method, path, query, headers, body, bytes_max)
            case _:
                return answer
