"""The desk of those who sign in: school, caterer, city and auditor. Each look at people is logged."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sync.ledger.pages import accounts, overview
from sync.ledger.pages.access import PageReader
from sync.ledger.pages.accounts import PageSession
from sync.ledger.pages.desk import PageDesk, PagePool
from sync.ledger.pages.rendering import PageRenderer

PREFIX: Final = "/pages"
SESSION_COOKIE: Final = "ledger_session"
PAGES_AT_ONCE: Final = 4


class ReaderDesk(PageDesk[PageSession]):
    """Answers readers who have signed in with their accounts."""

    def __init__(self, pool: PagePool, clock: Callable[[], datetime]) -> None:
        super().__init__(pool, clock, PageRenderer("sync.ledger.pages", PREFIX), PAGES_AT_ONCE)

    def find_session(self, connection: psycopg.Connection, request: Request) -> PageSession | None:
        """Returns the session of the reader's cookie."""
        return accounts.find_session(connection, request.cookies.get(SESSION_COOKIE, ""), self.clock())

    def turn_away(self, request: Request) -> Response:
        """Returns the way to the sign-in."""
        return RedirectResponse(f"{PREFIX}/login", 303)

    def check_address(self, request: Request, session: PageSession) -> None:
        """Raises HTTPException for a school that the reader may not read."""
        super().check_address(request, session)
        school = request.path_params.get("school")
        if school is not None and not session.reader.may_read(school):
            raise HTTPException(404)

    def render(
        self, request: Request, template: str, session: PageSession | None, status: int = 200, **values: object
    ) -> Response:
        """Returns a template as a page that knows its reader."""
        reader = session.reader if session else None
        return super().render(request, template, session, status, reader=reader, **values)

    def log_view(self, connection: psycopg.Connection, request: Request, reader: PageReader, subject: str) -> None:
        """Logs that the reader looks at a person or at a list of them, before the page is made."""
        school = request.path_params["school"]
        overview.record_view(connection, school, reader.login, reader.role, subject, request.url.path)

    def name_people(
        self, connection: psycopg.Connection, reader: PageReader, school: str, people: Sequence[str]
    ) -> dict[str, str]:
        """Returns what to call these people: by name to their own school, to the others by opaque id."""
        if not reader.sees_names:
            return {person: person for person in people}
        records = overview.read_people(connection, school, people)
        names = {person: f"{record.family_name} {record.given_name}".strip() for person, record in records.items()}
        return {person: names.get(person) or person for person in people}


def home_path(reader: PageReader) -> str:
    """Returns the address of the page with which a reader begins."""
    return f"{PREFIX}/schools/{quote(reader.school, safe='')}" if reader.school else f"{PREFIX}/"
