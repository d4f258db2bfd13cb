"""The audit of one sheet: from exported files alone it follows that nothing was added, removed or changed.

batches → chains → log of events → rosters and terms → visits → statements → log of claims → sheet → signatures. Each
step takes only what the step before has proved. What the export cannot prove by itself is who owns a key: the caller
compares those keys with paper.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo

from sync.audit.archive import AuditFailure, BatchLine, DeviceLine, RosterVersionLine
from sync.audit.basis import read_basis
from sync.audit.chains import EpochChain, EpochName, check_receipts, read_chains
from sync.audit.events import read_events
from sync.audit.logs import Leaves, check_batches, check_log, check_versions
from sync.audit.school_archive import SchoolArchive, read_archive
from sync.audit.sheets import check_sheets, read_facts
from sync.audit.signatures import CmsCheck
from sync.audit.statements import check_statements
from sync.contract.judgement import JudgementBasis
from sync.contract.receipt import fingerprint
from sync.contract.visit import Visit
from sync.contract.visits import derive_visits
from sync.proof.leaves import LogName
from sync.proof.notes import BadNote, NoteKey, parse_key


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The keys that an auditor has from elsewhere than the export; None: the export's own word is taken, and said."""

    ledger: NoteKey | None = None  # of the logs, under the ledger's own name
    witness: NoteKey | None = None


@dataclass(slots=True)
class AuditReport:
    """The findings of an audit, in words."""

    steps: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)  # what a person must compare with paper


@dataclass(frozen=True, slots=True)
class AuditedMonth:
    """The part of an export that is proved before its sheets: the visits, and what they follow from."""

    archive: SchoolArchive
    basis: JudgementBasis
    visits: tuple[Visit, ...]
    chains: Mapping[EpochName, EpochChain]
    claims: Leaves
    erased: frozenset[str]  # people whose rows of statements were erased


def audit_files(
    files: Mapping[str, bytes], trusted: TrustedKeys, find_zone: Callable[[str], tzinfo], cms: CmsCheck | None = None
) -> AuditReport:
    """Returns what holds. `find_zone` returns a time zone by its IANA name, or raises KeyError, ValueError or OSError.

    `cms`: checks CMS signatures; without it the report says that nobody has checked them.
    Raises AuditFailure that names the first line that does not hold.
    """
    report = AuditReport()
    month = audit_visits(read_archive(files), trusted, find_zone, report)
    facts = read_facts(month.archive, month.basis, month.visits, month.chains)
    findings = check_sheets(month.archive, facts, month.erased, month.claims, cms)
    report.steps += findings.steps
    report.unproved += findings.unproved
    return report


def audit_visits(
    archive: SchoolArchive, trusted: TrustedKeys, find_zone: Callable[[str], tzinfo], report: AuditReport
) -> AuditedMonth:
    """Returns the visits of an export, once chains, logs, rosters and statements hold; notes in `report` what does.

    Raises AuditFailure.
    """
    subject = archive.subject
    ledger_key, witness_key = _choose_keys(archive, trusted, report)
    chains = read_chains(archive)
    _report_chains(archive, chains, report)
    receipts = check_receipts(archive, chains)
    events = check_log(archive, LogName.EVENTS, ledger_key, witness_key)
    check_batches(events, chains, receipts)
    undated = check_versions(archive, events)
    report.steps.append(f"the log of events has them all, and no more: {len(events)} leaves")
    try:
        zone = find_zone(subject.timezone)
    except (KeyError, ValueError, OSError) as error:
        raise AuditFailure(None, f"{subject.timezone!r} is no time zone") from error
    basis = read_basis(archive, zone)
    starts = [
        f"{line.version} {line.in_force:%Y-%m-%d %H:%M}"
        for line in archive.read_lines(RosterVersionLine)
        if line.version in undated
    ]
    if starts:
        report.unproved.append(f"from when on each of these rosters was in force: {', '.join(starts)}")
    timetable = basis.history.timetable(basis.history.newest)
    visits = derive_visits(
        read_events(chains), timetable=timetable, now=subject.exported_at, basis=basis
    ).visits  # fmt: skip
    claims = check_log(archive, LogName.CLAIMS, ledger_key, witness_key)
    statements = check_statements(archive, claims, visits)
    report.steps.append(f"{statements.held} statements of {subject.month} say what the events say")
    if statements.erased:
        report.unproved.append(f"what {statements.erased} rows of statements said of people who were erased")
    return AuditedMonth(archive, basis, visits, chains, claims, statements.people_erased)


def _report_chains(archive: SchoolArchive, chains: Mapping[EpochName, EpochChain], report: AuditReport) -> None:
    count = sum(len(chain.events) for chain in chains.values())
    report.steps.append(f"{count} events in {len(archive.read_lines(BatchLine))} signed batches, each chained")
    for (device, epoch), chain in sorted(chains.items()):
        for hole in chain.holes:
            run = f"events {hole.start} to {hole.stop - 1} of {device} {epoch}"
            report.unproved.append(f"{run}: the kiosk has signed that they are lost")
    keys = sorted({f"{line.device} {fingerprint(line.public_key)}" for line in archive.read_lines(DeviceLine)})
    report.unproved.append(f"that these keys are the kiosks': {', '.join(keys)}")


def _choose_keys(archive: SchoolArchive, trusted: TrustedKeys, report: AuditReport) -> tuple[NoteKey, NoteKey | None]:
    subject = archive.subject
    try:
        exported = parse_key(subject.ledger_key)
        witness = parse_key(subject.witness_key) if subject.witness_key else None
    except BadNote as error:
        raise AuditFailure(None, f"the export's own keys: {error}") from error
    if trusted.ledger is None:
        report.unproved.append(f"that this is the ledger's key: {exported}")
    if trusted.witness is None:
        who = f"that this is the witness's key: {witness}" if witness else "that nobody was shown another history"
        report.unproved.append(who)
    return trusted.ledger or exported, trusted.witness or witness
