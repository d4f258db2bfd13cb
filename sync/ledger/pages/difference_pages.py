"""The payer's count beside ours on the pages: hand a file in, read every differing line, confirm names."""

from urllib.parse import quote

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sync.contract.wire import InvalidMessage
from sync.errors import SyncError
from sync.ledger.billing import count_uploads, payers, sheet_views
from sync.ledger.billing.column_maps import list_maps
from sync.ledger.billing.count_uploads import CountKind, CountSubject
from sync.ledger.billing.sheet_views import SheetLanguage
from sync.ledger.billing.spreadsheets import table_to_csv, table_to_xlsx
from sync.ledger.errors import LedgerError
from sync.ledger.pages import count_texts, overview
from sync.ledger.pages.access import PageAct
from sync.ledger.pages.accounts import PageSession
from sync.ledger.pages.desk import attach
from sync.ledger.pages.forms import PageForm
from sync.ledger.pages.reader_desk import PREFIX, ReaderDesk
from sync.ledger.pages.uploads import read_handed_count
from sync.ledger.registry.schools import parse_school
from sync.money.differences import CountComparison
from sync.money.errors import MoneyError
from sync.money.months import Month

SHOWN_LINES_MAX = 500  # of one page; a file holds all of them
FILE_TYPES = {
    "csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
}  # fmt: skip


