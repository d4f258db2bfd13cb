"""The facts that a sheet follows from, read out of one school's tables: settled visits, people, terms, outages."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import psycopg

from sync.contract import roster
from sync.contract.event import Boot, Claim, UnreadableEvent, decode
from sync.contract.roster import Person
from sync.contract.sessions import Timetable
from sync.contract.visit import EventId, ReceivedEvent
from sync.ledger.billing import terms
from sync.ledger.billing.categories import join_categories
from sync.ledger.judgement.judgement_basis import read_basis
from sync.money.building import SheetFacts, SheetPerson, VisitDays
from sync.money.calendars import choose_calendar
from sync.money.months import Month
from sync.money.outages import find_outages
from sync.money.sheet import SheetOutage

_RETURN_DAYS_MAX = 14  # a kiosk that comes back later than this says nothing of the month


@dataclass(frozen=True, slots=True)
class SchoolMonth:
    """A school's month before a programme is chosen. The visits are as they were settled last."""

    school: str
    month: Month
    visits: tuple[VisitDays, ...]
    people: tuple[SheetPerson, ...]
    timetable: Timetable
    timetables: Mapping[date, Timetable]  # in force on each day
    outages: tuple[SheetOutage, ...]
    categories: str  # the digest of the newest version; empty: there is none
    erased: frozenset[str]  # people whose categories were erased


def read_school_month(connection: psycopg.Connection, school: str, month: Month) -> SchoolMonth:
    """Returns a school's month. Call `settle_days` before. Raises NotUnderstood for no such school."""
    basis = read_basis(connection, school)
    people = [
        SheetPerson(person.id, person.grade, person.group, "", tuple(basis.entitlements.get(person.id, ())))
        for person in _read_people(connection, school, month)
    ]
    joined = join_categories(connection, school, month, people)
    timetables = basis.judgement.history.list_timetables(month.days)
    outages = find_outages(_read_outage_events(connection, school, month), timetables, basis.timetable.tz)
    visits = tuple(_read_visit_days(connection, school, month))
    return SchoolMonth(
        school, month, visits, joined.people, basis.timetable, timetables, outages, joined.digest, joined.erased
    )


def _read_people(connection: psycopg.Connection, school: str, month: Month) -> list[Person]:
    """Returns everybody who was ever on the roster, as they were at the month's end.

    A price may depend on the grade, and a sheet may be corrected in the next school year.
    """
    row = connection.execute(
        "SELECT coalesce(max(version), 0) FROM roster_version WHERE school = %s AND in_force < %s",
        (school, month.last + timedelta(days=1)),
    ).fetchone()
    at_end = row[0] if row else 0
    people: dict[str, Person] = {}
    for body, version in connection.execute(
        "SELECT body, version FROM roster_record"
        " WHERE school = %s AND type = 'person' AND body IS NOT NULL ORDER BY id, version",
        (school,),
    ):
        record = roster.from_json(body)
        assert isinstance(record, Person)
        # The last state before the month's end; of somebody who came on the roster later, the first one.
        if record.id not in people or version <= at_end:
            people[record.id] = record
    return list(people.values())


def choose_facts(connection: psycopg.Connection, school_month: SchoolMonth, programme: str) -> SheetFacts:
    """Returns the month under the calendar and tariffs of a programme. Raises TermsMissing or TermsWrong."""
    tariffs = terms.read_tariffs(connection, school_month.school)
    kind = tariffs.find_programme(programme).calendar
    calendar = choose_calendar(terms.read_calendars(connection, school_month.school), kind, school_month.month)
    return SheetFacts(
        (), school_month.people, school_month.timetable, calendar, tariffs, school_month.outages, school_month.visits,
        school_month.categories, school_month.erased, school_month.timetables,
    )  # fmt: skip


def _read_visit_days(connection: psycopg.Connection, school: str, month: Month) -> Iterator[VisitDays]:
    """Yields the settled visits as `group_visits` groups them."""
    rows = connection.execute(
        "SELECT person, session, CASE programme WHEN '' THEN recorded_programme ELSE programme END, claim,"
        " array_agg(DISTINCT substr(day, 9, 2)::int) FROM visit"
        " WHERE school = %s AND day BETWEEN %s AND %s AND claim NOT IN ('second', 'none') GROUP BY 1, 2, 3, 4",
        (school, month.first.isoformat(), month.last.isoformat()),
        binary=True,
    )
    for person, session, programme, claim, days in rows:
        yield VisitDays(person, session, programme, Claim(claim), tuple(days))


_SELECT_RETURNS = """
    SELECT device, epoch, seq, payload FROM event
    WHERE school = %(school)s AND day BETWEEN %(first)s AND %(last)s
      AND kind IN ('boot', 'stop', 'repair', 'clock_step')
"""
# The event before a boot: of its epoch, or of the epoch before where the boot is the first of its own.
_SELECT_BEFORE = """
    SELECT e.device, e.epoch, e.seq, e.payload
    FROM unnest(%(devices)s::text[], %(epochs)s::text[], %(seqs)s::int8[]) AS back (device, epoch, seq)
    JOIN event e ON e.school = %(school)s AND e.device = back.device AND e.epoch = back.epoch AND e.seq = back.seq - 1
    UNION
    SELECT e.device, e.epoch, e.seq, e.payload
    FROM unnest(%(devices)s::text[], %(epochs)s::text[], %(seqs)s::int8[]) AS back (device, epoch, seq)
    JOIN epoch p ON p.school = %(school)s AND p.device = back.device AND p.epoch = back.epoch AND back.seq = 1
    JOIN event e ON e.school = %(school)s AND e.device = p.device AND e.epoch = p.parent AND e.seq = p.parent_seq
"""


def _read_outage_events(connection: psycopg.Connection, school: str, month: Month) -> list[ReceivedEvent]:
    before, after = month.first - timedelta(days=1), month.last + timedelta(days=_RETURN_DAYS_MAX)
    place = {"school": school, "first": before.isoformat(), "last": after.isoformat()}
    returns = _decode(connection.execute(_SELECT_RETURNS, place).fetchall())
    boots = [received.id for received in returns if isinstance(received.event, Boot)]
    earlier = connection.execute(_SELECT_BEFORE, {
        "school": school, "devices": [boot.device for boot in boots], "epochs": [boot.epoch for boot in boots],
        "seqs": [boot.seq for boot in boots],
    }).fetchall()  # fmt: skip
    return list({received.id: received for received in [*returns, *_decode(earlier)]}.values())


def _decode(rows: Iterable[tuple[str, str, int, bytes]]) -> list[ReceivedEvent]:
    received = []
    for device, epoch, seq, payload in rows:
        try:
            received.append(ReceivedEvent(EventId(device, epoch, seq), decode(payload)))
        except UnreadableEvent:
            continue  # the ledger lists it in its quarantine
    return received
