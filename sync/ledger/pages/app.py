"""The ledger's pages: their addresses, and who answers under them. Server-rendered; nothing runs in the browser.

GET  /pages/login, POST /pages/login, POST /pages/logout, GET /pages/style.css
GET  /pages/                                        every school's month (the city's readers)
GET  /pages/schools/SCHOOL                          a school's month, day by day
GET  /pages/schools/SCHOOL/days/DAY                 the visits of a day
GET  /pages/schools/SCHOOL/people/PERSON            a person's month
GET  /pages/schools/SCHOOL/events/DEVICE/EPOCH/SEQ  one event as it is stored
GET  /pages/schools/SCHOOL/contests                 what families object to, and the answers
GET  /pages/schools/SCHOOL/days/DAY/lessons         meals beside lessons; POST takes the file of those who were there
GET  /pages/kiosks                                  every kiosk (the city's readers); …/files/csv: as a file
GET  /pages/schools/SCHOOL/kiosks                   a school's kiosks; …/files/csv: as a file
GET  /pages/schools/SCHOOL/maps                     how a payer's files are read; POST keeps a map
GET  /pages/schools/SCHOOL/views                    who has looked at whom
GET  /pages/schools/SCHOOL/sheets                   its sheets
GET  /pages/schools/SCHOOL/sheets/MONTH/PROGRAMME/NUMBER              one sheet in the version in force
GET  …/files/KIND                                   the same as bytes, csv, xlsx, html or pdf
POST …/confirm, …/object, …/sign, …/close           the acts of a side
GET  /pages/schools/SCHOOL/sheets/MONTH/PROGRAMME/differences         the payer's counts; POST takes a file
GET  …/differences/COUNT, …/COUNT/files/csv         every differing line, explained; xlsx, too
POST …/differences/COUNT/confirm, …/compare         names that the school confirms; compares once more

Each page about people is logged before it is sent. A reader who may not see a page gets 404: it need not be known here.
"""

from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import anyio
import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

from sync.ledger.pages import accounts
from sync.ledger.pages.accounts import PageSession, RefusedSignIn
from sync.ledger.pages.desk import PagePool
from sync.ledger.pages.difference_pages import DifferencePages
from sync.ledger.pages.fleet_pages import FleetPages
from sync.ledger.pages.forms import PageForm, read_form, read_upload
from sync.ledger.pages.lesson_pages import LessonPages
from sync.ledger.pages.map_pages import MapPages
from sync.ledger.pages.reader_desk import PREFIX, SESSION_COOKIE, ReaderDesk, home_path
from sync.ledger.pages.rendering import guarded, is_secure
from sync.ledger.pages.sheet_pages import SheetPages
from sync.ledger.pages.visit_pages import VisitPages


