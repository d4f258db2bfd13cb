"""The desk of a family: a device that a paper code has let in. Each look is logged beside those of the staff."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import psycopg
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sync.ledger.family import codes
from sync.ledger.family.codes import FamilySession
from sync.ledger.pages import overview
from sync.ledger.pages.desk import PageDesk, PagePool
from sync.ledger.pages.rendering import PageRenderer

FAMILY_PREFIX: Final = "/family"
FAMILY_COOKIE: Final = "family_session"
FAMILY_PAGES_AT_ONCE: Final = 3


class FamilyDesk(PageDesk[FamilySession]):
    """Answers devices that may read one child's pages."""

    def __init__(self, pool: PagePool, clock: Callable[[], datetime]) -> None:
        super().__init__(pool, clock, PageRenderer("sync.ledger.family", FAMILY_PREFIX), FAMILY_PAGES_AT_ONCE)

    def find_session(self, connection: psycopg.Connection, request: Request) -> FamilySession | None:
        """Returns the session of the device's cookie."""
        return codes.find_session(connection, request.cookies.get(FAMILY_COOKIE, ""), self.clock())

    def turn_away(self, request: Request) -> Response:
        """Returns the form for the paper code, or the way to it from another page."""
        if request.method == "GET" and request.url.path == f"{FAMILY_PREFIX}/":
            return self.render(request, "enter.html", None, failed=False)
        return RedirectResponse(f"{FAMILY_PREFIX}/", 303)

    def log_view(self, connection: psycopg.Connection, request: Request, session: FamilySession) -> None:
        """Logs that the family looks at its child, before the page is made."""
        overview.record_view(connection, session.school, "family", "family", session.person, request.url.path)
