"""The head's requests about operators: list, add, give a new PIN, block. Each needs the right to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.domain.operators import (
    OPERATOR_NAME_CHARS_MAX,
    OperatorRefused,
    OperatorRight,
    OperatorRole,
)
from edge_agent.screen.ports import OperatorDirectory
from edge_agent.screen.replies import NoBody, RequestBody, decode_body, refuse
from edge_agent.screen.sign_in import SignInApi

_ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=OPERATOR_NAME_CHARS_MAX)]


class _AddOperator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: _ShortText
    roles: Annotated[tuple[OperatorRole, ...], msgspec.Meta(min_length=1, max_length=len(OperatorRole))]
    group: Annotated[str, msgspec.Meta(max_length=OPERATOR_NAME_CHARS_MAX)] = ""


class _ChooseOperator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    operator: _ShortText


@dataclass(frozen=True, slots=True)
class _OperatorRow:
    id: str
    name: str
    roles: tuple[OperatorRole, ...]
    blocked: bool
    has_own_pin: bool


@dataclass(frozen=True, slots=True)
class _GivenPin:
    """The PIN for the next sign-in of an operator. It is shown once."""

    operator: str
    name: str
    pin: str


class OperatorApi:
    """Responds to the head's requests about operators."""

    def __init__(self, sign_in: SignInApi, directory: OperatorDirectory) -> None:
        self._sign_in = sign_in
        self._directory = directory

    def routes(self) -> list[Route]:
        """Returns the addresses of these requests."""
        return [
            Route("/staff/operators", self._list_all),
            Route("/staff/operators/add", self._add, methods=["POST"]),
            Route("/staff/operators/pin", self._renew_pin, methods=["POST"]),
            Route("/staff/operators/block", self._block, methods=["POST"]),
        ]

    async def _list_all(self, request: Request) -> Response:
        def read(_: NoBody) -> tuple[_OperatorRow, ...]:
            return tuple(
                _OperatorRow(
                    listed.operator.id,
                    listed.operator.name,
                    tuple(sorted(listed.operator.roles)),
                    listed.is_blocked,
                    listed.has_own_pin,
                )
                for listed in self._directory.list_all()
            )

        return await self._act(request, NoBody(), read)

    async def _add(self, request: Request) -> Response:
        def add(body: _AddOperator) -> _GivenPin:
            operator, pin = self._directory.add(body.name, body.roles, body.group)
            return _GivenPin(operator.id, operator.name, pin)

        return await self._act(request, await decode_body(request, _AddOperator), add)

    async def _renew_pin(self, request: Request) -> Response:
        def renew(body: _ChooseOperator) -> _GivenPin:
            pin = self._directory.renew_pin(body.operator)
            operator = self._directory.find(body.operator)
            return _GivenPin(body.operator, operator.name if operator else "", pin)

        return await self._end_after(request, renew)

    async def _block(self, request: Request) -> Response:
        return await self._end_after(request, lambda body: self._directory.block(body.operator))

    async def _end_after(self, request: Request, act: Callable[[_ChooseOperator], object]) -> Response:
        """Does an act after which the operator has no session any more."""
        body = await decode_body(request, _ChooseOperator)
        response = await self._act(request, body, act)
        if body is not None and response.status_code == 200:
            self._sign_in.end_sessions(body.operator)
        return response

    async def _act(self, request: Request, body: RequestBody | None, act: Callable[[RequestBody], object]) -> Response:
        try:
            return await self._sign_in.reply_act(request, OperatorRight.OPERATORS, body, lambda _, body: act(body))
        except OperatorRefused as refused:
            return refuse(refused.fault, 409)
