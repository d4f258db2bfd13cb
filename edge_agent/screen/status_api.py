"""The technician's page asks how the kiosk is: for those who may answer a call of the technician."""

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.domain.operators import OperatorRight
from edge_agent.screen.replies import NoBody
from edge_agent.screen.sign_in import SignInApi


class StatusSource(Protocol):
    """The kiosk, as a technician asks for it. The screen's worker threads call it."""

    def read_status(self) -> object:
        """Returns what the page shows, as msgspec writes it: no names, no card numbers."""
        ...


class StatusApi:
    """Responds to GET /staff/status."""

    def __init__(self, sign_in: SignInApi, source: StatusSource) -> None:
        self._sign_in = sign_in
        self._source = source

    def routes(self) -> list[Route]:
        """Returns the address of this request."""
        return [Route("/staff/status", self._status)]

    async def _status(self, request: Request) -> Response:
        return await self._sign_in.reply_act(
            request, OperatorRight.ANSWER, NoBody(), lambda _, __: self._source.read_status()
        )
