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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files
from typing import Final
from urllib.parse import quote

import anyio
import psycopg
import segno
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

from sync.contract import wire
from sync.contract.visit import EventId, Visit
from sync.errors import Wording
from sync.ledger.errors import NotUnderstood
from sync.ledger.family import codes
from sync.ledger.family.codes import FamilySession
from sync.ledger.family.desk import FAMILY_COOKIE, FAMILY_PREFIX, FamilyDesk
from sync.ledger.judgement.contests import Contest, contest_absence, contest_entry, list_contests
from sync.ledger.judgement.days import read_visits
from sync.ledger.pages import overview
from sync.ledger.pages.desk import PagePool
from sync.ledger.pages.forms import PageForm, read_form
from sync.ledger.pages.rendering import guarded, is_secure
from sync.ledger.registry import replacement_cards
from sync.ledger.transparency.statements import MealProof, prove_meals
from sync.proof.leaves import LogName
from sync.proof.notes import NoteKey
from sync.proof.signer import LogSigner

QR_SCALE: Final = 4  # pixels a module


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
    desk = FamilyDesk(pool, clock)
    pages = _FamilyPages(desk, signer, witness_key)
    proof = "/proofs/{device}/{epoch}/{seq:int}"
    return Mount(
        FAMILY_PREFIX,
        routes=[
            Route("/", desk.page(pages.month), methods=["GET"]),
            Route("/enter", pages.enter, methods=["POST"]),
            Route(proof, desk.page(pages.show_proof), methods=["GET"]),
            Route(f"{proof}/qr.png", desk.page(pages.draw_qr), methods=["GET"]),
            Route("/contests", desk.form(pages.contest), methods=["POST"]),
            Route("/devices", desk.form(pages.revoke), methods=["POST"]),
            Route("/verify_meal.py", pages.verifier, methods=["GET"]),
            Route("/style.css", pages.style, methods=["GET"]),
        ],
    )


class _FamilyPages:
    def __init__(self, desk: FamilyDesk, signer: LogSigner, witness_key: NoteKey | None) -> None:
        self._desk = desk
        self._signer = signer
        self._witness_key = witness_key

    def month(self, connection: psycopg.Connection, request: Request, session: FamilySession) -> Response:
        """Shows the child's month."""
        school, person, month, now = session.school, session.person, self._desk.read_month(request), self._desk.clock()
        self._desk.log_view(connection, request, session)
        visits = read_visits(connection, school, month.first, month.last, person)
        proofs = self._prove(connection, session, sorted({visit.day for visit in visits}))
        contests = list_contests(connection, school, month.first.isoformat(), month.last.isoformat(), person=person)
        by_entry = {contest.entry: contest for contest in contests if contest.entry is not None}
        labels = overview.read_labels(connection, school, self._desk.words(request).language)
        lines = [
            MealLine(visit, labels.devices.get(visit.id.device, ""), proofs.get(visit.id), by_entry.get(visit.id))
            for visit in visits
        ]
        return self._desk.render(
            request, "month.html", session, month=month, lines=lines, zone=overview.read_zone(connection, school),
            missing=[contest for contest in contests if contest.entry is None],
            devices=codes.list_family_devices(connection, session, now), has_witness=bool(self._witness_key),
            meal_names=labels.sessions, today=now.date(), card_since=self._read_card_day(connection, session),
        )  # fmt: skip

    def _read_card_day(self, connection: psycopg.Connection, session: FamilySession) -> str:
        """Returns the day on which the school's desk gave the child a new card; empty: it did not."""
        made_at = replacement_cards.read_made_at(connection, session.school, session.person)
        zone = overview.read_zone(connection, session.school)
        return wire.read_time(made_at).astimezone(zone).date().isoformat() if made_at else ""

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
        try:
            code = (await read_form(request)).field("code")
        except HTTPException as error:
            return guarded(self._desk.show_problem(request, None, error.status_code))
        name, now = request.headers.get("user-agent", ""), self._desk.clock()

        def run() -> codes.OpenedSession | None:
            with self._desk.pool.connection() as connection:
                return codes.enter_code(connection, code[:200], name, now)

        opened = await anyio.to_thread.run_sync(run, limiter=self._desk.threads)
        if opened is None:
            return guarded(self._desk.render(request, "enter.html", None, 403, failed=True))
        response = RedirectResponse(f"{FAMILY_PREFIX}/", 303)
        response.set_cookie(
            FAMILY_COOKIE, opened.token, max_age=int((codes.find_year_end(now) - now).total_seconds()),
            path=FAMILY_PREFIX, httponly=True, samesite="strict", secure=is_secure(request),
        )  # fmt: skip
        return guarded(response)

    def show_proof(self, connection: psycopg.Connection, request: Request, session: FamilySession) -> Response:
        visit, proof = self._find_proof(connection, request, session)
        self._desk.log_view(connection, request, session)
        labels = overview.read_labels(connection, session.school, self._desk.words(request).language)
        return self._desk.render(
            request, "proof.html", session, visit=visit, proof=proof, meal_names=labels.sessions,
            zone=overview.read_zone(connection, session.school), witness_key=self._witness_key,
            log_key=self._signer.log_key(session.school, LogName.CLAIMS),
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
            (session.school, names["device"], names["epoch"], names["seq"], session.person),
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

    def contest(self, connection: psycopg.Connection, _: Request, session: FamilySession, form: PageForm) -> Response:
        """Keeps an objection, and leads back to the month."""
        note, now = form.field("note"), self._desk.clock()
        if form.field("kind") == "not_right":
            entry = EventId(form.field("device"), form.field("epoch"), _number(form.field("seq")))
            contest_entry(connection, session.school, session.person, entry, note, now)
            return _month(form)
        try:
            day = date.fromisoformat(form.field("day"))
        except ValueError as error:
            raise HTTPException(400) from error
        if day > now.astimezone(overview.read_zone(connection, session.school)).date():
            raise NotUnderstood(f"{day} has not come", "name a day that is over", Wording("contest.day_ahead", day=day))
        meal = form.field("session")
        contest_absence(connection, session.school, session.person, day.isoformat(), meal, note, now)
        return _month(form)

    def revoke(self, connection: psycopg.Connection, _: Request, session: FamilySession, form: PageForm) -> Response:
        """Shuts out one device of the child, and leads back to the month."""
        try:
            device = bytes.fromhex(form.field("device"))
        except ValueError as error:
            raise HTTPException(400) from error
        if not codes.revoke_device(connection, session, device, self._desk.clock()):
            raise HTTPException(404)
        return _month(form)

    async def verifier(self, _: Request) -> Response:
        """Sends the stand-alone file that checks proofs."""
        source = files("sync.proof").joinpath("verify_meal.py").read_bytes()
        return guarded(Response(source, media_type="text/x-python; charset=utf-8"))

    async def style(self, _: Request) -> Response:
        """Sends the style sheet of all the ledger's pages."""
        return guarded(Response(files("sync.ledger.pages").joinpath("style.css").read_bytes(), media_type="text/css"))


def _month(form: PageForm) -> Response:
    return RedirectResponse(f"{FAMILY_PREFIX}/?month={quote(form.field('month'), safe='')}", 303)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise HTTPException(400)
    return int(text)
