"""The quick answer to who does not even claim to be a device: nothing of the request is looked at any further.

Outermost of all: under a flood, what a refusal costs is what the kiosks have to wait.
"""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from sync.contract import wire
from sync.contract.wire import ProblemDocument, ProblemType
from sync.ledger.door.admission import NamedBuckets
from sync.ledger.door.heads import announces_body

CROWD_PAUSE_S = 1.0  # before a crowd is answered: who waits for the answer sends nothing meanwhile

_UNSIGNED = wire.to_json(ProblemDocument(
    type=ProblemType.UNAUTHORISED, status=401, title="no good signature", detail="header signature is missing",
))  # fmt: skip
_CROWD = wire.to_json(ProblemDocument(
    type=ProblemType.BUSY, status=429, title="too many requests without a known key", detail="come again later",
))  # fmt: skip
_JSON = (b"content-type", wire.PROBLEM_JSON.encode())


class UnsignedRefusal:
    """ASGI middleware that refuses requests without a signature to calls that need one.

    `open_paths`: those under /v1/ that do not. `strangers`: the buckets by address in which they are counted.
    """

    def __init__(self, app: ASGIApp, strangers: NamedBuckets, open_paths: frozenset[str]) -> None:
        self._app = app
        self._strangers = strangers
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith("/v1/") or path in self._open_paths:
            await self._app(scope, receive, send)
            return
        if any(name == b"signature" for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        wait_s = self._strangers.admit(scope["client"][0] if scope["client"] else "")
        body = _CROWD if wait_s else _UNSIGNED
        headers = [_JSON, (b"content-length", b"%d" % len(body))]
        if wait_s:
            await asyncio.sleep(CROWD_PAUSE_S)
            headers.append((b"retry-after", b"%d" % wait_s))
        if announces_body(scope["headers"]):
            headers.append((b"connection", b"close"))  # its body is not read
        await send({"type": "http.response.start", "status": 429 if wait_s else 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})