class DifferencePages:
    """Answers with the differences of a school's month, and takes the payer's files."""

    def __init__(self, desk: ReaderDesk) -> None:
        self._desk = desk

    def list_counts(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with the counts of a month that were handed in, and the form for the next one."""
        return self._list(connection, request, session)

    def _list(
        self, connection: psycopg.Connection, request: Request, session: PageSession, error: SyncError | None = None
    ) -> Response:
        subject = read_subject(request)
        words = self._desk.words(request)
        return self._desk.render(
            request, "counts.html", session, 409 if error else 200, school=subject.school, subject=subject,
            programme=self._programme(connection, request, subject), base=base_path(subject),
            counts=count_uploads.list_counts(connection, subject), maps=list_maps(connection, subject.school),
            refusal=words.refuse(error) if error else "", zone=overview.read_zone(connection, subject.school),
            confirmations=payers.list_confirmations(connection, subject.school) if session.reader.sees_views else [],
        )  # fmt: skip

    def hand_in(
        self, connection: psycopg.Connection, request: Request, session: PageSession, form: PageForm
    ) -> Response:
        """Keeps and compares the payer's file, and leads to what came out."""
        subject = read_subject(request)
        if not session.reader.may(PageAct.COUNT):
            raise HTTPException(404)
        try:
            handed = read_handed_count(form, session.reader, overview.read_zone(connection, subject.school))
            number = count_uploads.hand_in_count(connection, subject, handed, now=self._desk.clock())
        except (MoneyError, LedgerError) as error:
            return self._list(connection, request, session, error)
        return RedirectResponse(f"{base_path(subject)}/{number}", 303)

    def show(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with one count: sums, every differing line with its explanation, what cannot be matched or read."""
        subject, number, comparison = self._read(connection, request)
        self._log(connection, request, session, subject)
        wanted = count_texts.parse_kind(request.query_params.get("why", ""))
        lines = [line for line in comparison.differences if wanted in (None, line.kind)]
        words, labels = self._desk.words(request), self._labels(connection, request, subject.school)
        people = {line.person for line in lines[:SHOWN_LINES_MAX]} | {cell.person for cell in comparison.unreadable}
        candidates = {person for line in comparison.unmatched for person in line.candidates}
        counts = {count.number: count for count in count_uploads.list_counts(connection, subject)}
        return self._desk.render(
            request, "differences.html", session, school=subject.school, subject=subject, number=number,
            count=counts[number], base=base_path(subject), comparison=comparison, wanted=wanted,
            sums=count_texts.sum_explanations(comparison.differences), lines=lines[:SHOWN_LINES_MAX],
            hidden=max(0, len(lines) - SHOWN_LINES_MAX), labels=labels,
            people=self._desk.name_people(connection, session.reader, subject.school, sorted(people | candidates)),
            unmatched=count_texts.group_unmatched(words, comparison.unmatched), mark=count_texts.NAME_MARK,
            describe_note=lambda line: count_texts.describe_note(words, labels, line),
            describe_cell=lambda cell: count_texts.describe_cell(words, cell),
            event_path=lambda event: find_event_path(session, event.device, event.epoch, event.seq),
            programme=self._programme(connection, request, subject),
            zone=overview.read_zone(connection, subject.school),
        )  # fmt: skip

    def download(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with the differing lines, or those of one explanation, as CSV or XLSX."""
        subject, number, comparison = self._read(connection, request)
        kind = request.path_params["kind"]
        if kind not in FILE_TYPES:
            raise HTTPException(404)
        self._log(connection, request, session, subject)
        wanted = count_texts.parse_kind(request.query_params.get("why", ""))
        lines = [line for line in comparison.differences if wanted in (None, line.kind)]
        words, labels = self._desk.words(request), self._labels(connection, request, subject.school)
        people = self._desk.name_people(
            connection, session.reader, subject.school, sorted({line.person for line in lines})
        )
        titles, rows = count_texts.tabulate(words, labels, lines, lambda person: people[person])
        name = f"{subject.school}-{subject.programme}-{subject.period}-differences-{number}"
        title = words("differences")
        body = table_to_csv(titles, rows) if kind == "csv" else table_to_xlsx(title, titles, rows)
        return attach(body, FILE_TYPES[kind], f"{name}.{kind}")

    def confirm(
        self, connection: psycopg.Connection, request: Request, session: PageSession, form: PageForm
    ) -> Response:
        """Keeps, in the name of a person of the school, whom names of the file mean; then compares again."""
        if not session.reader.may(PageAct.MATCH):
            raise HTTPException(404)
        subject, number, comparison = self._read(connection, request)
        choices = count_texts.read_choices(form.all("name"), comparison.unmatched)
        if choices:
            by, now = session.reader.acting_name, self._desk.clock()
            payers.confirm_names(connection, subject.school, choices, by=by, now=now)
            count_uploads.compare_again(connection, subject, number, now=now)
        return RedirectResponse(f"{base_path(subject)}/{number}", 303)

    def compare(self, connection: psycopg.Connection, request: Request, session: PageSession, _: PageForm) -> Response:
        """Compares a count once more with the ledger's rows as they stand."""
        if not session.reader.may(PageAct.COUNT):
            raise HTTPException(404)
        subject, number = read_subject(request), request.path_params["count"]
        count_uploads.compare_again(connection, subject, number, now=self._desk.clock())
        return RedirectResponse(f"{base_path(subject)}/{number}", 303)

    def _read(self, connection: psycopg.Connection, request: Request) -> tuple[CountSubject, int, CountComparison]:
        subject, number = read_subject(request), request.path_params["count"]
        return subject, number, count_uploads.read_differences(connection, subject, number)

    def _log(
        self, connection: psycopg.Connection, request: Request, session: PageSession, subject: CountSubject
    ) -> None:
        about = f"differences {subject.programme} {subject.period}"
        self._desk.log_view(connection, request, session.reader, about)

    def _labels(self, connection: psycopg.Connection, request: Request, school: str) -> overview.SchoolLabels:
        return overview.read_labels(connection, school, self._desk.words(request).language)

    def _programme(self, connection: psycopg.Connection, request: Request, subject: CountSubject) -> str:
        language = SheetLanguage(self._desk.words(request).language)
        name = sheet_views.read_programme_name(connection, subject.school, subject.programme, language)
        return name or subject.programme


def read_subject(request: Request) -> CountSubject:
    """Returns the month and programme that an address names. Raises HTTPException."""
    names = request.path_params
    try:
        month = Month.parse(names["month"])
    except MoneyError as error:
        raise HTTPException(404) from error
    return CountSubject(names["school"], CountKind.MEALS, names["programme"], str(month))


def base_path(subject: CountSubject) -> str:
    """Returns the address of a month's counts."""
    school, programme = quote(subject.school, safe=""), quote(subject.programme, safe="")
    return f"{PREFIX}/schools/{school}/sheets/{subject.period}/{programme}/differences"


def find_event_path(session: PageSession, device: str, epoch: str, seq: int) -> str:
    """Returns the address of an event's page for a reader who may see it; else nothing."""
    if not session.reader.sees_events:
        return ""
    try:
        school = parse_school(device)
    except InvalidMessage:
        return ""
    if not session.reader.may_read(school):
        return ""
    return f"{PREFIX}/schools/{quote(school, safe='')}/events/{quote(device, safe='')}/{quote(epoch, safe='')}/{seq}"
