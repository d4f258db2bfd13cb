"""The parts that all pages share: who asks, on whose connection, and what is shown of what goes wrong."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote

import anyio
import psycopg
from psycopg_pool import ConnectionPool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sync.errors import SyncError, Wording
from sync.ledger.errors import LedgerError
from sync.ledger.pages.forms import PageForm, read_form
from sync.ledger.pages.rendering import PageRenderer, PageWords, guarded
from sync.money.errors import MoneyError, TermsWrong
from sync.money.months import Month

_PROBLEMS = {400, 403, 404, 413, 415}  # the statuses that have a text of their own

PagePool = ConnectionPool[psycopg.Connection]


class FormSession(Protocol):
    """A browser that was let in. `form_token` stands in every form that it gets."""

    @property
    def form_token(self) -> str:
        """Returns the secret without which no form counts."""
        ...


SessionT = TypeVar("SessionT", bound=FormSession)


class PageDesk(ABC, Generic[SessionT]):
    """Answers browsers that were let in, over a pool of autocommit connections.

    `threads`: how many pages are made at a time; the kiosks' own requests keep the other connections.
    """

    def __init__(self, pool: PagePool, clock: Callable[[], datetime], renderer: PageRenderer, threads: int) -> None:
        self.pool = pool
        self.clock = clock
        self.threads = anyio.CapacityLimiter(threads)
        self._renderer = renderer

    @abstractmethod
    def find_session(self, connection: psycopg.Connection, request: Request) -> SessionT | None:
        """Returns the session of the browser that asks, or None where it has none."""

    @abstractmethod
    def turn_away(self, request: Request) -> Response:
        """Returns what a browser without a session gets."""

    def check_address(self, request: Request, session: SessionT) -> None:
        """Raises HTTPException for an address that this session has no page under."""
        if "\0" in "".join(map(str, request.path_params.values())):  # PostgreSQL's text cannot hold it
            raise HTTPException(404)

    def page(
        self, call: Callable[[psycopg.Connection, Request, SessionT], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Returns the endpoint of a page that only a browser with a session gets."""

        async def endpoint(request: Request) -> Response:
            return guarded(await anyio.to_thread.run_sync(self._answer, request, call, limiter=self.threads))

        return endpoint

    def form(
        self, call: Callable[[psycopg.Connection, Request, SessionT, PageForm], Response],
        read: Callable[[Request], Awaitable[PageForm]] = read_form,
    ) -> Callable[[Request], Awaitable[Response]]:  # fmt: skip
        """Returns the endpoint of a form that a browser with a session sends from one of the pages."""

        async def endpoint(request: Request) -> Response:
            try:
                form = await read(request)
            except HTTPException as error:
                return guarded(self.show_problem(request, None, error.status_code))

            def submit(connection: psycopg.Connection, request: Request, session: SessionT) -> Response:
                if form.field("form_token") != session.form_token:
                    raise HTTPException(403)
                return call(connection, request, session, form)

            return guarded(await anyio.to_thread.run_sync(self._answer, request, submit, limiter=self.threads))

        return endpoint

    def _answer(self, request: Request, call: Callable[[psycopg.Connection, Request, SessionT], Response]) -> Response:
        with self.pool.connection() as connection:
            session = self.find_session(connection, request)
            if session is None:
                return self.turn_away(request)
            try:
                self.check_address(request, session)
                return call(connection, request, session)
            except HTTPException as error:
                return self.show_problem(request, session, error.status_code)
            except (MoneyError, LedgerError) as error:
                return self.show_refusal(request, session, error)

    def show_problem(self, request: Request, session: SessionT | None, status: int) -> Response:
        """Returns the page that says why there is no other, and what to do."""
        known = status if status in _PROBLEMS else 400
        return self.render(request, "problem.html", session, status, problem=Wording(f"problem.{known}"), refusal="")

    def show_refusal(self, request: Request, session: SessionT, error: SyncError) -> Response:
        """Returns the page that says why something was refused, and what to do next."""
        return self.render(
            request,
            "problem.html",
            session,
            409,
            problem=Wording("refused.title"),
            refusal=self.words(request).refuse(error),
        )

    def words(self, request: Request) -> PageWords:
        """Returns the texts of the reader's language."""
        return self._renderer.words(request)

    def render(
        self, request: Request, template: str, session: SessionT | None, status: int = 200, **values: object
    ) -> Response:
        """Returns a template as a page, in the reader's language."""
        token = session.form_token if session else ""
        return self._renderer.render(request, template, status, session=session, form_token=token, **values)

    def read_month(self, request: Request) -> Month:
        """Returns the month that the address names, else the current one. Raises HTTPException."""
        text = request.query_params.get("month") or self.clock().strftime("%Y-%m")
        try:
            return Month.parse(text)
        except TermsWrong as error:
            raise HTTPException(404) from error


def parse_day(text: str) -> date:
    """Returns the day in an address. Raises HTTPException."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise HTTPException(404) from error


def attach(body: bytes, media_type: str, name: str) -> Response:
    """Returns a file for the reader to keep."""
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(body, media_type=media_type, headers={"Content-Disposition": disposition})
