"""The gate before every request of a tablet: without a paired tablet's secret nothing opens but the page of pairing.

The secret is a cookie that no script reads and no other site sends. Each sign-in gives the tablet a new one, and the
one before holds until the next: a copy of the cookie is worth nothing after two sign-ins at the tablet, and it never
opens a session, which needs an operator's PIN. A revoked tablet's open streams end with their next event.
"""

from http.cookies import SimpleCookie

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_agent.screen.tablets.ports import TabletDirectory

TABLET_COOKIE = "__Host-canteen_tablet"
COOKIE_LASTS_S = 400 * 86_400  # as long as browsers keep one
PAIRING_PATH = "/pair"
# What a stranger in the network may ask for.
OPEN_PATHS = frozenset(
    {
        PAIRING_PATH, "/page/pair.js", "/page/pair.css", "/page/icon.svg", "/catalogues.json",
        "/page/desk.js", "/page/feed.js", "/page/request.js", "/page/words.js",
    }
)  # fmt: skip
SIGN_IN_PATHS = frozenset({"/staff/sign-in", "/staff/pin", "/staff/first-head"})
PAGES = frozenset({"/", "/staff", "/enrol", "/status"})
UNPAIRED_CLIENT = "unpaired"


def client_of(tablet: str) -> str:
    """Returns the client that a paired tablet is for sign-in."""
    return f"tablet {tablet}"


def tablet_cookie(secret: str) -> str:
    """Returns the header's value that has a tablet keep its secret."""
    cookie: SimpleCookie = SimpleCookie()
    cookie[TABLET_COOKIE] = secret
    kept = cookie[TABLET_COOKIE]
    kept["path"], kept["secure"], kept["httponly"], kept["samesite"] = "/", True, True, "Strict"
    kept["max-age"] = COOKIE_LASTS_S
    return kept.OutputString()


class TabletGate:
    """ASGI middleware that lets paired tablets in, and tells sign-in which one asks."""

    def __init__(self, app: ASGIApp, directory: TabletDirectory) -> None:
        self._app = app
        self._directory = directory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        secret = request.cookies.get(TABLET_COOKIE, "")
        tablet = self._directory.find(secret) if secret else None
        state = scope.setdefault("state", {})
        if tablet is None:
            state["client"] = UNPAIRED_CLIENT
            path = scope["path"]
            answer = self._app if path in OPEN_PATHS else _refuse(path)
            await answer(scope, receive, send)
            return
        state["client"] = client_of(tablet)
        self._directory.note_seen(tablet, request.client.host if request.client else "")
        await self._app(scope, receive, _TabletSend(self._directory, tablet, secret, scope["path"], send))


class _TabletSend:
    """Sends a response to a tablet, and no further part of a stream once its pairing has ended."""

    def __init__(self, directory: TabletDirectory, tablet: str, secret: str, path: str, send: Send) -> None:
        self._directory = directory
        self._tablet = tablet
        self._secret = secret
        self._path = path
        self._send = send
        self._is_over = False

    async def __call__(self, message: Message) -> None:
        if self._is_over:
            return
        if message.get("more_body") and not self._directory.is_paired(self._tablet):
            self._is_over = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        is_start = message["type"] == "http.response.start"
        if is_start and self._path in SIGN_IN_PATHS and message["status"] == 200:
            anew = await run_in_threadpool(self._directory.renew, self._tablet, self._secret)
            if anew is not None:
                MutableHeaders(scope=message).append("Set-Cookie", tablet_cookie(anew))
        await self._send(message)


def _refuse(path: str) -> Response:
    if path in PAGES:
        return RedirectResponse(PAIRING_PATH, 303)
    return Response(msgspec.json.encode({"why": "not_paired"}), 403, media_type="application/json")
