"""A payer's file against the ledger: everything that explains a difference, read out of the tables.

The same child may have eaten at another school, so one statement here is the city's; all others are about one school.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime

import msgspec
import psycopg

from sync.contract import roster
from sync.contract.roster import Entitlement
from sync.contract.visit import EventId, Visit, VisitClosing
from sync.errors import Wording
from sync.ledger.billing.payers import read_matcher
from sync.ledger.billing.sheet_facts import choose_facts, read_school_month
from sync.ledger.billing.sheet_store import list_subjects, read_closed, read_version
from sync.ledger.billing.spreadsheets import read_worksheets
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.judgement.judgement_basis import read_basis
from sync.ledger.registry.surrogates import find_source_ids
from sync.money.building import build_sheet
from sync.money.canonical import decode_sheet
from sync.money.cell_faults import CellFaultKind
from sync.money.differences import CountComparison, OurCount, UnmatchedLine
from sync.money.errors import PayerFileWrong
from sync.money.explaining import compare_counts
from sync.money.matching import match_sheet
from sync.money.months import Month
from sync.money.payer_cells import find_month, fold
from sync.money.payer_file import PayerMap, PayerShape, PayerSheet, PayerTable, fits_map, read_payer_sheet
from sync.money.presence import PresenceDifference, compare_presence
from sync.money.sheet import Sheet, SheetRow, SheetSubject, sum_billed


@dataclass(frozen=True, slots=True)
class LessonComparison:
    """The days that do not fit between meals and lessons, and the lines of the file that cannot be matched."""

    differences: tuple[PresenceDifference, ...]
    unmatched: tuple[UnmatchedLine, ...]


def read_payer_file(name: str, content: bytes, column_map: PayerMap, month: Month) -> PayerSheet:
    """Returns the meals in a payer's CSV or XLSX file. Raises PayerFileWrong."""
    table = _choose_worksheet(name, content, column_map, month)
    return read_payer_sheet(table.rows, column_map, month, table.serial_zero)


def _choose_worksheet(name: str, content: bytes, column_map: PayerMap, month: Month) -> PayerTable:
    """Returns the worksheet that the map names, else the only one that has its titles, else the first.

    Of several that have them, only those count that have anything of the month.
    """
    tables = read_worksheets(name, content)
    if len(tables) == 1 and not column_map.worksheet:
        return next(iter(tables.values()))
    wanted = fold(column_map.worksheet)
    if wanted:
        fitting = {title: table for title, table in tables.items() if fold(title) == wanted}
    else:
        fitting = {title: table for title, table in tables.items() if fits_map(table, column_map, month)}
        fitting = _leave_out_others(fitting, column_map, month) if len(fitting) > 1 else fitting
    if len(fitting) > 1 or (wanted and not fitting):
        titles = ", ".join(fitting or tables)
        raise PayerFileWrong(
            f"{name} has the worksheets {titles}",
            "name one of them in the map as its worksheet, or bring all lines into one",
            Wording("refusal.worksheets", file=name, titles=titles[:500]),
        )
    return next(iter((fitting or tables).values()))


def _leave_out_others(fitting: dict[str, PayerTable], column_map: PayerMap, month: Month) -> dict[str, PayerTable]:
    """Returns the worksheets with anything of the month: bare day numbers are of the month in the worksheet's name."""
    is_wide = column_map.shape is PayerShape.WIDE
    filled = {
        title: table for title, table in fitting.items()
        if not (is_wide and find_month(title) not in (None, month.number)) and _has_lines(table, column_map, month)
    }  # fmt: skip
    return filled or fitting


def _has_lines(table: PayerTable, column_map: PayerMap, month: Month) -> bool:
    payer = read_payer_sheet(table.rows, column_map, month, table.serial_zero)
    faults = [fault for fault in payer.faults if fault.cell.kind is not CellFaultKind.OTHER_MONTH]
    return bool(payer.meals or payer.withdrawals or faults)


def compare_with_payer(
    connection: psycopg.Connection, subject: SheetSubject, payer: PayerSheet, *, key: bytes, now: datetime,
    made_at: datetime | None = None,
) -> CountComparison:  # fmt: skip
    """Returns every difference between our sheet, as it stands, and a payer's. `key`: of the payer's numbers."""
    ours = read_our_count(connection, subject, now=now)
    history = read_basis(connection, subject.school).judgement.history
    timetables = history.list_timetables(Month.parse(subject.month).days).values()
    sessions = {window.session for timetable in timetables for window in timetable.windows}
    matcher = read_matcher(connection, subject.school, key)
    return compare_counts(ours, match_sheet(payer, matcher, subject.school, sessions, made_at))


