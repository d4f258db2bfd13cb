"""The real ledger made wrong in one place: an answer changed before or behind its signature, or a function replaced."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync.contract import batch, wire
from sync.ledger.door.answers import AnswerSigner
from sync.ledger.door.heads import read_head, read_headers
from sync.ledger.receipt_keys import ReceiptSigner
from sync.ledger.server import utc_now

_SIGNING = {"content-digest", "signature-input", "signature"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AskedRequest:
    """A request, as far as the ledger has read it."""

    call: str  # `POST batches`: the method, and the last part of the path
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> bytes:
        """The body before compression; empty where it cannot be read."""
        try:
            return batch.decompress(self.body, self.headers.get("content-encoding", ""))
        except (batch.BodyTooLarge, batch.UnknownEncoding, batch.MalformedBatch):
            return b""


@dataclass(frozen=True, slots=True)
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> Json:
        found: Json = msgspec.json.decode(self.body)
        return found

    def unsigned(self) -> "RawAnswer":
        return replace(self, headers={name: value for name, value in self.headers.items() if name not in _SIGNING})


AnswerChange = Callable[[AskedRequest, RawAnswer], RawAnswer]
AnswerTest = Callable[[AskedRequest, RawAnswer], bool]


@dataclass(frozen=True, slots=True)
class LedgerMutant:
    """One wrong ledger. `follows`: rules that cannot hold either where this one is broken."""

    change: AnswerChange | None = None  # before the answer is signed
    outside: AnswerChange | None = None  # behind the signature
    replaced: dict[str, Callable[[Any], object]] = field(default_factory=dict)  # dotted name → from what it was
    follows: frozenset[str] = frozenset()
    refuses_after: int = 0  # requests without a signature, from which on it lets nobody in


def always(_: AskedRequest, __: RawAnswer) -> bool:
    return True


def says(text: bytes) -> AnswerTest:
    """Where the request's body holds this text."""
    return lambda asked, _: text in asked.text


def edit(call: str, change: Callable[[Json], object], status: int = 200, when: AnswerTest = always) -> AnswerChange:
    """Changes fields of the answers of this status to a call."""

    def altered(asked: AskedRequest, answer: RawAnswer) -> RawAnswer:
        if asked.call != call or answer.status != status or not when(asked, answer):
            return answer
        fields = answer.fields
        change(fields)
        return replace(answer, body=msgspec.json.encode(fields))

    return altered


def put(**values: object) -> Callable[[Json], object]:
    return lambda fields: fields.update(values)


def drop(*names: str) -> Callable[[Json], object]:
    return lambda fields: [fields.pop(name, None) for name in names]


def answer_instead(call: str, status: int, other: int, body: object = None, when: AnswerTest = always) -> AnswerChange:
    """Answers a call with another status, as a problem or with another body, where it would have had this status."""

    def altered(asked: AskedRequest, answer: RawAnswer) -> RawAnswer:
        if asked.call != call or answer.status != status or not when(asked, answer):
            return answer
        return RawAnswer(
            other, {"content-type": wire.JSON if other < 400 else wire.PROBLEM_JSON},
            msgspec.json.encode(body if body is not None else {"type": "about:blank", "status": other}),
        )  # fmt: skip

    return altered


class WrongLedger(Starlette):
    """The real application, wrong in the way of `mutant`."""

    def __init__(self, app: ASGIApp, key: ReceiptSigner) -> None:
        super().__init__()
        self._real = app
        self._key = key
        self._served = app

    def become(self, mutant: LedgerMutant) -> None:
        self._served = self._real
        if (change := mutant.change) is not None:
            altered = _Altered(self._real, lambda asked, answer: change(asked, answer.unsigned()))
            self._served = AnswerSigner(altered, self._key, utc_now)
        if mutant.outside is not None:
            self._served = _Altered(self._served, mutant.outside)
        if mutant.refuses_after:
            self._served = _OneBucket(self._served, mutant.refuses_after)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._served(scope, receive, send)


class _Altered:
    """ASGI middleware that changes whole answers. The request passes through, part by part as the ledger reads it."""

    def __init__(self, app: ASGIApp, change: AnswerChange) -> None:
        self._app = app
        self._change = change

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head, body, sent = read_head(scope), bytearray(), bytearray()
        start: dict[str, Any] = {}

        async def read() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def gather(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                sent.extend(message.get("body", b""))

        await self._app(scope, read, gather)
        answer = RawAnswer(start["status"], read_headers(start["headers"]), bytes(sent))
        asked = AskedRequest(f"{head.method} {head.path.rpartition('/')[2]}", dict(head.headers), bytes(body))
        changed = self._change(asked, answer)
        headers = changed.headers | {"content-length": str(len(changed.body))}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": changed.status, "headers": raw})
        await send({"type": "http.response.body", "body": changed.body})


class _OneBucket:
    """ASGI middleware that counts strangers and kiosks together."""

    def __init__(self, app: ASGIApp, requests_max: int) -> None:
        self._app = app
        self._left = requests_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._left -= "signature" not in read_head(scope).headers
        if self._left > 0:
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
