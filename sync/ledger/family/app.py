"""The family's pages: their addresses and responses, server-rendered.

GET  /family/                                    the child's month, or the form for the paper code
POST /family/enter                               the code for a session of this device
GET  /family/proofs/DEVICE/EPOCH/SEQ             the proof of one meal: QR code, text, how to check it
GET  /family/proofs/DEVICE/EPOCH/SEQ/qr.png
POST /family/contests                            "this is not right", or "she was there and you do not show it"
POST /family/devices                             shuts out one device
GET  /family/verify_meal.py                      the stand-alone file that checks proofs
GET  /family/style.css

Free and paid meals look the same: neither programme nor claim is shown. Each look is logged like everybody's.
"""

import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files
from typing import Final
from urllib.parse import quote

import anyio
import jinja2
import psycopg
import segno
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from sync.contract.visit import EventId, Visit
from sync.ledger.errors import NotUnderstood
from sync.ledger.family import codes
from sync.ledger.family.codes import FamilySession
from sync.ledger.judgement.contests import Contest, contest_absence, contest_entry, list_contests
from sync.ledger.judgement.days import read_visits
from sync.ledger.pages import overview
from sync.ledger.pages.catalogues import LANGUAGES, choose_language, load_catalogues
from sync.ledger.pages.desk import (
    LANGUAGE_COOKIE,
    PageForm,
    PagePool,
    PageWords,
    form_field,
    guarded,
    is_secure,
    read_form,
)
from sync.ledger.transparency.statements import MealProof, prove_meals
from sync.money.errors import TermsWrong
from sync.money.months import Month
from sync.proof.leaves import LogName
from sync.proof.notes import NoteKey
from sync.proof.signer import LogSigner

FAMILY_PREFIX: Final = "/family"
FAMILY_COOKIE: Final = "family_session"
QR_SCALE: Final = 4  # pixels a module

_FamilyCall = Callable[[psycopg.Connection, Request, FamilySession], Response]
_FamilyForm = Callable[[psycopg.Connection, FamilySession, PageForm], None]


@dataclass(frozen=True, slots=True)
class MealLine:
    """A visit as its family sees it."""

    visit: Visit
    kiosk: str
    proof: MealProof | None
    contest: Contest | None


def mount_family(
    pool: PagePool, clock: Callable[[], datetime], signer: LogSigner, witness_key: NoteKey | None
) -> Mount:
    """Returns the family's pages as a mount. Without a witness there are no proofs, and the pages say so."""
    pages = _FamilyPages(pool, clock, signer, witness_key)
    proof = "/proofs/{device}/{epoch}/{seq:int}"
    return Mount(
        FAMILY_PREFIX,
        routes=[
            Route("/", pages.month, methods=["GET"]),
            Route("/enter", pages.enter, methods=["POST"]),
            Route(proof, pages.page(pages.show_proof), methods=["GET"]),
            Route(f"{proof}/qr.png", pages.page(pages.draw_qr), methods=["GET"]),
            Route("/contests", pages.form(pages.contest), methods=["POST"]),
            Route("/devices", pages.form(pages.revoke), methods=["POST"]),
            Route("/verify_meal.py", pages.verifier, methods=["GET"]),
            Route("/style.css", pages.style, methods=["GET"]),
        ],
    )


