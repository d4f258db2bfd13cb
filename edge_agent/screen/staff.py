"""The staff's requests: sign in, find, enter by hand, a whole class, take back.

Every request is JSON and every answer is, too; an answer that is not 200 holds `why`, a key of the catalogues.
Who acts is the operator who signed in, never a name that the request brings along.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar, assert_never

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.screen.gate import OPERATOR_CHARS_MAX, GateLocked, SignedIn, StaffGate, WrongPin
from edge_agent.screen.ports import (
    ROSTER_PEOPLE_MAX,
    ActionDone,
    ActionFailed,
    ActionResult,
    RosterPerson,
    StaffActions,
)
from sync.contract.chain import Epoch
from sync.contract.event import PersonId

COOKIE = "canteen_staff"

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Operator = Annotated[str, msgspec.Meta(min_length=1, max_length=OPERATOR_CHARS_MAX, pattern=r"\S")]


class _SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pin: _Text
    operator: _Operator


class _Find(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: _Text


class _Enter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: _Text
    reason: _Text


class _EnterClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: _Text
    reason: _Text


class _Void(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    epoch: _Text
    seq: Annotated[int, msgspec.Meta(ge=1)]
    reason: _Text


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


@dataclass(frozen=True, slots=True)
class _SessionBody:
    on: bool  # False: no PIN is set, and nothing can be done by hand here
    operator: str
    operators: tuple[str, ...]


_Body = TypeVar("_Body", bound=msgspec.Struct)


class StaffApi:
    """Lives in the server's event loop; `now_s` is monotonic."""

    def __init__(
        self, gate: StaffGate, actions: StaffActions | None, operators: Sequence[str], now_s: Callable[[], float]
    ) -> None:
        self._gate = gate
        self._actions = actions
        self._operators = tuple(operators)
        self._now_s = now_s
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> list[Route]:
        return [
            Route("/staff/session", self._session),
            Route("/staff/groups", self._groups),
            Route("/staff/sign-in", self._sign_in, methods=["POST"]),
            Route("/staff/sign-out", self._sign_out, methods=["POST"]),
            Route("/staff/find", self._find, methods=["POST"]),
            Route("/staff/enter", self._enter, methods=["POST"]),
            Route("/staff/class", self._enter_class, methods=["POST"]),
            Route("/staff/void", self._void, methods=["POST"]),
        ]

    def is_signed_in(self, request: Request) -> bool:
        """Whether names may be shown to this client; looking on does not keep a session awake."""
        return self._gate.operator(request.cookies.get(COOKIE, ""), self._now_s(), used=False) is not None

    def _operator(self, request: Request) -> str | None:
        return self._gate.operator(request.cookies.get(COOKIE, ""), self._now_s())

    async def _session(self, request: Request) -> Response:
        on = self._gate.is_enabled and self._actions is not None
        return _json(_SessionBody(on, self._operator(request) or "", self._operators))

    async def _sign_in(self, request: Request) -> Response:
        body = await _read(request, _SignIn)
        if body is None:
            return _failure("malformed", 400)
        if not self._gate.is_enabled:
            return _failure("no_pin_set", 403)
        outcome = self._gate.sign_in(body.pin, " ".join(body.operator.split()), self._now_s())
        match outcome:
            case SignedIn(token):
                response = _json({"operator": " ".join(body.operator.split())})
                response.set_cookie(COOKIE, token, httponly=True, samesite="strict", path="/")
                return response
            case WrongPin():
                return _failure("wrong_pin", 403)
            case GateLocked(seconds):
                response = _failure("wait", 429)
                response.headers["Retry-After"] = str(seconds)
                return response
            case _:
                assert_never(outcome)

    async def _sign_out(self, request: Request) -> Response:
        self._gate.sign_out(request.cookies.get(COOKIE, ""))
        response = _json({})
        response.delete_cookie(COOKIE)
        return response

    async def _find(self, request: Request) -> Response:
        body = await _read(request, _Find)
        return await self._ask(
            request, body, lambda actions, _, body: tuple(actions.find_people(body.text))[:ROSTER_PEOPLE_MAX]
        )

    async def _groups(self, request: Request) -> Response:
        return await self._ask(request, _Nothing(), lambda actions, *_: tuple(actions.list_groups()))

    async def _enter(self, request: Request) -> Response:
        body = await _read(request, _Enter)
        return await self._ask(
            request, body, lambda actions, who, body: actions.enter_by_hand(PersonId(body.person), who, body.reason)
        )

    async def _enter_class(self, request: Request) -> Response:
        body = await _read(request, _EnterClass)
        return await self._ask(
            request, body, lambda actions, who, body: actions.enter_class(body.group, who, body.reason)
        )

    async def _void(self, request: Request) -> Response:
        body = await _read(request, _Void)
        return await self._ask(
            request, body, lambda actions, who, body: actions.void_entry(Epoch(body.epoch), body.seq, who, body.reason)
        )

    async def _ask(
        self,
        request: Request,
        body: _Body | None,
        ask: Callable[[StaffActions, str, _Body], ActionResult | tuple[RosterPerson, ...] | tuple[str, ...]],
    ) -> Response:
        operator = self._operator(request)
        if operator is None or self._actions is None:
            return _failure("signed_out", 403)
        if body is None:
            return _failure("malformed", 400)
        async with self._one_at_a_time:
            answer = await run_in_threadpool(ask, self._actions, operator, body)
        match answer:
            case ActionFailed(why):
                return _failure(why, 409)
            case ActionDone(rows):
                return _json({"rows": rows})
            case _:
                return _json(answer)


async def _read(request: Request, shape: type[_Body]) -> _Body | None:
    try:
        return msgspec.json.decode(await request.body(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _json(answer: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


def _failure(code: str, status: int) -> Response:
    return _json({"why": code}, status)
