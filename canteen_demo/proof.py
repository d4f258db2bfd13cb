"""The proof: the children's lights, the journals and the ledger are held against each other, row by row."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import psycopg

from canteen_demo.lunch import Tally
from canteen_demo.school import SCHOOL, Pupil
from edge_agent.journal.export import ExportedEpoch, ExportedRow, export_journal, read_export
from edge_agent.journal.verify import verify_journal
from sync.contract.event import Method, Refusal, Repeat, Sighting, decode
from sync.ledger import report as reports

Identity = tuple[str, str, int]  # device, epoch, seq


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One claim of the proof: what was expected, what was found."""

    what: str
    expected: object
    found: object

    @property
    def holds(self) -> bool:
        return self.expected == self.found


@dataclass(frozen=True, slots=True)
class Proof:
    figures: Mapping[str, int]
    lines: tuple[ProofLine, ...]

    @property
    def holds(self) -> bool:
        return all(line.holds for line in self.lines)


def prove(
    database_url: str,
    journals: Sequence[Path],
    tallies: Sequence[Tally],
    pupils: Sequence[Pupil],
    day: date,
    now: datetime,
) -> Proof:
    """Every count, from its own source: lights, journals on disk, rows in PostgreSQL, the ledger's report."""
    rows: dict[Identity, bytes] = {}
    kinds: Counter[str] = Counter()
    sightings = refused = repeats = 0
    palms: Counter[str] = Counter()
    broken = [str(path) for path in journals if not verify_journal(path).whole]
    for path in journals:
        for identity, row in _rows(path):
            rows[identity] = row.hash
            fact = decode(row.payload)
            kinds[str(fact.__struct_config__.tag)] += 1
            sightings += isinstance(fact, Sighting)
            refused += isinstance(fact, Refusal)
            repeats += isinstance(fact, Repeat)
            if isinstance(fact, Sighting) and fact.method is Method.PALM and fact.person:
                palms[fact.person] += 1
    with psycopg.connect(database_url, autocommit=True) as connection:
        stored = connection.execute("SELECT device, epoch, seq, hash FROM event").fetchall()
        quarantined = connection.execute("SELECT count(*) FROM quarantine").fetchone()
        forks = connection.execute("SELECT count(*) FROM fork").fetchone()
        report = reports.build_report(connection, SCHOOL, day, day, now=now)
    ledger = {(device, epoch, seq): bytes(digest) for device, epoch, seq, digest in stored}
    answers = sum(tally.answers for tally in tallies)
    unanswered = sum(tally.unanswered for tally in tallies)
    fed = set[str]().union(*(tally.fed for tally in tallies))
    entitled = {pupil.id for pupil in pupils if pupil.entitled}
    meals = sum(line.meals for line in report.lines)
    figures = {
        "scans made": sum(tally.made for tally in tallies),
        "scans answered by a light": answers,
        "scans left dark (kiosk killed)": unanswered,
        "rows journaled": len(rows),
        "of them scans": sightings,
        "of them by palm (drawn, nobody's)": palms.total(),
        "of them refused": refused,
        "of them already noted": repeats,
        "rows in the ledger": len(stored),
        "duplicates": len(stored) - len(ledger),
        "gaps": _gaps(ledger),
        "quarantined": int(quarantined[0]) if quarantined else 0,
        "visits": sum(line.visits for line in report.lines),
        "meals": meals,
    }
    # A scan that was journaled in the instant before the kill has no answer: it may be a row, and need not be.
    dark = sightings - answers
    return Proof(
        figures,
        (
            ProofLine("no child gave up", 0, sum(tally.given_up for tally in tallies)),
            ProofLine("every chain is whole", [], broken),
            ProofLine("every answered scan is a row", True, 0 <= dark <= unanswered),
            ProofLine("each palm was taken for its owner", sum((tally.palms for tally in tallies), Counter()), palms),
            ProofLine("every row is in the ledger, byte for byte", rows, ledger),
            ProofLine("no row is there twice", 0, len(stored) - len(ledger)),
            ProofLine("no number is missing", 0, _gaps(ledger)),
            ProofLine("nothing is in quarantine", 0, figures["quarantined"]),
            ProofLine("no journal forked", 0, int(forks[0]) if forks else 0),
            ProofLine("one meal for each entitled child that a light greeted", len(fed & entitled), meals),
        ),
    )


def _rows(journal: Path) -> list[tuple[Identity, ExportedRow]]:
    target = journal.with_name("export.jsonl")
    target.unlink(missing_ok=True)
    export_journal(journal, target)
    rows: list[tuple[Identity, ExportedRow]] = []
    epoch: ExportedEpoch | None = None
    with target.open("rb") as file:
        for each in read_export(file):
            if isinstance(each, ExportedEpoch):
                epoch = each
            else:
                assert epoch is not None
                rows.append(((epoch.device, epoch.epoch, each.seq), each))
    return rows


def _gaps(rows: Mapping[Identity, bytes]) -> int:
    """Numbers that are missing between 1 and the last of each epoch."""
    last: dict[tuple[str, str], int] = {}
    for device, epoch, seq in rows:
        last[device, epoch] = max(seq, last.get((device, epoch), 0))
    return sum(last.values()) - len(rows)
