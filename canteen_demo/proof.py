"""The proof: it compares the children's lights, the journals and the ledger with each other, row by row."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import psycopg

from canteen_demo.lunch import Tally
from canteen_demo.school import SCHOOL, DemoPupil
from edge_agent.journal.export import ExportedEpoch, ExportedRow, export_journal, read_export
from edge_agent.journal.verify import verify_journal
from sync.contract.event import Method, Refusal, Repeat, Sighting, decode
from sync.ledger.judgement import report as reports
from sync.ledger.registry.surrogates import find_surrogates

EventName = tuple[str, str, int]  # device, epoch, seq


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One claim of the proof, with the expected value and the actual one."""

    claim: str
    expected: object
    actual: object

    @property
    def holds(self) -> bool:
        """True when both values are equal."""
        return self.expected == self.actual


@dataclass(frozen=True, slots=True)
class Proof:
    """The counts of a demo, and the claims about them."""

    figures: Mapping[str, int]
    lines: tuple[ProofLine, ...]

    @property
    def holds(self) -> bool:
        """True when every claim holds."""
        return all(line.holds for line in self.lines)


def prove(
    database_url: str,
    journals: Sequence[Path],
    tallies: Sequence[Tally],
    pupils: Sequence[DemoPupil],
    day: date,
    now: datetime,
) -> Proof:
    """Returns the proof. Each count has its own source: lights, journals on disk, rows in PostgreSQL, the report."""
    rows: dict[EventName, bytes] = {}
    kinds: Counter[str] = Counter()
    sightings = refused = repeats = 0
    palms: Counter[str] = Counter()
    broken = [str(path) for path in journals if not verify_journal(path).whole]
    for path in journals:
        for name, row in _read_rows(path):
            rows[name] = row.hash
            event = decode(row.payload)
            kinds[str(event.__struct_config__.tag)] += 1
            sightings += isinstance(event, Sighting)
            refused += isinstance(event, Refusal)
            repeats += isinstance(event, Repeat)
            if isinstance(event, Sighting) and event.method is Method.PALM and event.person:
                palms[event.person] += 1
    shown = sum((tally.palms for tally in tallies), Counter[str]())
    with psycopg.connect(database_url, autocommit=True) as connection:
        surrogates = find_surrogates(connection, SCHOOL, shown)
        stored = connection.execute("SELECT device, epoch, seq, hash FROM event").fetchall()
        quarantined = connection.execute("SELECT count(*) FROM quarantine").fetchone()
        forks = connection.execute("SELECT count(*) FROM fork").fetchone()
        report = reports.build_report(connection, SCHOOL, day, day, now=now)
    ledger = {(device, epoch, seq): bytes(digest) for device, epoch, seq, digest in stored}
    signals = sum(tally.signal_count for tally in tallies)
    unlit = sum(tally.dark for tally in tallies)
    noted = set[str]().union(*(tally.noted for tally in tallies))
    owned = Counter({surrogates[pupil]: count for pupil, count in shown.items()})
    entitled = {pupil.id for pupil in pupils if pupil.entitled}
    meals = sum(line.meals for line in report.lines)
    figures = {
        "scans made": sum(tally.presentations for tally in tallies),
        "scans answered by a light": signals,
        "scans left dark (kiosk killed)": unlit,
        "rows journaled": len(rows),
        "of them scans": sightings,
        "of them by palm (drawn, nobody's)": palms.total(),
        "of them refused": refused,
        "of them already noted": repeats,
        "rows in the ledger": len(stored),
        "duplicates": len(stored) - len(ledger),
        "gaps": _count_gaps(ledger),
        "quarantined": int(quarantined[0]) if quarantined else 0,
        "visits": sum(line.visits for line in report.lines),
        "meals": meals,
    }
    # A scan in the instant before the kill has no signal: it may be a row, and need not be.
    unlit_rows = sightings - signals
    return Proof(
        figures,
        (
            ProofLine("no child gave up", 0, sum(tally.abandoned for tally in tallies)),
            ProofLine("every chain is whole", [], broken),
            ProofLine("every answered scan is a row", True, 0 <= unlit_rows <= unlit),
            ProofLine("each palm was taken for its owner", owned, palms),
            ProofLine("every row is in the ledger, byte for byte", rows, ledger),
            ProofLine("no row is there twice", 0, len(stored) - len(ledger)),
            ProofLine("no number is missing", 0, _count_gaps(ledger)),
            ProofLine("nothing is in quarantine", 0, figures["quarantined"]),
            ProofLine("no journal forked", 0, int(forks[0]) if forks else 0),
            ProofLine("one meal for each entitled child that a light greeted", len(noted & entitled), meals),
        ),
    )


def _read_rows(journal: Path) -> list[tuple[EventName, ExportedRow]]:
    target = journal.with_name("export.jsonl")
    target.unlink(missing_ok=True)
    export_journal(journal, target)
    rows: list[tuple[EventName, ExportedRow]] = []
    epoch: ExportedEpoch | None = None
    with target.open("rb") as file:
        for record in read_export(file):
            if isinstance(record, ExportedEpoch):
                epoch = record
            else:
                assert epoch is not None
                rows.append(((epoch.device, epoch.epoch, record.seq), record))
    return rows


def _count_gaps(rows: Mapping[EventName, bytes]) -> int:
    """Returns how many sequence numbers are missing between 1 and the last one of each epoch."""
    last: dict[tuple[str, str], int] = {}
    for device, epoch, seq in rows:
        last[device, epoch] = max(seq, last.get((device, epoch), 0))
    return sum(last.values()) - len(rows)
