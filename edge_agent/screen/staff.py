"""The staff's requests: find people, enter a person or a class by hand, void an entry.

The operator who signed in is the one who acts, within the rights of the roles, and never one from the request.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.domain.decision import DecisionReason
from edge_agent.domain.operators import Operator, OperatorRight
from edge_agent.screen.ports import (
    ActionDone,
    ActionFailed,
    ActionHeld,
    ActionResult,
    CountedByHand,
    DayBoard,
    FailureReason,
    RosterPerson,
    StaffActions,
    TickPerson,
    TodayRow,
    WaitingPerson,
    WrongClock,
)
from edge_agent.screen.replies import NoBody, RequestBody, decode_body, json_reply, refuse
from edge_agent.screen.sign_in import SignInApi
from sync.contract.chain import Epoch
from sync.contract.event import PersonId

TICKS_MAX = 100  # people of one request, which has to fit in the guard's limit
GUESTS_MAX = 99  # of one entry

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _Find(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: _Text


class _Enter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: _Text
    reason: _Text


class _EnterClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: _Text
    reason: _Text


class _ListTicks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: _Text


class _EnterTicked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    people: Annotated[tuple[_Text, ...], msgspec.Meta(min_length=1, max_length=TICKS_MAX)]
    reason: _Text


class _EnterGuests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    counted: Annotated[int, msgspec.Meta(ge=1, le=GUESTS_MAX)]
    payer: _Text
    reason: _Text


class _Void(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    epoch: _Text
    seq: Annotated[int, msgspec.Meta(ge=1)]
    reason: _Text


class _ConfirmClock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    run: _Text
    reason: _Text
    offset_s: int | None = None  # None: as measured


class _Count(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    step: Annotated[int, msgspec.Meta(ge=-1, le=1)]


_Listed = RosterPerson | TickPerson | WrongClock | WaitingPerson | str


_OTHER_CLASS: Final = ActionFailed(FailureReason.NOT_YOUR_CLASS)


def _enter_ticked(actions: StaffActions, operator: Operator, body: _EnterTicked) -> ActionResult:
    """Enters those who are ticked; by a class teacher, only people of the own class."""
    people, own = [PersonId(person) for person in body.people], operator.only_group
    if own is not None:
        own_people = {row.person for row in actions.list_ticks(own)} if own else set()
        if not own_people.issuperset(people):
            return _OTHER_CLASS
    return actions.enter_people(people, operator.id, body.reason)


def _for_hall(row: TodayRow) -> TodayRow:
    """Returns the row as children may see it: without who pays, and for whom nobody does."""
    return replace(row, payer="", rule="" if row.rule == DecisionReason.NO_ENTITLEMENT else row.rule)


class StaffApi:
    """Responds to the staff's requests. It runs in the server's event loop."""

    def __init__(self, sign_in: SignInApi, actions: StaffActions | None) -> None:
        self._sign_in = sign_in
        self._actions = actions
        self._acting = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Returns the addresses of the staff's requests."""
        return [
            Route("/staff/groups", self._groups),
            Route("/staff/today", self._today),
            Route("/staff/find", self._find, methods=["POST"]),
            Route("/staff/enter", self._enter, methods=["POST"]),
            Route("/staff/class", self._enter_class, methods=["POST"]),
            Route("/staff/ticks", self._list_ticks, methods=["POST"]),
            Route("/staff/tick", self._enter_ticked, methods=["POST"]),
            Route("/staff/payers", self._payers),
            Route("/staff/guests", self._enter_guests, methods=["POST"]),
            Route("/staff/void", self._void, methods=["POST"]),
            Route("/staff/waiting", self._waiting),
            Route("/staff/count", self._count, methods=["POST"]),
            Route("/staff/clocks", self._clocks),
            Route("/staff/clock", self._confirm_clock, methods=["POST"]),
        ]

    def is_signed_in(self, request: Request) -> bool:
        """Returns True when this client may see names. The question does not keep its session alive."""
        operator = self._sign_in.operator(request, used=False)
        return operator is not None and operator.may(OperatorRight.FIND)

    def is_in_hall(self, request: Request) -> bool:
        """Returns True when children see the screen of this client."""
        return self._sign_in.is_in_hall(request)

    async def _find(self, request: Request) -> Response:
        body = await decode_body(request, _Find)
        return await self._act(
            request,
            body,
            lambda actions, _, body: tuple(actions.find_people(body.text)),
            OperatorRight.FIND,
        )

    async def _groups(self, request: Request) -> Response:
        return await self._act(request, NoBody(), lambda actions, *_: tuple(actions.list_groups()), OperatorRight.FIND)

    async def _today(self, request: Request) -> Response:
        in_hall = self.is_in_hall(request)

        def read(actions: StaffActions, *_: object) -> DayBoard:
            board = self._name_operators(actions.read_day())
            return replace(board, rows=tuple(map(_for_hall, board.rows))) if in_hall else board

        return await self._act(request, NoBody(), read, OperatorRight.FIND)

    def _name_operators(self, board: DayBoard) -> DayBoard:
        """Returns the board with names for ids; an id of another kiosk stays as it is."""
        names = self._sign_in.read_names()
        return replace(
            board, rows=tuple(replace(row, operator=names.get(row.operator, row.operator)) for row in board.rows)
        )

    async def _enter(self, request: Request) -> Response:
        body = await decode_body(request, _Enter)
        return await self._act(
            request,
            body,
            lambda actions, operator, body: actions.enter_by_hand(PersonId(body.person), operator, body.reason),
        )

    async def _enter_class(self, request: Request) -> Response:
        body = await decode_body(request, _EnterClass)
        return await self.act_as(
            request,
            body,
            lambda actions, operator, body: (
                actions.enter_class(body.group, operator.id, body.reason)
                if operator.only_group in (None, body.group)
                else _OTHER_CLASS
            ),
        )

    async def _list_ticks(self, request: Request) -> Response:
        body = await decode_body(request, _ListTicks)
        return await self.act_as(
            request,
            body,
            lambda actions, operator, body: (
                tuple(actions.list_ticks(body.group)) if operator.only_group in (None, body.group) else _OTHER_CLASS
            ),
            OperatorRight.FIND,
        )

    async def _enter_ticked(self, request: Request) -> Response:
        body = await decode_body(request, _EnterTicked)
        return await self.act_as(request, body, _enter_ticked)

    async def _payers(self, request: Request) -> Response:
        if self.is_in_hall(request):
            return refuse("in_hall", 403)
        return await self._act(request, NoBody(), lambda actions, *_: tuple(actions.list_payers()))

    async def _enter_guests(self, request: Request) -> Response:
        if self.is_in_hall(request):
            return refuse("in_hall", 403)
        body = await decode_body(request, _EnterGuests)
        return await self._act(
            request,
            body,
            lambda actions, operator, body: actions.enter_guests(body.counted, body.payer, operator, body.reason),
        )

    async def _void(self, request: Request) -> Response:
        body = await decode_body(request, _Void)
        return await self._act(
            request,
            body,
            lambda actions, operator, body: actions.void_entry(Epoch(body.epoch), body.seq, operator, body.reason),
            OperatorRight.VOID,
        )

    async def _waiting(self, request: Request) -> Response:
        return await self._act(request, NoBody(), lambda actions, *_: tuple(actions.list_waiting()))

    async def _count(self, request: Request) -> Response:
        body = await decode_body(request, _Count)
        return await self._act(request, body, lambda actions, operator, body: actions.change_count(body.step, operator))

    async def _clocks(self, request: Request) -> Response:
        return await self._act(
            request, NoBody(), lambda actions, *_: tuple(actions.list_clocks()), OperatorRight.CLOCKS
        )

    async def _confirm_clock(self, request: Request) -> Response:
        body = await decode_body(request, _ConfirmClock)
        return await self._act(
            request,
            body,
            lambda actions, operator, body: actions.confirm_clock(body.run, body.offset_s, operator, body.reason),
            OperatorRight.CLOCKS,
        )

    async def _act(
        self,
        request: Request,
        body: RequestBody | None,
        act: Callable[[StaffActions, str, RequestBody], ActionResult | DayBoard | tuple[_Listed, ...]],
        right: OperatorRight = OperatorRight.ENTER,
    ) -> Response:
        return await self.act_as(request, body, lambda actions, operator, body: act(actions, operator.id, body), right)

    async def act_as(
        self,
        request: Request,
        body: RequestBody | None,
        act: Callable[[StaffActions, Operator, RequestBody], object],
        right: OperatorRight = OperatorRight.ENTER,
    ) -> Response:
        """Responds with the result of an act by the operator who signed in, one act at a time."""
        if self._actions is None:
            return refuse("signed_out", 403)
        actions = self._actions
        result = await self._sign_in.run_act(
            request, right, body, lambda operator, body: act(actions, operator, body), self._acting
        )
        match result:
            case Response():
                return result
            case ActionFailed(reason):
                return refuse(reason, 409)
            case ActionDone(rows):
                return json_reply({"rows": rows})
            case ActionHeld(waiting):
                return json_reply({"waiting": waiting}, 202)
            case CountedByHand(number):
                return json_reply({"number": number})
            case _:
                return json_reply(result)
