"""The staff's requests about the technician: call, and say that a call is answered."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.domain.operators import Operator, OperatorRight
from edge_agent.screen.replies import NoBody, RequestBody, decode_body, json_reply
from edge_agent.screen.sign_in import SignInApi


class TechnicianActions(Protocol):
    """Calls of the technician. The screen's worker threads call it, one call at a time."""

    def call_technician(self, about: str, operator: str) -> None:
        """Opens a call about a reason, by its code."""
        ...

    def answer_call(self, operator: str) -> None:
        """Ends the open call."""
        ...


class _CallTechnician(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    # The code of a reason and no words: a call travels further than names may.
    about: Annotated[str, msgspec.Meta(max_length=64, pattern="^[a-z_]*$")] = ""


class TechnicianApi:
    """Responds to these requests, by the right for each."""

    def __init__(self, sign_in: SignInApi, actions: TechnicianActions) -> None:
        self._sign_in = sign_in
        self._actions = actions
        self._acting = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Returns the addresses of these requests."""
        return [
            Route("/staff/technician/call", self._call, methods=["POST"]),
            Route("/staff/technician/answer", self._answer, methods=["POST"]),
        ]

    async def _call(self, request: Request) -> Response:
        body = await decode_body(request, _CallTechnician)
        return await self._act(
            request,
            OperatorRight.CALL,
            body,
            lambda operator, body: self._actions.call_technician(body.about, operator.id),
        )

    async def _answer(self, request: Request) -> Response:
        return await self._act(
            request, OperatorRight.ANSWER, NoBody(), lambda operator, _: self._actions.answer_call(operator.id)
        )

    async def _act(
        self,
        request: Request,
        right: OperatorRight,
        body: RequestBody | None,
        act: Callable[[Operator, RequestBody], None],
    ) -> Response:
        refused = await self._sign_in.run_act(request, right, body, act, self._acting)
        return refused or json_reply({})