def compare_with_lessons(
    connection: psycopg.Connection, subject: SheetSubject, presence: PayerSheet, *, key: bytes, now: datetime
) -> LessonComparison:
    """Returns what does not fit between meals and presence at lessons. The file marks who was present.

    The meals are those of the ledger's rows as they stand: a sheet that was proposed this morning lacks today's lunch.
    """
    month = Month.parse(subject.month)
    settle_days(connection, subject.school, now=now)
    facts = choose_facts(connection, read_school_month(connection, subject.school, month), subject.programme)
    visits = read_visits(connection, subject.school, month.first, month.last)
    matcher = read_matcher(connection, subject.school, key)
    theirs = match_sheet(presence, matcher, subject.school, {meal.session for meal in presence.meals})
    present: dict[date, set[str]] = defaultdict(set)
    for meal in theirs.meals:
        present[meal.day].add(meal.person)
    unclear: dict[date, set[str]] = defaultdict(set)
    for line in theirs.unmatched:
        for day in line.days or month.days:
            unclear[day].update(line.candidates)
    for cell in theirs.unreadable:
        for day in (cell.day,) if cell.day else month.days:
            unclear[day].add(cell.person)
    sheet = build_sheet(replace(subject, number=0), 1, facts)
    return LessonComparison(compare_presence(sheet, visits, present, unclear), tuple(theirs.unmatched))


def read_our_count(connection: psycopg.Connection, subject: SheetSubject, *, now: datetime) -> OurCount:
    """Returns our sheet (closed and corrected, else in force, else as it would be), and what explains it."""
    month = Month.parse(subject.month)
    settle_days(connection, subject.school, now=now)
    school_month = read_school_month(connection, subject.school, month)
    sheet = _read_sheet(connection, subject)
    if sheet is None:
        sheet = build_sheet(subject, 1, choose_facts(connection, school_month, subject.programme))
    basis = read_basis(connection, subject.school)
    people = {person.person for person in school_month.people}
    visits = read_visits(connection, subject.school, month.first, month.last)
    return OurCount(
        sheet=sheet, visits=visits, elsewhere=_read_elsewhere(connection, subject.school, month, people),
        received=_read_arrivals(connection, subject.school, month),
        voids=_find_voids(connection, subject.school, visits), entitlements=basis.entitlements,
        former=_read_former(connection, subject.school),
    )  # fmt: skip


def _read_sheet(connection: psycopg.Connection, subject: SheetSubject) -> Sheet | None:
    """Returns the sheet with the corrections that are closed; before the closing the version in force."""
    closed = [sheet for _, sheet in read_closed(connection, subject.school, subject.programme, subject.month)]
    if not closed:
        if subject not in list_subjects(connection, subject.school):
            return None
        return decode_sheet(read_version(connection, subject).body)
    billed = sum_billed(closed)
    rows = {row.key: row for row in closed[0].rows}
    for (person, session), row in billed.items():
        before = rows.get((person, session), SheetRow(person=person, session=session))
        rows[person, session] = replace(before, days=tuple(sorted(row.days)), tiyn=row.tiyn)
    return replace(closed[0], rows=tuple(rows[key] for key in sorted(rows)))


_SELECT_NUMBERS = """
    SELECT number_hash, person FROM payer_number WHERE school = %(school)s
    UNION SELECT number_hash, person FROM payer_number_former WHERE school = %(school)s
"""

# Of the city: the same child may have eaten at any school. Ids are opaque and a school's own: the same id at two
# schools may be two children. The same child is one who has the same keyed hash at both, or whom the other school's
# roster names as a guest of this one; there the source's id is the same. A roster that came without an export has the
# ids of its people only.
_SELECT_ELSEWHERE = """
    SELECT o.school, o.person, own.person FROM payer_number o
    JOIN unnest(%(hashes)s::text[], %(owners)s::text[]) AS own (number_hash, person) USING (number_hash)
    WHERE o.school <> %(school)s
    UNION
    SELECT o.school, o.person, own.person FROM payer_number_former o
    JOIN unnest(%(hashes)s::text[], %(owners)s::text[]) AS own (number_hash, person) USING (number_hash)
    WHERE o.school <> %(school)s
    UNION
    SELECT r.school, r.id, home.person FROM roster_record r
    LEFT JOIN person_surrogate away ON away.school = r.school AND away.surrogate = r.id
    JOIN unnest(%(sources)s::text[], %(people)s::text[]) AS home (source_id, person)
      ON home.source_id = coalesce(away.source_id, r.id)
    WHERE r.school <> %(school)s AND r.type = 'person' AND r.superseded IS NULL AND position(%(guest)s IN r.body) > 0
"""


