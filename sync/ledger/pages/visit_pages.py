"""The pages from the city down to one event."""

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sync.ledger.judgement.contests import list_contests
from sync.ledger.judgement.days import read_visits
from sync.ledger.pages import overview
from sync.ledger.pages.accounts import PageSession
from sync.ledger.pages.desk import parse_day
from sync.ledger.pages.reader_desk import ReaderDesk, home_path
from sync.ledger.registry.twins import list_twins
from sync.ledger.transparency.statements import read_statements
from sync.money.months import Month


class VisitPages:
    """Answers with schools, days, people and events."""

    def __init__(self, desk: ReaderDesk) -> None:
        self._desk = desk

    def city(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with every school with its month."""
        if session.reader.school:
            return RedirectResponse(home_path(session.reader), 303)
        month = self._desk.read_month(request)
        rows = overview.read_schools(connection, "", month.first, month.last)
        twins = list_twins(connection, "", self._desk.clock())
        return self._desk.render(request, "city.html", session, month=month, rows=rows, twins=twins)

    def school(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with the days of one school's month."""
        school, month = request.path_params["school"], self._desk.read_month(request)
        head = overview.read_schools(connection, school, month.first, month.last)
        if not head:
            raise HTTPException(404)
        days = overview.read_days(connection, school, month.first, month.last)
        labels = self._labels(connection, request, school)
        twins = list_twins(connection, school, self._desk.clock())
        return self._desk.render(
            request, "school.html", session, school=head[0], month=month, days=days, labels=labels, twins=twins
        )

    def day(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with the visits of one day."""
        school, day = request.path_params["school"], parse_day(request.path_params["day"])
        self._desk.log_view(connection, request, session.reader, day.isoformat())
        visits = read_visits(connection, school, day, day)
        people = self._desk.name_people(connection, session.reader, school, [visit.person for visit in visits])
        month = Month(day.year, day.month)
        return self._desk.render(
            request, "day.html", session, statements=read_statements(connection, school, str(day), str(day)),
            school=school, day=day, visits=visits, people=people, month=month,
            zone=overview.read_zone(connection, school), labels=self._labels(connection, request, school),
        )  # fmt: skip

    def person(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with the month of one person."""
        school, person, month = (
            request.path_params["school"],
            request.path_params["person"],
            self._desk.read_month(request),
        )
        self._desk.log_view(connection, request, session.reader, person)
        visits = read_visits(connection, school, month.first, month.last, person)
        people = self._desk.name_people(connection, session.reader, school, [person])
        return self._desk.render(
            request, "person.html", session, school=school, person=person, month=month, visits=visits, people=people,
            zone=overview.read_zone(connection, school), labels=self._labels(connection, request, school),
        )  # fmt: skip

    def event(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with one event as it is stored."""
        if not session.reader.sees_events:
            raise HTTPException(404)
        names = request.path_params
        stored = overview.read_event(connection, names["school"], names["device"], names["epoch"], names["seq"])
        if stored is None:
            raise HTTPException(404)
        subject = str((stored.payload or {}).get("person", "")) or f"event {stored.seq}"
        self._desk.log_view(connection, request, session.reader, subject)
        return self._desk.render(request, "event.html", session, school=names["school"], event=stored)

    def contests(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with what families have objected to in a month, and the answers."""
        if not session.reader.sees_contests:
            raise HTTPException(404)
        school, month = request.path_params["school"], self._desk.read_month(request)
        self._desk.log_view(connection, request, session.reader, f"contests {month}")
        rows = list_contests(connection, school, month.first.isoformat(), month.last.isoformat())
        people = self._desk.name_people(connection, session.reader, school, [row.person for row in rows])
        return self._desk.render(
            request, "contests.html", session, school=school, month=month, rows=rows, people=people,
            zone=overview.read_zone(connection, school), labels=self._labels(connection, request, school),
        )  # fmt: skip

    def views(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with who has looked at whom."""
        if not session.reader.sees_views:
            raise HTTPException(404)
        school, subject = request.path_params["school"], request.query_params.get("subject", "")
        rows = overview.read_views(connection, school, subject)
        days = overview.VIEW_RETENTION.days
        return self._desk.render(
            request, "views.html", session, school=school, subject=subject, rows=rows, retention_days=days,
            zone=overview.read_zone(connection, school),
        )  # fmt: skip

    def _labels(self, connection: psycopg.Connection, request: Request, school: str) -> overview.SchoolLabels:
        return overview.read_labels(connection, school, self._desk.words(request).language)
