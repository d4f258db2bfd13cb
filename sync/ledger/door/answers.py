"""Signs what the ledger answers, so that a kiosk can tell its word from that of a proxy on the way.

Outermost of all, since the signature covers the bytes as they are sent, compressed ones too. Only the answer to a
signed request is signed, for it is bound to that request's own signature. An answer that says "later" (429 and from
500 on) is obeyed whoever says it, and costs no signature.
"""

from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync.contract import receipt, signature
from sync.ledger.door.heads import read_head, read_headers
from sync.ledger.receipt_keys import ReceiptSigner

_LATER = 429


class AnswerSigner:
    """ASGI middleware that signs with the receipts' key, which every kiosk has pinned."""

    def __init__(self, app: ASGIApp, receipts: ReceiptSigner, clock: Callable[[], datetime]) -> None:
        self._app = app
        self._receipts = receipts
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = read_head(scope) if scope["type"] == "http" else None
        if request is None or "signature" not in request.headers:
            await self._app(scope, receive, send)
            return
        # From before the receipt is signed: a kiosk follows a newer key in it, but takes none of before its answer's.
        key = self._receipts.key
        start: Message = {}
        body = bytearray()

        async def sign_and_send(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await send(self._sign(start, bytes(body), request, key))
                await send({"type": "http.response.body", "body": bytes(body)})

        await self._app(scope, receive, sign_and_send)

    def _sign(self, start: Message, body: bytes, request: signature.SignableRequest, key: Ed25519PrivateKey) -> Message:
        """Returns the answer's start with the headers of its signature."""
        if start["status"] >= _LATER:
            return start
        answer = signature.SignableAnswer(start["status"], read_headers(start["headers"]), body)
        try:
            keyid = receipt.fingerprint(key.public_key().public_bytes_raw())
            signed = signature.sign_answer(answer, request, key, keyid, int(self._clock().timestamp()))
        except signature.BadSignature:  # the request's is of no known form: there is nothing to bind an answer to
            return start
        added = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in signed.items()]
        return {**start, "headers": [*start["headers"], *added]}
