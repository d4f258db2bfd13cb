"""The pages of sheets: read one, object to lines, confirm, hand in a signature, close. Each side does its own acts.

A side's private key stays with the side: it downloads the bytes of the version in force, signs them on its own machine,
and pastes the detached signature. A click is only *confirmed*.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sync.ledger.billing import sheet_signers, sheet_store, sheet_views, sheet_work, sheets
from sync.ledger.billing.sheet_views import SheetFormat, SheetLanguage
from sync.ledger.errors import LedgerError, NotUnderstood
from sync.ledger.judgement.contests import list_contests
from sync.ledger.pages import overview
from sync.ledger.pages.access import PageAct, PageRole
from sync.ledger.pages.accounts import PageSession
from sync.ledger.pages.desk import attach
from sync.ledger.pages.forms import PageForm
from sync.ledger.pages.reader_desk import PREFIX, ReaderDesk
from sync.money.canonical import decode_sheet
from sync.money.errors import MoneyError
from sync.money.months import Month
from sync.money.protocol import Objection, SheetSide
from sync.money.sheet import RowKey, SheetSubject

_SIDES = {PageRole.SCHOOL: SheetSide.SCHOOL, PageRole.CATERER: SheetSide.CATERER, PageRole.CITY: SheetSide.CITY}
_MEDIA_TYPES = {
    SheetFormat.CSV: "text/csv; charset=utf-8",
    SheetFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    SheetFormat.HTML: "text/html; charset=utf-8",
    SheetFormat.PDF: "application/pdf",
}
_ROW_MARK = "\x1f"  # between person and session in a form's field; neither holds a control character


class SheetPages:
    """Answers with sheets, and takes the acts of a side. `authority_file`: certificates that CMS signatures need."""

    def __init__(self, desk: ReaderDesk, authority_file: Path) -> None:
        self._desk = desk
        self._authority_file = authority_file

    def list_sheets(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with the sheets of a school, the newest month first."""
        school = request.path_params["school"]
        rows = [
            (subject, sheet_store.read_process(connection, subject), decode_sheet(
                sheet_store.read_version(connection, subject).body
            ))
            for subject in reversed(sheet_store.list_subjects(connection, school))
        ]  # fmt: skip
        return self._desk.render(request, "sheets.html", session, school=school, rows=rows)

    def show(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with one sheet in the version in force, with what the reader's side may do now."""
        return self._show(connection, request, session)

    def _show(
        self, connection: psycopg.Connection, request: Request, session: PageSession, refusal: str = "",
    ) -> Response:  # fmt: skip
        subject = _read_subject(request)
        stored = _stored(connection, subject)
        self._desk.log_view(connection, request, session.reader, f"sheet {subject.programme} {subject.month}")
        language = SheetLanguage(self._desk.words(request).language)
        names = sheet_views.read_names(connection, subject, language, categories=False)
        people = {person: shown.name or person for person, shown in names.people.items() if session.reader.sees_names}
        month = Month.parse(subject.month)
        contests = list_contests(
            connection, subject.school, month.first.isoformat(), month.last.isoformat(), open_only=True
        )
        return self._desk.render(
            request, "sheet.html", session, 409 if refusal else 200, subject=subject, school=subject.school,
            sheet=decode_sheet(stored.body), process=sheet_store.read_process(connection, subject), stored=stored,
            acts=sheet_store.read_acts(connection, subject), side=_SIDES.get(session.reader.role), people=people,
            programme=names.programme, refusal=refusal, row_mark=_ROW_MARK, contests=contests,
            labels=overview.read_labels(connection, subject.school, language),
            zone=overview.read_zone(connection, subject.school),
        )  # fmt: skip

    def download(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with a sheet as a file: its canonical bytes, or a table for people."""
        subject, kind = _read_subject(request), request.path_params["kind"]
        stored = _stored(connection, subject)
        self._desk.log_view(connection, request, session.reader, f"sheet {subject.programme} {subject.month}")
        name = f"{subject.school}-{subject.programme}-{subject.month}-{subject.number}-v{stored.version}"
        if kind == "bytes":
            return attach(stored.body, "application/octet-stream", f"{name}.sheet")
        if kind not in list(SheetFormat):
            raise HTTPException(404)
        language = SheetLanguage(self._desk.words(request).language)
        names = sheet_views.read_names(connection, subject, language, categories=session.reader.role is PageRole.SCHOOL)
        if not session.reader.sees_names:
            names = sheet_views.SheetNames(names.school, names.programme, {})
        wanted = SheetFormat(kind)
        body = sheet_views.render(stored, names, sheet_views.load_form(), language, wanted)
        return attach(body, _MEDIA_TYPES[wanted], f"{name}.{kind}")

    def confirm(
        self, connection: psycopg.Connection, request: Request, session: PageSession, form: PageForm
    ) -> Response:
        """Keeps that a person of a side has read the sheet."""
        side, subject, reader = _side(session, PageAct.CONFIRM), _read_subject(request), session.reader
        return self._act(connection, request, session, lambda: sheets.confirm(
            connection, subject, side, form.field("digest"), by=reader.acting_name, now=self._desk.clock()
        ))  # fmt: skip

    def object_to(
        self, connection: psycopg.Connection, request: Request, session: PageSession, form: PageForm
    ) -> Response:
        """Keeps an objection to the marked lines, and makes the next version."""
        side, subject, reader = _side(session, PageAct.OBJECT), _read_subject(request), session.reader
        objection = Objection(
            side, _number(form.field("version")), tuple(map(_row_key, form.all("line"))),
            form.field("text")[:2_000],
        )  # fmt: skip
        return self._act(connection, request, session, lambda: sheet_work.object_to(
            connection, subject, objection, by=reader.acting_name, now=self._desk.clock()
        ))  # fmt: skip

    def hand_in(
        self, connection: psycopg.Connection, request: Request, session: PageSession, form: PageForm
    ) -> Response:
        """Keeps a side's detached signature over the bytes of the version in force, once it is verified."""
        side, subject, reader = _side(session, PageAct.SIGN), _read_subject(request), session.reader
        scheme, signature = form.field("scheme"), form.field("signature").encode()

        def act() -> object:
            stored = sheet_store.read_version(connection, subject)
            trusted = self._authority_file.read_bytes() if self._authority_file.exists() else b""
            signed = sheet_signers.verify_signature(
                connection, subject.school, side, scheme, stored.body, signature, trusted
            )
            now = self._desk.clock()
            return sheets.hand_in(connection, subject, signed, signature, by=reader.acting_name, now=now)

        return self._act(connection, request, session, act)

    def close(self, connection: psycopg.Connection, request: Request, session: PageSession, form: PageForm) -> Response:
        """Closes what both sides have signed, for the city."""
        _side(session, PageAct.CLOSE)
        subject, reader = _read_subject(request), session.reader
        return self._act(connection, request, session, lambda: sheet_work.close(
            connection, subject, by=reader.acting_name, now=self._desk.clock(), digest=form.field("digest")
        ))  # fmt: skip

    def _act(
        self, connection: psycopg.Connection, request: Request, session: PageSession, act: Callable[[], object]
    ) -> Response:
        """Does an act and leads back to the sheet, or shows the sheet with the reason why it was refused."""
        try:
            act()
        except (MoneyError, LedgerError) as error:
            return self._show(connection, request, session, self._desk.words(request).refuse(error))
        subject = _read_subject(request)
        return RedirectResponse(f"{PREFIX}/schools/{quote(subject.school, safe='')}/sheets/{sheet_path(subject)}", 303)


def sheet_path(subject: SheetSubject) -> str:
    """Returns the last part of a sheet's address."""
    return f"{subject.month}/{quote(subject.programme, safe='')}/{subject.number}"


def _read_subject(request: Request) -> SheetSubject:
    names = request.path_params
    return SheetSubject(names["school"], names["programme"], names["month"], names["number"])


def _stored(connection: psycopg.Connection, subject: SheetSubject) -> sheet_store.StoredVersion:
    try:
        return sheet_store.read_version(connection, subject)
    except NotUnderstood as error:
        raise HTTPException(404) from error


def _side(session: PageSession, act: PageAct) -> SheetSide:
    """Returns the side for which the reader acts. Raises HTTPException where its role is not allowed the act."""
    if not session.reader.may(act):
        raise HTTPException(404)
    return _SIDES[session.reader.role]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise HTTPException(404)
    return int(text)


def _row_key(text: str) -> RowKey:
    person, _, session = text.partition(_ROW_MARK)
    return person, session
