"""The staff's requests about printed lists: whose codes stand there, and the entries that were written on paper."""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.domain.operators import OperatorRight
from edge_agent.screen.ports import EnteredPaper, PaperWanted
from edge_agent.screen.replies import decode_body
from edge_agent.screen.staff import TICKS_MAX, StaffApi
from sync.contract.event import PersonId

CODES_CHARS_MAX = 2_000

_Day = Annotated[str, msgspec.Meta(pattern=r"^(\d{4}-\d\d-\d\d)?$")]
_Hour = Annotated[str, msgspec.Meta(pattern=r"^\d\d:\d\d$")]
_Name = Annotated[str, msgspec.Meta(max_length=200)]


class _ListPaper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    day: _Day = ""
    session: _Name = ""
    group: _Name = ""
    codes: Annotated[str, msgspec.Meta(max_length=CODES_CHARS_MAX)] = ""


class _EnterPaper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    day: _Day
    session: _Name
    since: _Hour
    until: _Hour
    people: Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1, max_length=TICKS_MAX)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    group: _Name = ""


class PaperApi:
    """Responds to requests about printed lists, as an act of whoever signed in."""

    def __init__(self, staff: StaffApi) -> None:
        self._staff = staff

    def routes(self) -> list[Route]:
        """Returns the addresses of these requests."""
        return [
            Route("/staff/paper/list", self._list, methods=["POST"]),
            Route("/staff/paper/enter", self._enter, methods=["POST"]),
        ]

    async def _list(self, request: Request) -> Response:
        return await self._staff.act_as(
            request,
            await decode_body(request, _ListPaper),
            lambda actions, _, body: actions.list_paper(PaperWanted(body.day, body.session, body.group, body.codes)),
            OperatorRight.FIND,
        )

    async def _enter(self, request: Request) -> Response:
        return await self._staff.act_as(
            request,
            await decode_body(request, _EnterPaper),
            lambda actions, operator, body: actions.enter_paper(
                EnteredPaper(
                    body.day, body.session, body.group, body.since, body.until, tuple(map(PersonId, body.people))
                ),
                operator,
                body.reason,
            ),
        )
