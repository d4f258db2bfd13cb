"""The requests of enrolment day: lists, consents, palms. Each needs the right to it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.domain.consents import ConsentGiver, ConsentPaper
from edge_agent.domain.operators import OperatorRight
from edge_agent.screen.enrolment_ports import ClassProgress, EnrolmentActions, EnrolmentFailed, EnrolmentMark
from edge_agent.screen.replies import NoBody, RequestBody, decode_body, refuse
from edge_agent.screen.sign_in import SignInApi
from edge_agent.screen.state import Language
from sync.contract.event import PersonId

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_PaperNumber = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=r"\S")]
_HandName = Annotated[str, msgspec.Meta(pattern="^(left|right)$")]


class _ChooseClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: _Text


class _FindPeople(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: _Text


class _NoteConsent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: _Text
    paper: _PaperNumber
    given_by: ConsentGiver
    signed_on: date


class _ChoosePerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: _Text


class _MarkPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: _Text
    mark: EnrolmentMark


class _StartEnrolment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: _Text
    hands: Annotated[tuple[_HandName, ...], msgspec.Meta(min_length=1, max_length=2)]
    language: Language


@dataclass(frozen=True, slots=True)
class _ClassList:
    today: str
    classes: tuple[ClassProgress, ...]


class EnrolmentApi:
    """Responds to requests of enrolment day."""

    def __init__(self, sign_in: SignInApi, actions: EnrolmentActions) -> None:
        self._sign_in = sign_in
        self._actions = actions

    def routes(self) -> list[Route]:
        """Returns the addresses of these requests."""
        return [
            Route("/staff/enrol/classes", self._list_classes),
            Route("/staff/enrol/class", self._list_class, methods=["POST"]),
            Route("/staff/enrol/find", self._find, methods=["POST"]),
            Route("/staff/enrol/consent", self._note_consent, methods=["POST"]),
            Route("/staff/enrol/withdraw", self._withdraw, methods=["POST"]),
            Route("/staff/enrol/mark", self._mark, methods=["POST"]),
            Route("/staff/enrol/start", self._start, methods=["POST"]),
            Route("/staff/enrol/stop", self._stop, methods=["POST"]),
            Route("/staff/enrol/progress", self._progress),
        ]

    async def _list_classes(self, request: Request) -> Response:
        def read(_: NoBody, operator: str) -> _ClassList:
            return _ClassList(self._actions.read_today().isoformat(), tuple(self._actions.list_classes()))

        return await self._act(request, NoBody(), read)

    async def _list_class(self, request: Request) -> Response:
        body = await decode_body(request, _ChooseClass)
        return await self._act(request, body, lambda body, _: list(self._actions.list_class(body.group)))

    async def _find(self, request: Request) -> Response:
        body = await decode_body(request, _FindPeople)
        return await self._act(request, body, lambda body, _: list(self._actions.find_people(body.text)))

    async def _note_consent(self, request: Request) -> Response:
        def note(body: _NoteConsent, operator: str) -> NoBody:
            paper = ConsentPaper(" ".join(body.paper.split()), body.given_by, body.signed_on)
            self._actions.note_consent(PersonId(body.person), paper, operator)
            return NoBody()

        return await self._act(request, await decode_body(request, _NoteConsent), note)

    async def _withdraw(self, request: Request) -> Response:
        body = await decode_body(request, _ChoosePerson)
        return await self._act(
            request, body, lambda body, operator: self._actions.withdraw_consent(PersonId(body.person), operator)
        )

    async def _mark(self, request: Request) -> Response:
        def mark(body: _MarkPerson, operator: str) -> NoBody:
            self._actions.set_mark(PersonId(body.person), body.mark)
            return NoBody()

        return await self._act(request, await decode_body(request, _MarkPerson), mark)

    async def _start(self, request: Request) -> Response:
        def start(body: _StartEnrolment, operator: str) -> NoBody:
            self._actions.start(PersonId(body.person), body.hands, operator, body.language)
            return NoBody()

        return await self._act(request, await decode_body(request, _StartEnrolment), start)

    async def _stop(self, request: Request) -> Response:
        def stop(_: NoBody, operator: str) -> NoBody:
            self._actions.stop()
            return NoBody()

        return await self._act(request, await decode_body(request, NoBody), stop)

    async def _progress(self, request: Request) -> Response:
        return await self._act(request, NoBody(), lambda *_: self._actions.progress())

    async def _act(
        self, request: Request, body: RequestBody | None, act: Callable[[RequestBody, str], object]
    ) -> Response:
        try:
            return await self._sign_in.reply_act(
                request, OperatorRight.ENROL, body, lambda operator, body: act(body, operator.id)
            )
        except EnrolmentFailed as failed:
            return refuse(failed.why, 409)
