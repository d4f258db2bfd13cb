"""The guard before every request: it checks host, origin and size, and adds security headers to the response.

The server listens on loopback, and for tablets in the school's network, but a foreign page could lead a browser there
(DNS rebinding: a name that suddenly means 127.0.0.1). So a request must name this very server, and a POST must come
from our own page.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_BODY_BYTES_MAX = 8 * 1024

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class RequestGuard:
    """ASGI middleware that refuses requests which do not come from this kiosk's own pages."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], scheme: str = "http") -> None:
        self._app = app
        self._hosts = hosts
        self._scheme = scheme

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send_guarded)
        else:
            await refusal(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> PlainTextResponse | None:
        if headers.get("host", "").lower() not in self._hosts:
            return PlainTextResponse(
                "This server answers under no such name; open the page by the address that the kiosk shows.\n", 421
            )
        if method in {"GET", "HEAD"}:
            return None
        origin = headers.get("origin")
        if origin is not None and origin.removeprefix(f"{self._scheme}://").lower() not in self._hosts:
            return PlainTextResponse("This request does not come from the kiosk's own page; use that page.\n", 403)
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return PlainTextResponse("Send application/json.\n", 415)
        length = headers.get("content-length", "")
        if not length.isdecimal() or int(length) > REQUEST_BODY_BYTES_MAX:
            return PlainTextResponse(f"Send at most {REQUEST_BODY_BYTES_MAX} bytes, with their Content-Length.\n", 413)
        return None
