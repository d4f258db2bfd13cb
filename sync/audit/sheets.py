"""The sheet of an export: it follows from the visits and the terms, byte by byte, and both sides signed these bytes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256

from sync.audit.archive import (
    ROSTER_OPEN,
    ArchivePlace,
    AuditFailure,
    CalendarLine,
    ClosedMonthLine,
    RosterRecordLine,
    RosterVersionLine,
    SheetActLine,
    SheetLine,
    TariffLine,
)
from sync.audit.categories import CategoryArchive, read_categories
from sync.audit.chains import EpochChain, EpochName
from sync.audit.closings import check_closed
from sync.audit.events import find_returns
from sync.audit.logs import Leaves
from sync.audit.school_archive import SchoolArchive
from sync.audit.signatures import CmsCheck, check_sides, check_signature
from sync.contract.judgement import JudgementBasis
from sync.contract.roster import Entitlement, Person
from sync.contract.visit import Visit
from sync.money.building import SheetFacts, SheetPerson, build_correction, build_sheet
from sync.money.calendars import Calendar, choose_calendar
from sync.money.canonical import decode_sheet, digest_sheet, encode_sheet
from sync.money.errors import MoneyError
from sync.money.months import Month
from sync.money.outages import find_outages
from sync.money.protocol import SheetSide
from sync.money.sheet import Sheet, SheetObjection, SheetSubject
from sync.money.tariffs import TariffBook
from sync.money.terms_file import read_json
from sync.proof.leaves import sheet_leaf

RETURN_DAYS_MAX = 14  # a kiosk that comes back later than this says nothing of the month


def read_facts(
    archive: SchoolArchive, basis: JudgementBasis, visits: Sequence[Visit], chains: Mapping[EpochName, EpochChain]
) -> SheetFacts:
    """Returns the facts of the month's sheet, without categories. Raises AuditFailure where the terms are missing."""
    subject, month = archive.subject, Month.parse(archive.subject.month)
    timetable, timetables = basis.history.timetable(basis.history.newest), basis.history.list_timetables(month.days)
    first, last = month.first - timedelta(days=1), month.last + timedelta(days=RETURN_DAYS_MAX)
    outages = find_outages(find_returns(chains, first.isoformat(), last.isoformat()), timetables, timetable.tz)
    try:
        tariffs = _newest_tariffs(archive)
        calendar = choose_calendar(
            _newest_calendars(archive), tariffs.find_programme(subject.programme).calendar, month
        )
    except MoneyError as error:
        raise AuditFailure(None, str(error)) from error
    of_month = [visit for visit in visits if visit.day.startswith(subject.month)]
    people = _read_people(archive, month)
    return SheetFacts(of_month, people, timetable, calendar, tariffs, outages, timetables=timetables)


def _newest_calendars(archive: SchoolArchive) -> list[Calendar]:
    newest = {line.name: line for line in sorted(archive.read_lines(CalendarLine), key=lambda line: line.number)}
    return [read_json(newest[name].body, Calendar) for name in sorted(newest)]


def _newest_tariffs(archive: SchoolArchive) -> TariffBook:
    lines = sorted(archive.read_lines(TariffLine), key=lambda line: line.number)
    if not lines:
        raise AuditFailure(None, "the export has no tariffs")
    return read_json(lines[-1].body, TariffBook)


def _read_people(archive: SchoolArchive, month: Month) -> list[SheetPerson]:
    """Returns everybody who was ever on the roster, as they were at the month's end, with the newest entitlements."""
    versions = archive.read_lines(RosterVersionLine)
    after = month.last + timedelta(days=1)
    at_end = max((line.version for line in versions if line.in_force.date() < after), default=0)
    people: dict[str, Person] = {}
    entitlements: dict[str, list[Entitlement]] = defaultdict(list)
    for line in sorted(archive.read_lines(RosterRecordLine), key=lambda line: (line.record.id, line.since)):
        match line.record:
            case Person() as person if person.id not in people or line.since <= at_end:
                people[person.id] = person
            case Entitlement() as entitlement if line.until == 0:
                entitlements[entitlement.person].append(entitlement)
            case _:
                pass
    return [
        SheetPerson(person.id, person.grade, person.group, "", tuple(entitlements.get(person.id, ())))
        for person in people.values()
    ]


@dataclass(frozen=True, slots=True)
class SheetFindings:
    """The findings about the sheets of a month, in words."""

    steps: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)


