"""The staff's sign-in: operator and PIN, one's own new PIN, and the first head of a kiosk.

One PIN is looked at at a time, since that takes memory. A client that must wait is refused before.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.domain.operators import (
    OPERATOR_NAME_CHARS_MAX,
    Operator,
    OperatorRefused,
    OperatorRight,
    find_pin_fault,
)
from edge_agent.screen.gate import StaffGate
from edge_agent.screen.ports import OperatorDirectory, PinVerdict
from edge_agent.screen.replies import RequestBody, decode_body, json_reply, refuse

COOKIE = "canteen_staff"
KIOSK_CLIENT = "kiosk"
FIRST_HEAD = ""  # for whom wrong common PINs count: no operator has this id

Outcome = TypeVar("Outcome")

_Pin = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_OperatorId = Annotated[str, msgspec.Meta(min_length=1, max_length=OPERATOR_NAME_CHARS_MAX, pattern=r"\S")]


class _SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pin: _Pin
    operator: _OperatorId


class _ChangePin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    operator: _OperatorId
    pin: _Pin
    new_pin: _Pin


class _MakeFirstHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: _OperatorId
    pin: _Pin
    new_pin: _Pin


@dataclass(frozen=True, slots=True)
class _OperatorChoice:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class _SessionBody:
    on: bool  # False: nobody can sign in, and nothing can be done by hand here
    operator: str  # the name of the one who has signed in
    operators: tuple[str, ...]
    choices: tuple[_OperatorChoice, ...]
    rights: tuple[OperatorRight, ...]
    first: bool  # True: the common PIN may make the first head
    hall: bool  # True: children see this screen


class SignInApi:
    """Responds to requests about sessions. It runs in the server's event loop; `now_s` returns monotonic seconds.

    `hall`: the kiosk's own screen stands where children see it.
    """

    def __init__(
        self, gate: StaffGate, directory: OperatorDirectory, now_s: Callable[[], float], *, hall: bool = True
    ) -> None:
        self._gate = gate
        self._directory = directory
        self._now_s = now_s
        self._hall = hall
        self._looking = asyncio.Lock()
        self.has_tablets = False  # True where tablets can be paired

    def routes(self) -> list[Route]:
        """Returns the addresses of these requests."""
        return [
            Route("/staff/session", self._describe_session),
            Route("/staff/sign-in", self._sign_in, methods=["POST"]),
            Route("/staff/sign-out", self._sign_out, methods=["POST"]),
            Route("/staff/pin", self._change_pin, methods=["POST"]),
            Route("/staff/first-head", self._make_first_head, methods=["POST"]),
        ]

    def operator(self, request: Request, *, used: bool = True) -> Operator | None:
        """Returns who has signed in at this client, or None. `used` keeps the session alive."""
        return self._gate.operator(request.cookies.get(COOKIE, ""), read_client(request), self._now_s(), used=used)

    def is_in_hall(self, request: Request) -> bool:
        """Returns True when children see the screen of this client: no payer, programme or photo is for it."""
        return self._hall and read_client(request) == KIOSK_CLIENT

    def authorise(self, request: Request, right: OperatorRight) -> Operator | Response:
        """Returns who has signed in at this client, or why that one may not do this."""
        operator = self.operator(request)
        if operator is None:
            return refuse("signed_out", 403)
        return operator if operator.may(right) else refuse("not_your_role", 403)

    async def run_act(
        self,
        request: Request,
        right: OperatorRight,
        body: RequestBody | None,
        act: Callable[[Operator, RequestBody], Outcome],
        acting: AbstractAsyncContextManager[object] | None = None,
    ) -> Outcome | Response:
        """Returns what an act of the operator who signed in came to, or why there was none.

        It runs in a thread; those that share `acting` run one after the other. Raises what the act raises.
        """
        operator = self.authorise(request, right)
        if isinstance(operator, Response):
            return operator
        if body is None:
            return refuse("malformed", 400)
        async with acting or nullcontext():
            return await run_in_threadpool(act, operator, body)

    async def reply_act(
        self, request: Request, right: OperatorRight, body: RequestBody | None,
        act: Callable[[Operator, RequestBody], object],
    ) -> Response:  # fmt: skip
        """Responds with what such an act came to, in JSON, or with why there was none. Raises what the act raises."""
        result = await self.run_act(request, right, body, act)
        return result if isinstance(result, Response) else json_reply(result)

    def read_names(self) -> dict[str, str]:
        """Returns the name of everybody who was ever an operator here, by id."""
        return {listed.operator.id: listed.operator.name for listed in self._directory.list_all()}

    def end_sessions(self, operator: str) -> None:
        """Ends every session of this operator."""
        self._gate.end_sessions(operator)

    def end_client(self, client: str) -> None:
        """Ends every session of this client."""
        self._gate.end_client(client)

    async def _describe_session(self, request: Request) -> Response:
        operator = self.operator(request)
        choices = tuple(_OperatorChoice(choice.id, choice.name) for choice in self._directory.choices())
        first = self._directory.is_first_awaited
        return json_reply(
            _SessionBody(
                on=bool(choices) or first,
                operator=operator.name if operator else "",
                operators=tuple(choice.name for choice in choices),
                choices=choices,
                rights=self._rights(operator) if operator else (),
                first=first,
                hall=self.is_in_hall(request),
            )
        )

    def _rights(self, operator: Operator) -> tuple[OperatorRight, ...]:
        rights = operator.rights()
        return rights if self.has_tablets else tuple(right for right in rights if right is not OperatorRight.TABLETS)

    async def _sign_in(self, request: Request) -> Response:
        body = await decode_body(request, _SignIn)
        if body is None:
            return refuse("malformed", 400)
        operator = " ".join(body.operator.split())
        return await self._admit(request, operator, lambda: self._directory.check_pin(operator, body.pin))

    async def _sign_out(self, request: Request) -> Response:
        self._gate.sign_out(request.cookies.get(COOKIE, ""))
        response = json_reply({})
        response.delete_cookie(COOKIE)
        return response

    async def _change_pin(self, request: Request) -> Response:
        """Sets an operator's own new PIN in place of the present one, and signs in."""
        body = await decode_body(request, _ChangePin)
        if body is None:
            return refuse("malformed", 400)
        fault = find_pin_fault(body.new_pin, body.pin)
        if fault is not None:
            return refuse(fault, 409)

        def change() -> str:
            self._directory.change_pin(body.operator, body.pin, body.new_pin)
            return body.operator

        return await self._admit(
            request, body.operator, lambda: self._directory.check_pin(body.operator, body.pin), change
        )

    async def _make_first_head(self, request: Request) -> Response:
        body = await decode_body(request, _MakeFirstHead)
        if body is None:
            return refuse("malformed", 400)
        fault = find_pin_fault(body.new_pin)
        if fault is not None:
            return refuse(fault, 409)

        def look() -> PinVerdict:
            return PinVerdict.RIGHT if self._directory.check_common_pin(body.pin) else PinVerdict.WRONG

        return await self._admit(
            request, FIRST_HEAD, look, lambda: self._directory.add_first(body.name, body.new_pin).id
        )

    async def _admit(
        self,
        request: Request,
        operator: str,
        look: Callable[[], PinVerdict],
        act: Callable[[], str] | None = None,
    ) -> Response:
        """Opens a session for a right PIN, after `act` has returned whose session it is."""
        client = read_client(request)
        async with self._looking:
            wait_s = self._gate.wait_s(client, self._now_s())
            if wait_s:
                response = refuse("wait", 429)
                response.headers["Retry-After"] = str(wait_s)
                return response
            if not self._directory.is_first_awaited and not self._directory.choices():
                return refuse("no_pin_set", 403)
            verdict = await run_in_threadpool(look)
            if act is not None and verdict is not PinVerdict.WRONG:
                try:
                    operator, verdict = await run_in_threadpool(act), PinVerdict.RIGHT
                except OperatorRefused as refused:
                    return refuse(refused.fault, 409)
                self._gate.end_sessions(operator)
            token = self._gate.admit(operator, client, verdict, self._now_s())
        if token is None:
            return refuse("pin_to_change" if verdict is PinVerdict.TO_CHANGE else "wrong_pin", 403)
        admitted = self._directory.find(operator)
        response = json_reply({"operator": admitted.name if admitted else ""})
        response.set_cookie(
            COOKIE, token, httponly=True, samesite="strict", path="/", secure=request.url.scheme == "https"
        )
        return response


def read_client(request: Request) -> str:
    """Returns the client that asks: what the listener noted in the request's state, else the kiosk's own screen."""
    return str(getattr(request.state, "client", KIOSK_CLIENT))
