"""The staff's requests about the technician: call, and say that a call is answered."""

import asyncio
from typing import Annotated, Protocol

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.domain.operators import OperatorRight
from edge_agent.screen.replies import decode_body, json_reply, refuse
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
        operator = self._sign_in.authorise(request, OperatorRight.CALL)
        if isinstance(operator, Response):
            return operator
        body = await decode_body(request, _CallTechnician)
        if body is None:
            return refuse("malformed", 400)
        async with self._acting:
            await run_in_threadpool(self._actions.call_technician, body.about, operator.id)
        return json_reply({})

    async def _answer(self, request: Request) -> Response:
        operator = self._sign_in.authorise(request, OperatorRight.ANSWER)
        if isinstance(operator, Response):
            return operator
        async with self._acting:
            await run_in_threadpool(self._actions.answer_call, operator.id)
        return json_reply({})