def mount_pages(pool: PagePool, clock: Callable[[], datetime], authority_file: Path) -> Mount:
    """Returns the pages as a mount for the ledger's application, over a pool of autocommit connections.

    `authority_file` holds the certificates of the authority whose CMS signatures are taken; it may be missing.
    """
    desk = ReaderDesk(pool, clock)
    door, visits, sheets = _DoorPages(desk), VisitPages(desk), SheetPages(desk, authority_file)
    school = "/schools/{school}"
    kiosks = FleetPages(desk)
    differences, lessons, maps = DifferencePages(desk), LessonPages(desk), MapPages(desk)
    sheet = f"{school}/sheets/{{month}}/{{programme}}/{{number:int}}"
    counts = f"{school}/sheets/{{month}}/{{programme}}/differences"
    return Mount(
        PREFIX,
        routes=[
            Route("/login", door.show_login, methods=["GET"]),
            Route("/login", door.sign_in, methods=["POST"]),
            Route("/logout", desk.form(door.sign_out), methods=["POST"]),
            Route("/style.css", door.style, methods=["GET"]),
            Route("/", desk.page(visits.city), methods=["GET"]),
            Route(school, desk.page(visits.school), methods=["GET"]),
            Route(f"{school}/days/{{day}}", desk.page(visits.day), methods=["GET"]),
            Route(f"{school}/people/{{person}}", desk.page(visits.person), methods=["GET"]),
            Route(f"{school}/events/{{device}}/{{epoch}}/{{seq:int}}", desk.page(visits.event), methods=["GET"]),
            Route(f"{school}/contests", desk.page(visits.contests), methods=["GET"]),
            Route(f"{school}/days/{{day}}/lessons", desk.page(lessons.show), methods=["GET"]),
            Route(f"{school}/days/{{day}}/lessons", desk.form(lessons.hand_in, read_upload), methods=["POST"]),
            Route(f"{school}/maps", desk.page(maps.show), methods=["GET"]),
            Route(f"{school}/maps", desk.form(maps.store), methods=["POST"]),
            Route("/kiosks", desk.page(kiosks.show), methods=["GET"]),
            Route("/kiosks/files/csv", desk.page(kiosks.export), methods=["GET"]),
            Route(f"{school}/kiosks", desk.page(kiosks.show), methods=["GET"]),
            Route(f"{school}/kiosks/files/csv", desk.page(kiosks.export), methods=["GET"]),
            Route(f"{school}/views", desk.page(visits.views), methods=["GET"]),
            Route(f"{school}/sheets", desk.page(sheets.list_sheets), methods=["GET"]),
            Route(counts, desk.page(differences.list_counts), methods=["GET"]),
            Route(counts, desk.form(differences.hand_in, read_upload), methods=["POST"]),
            Route(f"{counts}/{{count:int}}", desk.page(differences.show), methods=["GET"]),
            Route(f"{counts}/{{count:int}}/files/{{kind}}", desk.page(differences.download), methods=["GET"]),
            Route(f"{counts}/{{count:int}}/confirm", desk.form(differences.confirm), methods=["POST"]),
            Route(f"{counts}/{{count:int}}/compare", desk.form(differences.compare), methods=["POST"]),
            Route(sheet, desk.page(sheets.show), methods=["GET"]),
            Route(f"{sheet}/files/{{kind}}", desk.page(sheets.download), methods=["GET"]),
            Route(f"{sheet}/confirm", desk.form(sheets.confirm), methods=["POST"]),
            Route(f"{sheet}/object", desk.form(sheets.object_to), methods=["POST"]),
            Route(f"{sheet}/sign", desk.form(sheets.hand_in), methods=["POST"]),
            Route(f"{sheet}/close", desk.form(sheets.close), methods=["POST"]),
        ],
    )


class _DoorPages:
    """Signs readers in and out."""

    def __init__(self, desk: ReaderDesk) -> None:
        self._desk = desk
        self._style = files("sync.ledger.pages").joinpath("style.css").read_bytes()

    async def show_login(self, request: Request) -> Response:
        return guarded(self._desk.render(request, "login.html", None, wait_s=0, failed=False))

    async def sign_in(self, request: Request) -> Response:
        try:
            form = await read_form(request)
        except HTTPException as error:
            return guarded(self._desk.show_problem(request, None, error.status_code))
        school, _, login = form.field("login").strip().rpartition("/")
        password, code = form.field("password"), form.field("code")

        def run() -> PageSession | RefusedSignIn:
            with self._desk.pool.connection() as connection:
                return accounts.sign_in(connection, school, login, password, code, self._desk.clock())

        outcome = await anyio.to_thread.run_sync(run, limiter=self._desk.threads)
        if isinstance(outcome, RefusedSignIn):
            return guarded(self._desk.render(request, "login.html", None, 403, wait_s=outcome.wait_s, failed=True))
        response = RedirectResponse(home_path(outcome.reader), 303)
        response.set_cookie(
            SESSION_COOKIE, outcome.token, max_age=int(accounts.SESSION_LIFETIME.total_seconds()), path=PREFIX,
            httponly=True, samesite="strict", secure=is_secure(request),
        )  # fmt: skip
        return guarded(response)

    def sign_out(self, connection: psycopg.Connection, _: Request, session: PageSession, __: PageForm) -> Response:
        accounts.sign_out(connection, session)
        response = RedirectResponse(f"{PREFIX}/login", 303)
        response.delete_cookie(SESSION_COOKIE, path=PREFIX)
        return response

    async def style(self, _: Request) -> Response:
        return guarded(Response(self._style, media_type="text/css"))