def _read_elsewhere(
    connection: psycopg.Connection, school: str, month: Month, people: Collection[str]
) -> tuple[Visit, ...]:
    """Returns the visits of these people at other schools, under their ids here."""
    own = connection.execute(_SELECT_NUMBERS, {"school": school}).fetchall()
    sources = find_source_ids(connection, school, people)
    guest = f'"home_school":{msgspec.json.encode(school).decode()}'
    place = {
        "school": school, "guest": guest, "sources": [sources.get(person, person) for person in people],
        "people": list(people), "hashes": [number_hash for number_hash, _ in own],
        "owners": [person for _, person in own],
    }  # fmt: skip
    ids: dict[str, dict[str, str]] = defaultdict(dict)
    for elsewhere, person, own in connection.execute(_SELECT_ELSEWHERE, place):
        ids[elsewhere][person] = own
    return tuple(
        replace(visit, person=ids[away][visit.person])
        for away in sorted(ids)
        for visit in read_visits(connection, away, month.first, month.last)
        if visit.person in ids[away]
    )


def _read_arrivals(connection: psycopg.Connection, school: str, month: Month) -> dict[EventId, datetime]:
    """Returns when each entry of the month came to the ledger."""
    rows = connection.execute(
        """
        SELECT v.device, v.epoch, v.seq, e.received_at FROM visit v JOIN event e USING (school, device, epoch, seq)
        WHERE school = %(school)s AND v.day BETWEEN %(first)s AND %(last)s
        UNION ALL
        SELECT v.device, v.epoch, v.seq, min(c.received_at)
        FROM visit v JOIN carried c USING (school, device, epoch, seq)
        WHERE school = %(school)s AND v.day BETWEEN %(first)s AND %(last)s GROUP BY v.device, v.epoch, v.seq
        """,
        {"school": school, "first": month.first.isoformat(), "last": month.last.isoformat()},
    )
    return {EventId(device, epoch, seq): received_at for device, epoch, seq, received_at in rows}


def _find_voids(connection: psycopg.Connection, school: str, visits: Collection[Visit]) -> dict[EventId, EventId]:
    """Returns the void of each entry that was taken back; one that names no kiosk may be of another than its own."""
    rows = connection.execute(
        "SELECT device, epoch, seq, named_device, named_epoch, named_seq FROM event"
        " WHERE school = %(school)s AND kind = 'void' UNION ALL"
        " SELECT device, epoch, seq, named_device, named_epoch, named_seq FROM carried"
        " WHERE school = %(school)s AND kind = 'void'",
        {"school": school},
    )
    named: dict[EventId, EventId] = {}
    unnamed: dict[tuple[str, int], EventId] = {}
    for device, epoch, seq, named_device, named_epoch, named_seq in rows:
        named[EventId(named_device or device, named_epoch, named_seq)] = EventId(device, epoch, seq)
        if not named_device:
            unnamed[named_epoch, named_seq] = EventId(device, epoch, seq)
    voided = [visit.id for visit in visits if visit.closing is VisitClosing.VOID]
    found = {entry: named.get(entry) or unnamed.get((entry.epoch, entry.seq)) for entry in voided}
    return {entry: void for entry, void in found.items() if void is not None}


def _read_former(connection: psycopg.Connection, school: str) -> dict[str, list[Entitlement]]:
    """Returns the entitlements of rosters that are no longer in force, by person."""
    former: dict[str, list[Entitlement]] = defaultdict(list)
    for (body,) in connection.execute(
        "SELECT body FROM roster_record WHERE school = %s AND type = 'entitlement' AND superseded IS NOT NULL"
        " AND body IS NOT NULL",
        (school,),
    ):
        record = roster.from_json(body)
        if isinstance(record, Entitlement):
            former[record.person].append(record)
    return former