def check_sheets(
    archive: SchoolArchive, facts: SheetFacts, erased: frozenset[str], claims: Leaves, cms: CmsCheck | None
) -> SheetFindings:
    """Returns what was found of each sheet. Raises AuditFailure at the first line that does not hold.

    `erased`: people whose rows of statements were erased. `cms`: checks CMS signatures; None: they are named as not
    checked.
    """
    terms = _MonthTerms(archive, read_categories(archive), facts, erased)
    newest: dict[int, tuple[ArchivePlace, SheetLine]] = {}
    for place, line in archive.read(SheetLine):
        if line.number not in newest or newest[line.number][1].version < line.version:
            newest[line.number] = place, line
    _check_proposals(archive)
    _check_closings(archive, claims)
    if not newest:
        raise AuditFailure(None, "the export has no sheet of this programme and month")
    closed: list[tuple[str, Sheet]] = []
    findings = SheetFindings(terms.categories.describe(), list(terms.categories.unproved))
    last = max(newest)
    for number in sorted(newest):
        place, line = newest[number]
        acts = [(act_place, act) for act_place, act in archive.read(SheetActLine) if act.number == number]
        sheet = _decode(place, line)
        subject = SheetSubject(archive.subject.school, archive.subject.programme, archive.subject.month, number)
        if sheet.subject != subject or sheet.version != line.version:
            raise AuditFailure(place, f"these are the bytes of {sheet.subject} version {sheet.version}")
        is_closed = any(act.kind == "closing" for _, act in acts)
        own_facts = terms.choose(place, sheet)
        difference = ""
        if number == last:
            difference = _find_difference(place, sheet, terms.choose_newest(), acts, closed, is_closed=is_closed)
        digest = digest_sheet(line.body)
        closed.append((digest, sheet))
        if is_closed:
            check_closed(archive, place, subject, digest, own_facts, [each for _, each in closed], claims)
        elif difference:
            raise AuditFailure(place, difference)
        found = _check_acts(archive, acts, line, subject, claims, cms, findings)
        findings.steps.append(f"{found}; what came later is for a correction sheet" if difference else found)
    return findings


@dataclass(frozen=True, slots=True)
class _MonthTerms:
    """The facts of a month under the terms that a sheet names, which may not be the newest any more, or the newest."""

    archive: SchoolArchive
    categories: CategoryArchive
    facts: SheetFacts
    erased: frozenset[str]

    def choose(self, place: ArchivePlace, sheet: Sheet) -> SheetFacts:
        """Returns the facts under the terms that the sheet names. Raises AuditFailure."""
        archive = self.archive
        calendars = [line.body for line in archive.read_lines(CalendarLine) if _is_named(line.body, sheet.calendar)]
        tariffs = [line.body for line in archive.read_lines(TariffLine) if _is_named(line.body, sheet.tariff)]
        if not calendars or not tariffs:
            raise AuditFailure(place, "the calendar or the tariffs by which it was made are not in the export")
        facts = self._join(place, sheet.categories)
        return replace(facts, calendar=read_json(calendars[0], Calendar), tariffs=read_json(tariffs[0], TariffBook))

    def choose_newest(self) -> SheetFacts:
        """Returns the facts under the newest terms. Raises AuditFailure."""
        return self._join(None, None)

    def _join(self, place: ArchivePlace | None, named: str | None) -> SheetFacts:
        month = Month.parse(self.archive.subject.month)
        joined = self.categories.join(place, self.facts.people, month, named)
        erased = self.erased if joined.erased else frozenset[str]()
        return replace(self.facts, people=joined.people, categories=joined.digest, erased=erased)


def _is_named(body: bytes, digest: str) -> bool:
    return sha256(body).hexdigest() == digest


def _check_proposals(archive: SchoolArchive) -> None:
    """Raises AuditFailure where a version and its proposal do not belong together."""
    versions: dict[tuple[int, int, str], ArchivePlace] = {}
    for place, line in archive.read(SheetLine):
        _decode(place, line)
        key = (line.number, line.version, digest_sheet(line.body))
        if key in versions:
            raise AuditFailure(place, f"version {line.version} is there twice")
        versions[key] = place
    for place, act in archive.read(SheetActLine):
        if act.kind == "proposal" and versions.pop((act.number, act.version, act.digest), None) is None:
            raise AuditFailure(place, f"version {act.version} was proposed, and its bytes are missing or others")
    for place in versions.values():
        raise AuditFailure(place, "a version that was never proposed")


