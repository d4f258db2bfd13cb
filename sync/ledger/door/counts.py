"""Counts of the ledger's requests, as Prometheus reads them."""

import time

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync.ledger.door.shared_counts import shares_counts

_REQUESTS = Counter("ledger_requests", "Requests answered", ["call", "status"])
_SECONDS = Histogram(
    "ledger_request_seconds", "Seconds from a request's header to the end of its answer", ["call"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)  # fmt: skip


class RequestCounter:
    """ASGI middleware that counts each request under the name of the call that answered it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), "none"

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            call = getattr(scope.get("endpoint"), "__name__", "none")
            _REQUESTS.labels(call, status).inc()
            _SECONDS.labels(call).observe(time.perf_counter() - began)


def show_counts(port: int, more: Collector) -> None:
    """Answers Prometheus on this port of loopback, for all processes of this ledger, with `more` beside the counts."""
    if shares_counts():
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types here
        registry.register(more)
        start_http_server(port, "127.0.0.1", registry)
    else:
        REGISTRY.register(more)
        start_http_server(port, "127.0.0.1")
