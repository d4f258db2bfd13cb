"""The staff's requests: sign in, find people, enter a person or a class by hand, void an entry.

Requests and responses are JSON. A response other than 200 holds `why`, a key of the catalogues. The operator who signed
in is the one who acts, and never a name from the request.
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
    ActionDone,
    ActionFailed,
    ActionResult,
    DayBoard,
    RosterPerson,
    StaffActions,
    WrongClock,
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


class _ConfirmClock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    run: _Text
    reason: _Text
    offset_s: int | None = None  # None: as measured


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


@dataclass(frozen=True, slots=True)
class _SessionBody:
    on: bool  # False: no PIN is set, and nothing can be done by hand here
    operator: str
    operators: tuple[str, ...]


_Body = TypeVar("_Body", bound=msgspec.Struct)


class StaffApi:
    """Responds to the staff's requests. It runs in the server's event loop; `now_s` returns monotonic seconds."""

    def __init__(
        self, gate: StaffGate, actions: StaffActions | None, operators: Sequence[str], now_s: Callable[[], float]
    ) -> None:
        self._gate = gate
        self._actions = actions
        self._operators = tuple(operators)
        self._now_s = now_s
        self._acting = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Returns the addresses of the staff's requests."""
        return [
            Route("/staff/session", self._describe_session),
            Route("/staff/groups", self._groups),
            Route("/staff/today", self._today),
            Route("/staff/sign-in", self._sign_in, methods=["POST"]),
            Route("/staff/sign-out", self._sign_out, methods=["POST"]),
            Route("/staff/find", self._find, methods=["POST"]),
            Route("/staff/enter", self._enter, methods=["POST"]),
            Route("/staff/class", self._enter_class, methods=["POST"]),
            Route("/staff/void", self._void, methods=["POST"]),
            Route("/staff/clocks", self._clocks),
            Route("/staff/clock", self._confirm_clock, methods=["POST"]),
        ]

    def is_signed_in(self, request: Request) -> bool:
        """Returns True when this client may see names. The question does not keep its session alive."""
        return self._gate.operator(request.cookies.get(COOKIE, ""), self._now_s(), used=False) is not None

    def _operator(self, request: Request) -> str | None:
        return self._gate.operator(request.cookies.get(COOKIE, ""), self._now_s())

    async def _describe_session(self, request: Request) -> Response:
        enabled = self._gate.is_enabled and self._actions is not None
        return _json(_SessionBody(enabled, self._operator(request) or "", self._operators))

    async def _sign_in(self, request: Request) -> Response:
        body = await _decode_body(request, _SignIn)
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
        body = await _decode_body(request, _Find)
        return await self._act(request, body, lambda actions, _, body: tuple(actions.find_people(body.text)))

    async def _groups(self, request: Request) -> Response:
        return await self._act(request, _Nothing(), lambda actions, *_: tuple(actions.list_groups()))

    async def _today(self, request: Request) -> Response:
        return await self._act(request, _Nothing(), lambda actions, *_: actions.read_day())

    async def _enter(self, request: Request) -> Response:
        body = await _decode_body(request, _Enter)
        return await self._act(
            request,
            body,
            lambda actions, operator, body: actions.enter_by_hand(PersonId(body.person), operator, body.reason),
        )

    async def _enter_class(self, request: Request) -> Response:
        body = await _decode_body(request, _EnterClass)
        return await self._act(
            request, body, lambda actions, operator, body: actions.enter_class(body.group, operator, body.reason)
        )

    async def _void(self, request: Request) -> Response:
        body = await _decode_body(request, _Void)
        return await self._act(
            request,
            body,
            lambda actions, operator, body: actions.void_entry(Epoch(body.epoch), body.seq, operator, body.reason),
        )

    async def _clocks(self, request: Request) -> Response:
        return await self._act(request, _Nothing(), lambda actions, *_: tuple(actions.list_clocks()))

    async def _confirm_clock(self, request: Request) -> Response:
        body = await _decode_body(request, _ConfirmClock)
        return await self._act(
            request,
            body,
            lambda actions, operator, body: actions.confirm_clock(body.run, body.offset_s, operator, body.reason),
        )

    async def _act(
        self,
        request: Request,
        body: _Body | None,
        act: Callable[
            [StaffActions, str, _Body], ActionResult | DayBoard | tuple[RosterPerson | WrongClock | str, ...]
        ],
    ) -> Response:
        operator = self._operator(request)
        if operator is None or self._actions is None:
            return _failure("signed_out", 403)
        if body is None:
            return _failure("malformed", 400)
        async with self._acting:
            result = await run_in_threadpool(act, self._actions, operator, body)
        match result:
            case ActionFailed(reason):
                return _failure(reason, 409)
            case ActionDone(rows):
                return _json({"rows": rows})
            case _:
                return _json(result)


async def _decode_body(request: Request, shape: type[_Body]) -> _Body | None:
    try:
        return msgspec.json.decode(await request.body(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def _failure(code: str, status: int) -> Response:
    return _json({"why": code}, status)