def _check_closings(archive: SchoolArchive, claims: Leaves) -> None:
    """Raises AuditFailure where the log has a closing of the month that the export lacks, or the roster of it is."""
    subject = archive.subject
    versions = {ROSTER_OPEN, *(line.version for line in archive.read_lines(RosterVersionLine))}
    closed_months = {line.month for line in archive.read_lines(ClosedMonthLine) if line.roster_version in versions}
    for place, act in archive.read(SheetActLine):
        if act.kind == "closing" and subject.month not in closed_months:
            raise AuditFailure(place, f"{subject.month} was closed, and the roster at its closing is missing")
    closings = {(act.number, act.digest) for act in archive.read_lines(SheetActLine) if act.kind == "closing"}
    for leaf, place in claims.items():
        tag, month, programme, number, digest, *_ = (*leaf.decode().split("\n"), "", "")
        of_month = tag == "canteen sheet v1" and (month, programme) == (subject.month, subject.programme)
        if of_month and (int(number), digest) not in closings:
            raise AuditFailure(place, f"the closing of number {number} is in the log and was removed from the export")


def _decode(place: ArchivePlace, line: SheetLine) -> Sheet:
    try:
        return decode_sheet(line.body)
    except MoneyError as error:
        raise AuditFailure(place, str(error)) from error


def _find_difference(
    place: ArchivePlace, sheet: Sheet, facts: SheetFacts, acts: list[tuple[ArchivePlace, SheetActLine]],
    closed: list[tuple[str, Sheet]], *, is_closed: bool,
) -> str:  # fmt: skip
    """Returns where the sheet is not what the events say now, byte by byte; empty: nowhere. Raises AuditFailure.

    Newer terms that change nothing of the month make no difference; neither do, of a closed sheet, rows of people whose
    categories were erased since.
    """
    objections = [
        SheetObjection(act.version, act.side, person, session)
        for _, act in acts
        if act.kind == "objection" and act.version < sheet.version
        for person, session in act.lines
    ]
    subject, gone = sheet.subject, facts.erased if is_closed else frozenset[str]()
    try:
        if subject.number:
            built = build_correction(subject, sheet.version, facts, closed, objections)
        else:
            built = build_sheet(subject, sheet.version, facts.leave_out(gone) if gone else facts, objections)
    except MoneyError as error:
        raise AuditFailure(place, str(error)) from error
    kept = replace(
        sheet,
        rows=tuple(row for row in sheet.rows if row.person not in gone),
        corrections=tuple(row for row in sheet.corrections if row.person not in gone),
    )
    stated, follows = encode_sheet(kept), encode_sheet(built.take_terms(sheet))
    if stated == follows:
        return ""
    pairs = enumerate(zip(stated.split(b"\n"), follows.split(b"\n"), strict=False), 1)
    number, (theirs, ours) = next(((number, pair) for number, pair in pairs if pair[0] != pair[1]), (0, (b"", b"")))
    return (
        f"line {number} of {subject} does not follow from the events: it says {_show(theirs)}, they say {_show(ours)}"
    )


def _show(text: bytes) -> str:
    return text[:200].decode("utf-8", "replace") or "nothing"


def _check_acts(
    archive: SchoolArchive, acts: list[tuple[ArchivePlace, SheetActLine]], line: SheetLine, subject: SheetSubject,
    claims: Leaves, cms: CmsCheck | None, findings: SheetFindings,
) -> str:  # fmt: skip
    digest = digest_sheet(line.body)
    bodies = {each.version: each.body for each in archive.read_lines(SheetLine) if each.number == line.number}
    check_sides(
        archive, [(place, act) for place, act in acts if (act.kind, act.version) == ("signature", line.version)]
    )
    signed, is_closed = [], False
    for place, act in acts:
        if act.kind == "signature":  # an earlier version's as well: it was signed, and by whom
            finding = check_signature(archive, place, act, bodies.get(act.version, b""), cms)
            signed += [finding] if act.version == line.version else []
        if act.kind == "proposal" and (act.side or act.scheme or act.signer or act.signature):
            raise AuditFailure(place, "a proposal that somebody signed")
        if act.kind == "closing":
            is_closed = True
            if (act.digest, act.version, act.side) != (digest, line.version, SheetSide.CITY):
                raise AuditFailure(place, f"{subject} was closed with other bytes than these")
            if {"caterer", "school"} - {finding.side for finding in signed}:
                raise AuditFailure(place, f"{subject} was closed without the signatures of both sides")
            leaf = sheet_leaf(subject.month, subject.programme, subject.number, bytes.fromhex(digest))
            if leaf not in claims:
                raise AuditFailure(place, f"the closing of {subject} is not in the log of claims")
    findings.unproved.extend(finding.unproved for finding in signed if finding.unproved)
    names = ", ".join(map(str, signed)) or "nobody"
    return f"{subject} version {line.version}: signed by {names}{', closed' if is_closed else ''}, {digest}"
