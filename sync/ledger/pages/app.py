"""The ledger's pages: their addresses and responses, server-rendered.

GET  /pages/login, POST /pages/login, POST /pages/logout
GET  /pages/                                        every school's month (the city's readers)
GET  /pages/schools/SCHOOL                          a school's month, day by day
GET  /pages/schools/SCHOOL/days/DAY                 the visits of a day
GET  /pages/schools/SCHOOL/people/PERSON            a person's month
GET  /pages/schools/SCHOOL/events/DEVICE/EPOCH/SEQ  one event as it is stored
GET  /pages/schools/SCHOOL/views                    who has looked at whom
GET  /pages/style.css

Each page about people is logged before it is sent. A reader who may not see a page gets 404: it need not be known here.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files
from urllib.parse import parse_qs, quote

import anyio
import jinja2
import psycopg
from psycopg_pool import ConnectionPool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from sync.ledger.days import read_visits
from sync.ledger.pages import accounts, overview
from sync.ledger.pages.access import PageReader
from sync.ledger.pages.accounts import PageSession, RefusedSignIn
from sync.ledger.pages.catalogues import LANGUAGES, choose_language, load_catalogues
from sync.money.errors import TermsWrong
from sync.money.months import Month

PREFIX = "/pages"
COOKIE, LANGUAGE_COOKIE = "ledger_session", "ledger_language"
FORM_BYTES_MAX = 8 * 1024
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

PagePool = ConnectionPool[psycopg.Connection]
_PageCall = Callable[[psycopg.Connection, Request, PageSession], Response]


def mount_pages(pool: PagePool, clock: Callable[[], datetime]) -> Mount:
    """Returns the pages as a mount for the ledger's application, over a pool of autocommit connections."""
    pages = _LedgerPages(pool, clock)
    school = "/schools/{school}"
    return Mount(
        PREFIX,
        routes=[
            Route("/login", pages.show_login, methods=["GET"]),
            Route("/login", pages.sign_in, methods=["POST"]),
            Route("/logout", pages.sign_out, methods=["POST"]),
            Route("/style.css", pages.style, methods=["GET"]),
            Route("/", pages.page(pages.city), methods=["GET"]),
            Route(school, pages.page(pages.school), methods=["GET"]),
            Route(f"{school}/days/{{day}}", pages.page(pages.day), methods=["GET"]),
            Route(f"{school}/people/{{person}}", pages.page(pages.person), methods=["GET"]),
            Route(f"{school}/events/{{device}}/{{epoch}}/{{seq:int}}", pages.page(pages.event), methods=["GET"]),
            Route(f"{school}/views", pages.page(pages.views), methods=["GET"]),
        ],
    )


@dataclass(frozen=True, slots=True)
class _Words:
    """The texts of one language."""

    language: str
    texts: dict[str, str]

    def __call__(self, key: str, **values: object) -> str:
        return self.texts[key].format(**values)


