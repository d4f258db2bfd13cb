"""Meals beside lessons, for one day: who was at lessons comes as a file; what does not fit is a question."""

from urllib.parse import quote

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sync.errors import SyncError
from sync.ledger.billing import count_uploads, terms
from sync.ledger.billing.column_maps import list_maps
from sync.ledger.billing.count_uploads import CountKind, CountSubject
from sync.ledger.errors import LedgerError
from sync.ledger.pages import count_texts, overview
from sync.ledger.pages.access import PageAct
from sync.ledger.pages.accounts import PageSession
from sync.ledger.pages.desk import parse_day
from sync.ledger.pages.difference_pages import find_event_path
from sync.ledger.pages.forms import PageForm
from sync.ledger.pages.reader_desk import PREFIX, ReaderDesk
from sync.ledger.pages.uploads import read_handed_count
from sync.money.errors import MoneyError
from sync.money.months import Month


class LessonPages:
    """Answers with a day's meals against presence at lessons, and takes the file of those who were present."""

    def __init__(self, desk: ReaderDesk) -> None:
        self._desk = desk

    def show(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with what does not fit on a day by the newest file of a programme, and the form for the next one."""
        return self._show(connection, request, session, request.query_params.get("programme", ""))

    def hand_in(
        self, connection: psycopg.Connection, request: Request, session: PageSession, form: PageForm
    ) -> Response:
        """Keeps and compares a file of those who were at lessons."""
        if not session.reader.may(PageAct.LESSONS):
            raise HTTPException(404)
        day, school = parse_day(request.path_params["day"]), request.path_params["school"]
        subject = CountSubject(school, CountKind.LESSONS, form.field("programme"), day.isoformat())
        try:
            handed = read_handed_count(form, session.reader, overview.read_zone(connection, school))
            count_uploads.hand_in_count(connection, subject, handed, now=self._desk.clock())
        except (MoneyError, LedgerError) as error:
            return self._show(connection, request, session, subject.programme, error)
        address = f"{PREFIX}/schools/{quote(school, safe='')}/days/{day}/lessons"
        return RedirectResponse(f"{address}?programme={quote(subject.programme, safe='')}", 303)

    def _show(
        self, connection: psycopg.Connection, request: Request, session: PageSession, wanted: str,
        error: SyncError | None = None,
    ) -> Response:  # fmt: skip
        school, day = request.path_params["school"], parse_day(request.path_params["day"])
        if not session.reader.sees_lessons:
            raise HTTPException(404)
        self._desk.log_view(connection, request, session.reader, f"lessons {day}")
        words = self._desk.words(request)
        programmes = {
            each.id: (each.name_kk if words.language == "kk" else each.name_ru) or each.id
            for each in terms.read_tariffs(connection, school).programmes
        }
        chosen = wanted if wanted in programmes else next(iter(programmes))
        subject = CountSubject(school, CountKind.LESSONS, chosen, day.isoformat())
        counts = count_uploads.list_counts(connection, subject)
        newest = count_uploads.read_lesson_differences(connection, subject, counts[0].number) if counts else None
        lines = newest.differences if newest else ()
        unmatched = newest.unmatched if newest else ()
        people = sorted({line.person for line in lines} | {each for line in unmatched for each in line.candidates})
        return self._desk.render(
            request, "lessons.html", session, 409 if error else 200, school=school, day=day, programmes=programmes,
            chosen=chosen, count=counts[0] if counts else None, lines=lines, month=Month(day.year, day.month),
            unmatched=count_texts.group_unmatched(words, unmatched), maps=list_maps(connection, school),
            people=self._desk.name_people(connection, session.reader, school, people),
            refusal=words.refuse(error) if error else "", zone=overview.read_zone(connection, school),
            event_path=lambda event: find_event_path(session, event.device, event.epoch, event.seq),
        )  # fmt: skip
