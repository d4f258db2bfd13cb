"""A network and a ledger as they are on a bad day, in front of the real ones. For demonstrations and tests.

Each fault is one that real ledgers and networks show. What it does not imitate: a ledger that lies (tests have their
own for that), and slowness that only a real wait would show; `SLOW` ends as a slow answer does, in a timeout.
"""

from collections.abc import Callable
from enum import StrEnum

from sync.client.channel import HttpResponse, HttpTransport
from sync.contract import wire
from sync.contract.wire import ProblemDocument, ProblemType
from sync.errors import Unreachable


class NetworkFault(StrEnum):
    """A fault that befalls one request."""

    NONE = "none"
    DOWN = "down"  # the request never arrives
    LOST_REPLY = "lost-reply"  # it arrives and is carried out; the answer does not come back
    SLOW = "slow"  # for the kiosk it is a lost reply
    TRUNCATED = "truncated"  # the answer is cut in the middle, and the connection ends in good order
    TWICE = "twice"  # a proxy sends the request again; the second answer is the one that comes back
    BUSY = "busy"  # 429 with Retry-After
    STORM = "storm"  # 503 without a word, from a proxy
    PORTAL = "portal"  # a captive portal answers 200 with a page of its own


class FaultyTransport:
    """Passes requests on to `transport`, each with the fault that `draw` returns for it."""

    def __init__(self, transport: HttpTransport, draw: Callable[[], NetworkFault], retry_after_s: int = 30) -> None:
        self._transport = transport
        self._draw = draw
        self._retry_after_s = retry_after_s

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        fault = self._draw()
        match fault:
            case NetworkFault.DOWN:
                raise Unreachable("connection refused")
            case NetworkFault.BUSY:
                problem = wire.to_json(
                    ProblemDocument(type=ProblemType.BUSY.value, title="too many at once", status=429)
                )
                headers = {"content-type": wire.PROBLEM_JSON, "retry-after": str(self._retry_after_s)}
                return HttpResponse(429, headers, problem)
            case NetworkFault.STORM:
                return HttpResponse(503, {"content-type": "text/html"}, b"<h1>503 Service Unavailable</h1>")
            case NetworkFault.PORTAL:
                return HttpResponse(200, {"content-type": "text/html"}, b"<html>Please accept our terms</html>")
            case (
                NetworkFault.NONE
                | NetworkFault.LOST_REPLY
                | NetworkFault.SLOW
                | NetworkFault.TRUNCATED
                | NetworkFault.TWICE
            ):
                pass
        response = self._transport.request(method, path, query, headers, body, bytes_max)
        match fault:
            case NetworkFault.LOST_REPLY | NetworkFault.SLOW:
                raise Unreachable("timed out while waiting for the answer")
            case NetworkFault.TRUNCATED:
                return HttpResponse(response.status, response.headers, response.body[: len(response.body) // 2])
            case NetworkFault.TWICE:
                return self._transport.request(method, path, query, headers, body, bytes_max)
            case _:
                return response
