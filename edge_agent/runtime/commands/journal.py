"""The commands `journal.…`: what this kiosk has recorded, while the daemon has it open."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import msgspec

from edge_agent.control import Handler, Requester, bind_handler
from edge_agent.control_api import (
    JOURNAL_BACKUP,
    JOURNAL_EXPORT,
    JOURNAL_LIST,
    JOURNAL_VERIFY,
    JOURNAL_VISITS,
    BrokenLink,
    ChainVerdict,
    ExportedJournal,
    JournalCopy,
    JournalListArguments,
    JournalRow,
    JournalVisit,
    JournalVisitsArguments,
    NoArguments,
)
from edge_agent.domain.moment import MomentSource
from edge_agent.errors import RequestRefused
from edge_agent.journal.backup import back_up_journal
from edge_agent.journal.export import export_journal
from edge_agent.journal.journal import Journal
from edge_agent.journal.rows import StoredRow
from edge_agent.journal.verify import ChainCheck, verify_journal
from edge_agent.station.station import Station
from sync.contract.event import Sighting

LIST_ROWS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class JournalCommands:
    """Answers what the journal holds. Files are written into `state_dir`: the daemon may write nowhere else."""

    journal: Journal
    station: Station
    state_dir: Path
    now: MomentSource

    def table(self) -> dict[str, Handler]:
        """Returns each command with its handler."""
        return dict(
            [
                bind_handler(JOURNAL_LIST, self.list_rows),
                bind_handler(JOURNAL_VERIFY, self.verify),
                bind_handler(JOURNAL_EXPORT, self.export),
                bind_handler(JOURNAL_BACKUP, self.backup),
                bind_handler(JOURNAL_VISITS, self.list_visits),
            ]
        )

    def list_rows(self, arguments: JournalListArguments, requester: Requester) -> Iterator[JournalRow]:
        """Yields the last rows, oldest first."""
        if not 1 <= arguments.limit <= LIST_ROWS_MAX:
            raise RequestRefused(
                f"limit: found {arguments.limit!r}; accepted is a whole number from 1 to {LIST_ROWS_MAX}"
            )
        for row in reversed(self.journal.recent(arguments.limit)):
            yield journal_row(row)

    def verify(self, _: NoArguments, requester: Requester) -> Iterator[ChainVerdict]:
        """Yields the verdict on the whole chain, as it is now."""
        yield chain_verdict(verify_journal(self.journal.path))

    def export(self, _: NoArguments, requester: Requester) -> Iterator[ExportedJournal]:
        """Yields where the export stands, and how many rows are in it."""
        target = self._fresh_file("export", ".jsonl")
        yield ExportedJournal(path=str(target), rows=export_journal(self.journal.path, target))

    def backup(self, _: NoArguments, requester: Requester) -> Iterator[JournalCopy]:
        """Yields where the copy stands, and the verdict on it."""
        target = self._fresh_file("backup", ".db")
        yield JournalCopy(path=str(target), verdict=chain_verdict(back_up_journal(self.journal.path, target)))

    def list_visits(self, arguments: JournalVisitsArguments, requester: Requester) -> Iterator[JournalVisit]:
        """Yields the visits of a day, by true time, as the ledger derives them, by the roster that is in force now."""
        try:
            day = date.fromisoformat(arguments.day)
        except ValueError as error:
            raise RequestRefused(f"day: found {arguments.day!r}", "write it as 2026-11-27") from error
        from sync.contract.visits import derive_visits  # for who asks: an idle kiosk need not hold the rules of a bill

        sightings, roster = self.journal.day_sightings(day), self.station.roster
        people = {arrival.event.person for arrival in sightings.received if isinstance(arrival.event, Sighting)}
        derived = derive_visits(
            sightings.received, timetable=roster.timetable, now=self.now().utc, clocks=sightings.clocks,
            entitlements={person: roster.entitlements(person) for person in people},
        )  # fmt: skip
        for visit in derived.visits:
            if visit.day == arguments.day:
                yield JournalVisit(
                    person=visit.person, session=visit.session, entered=_utc_text(visit.entry_time),
                    left=_utc_text(visit.exit_time), claim=visit.claim.value, closing=visit.closing.value,
                    epoch=visit.id.epoch, seq=visit.id.seq,
                )  # fmt: skip

    def _fresh_file(self, name: str, suffix: str) -> Path:
        return self.state_dir / f"{name}-{self.now().utc:%Y%m%dT%H%M%S}{suffix}"


def journal_row(row: StoredRow) -> JournalRow:
    """Returns a row of the journal as the socket and the command line show it."""
    return JournalRow(epoch=row.epoch, seq=row.seq, event=msgspec.json.decode(row.payload, type=dict[str, object]))


def _utc_text(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def chain_verdict(verdict: ChainCheck) -> ChainVerdict:
    """Returns a verdict of the journal as the socket and the command line show it."""
    broken = verdict.broken
    return ChainVerdict(
        epochs=verdict.epochs,
        rows=verdict.rows,
        broken=None if broken is None else BrokenLink(epoch=broken.epoch, seq=broken.seq, what=broken.what),
        finished=verdict.finished,
    )