class _FamilyPages:
    def __init__(
        self, pool: PagePool, clock: Callable[[], datetime], signer: LogSigner, witness_key: NoteKey | None
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._signer = signer
        self._witness_key = witness_key
        self._threads = anyio.CapacityLimiter(3)  # the kiosks' own requests keep the other connections
        self._catalogues = load_catalogues("sync.ledger.family")
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("sync.ledger.family"), autoescape=True, undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters["path"] = lambda text: quote(str(text), safe="")
        self._templates.filters["local_time"] = lambda moment, zone: moment.astimezone(zone).strftime("%H:%M")

    # -- what every page shares ---------------------------------------------------------------------------------------

    def page(self, call: _FamilyCall) -> Callable[[Request], Awaitable[Response]]:
        """Returns the endpoint of a page that only a device with a session gets."""

        def run(request: Request) -> Response:
            with self._pool.connection() as connection:
                session = self._find_session(connection, request)
                if session is None:
                    return RedirectResponse(f"{FAMILY_PREFIX}/", 303)
                try:
                    return call(connection, request, session)
                except HTTPException as error:
                    return self._render(request, "problem.html", status=error.status_code)

        async def endpoint(request: Request) -> Response:
            return guarded(await anyio.to_thread.run_sync(run, request, limiter=self._threads))

        return endpoint

    def form(self, call: _FamilyForm) -> Callable[[Request], Awaitable[Response]]:
        """Returns the endpoint of a form that a device with a session sends from one of the pages."""

        async def endpoint(request: Request) -> Response:
            form = await read_form(request)

            def submit(connection: psycopg.Connection, request: Request, session: FamilySession) -> Response:
                if form_field(form, "form_token") != session.form_token:
                    raise HTTPException(403)
                try:
                    call(connection, session, form)
                except (NotUnderstood, ValueError) as error:
                    raise HTTPException(400) from error
                month = form_field(form, "month")
                return RedirectResponse(f"{FAMILY_PREFIX}/?month={quote(month, safe='')}", 303)

            return await self.page(submit)(request)

        return endpoint

    def _find_session(self, connection: psycopg.Connection, request: Request) -> FamilySession | None:
        return codes.find_session(connection, request.cookies.get(FAMILY_COOKIE, ""), self._clock())

    def _choose_language(self, request: Request) -> str:
        return choose_language(
            request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE, ""),
            request.headers.get("accept-language", ""),
        )

    def _render(self, request: Request, template: str, status: int = 200, **values: object) -> Response:
        language = self._choose_language(request)
        words = PageWords(language, self._catalogues[language])
        body = self._templates.get_template(template).render(
            w=words, prefix=FAMILY_PREFIX, languages=LANGUAGES, path=request.url.path, **values
        )
        response = HTMLResponse(body, status)
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, language, httponly=True, samesite="strict", secure=is_secure(request))
        return response

    # -- the pages ----------------------------------------------------------------------------------------------------

    async def month(self, request: Request) -> Response:
        """Shows the child's month; the form for the code to a device that has no session."""

        def run() -> Response:
            with self._pool.connection() as connection:
                session = self._find_session(connection, request)
                if session is None:
                    return self._render(request, "enter.html", failed=False)
                return self._show_month(connection, request, session)

        return guarded(await anyio.to_thread.run_sync(run, limiter=self._threads))

    def _show_month(self, connection: psycopg.Connection, request: Request, session: FamilySession) -> Response:
        school, person = session.school, session.person
        try:
            month = Month.parse(request.query_params.get("month") or self._clock().strftime("%Y-%m"))
        except TermsWrong:
            return self._render(request, "problem.html", 404)
        overview.record_view(connection, school, "family", "family", person, request.url.path)
        visits = read_visits(connection, school, month.first, month.last, person)
        proofs = self._prove(connection, session, sorted({visit.day for visit in visits}))
        contests = list_contests(connection, school, month.first.isoformat(), month.last.isoformat(), person=person)
        by_entry = {contest.entry: contest for contest in contests if contest.entry is not None}
        labels = overview.read_labels(connection, school, self._choose_language(request))
        lines = [
            MealLine(visit, labels.devices.get(visit.id.device, ""), proofs.get(visit.id), by_entry.get(visit.id))
            for visit in visits
        ]
        return self._render(
            request, "month.html", month=month, lines=lines, zone=overview.read_zone(connection, school),
            missing=[contest for contest in contests if contest.entry is None], session=session,
            devices=codes.list_family_devices(connection, session, self._clock()), has_witness=bool(self._witness_key),
            sessions=sorted({visit.session for visit in visits if visit.session}), today=self._clock().date(),
            meal_names=labels.sessions,
        )  # fmt: skip

    def _prove(
        self, connection: psycopg.Connection, session: FamilySession, days: list[str]
    ) -> Mapping[EventId, MealProof]:
        if self._witness_key is None or not days:
            return {}
        log_key = self._signer.log_key(session.school, LogName.CLAIMS)
        proofs = prove_meals(connection, session.school, session.person, days, log_key, self._witness_key)
        return {EventId(device, epoch, int(seq)): proof for (device, epoch, seq), proof in proofs.items()}

    async def enter(self, request: Request) -> Response:
        """Exchanges a paper code for a session of this device."""
        code = form_field(await read_form(request), "code")
        name = request.headers.get("user-agent", "")

        def run() -> codes.OpenedSession | None:
            with self._pool.connection() as connection:
                return codes.enter_code(connection, code[:200], name, self._clock())

        opened = await anyio.to_thread.run_sync(run, limiter=self._threads)
        if opened is None:
            return guarded(self._render(request, "enter.html", 403, failed=True))
        response = RedirectResponse(f"{FAMILY_PREFIX}/", 303)
        age_s = int((codes.find_year_end(self._clock()) - self._clock()).total_seconds())
        response.set_cookie(
            FAMILY_COOKIE, opened.token, max_age=age_s, path=FAMILY_PREFIX, httponly=True, samesite="strict",
            secure=is_secure(request),
        )  # fmt: skip
        return guarded(response)

    def show_proof(self, connection: psycopg.Connection, request: Request, session: FamilySession) -> Response:
        visit, proof = self._find_proof(connection, request, session)
        overview.record_view(connection, session.school, "family", "family", session.person, request.url.path)
        return self._render(
            request, "proof.html", visit=visit, proof=proof, zone=overview.read_zone(connection, session.school),
            log_key=self._signer.log_key(session.school, LogName.CLAIMS), witness_key=self._witness_key,
            meal_names=overview.read_labels(
                connection, session.school, self._choose_language(request)
            ).sessions,
        )  # fmt: skip

    def draw_qr(self, connection: psycopg.Connection, request: Request, session: FamilySession) -> Response:
        _, proof = self._find_proof(connection, request, session)
        picture = io.BytesIO()
        segno.make(proof.text, error="m", mode="alphanumeric", boost_error=False).save(
            picture, kind="png", scale=QR_SCALE
        )
        return Response(picture.getvalue(), media_type="image/png")

    def _find_proof(
        self, connection: psycopg.Connection, request: Request, session: FamilySession
    ) -> tuple[Visit, MealProof]:
        names = request.path_params
        row = connection.execute(
            "SELECT day FROM visit WHERE school = %s AND device = %s AND epoch = %s AND seq = %s AND person = %s",
            (session.school, _text(names["device"]), _text(names["epoch"]), names["seq"], session.person),
        ).fetchone()
        if row is None:
            raise HTTPException(404)
        entry = EventId(names["device"], names["epoch"], names["seq"])
        day = date.fromisoformat(row[0])
        visit = next(
            visit for visit in read_visits(connection, session.school, day, day, session.person) if visit.id == entry
        )
        proof = self._prove(connection, session, [row[0]]).get(entry)
        if proof is None:
            raise HTTPException(404)
        return visit, proof

    def contest(self, connection: psycopg.Connection, session: FamilySession, form: PageForm) -> None:
        note = form_field(form, "note")
        if form_field(form, "kind") == "not_right":
            entry = EventId(form_field(form, "device"), form_field(form, "epoch"), int(form_field(form, "seq")))
            contest_entry(connection, session.school, session.person, entry, note, self._clock())
            return
        day = date.fromisoformat(form_field(form, "day"))
        if day > self._clock().astimezone(overview.read_zone(connection, session.school)).date():
            raise NotUnderstood("a day that has not come")
        meal = form_field(form, "session")
        contest_absence(connection, session.school, session.person, day.isoformat(), meal, note, self._clock())

    def revoke(self, connection: psycopg.Connection, session: FamilySession, form: PageForm) -> None:
        if not codes.revoke_device(connection, session, bytes.fromhex(form_field(form, "device")), self._clock()):
            raise NotUnderstood("no such device of this child")

    async def verifier(self, _: Request) -> Response:
        """Sends the stand-alone file that checks proofs."""
        source = files("sync.proof").joinpath("verify_meal.py").read_bytes()
        return guarded(Response(source, media_type="text/x-python; charset=utf-8"))

    async def style(self, _: Request) -> Response:
        """Sends the style sheet of all the ledger's pages."""
        return guarded(Response(files("sync.ledger.pages").joinpath("style.css").read_bytes(), media_type="text/css"))


def _text(name: str) -> str:
    """Returns a name out of the address. Raises HTTPException for what PostgreSQL's text cannot hold."""
    if "\0" in name:
        raise HTTPException(404)
    return name
