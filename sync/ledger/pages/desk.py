"""The parts that all pages share: the signed-in reader, the words of a language, the templates, the log of views."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from urllib.parse import parse_qs, quote

import anyio
import jinja2
import psycopg
from psycopg_pool import ConnectionPool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sync.ledger.pages import accounts, overview
from sync.ledger.pages.access import PageReader
from sync.ledger.pages.accounts import PageSession
from sync.ledger.pages.catalogues import LANGUAGES, choose_language, load_catalogues
from sync.money.errors import TermsWrong
from sync.money.months import Month

PREFIX: Final = "/pages"
SESSION_COOKIE: Final = "ledger_session"
LANGUAGE_COOKIE: Final = "ledger_language"
FORM_BYTES_MAX: Final = 400 * 1024  # a signature with its certificates, as text
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

PagePool = ConnectionPool[psycopg.Connection]
PageForm = Mapping[str, list[str]]
PageCall = Callable[[psycopg.Connection, Request, PageSession], Response]
FormCall = Callable[[psycopg.Connection, Request, PageSession, PageForm], Response]


@dataclass(frozen=True, slots=True)
class PageWords:
    """The texts of one language, by key."""

    language: str
    texts: dict[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """Returns a text with these values in it."""
        return self.texts[key].format(**values)


class PageDesk:
    """Answers for signed-in readers over a pool of autocommit connections."""

    def __init__(self, pool: PagePool, clock: Callable[[], datetime]) -> None:
        self.pool = pool
        self.clock = clock
        self.threads = anyio.CapacityLimiter(4)  # the kiosks' own requests keep the other connections
        self._catalogues = load_catalogues()
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("sync.ledger.pages"), autoescape=True, undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters["path"] = lambda text: quote(str(text), safe="")
        self._templates.filters["tenge"] = lambda tiyn: f"{tiyn / 100:,.2f}".replace(",", "\u00a0").replace(".", ",")
        self._templates.filters["sides"] = lambda sides, words: ", ".join(words(f"side.{side}") for side in sides)
        self._templates.filters["local_time"] = lambda moment, zone: moment.astimezone(zone).strftime("%H:%M")

    def page(self, call: PageCall) -> Callable[[Request], Awaitable[Response]]:
        """Returns the endpoint of a page that only a signed-in reader gets."""

        async def endpoint(request: Request) -> Response:
            return guarded(await anyio.to_thread.run_sync(self._answer, request, call, limiter=self.threads))

        return endpoint

    def form(self, call: FormCall) -> Callable[[Request], Awaitable[Response]]:
        """Returns the endpoint of a form that a signed-in reader sends from one of the pages."""

        async def endpoint(request: Request) -> Response:
            form = await read_form(request)

            def submit(connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
                check_form(form, session)
                return call(connection, request, session, form)

            return guarded(await anyio.to_thread.run_sync(self._answer, request, submit, limiter=self.threads))

        return endpoint

    def _answer(self, request: Request, call: PageCall) -> Response:
        with self.pool.connection() as connection:
            session = accounts.find_session(connection, request.cookies.get(SESSION_COOKIE, ""), self.clock())
            if session is None:
                return RedirectResponse(f"{PREFIX}/login", 303)
            try:
                check_address(request, session.reader)
                return call(connection, request, session)
            except HTTPException as error:
                return self.render(request, "problem.html", session, error.status_code)

    def words(self, request: Request) -> PageWords:
        """Returns the texts of the reader's language."""
        language = choose_language(
            request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE, ""),
            request.headers.get("accept-language", ""),
        )
        return PageWords(language, self._catalogues[language])

    def render(
        self, request: Request, template: str, session: PageSession | None, status: int = 200, **values: object
    ) -> Response:
        """Returns a template as a page, in the reader's language."""
        words = self.words(request)
        body = self._templates.get_template(template).render(
            w=words, reader=session.reader if session else None, prefix=PREFIX, languages=LANGUAGES,
            path=request.url.path, form_token=session.form_token if session else "", **values,
        )  # fmt: skip
        response = HTMLResponse(body, status)
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE, words.language, httponly=True, samesite="strict", secure=is_secure(request)
            )
        return response

    def log_view(self, connection: psycopg.Connection, request: Request, reader: PageReader, subject: str) -> None:
        """Logs that the reader looks at a person or at a list of them, before the page is made."""
        school = request.path_params["school"]
        overview.record_view(connection, school, reader.login, reader.role, subject, request.url.path)

    def read_month(self, request: Request) -> Month:
        """Returns the month that the address names, else the current one. Raises HTTPException."""
        text = request.query_params.get("month") or self.clock().strftime("%Y-%m")
        try:
            return Month.parse(text)
        except TermsWrong as error:
            raise HTTPException(404) from error


def home_path(reader: PageReader) -> str:
    """Returns the address of the page with which a reader begins."""
    return f"{PREFIX}/schools/{quote(reader.school, safe='')}" if reader.school else f"{PREFIX}/"


def guarded(response: Response) -> Response:
    """Returns the response with the headers that keep foreign pages and caches out."""
    response.headers.update(SECURITY_HEADERS)
    return response


def is_secure(request: Request) -> bool:
    """Returns True where the page travels over TLS, to us or to the proxy before us."""
    return request.url.scheme == "https"


def check_address(request: Request, reader: PageReader) -> None:
    """Raises HTTPException for a school that the reader may not read, and for what PostgreSQL's text cannot hold."""
    names = request.path_params
    school = names.get("school")
    if "\0" in "".join(map(str, names.values())) or (school is not None and not reader.may_read(school)):
        raise HTTPException(404)


def parse_day(text: str) -> date:
    """Returns the day in an address. Raises HTTPException."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise HTTPException(404) from error


async def read_form(request: Request) -> PageForm:
    """Returns the fields of a form. Raises HTTPException for one that is too large or no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise HTTPException(413)
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=5_000)
    except ValueError as error:
        raise HTTPException(413) from error
    return {name: [value.replace("\0", "") for value in values] for name, values in fields.items()}


def form_field(form: PageForm, name: str) -> str:
    """Returns the value of a field; empty where it is missing."""
    return form.get(name, [""])[-1]


def check_form(form: PageForm, session: PageSession) -> None:
    """Raises HTTPException for a form that is not of this session."""
    if form_field(form, "form_token") != session.form_token:
        raise HTTPException(403, "this form is of another session: open the page again")