class _LedgerPages:
    def __init__(self, pool: PagePool, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._clock = clock
        self._threads = anyio.CapacityLimiter(4)  # the kiosks' own requests keep the other connections
        self._catalogues = load_catalogues()
        self._style = files("sync.ledger.pages").joinpath("style.css").read_bytes()
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("sync.ledger.pages"), autoescape=True, undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters["path"] = lambda text: quote(str(text), safe="")
        self._templates.filters["local_time"] = lambda moment, zone: moment.astimezone(zone).strftime("%H:%M")

    # -- what every page shares ---------------------------------------------------------------------------------------

    def page(self, call: _PageCall) -> Callable[[Request], Awaitable[Response]]:
        """Returns the endpoint of a page that only a signed-in reader gets."""

        def run(request: Request) -> Response:
            with self._pool.connection() as connection:
                session = accounts.find_session(connection, request.cookies.get(COOKIE, ""), self._clock())
                if session is None:
                    return RedirectResponse(f"{PREFIX}/login", 303)
                try:
                    _check_address(request, session.reader)
                    return call(connection, request, session)
                except HTTPException as error:
                    return self._render(request, "problem.html", session, error.status_code)

        async def endpoint(request: Request) -> Response:
            return _guarded(await anyio.to_thread.run_sync(run, request, limiter=self._threads))

        return endpoint

    def _words(self, request: Request) -> _Words:
        language = choose_language(
            request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE, ""),
            request.headers.get("accept-language", ""),
        )
        return _Words(language, self._catalogues[language])

    def _render(
        self, request: Request, template: str, session: PageSession | None, status: int = 200, **values: object
    ) -> Response:
        words = self._words(request)
        body = self._templates.get_template(template).render(
            w=words, reader=session.reader if session else None, prefix=PREFIX, languages=LANGUAGES,
            path=request.url.path, form_token=session.form_token if session else "", **values,
        )  # fmt: skip
        response = HTMLResponse(body, status)
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE, words.language, httponly=True, samesite="strict", secure=request.url.scheme == "https"
            )
        return response

    def _log(self, connection: psycopg.Connection, request: Request, reader: PageReader, subject: str) -> None:
        school = request.path_params["school"]
        overview.record_view(connection, school, reader.login, reader.role, subject, request.url.path)

    # -- signing in and out -------------------------------------------------------------------------------------------

    async def show_login(self, request: Request) -> Response:
        return _guarded(self._render(request, "login.html", None, wait_s=0, failed=False))

    async def sign_in(self, request: Request) -> Response:
        form = await _read_form(request)
        school, _, login = form.get("login", "").strip().rpartition("/")

        def run() -> PageSession | RefusedSignIn:
            with self._pool.connection() as connection:
                return accounts.sign_in(
                    connection, school, login, form.get("password", ""), form.get("code", ""), self._clock()
                )

        outcome = await anyio.to_thread.run_sync(run, limiter=self._threads)
        if isinstance(outcome, RefusedSignIn):
            return _guarded(self._render(request, "login.html", None, 403, wait_s=outcome.wait_s, failed=True))
        response = RedirectResponse(_home(outcome.reader), 303)
        response.set_cookie(
            COOKIE, outcome.token, max_age=int(accounts.SESSION_LIFETIME.total_seconds()), path=PREFIX, httponly=True,
            samesite="strict", secure=request.url.scheme == "https",
        )  # fmt: skip
        return _guarded(response)

    async def sign_out(self, request: Request) -> Response:
        form = await _read_form(request)

        def run() -> None:
            with self._pool.connection() as connection:
                session = accounts.find_session(connection, request.cookies.get(COOKIE, ""), self._clock())
                if session is not None:
                    _check_form(form, session)
                    accounts.sign_out(connection, session)

        await anyio.to_thread.run_sync(run, limiter=self._threads)
        response = RedirectResponse(f"{PREFIX}/login", 303)
        response.delete_cookie(COOKIE, path=PREFIX)
        return _guarded(response)

    async def style(self, _: Request) -> Response:
        return _guarded(Response(self._style, media_type="text/css"))

    # -- the pages ----------------------------------------------------------------------------------------------------

    def city(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        if session.reader.school:
            return RedirectResponse(_home(session.reader), 303)
        month = self._month(request)
        rows = overview.read_schools(connection, "", month.first, month.last)
        return self._render(request, "city.html", session, month=month, rows=rows)

    def school(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        school, month = request.path_params["school"], self._month(request)
        head = overview.read_schools(connection, school, month.first, month.last)
        if not head:
            raise HTTPException(404)
        days = overview.read_days(connection, school, month.first, month.last)
        return self._render(request, "school.html", session, school=head[0], month=month, days=days)

    def day(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        school, day = request.path_params["school"], _read_day(request.path_params["day"])
        self._log(connection, request, session.reader, day.isoformat())
        visits = read_visits(connection, school, day, day)
        people = self._people(connection, session.reader, school, [visit.person for visit in visits])
        month = Month(day.year, day.month)
        return self._render(
            request, "day.html", session, school=school, day=day, visits=visits, people=people, month=month,
            zone=overview.read_zone(connection, school),
        )  # fmt: skip

    def person(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        school, person, month = request.path_params["school"], request.path_params["person"], self._month(request)
        self._log(connection, request, session.reader, person)
        visits = [visit for visit in read_visits(connection, school, month.first, month.last) if visit.person == person]
        people = self._people(connection, session.reader, school, [person])
        return self._render(
            request, "person.html", session, school=school, person=person, month=month, visits=visits, people=people,
            zone=overview.read_zone(connection, school),
        )  # fmt: skip

    def event(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        if not session.reader.sees_events:
            raise HTTPException(404)
        names = request.path_params
        stored = overview.read_event(connection, names["school"], names["device"], names["epoch"], names["seq"])
        if stored is None:
            raise HTTPException(404)
        subject = str((stored.payload or {}).get("person", "")) or f"event {stored.seq}"
        self._log(connection, request, session.reader, subject)
        return self._render(request, "event.html", session, school=names["school"], event=stored)

    def views(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        if not session.reader.sees_views:
            raise HTTPException(404)
        school, subject = request.path_params["school"], request.query_params.get("subject", "")
        rows = overview.read_views(connection, school, subject)
        days = overview.VIEW_RETENTION.days
        return self._render(
            request, "views.html", session, school=school, subject=subject, rows=rows, retention_days=days
        )

    def _people(
        self, connection: psycopg.Connection, reader: PageReader, school: str, people: list[str]
    ) -> dict[str, str]:
        """Returns what to call these people: by name to their own school, to the others by opaque id."""
        if not reader.sees_names:
            return {person: person for person in people}
        records = overview.read_people(connection, school, people)
        names = {person: f"{record.family_name} {record.given_name}".strip() for person, record in records.items()}
        return {person: names.get(person) or person for person in people}

    def _month(self, request: Request) -> Month:
        """Returns the month that the address names, else the current one. Raises HTTPException."""
        text = request.query_params.get("month") or self._clock().strftime("%Y-%m")
        try:
            return Month.parse(text)
        except TermsWrong as error:
            raise HTTPException(404) from error


def _check_address(request: Request, reader: PageReader) -> None:
    """Raises HTTPException for a school that the reader may not read, and for what PostgreSQL's text cannot hold."""
    names = request.path_params
    school = names.get("school")
    if "\0" in "".join(map(str, names.values())) or (school is not None and not reader.may_read(school)):
        raise HTTPException(404)


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise HTTPException(404) from error


def _home(reader: PageReader) -> str:
    return f"{PREFIX}/schools/{quote(reader.school, safe='')}" if reader.school else f"{PREFIX}/"


def _guarded(response: Response) -> Response:
    response.headers.update(SECURITY_HEADERS)
    return response


async def _read_form(request: Request) -> dict[str, str]:
    """Returns the fields of a form. Raises HTTPException for one that is too large or no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise HTTPException(413)
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50)
    return {name: values[-1].replace("\0", "") for name, values in fields.items()}


def _check_form(form: dict[str, str], session: PageSession) -> None:
    if form.get("form_token") != session.form_token:
        raise HTTPException(403, "this form is of another session: open the page again")
