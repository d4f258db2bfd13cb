"""The pages of the kiosks: the city's, and the school's own."""

from dataclasses import asdict
from urllib.parse import urlencode

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sync.ledger.fleet.listing import (
    FleetFilter,
    KioskRow,
    count_versions,
    list_alarm_kinds,
    list_kiosks,
    write_csv,
)
from sync.ledger.fleet.reading import read_kiosks
from sync.ledger.pages.accounts import PageSession
from sync.ledger.pages.desk import attach
from sync.ledger.pages.reader_desk import PREFIX, ReaderDesk

CSV = "text/csv; charset=utf-8"


class FleetPages:
    """Answers with kiosks: no child and no meal stands on these pages, so a look at them is not logged."""

    def __init__(self, desk: ReaderDesk) -> None:
        self._desk = desk

    def show(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with the kiosks that the address asks for."""
        school = self._school(request, session)
        if not school and session.reader.school:
            return RedirectResponse(f"{PREFIX}/schools/{session.reader.school}/kiosks", 303)
        every = self._read(connection, school)
        wanted = FleetFilter.from_query(request.query_params)
        rows = [row for row in every if wanted.admits(row)]
        return self._desk.render(
            request, "kiosks.html", session, school=school, rows=rows, total=len(every), wanted=wanted,
            versions=count_versions(every), kinds=list_alarm_kinds(every), query=urlencode(asdict(wanted)),
        )  # fmt: skip

    def export(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with the same kiosks as a CSV file."""
        school = self._school(request, session)
        if not school and session.reader.school:
            raise HTTPException(404)
        wanted = FleetFilter.from_query(request.query_params)
        rows = [row for row in self._read(connection, school) if wanted.admits(row)]
        return attach(write_csv(rows), CSV, f"kiosks-{school or 'city'}-{self._desk.clock():%Y-%m-%d}.csv")

    def _school(self, request: Request, session: PageSession) -> str:
        """Returns the school in the address, '' for the city's page. Raises HTTPException where it is not shown."""
        if not session.reader.sees_kiosks:
            raise HTTPException(404)
        return str(request.path_params.get("school", ""))

    def _read(self, connection: psycopg.Connection, school: str) -> list[KioskRow]:
        now = self._desk.clock()
        return list_kiosks(read_kiosks(connection, now, school), now)
