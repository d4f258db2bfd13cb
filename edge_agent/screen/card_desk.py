"""The staff's requests about new cards in the place of lost ones: begin, look how far it is, type a number, stop."""

import asyncio
from collections.abc import Callable
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.domain.operators import OperatorRight
from edge_agent.screen.card_ports import CardActions, CardProblem, CardProgress
from edge_agent.screen.replies import NoBody, RequestBody, decode_body, json_reply, refuse
from edge_agent.screen.sign_in import SignInApi
from sync.contract.event import PersonId

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _StartCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: _Text


class _TypeCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: _Text


class CardApi:
    """Responds to requests about new cards. Each needs the right to give them."""

    def __init__(self, sign_in: SignInApi, actions: CardActions) -> None:
        self._sign_in = sign_in
        self._actions = actions
        self._acting = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Returns the addresses of these requests."""
        return [
            Route("/staff/card", self._read),
            Route("/staff/card/start", self._start, methods=["POST"]),
            Route("/staff/card/number", self._type, methods=["POST"]),
            Route("/staff/card/stop", self._stop, methods=["POST"]),
        ]

    async def _read(self, request: Request) -> Response:
        return await self._act(request, NoBody(), lambda *_: self._actions.read_card())

    async def _start(self, request: Request) -> Response:
        body = await decode_body(request, _StartCard)
        return await self._act(
            request, body, lambda operator, body: self._actions.start_card(PersonId(body.person), operator)
        )

    async def _type(self, request: Request) -> Response:
        body = await decode_body(request, _TypeCard)
        return await self._act(request, body, lambda operator, body: self._actions.type_card(body.number, operator))

    async def _stop(self, request: Request) -> Response:
        return await self._act(request, NoBody(), lambda operator, _: self._actions.stop_card(operator))

    async def _act(
        self,
        request: Request,
        body: RequestBody | None,
        act: Callable[[str, RequestBody], CardProgress | CardProblem],
    ) -> Response:
        result = await self._sign_in.run_act(
            request, OperatorRight.CARDS, body, lambda operator, body: act(operator.id, body), self._acting
        )
        if isinstance(result, Response):
            return result
        return refuse(result, 409) if isinstance(result, CardProblem) else json_reply(result)
