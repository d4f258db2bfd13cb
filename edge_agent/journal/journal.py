"""The journal of a kiosk: every event is on the disk before anybody hears of it, and waits there for the ledger.

`Journal` opens the file and hands out its parts; this page is the way in:

    journal.append           events into the chain, one transaction each time           appending.py
    journal.sightings        what the rules ask about a person's past                   sightings.py
    journal.outbox           the queue to the ledger                                    outbox.py
    journal.roster           the roster in force                                        roster_table.py
    journal.code_uses        the steps of changing codes that were used                 code_uses.py
    journal.palms            the sealed palms of the people on it                       palm_table.py
    journal.desk_consents    consents noted at the desk, marks of enrolment day         desk_consents.py
    journal.prune            rows that the ledger has, after their days                 retention.py
    journal.carry            rows of a journal that was set aside                       damage/

Several threads may use one `Journal`: the station appends, sync takes and acknowledges. One lock orders them.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from msgspec import structs

from edge_agent.domain.moment import MomentSource
from edge_agent.domain.sighting import EarlierSighting
from edge_agent.journal import schema
from edge_agent.journal.appending import Appender
from edge_agent.journal.ballast import Ballast
from edge_agent.journal.code_uses import CodeUseTable
from edge_agent.journal.damage.chain_proof import SalvagedRow
from edge_agent.journal.damage.mark import HeadMark, MarkedHead
from edge_agent.journal.desk_consents import DeskConsents
from edge_agent.journal.epochs import EpochRow, KioskIdentity, LoadedEpochs
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.marks import MarkTable
from edge_agent.journal.migrate import migrate_in_child
from edge_agent.journal.outbox import JournalOutbox
from edge_agent.journal.own_events import OwnEvents
from edge_agent.journal.palm_table import SealedPalmTable
from edge_agent.journal.replacement_table import ReplacementTable
from edge_agent.journal.retention import prune_rows
from edge_agent.journal.roster_table import RosterTable
from edge_agent.journal.rows import (
    AppendedEvent,
    StoredRow,
    append_payloads,
    check_tail,
    read_hash,
    read_recent_rows,
)
from edge_agent.journal.setting_aside import JournalSetAside
from edge_agent.journal.sightings import SightingIndex, select_uncarried
from edge_agent.journal.store import ProcessLock, Store, connect
from edge_agent.journal.succession import LostRange, Succession
from edge_agent.journal.terminal_runs import TerminalRuns
from sync.contract.chain import Epoch
from sync.contract.event import Event, PersonId, Pruned, encode

if TYPE_CHECKING:
    from edge_agent.journal.day_entries import DayEntry
    from edge_agent.journal.day_sightings import DaySightings

CARRIED_AT_ONCE = 1_000  # rows in one transaction
BALLAST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class MaintenanceResult:
    """The outcome of `Journal.maintain`."""

    folded: bool  # False: a reader was in the way of the WAL; try again later
    ballast: bool  # the ballast is in place


class Journal:
    """The one journal of this kiosk; `open` it, and `close` it in the end."""

    def __init__(
        self,
        store: Store,
        epochs: LoadedEpochs,
        kiosk: KioskIdentity,
        now: MomentSource,
        random_bytes: Callable[[int], bytes],
        mark: HeadMark,
    ) -> None:
        own_events = OwnEvents(kiosk.school, now)
        self._store = store
        self._epochs = epochs
        self._kiosk = kiosk
        self._own_events = own_events
        self._mark = mark
        self._succession = Succession(kiosk, own_events, now, random_bytes)
        self._appender = Appender(store, epochs, own_events)
        self.sightings = SightingIndex(store, epochs)
        self.terminal_runs = TerminalRuns(store)
        self._device = kiosk.device
        self.outbox = JournalOutbox(store, epochs, self._succession, kiosk.device, now)
        self.marks = MarkTable(store)
        self.palms = SealedPalmTable(store, self._appender, self.marks, own_events, now)
        self.desk_consents = DeskConsents(store, self._appender)
        self.code_uses = CodeUseTable(store, self.marks)
        self.replacements = ReplacementTable(store, self._appender, self.marks)
        self.roster = RosterTable(store, self.marks, self.palms, kiosk.school)

    @classmethod
    def open(
        cls,
        path: Path,
        kiosk: KioskIdentity,
        *,
        now: MomentSource,
        random_bytes: Callable[[int], bytes] = os.urandom,
        ballast_bytes: int = BALLAST_BYTES,
        after: JournalSetAside | None = None,
        migrate: Callable[[Path, ProcessLock], None] = migrate_in_child,
        connect: Callable[[Path], sqlite3.Connection] = connect,
    ) -> Self:
        """Takes the lock, brings the schema up to date, checks the head and the last 1,000 links.

        Without a file at `path` a new journal begins; `after` names the damaged one it takes the place of. A kiosk
        whose device or key is not that of the current epoch goes on in a new epoch.

        A mark that is ahead of the journal proves that it has lost rows: then a new epoch begins, too, and names them.

        Raises `JournalBusy`, `JournalDamaged`, `JournalNewer`, `JournalUnwritable`.
        """
        mark = HeadMark(path)
        epochs = LoadedEpochs(lambda epoch: mark.write(epoch.id, epoch.head))
        store = Store(
            path, Ballast(path.with_name(path.name + ".ballast"), ballast_bytes), reload=epochs.load, connect=connect
        )
        try:
            journal = cls(store, epochs, kiosk, now, random_bytes, mark)
            store.open(prepare=schema.check, migrate=migrate)
            opened = journal._enter_epoch(after, None if after else mark.read())
            mark.begin(epochs.current.id, epochs.current.head)
            if opened:  # what names a loss must not be lost with the next WAL
                with suppress(JournalUnwritable):  # no room for it: then upkeep does it
                    store.fold()
            store.ballast.restore()
        except BaseException:
            mark.close()
            store.close()
            raise
        return journal

    def close(self) -> None:
        self._mark.sync()
        self._store.close()
        self._mark.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        return self._store.path

    def append(self, event: Event) -> AppendedEvent:
        """Appends this event. When this returns, the event is on the disk.

        Raises `JournalUnwritable`: the event is not in the journal; `JournalDamaged`; ValueError when it is too long.
        """
        return self.append_all((event,))[0]

    def append_all(self, events: Sequence[Event]) -> list[AppendedEvent]:
        """Appends all of these events or none, in this order: a whole class by hand. Raises as `append`."""
        return self._appender.append_events(events)

    def earlier_sightings(self, person: PersonId, since: str) -> tuple[EarlierSighting, ...]:
        """Returns the sightings of this person that the rules need; see `SightingIndex.read_earlier_sightings`."""
        return self.sightings.read_earlier_sightings(person, since)

    def sighting(self, epoch: Epoch, seq: int) -> EarlierSighting | None:
        """Returns one sighting by its name; see `SightingIndex.read_sighting`."""
        return self.sightings.read_sighting(epoch, seq)

    def day_sightings(self, day: date) -> "DaySightings":
        """Returns the sightings that may bear on this day's visits; see `day_sightings`."""
        from edge_agent.journal.day_sightings import read_day_sightings

        return read_day_sightings(self._store, self._epochs, self._device, day)

    def day_entries(self, day: date) -> "tuple[DayEntry, ...]":
        """Returns the entries of this service date, voided ones too, newest first; see `day_entries`."""
        from edge_agent.journal.day_entries import read_day_entries

        return read_day_entries(self._store, self._epochs, day)

    def recent(self, rows_max: int) -> list[StoredRow]:
        """Returns the last rows, newest first, over every epoch."""
        return self._store.run(lambda connection: read_recent_rows(connection, rows_max))

    def sync_mark(self) -> None:
        """Brings the mark of the head to the disk."""
        self._mark.sync()

    def carry(self, epoch: Epoch, rows: Sequence[SalvagedRow]) -> int:
        """Appends rows of an epoch of a journal that was set aside, as carried events; returns how many were new here.

        What was carried before stays out. Raises as `append`.
        """
        carried = 0
        for start in range(0, len(rows), CARRIED_AT_ONCE):
            events = [
                self._own_events.carried(epoch, row.seq, row.hash, row.payload)
                for row in rows[start : start + CARRIED_AT_ONCE]
            ]
            fresh, _ = self._appender.append_with(
                partial(select_uncarried, events=events, ordinals=self._epochs.ordinals), lambda fresh: fresh
            )
            carried += len(fresh)
        return carried

    def name_lost(self, epoch: Epoch, holes: Sequence[tuple[int, int]], file_name: str) -> None:
        """Appends an event for each hole, (first, last), of a journal that was set aside. Raises as `append`."""
        self.append_all([self._own_events.lost(epoch, first, last, "damaged", file_name) for first, last in holes])

    def maintain(self) -> MaintenanceResult:
        """Folds the WAL into the file, and puts the ballast back where the disk has room for it again.

        Called when nobody is at the kiosk. Raises `JournalUnwritable` while the disk is full.
        """
        return MaintenanceResult(folded=self._store.fold(), ballast=self._store.ballast.restore())

    def prune(self, *, before: datetime, rows_max: int = 10_000) -> list[Pruned]:
        """Removes rows whose receipt came before that day (UTC), at most `rows_max`: call again while rows go.

        One event for each epoch tells of it, appended in the same transaction. Returns these events.
        """

        def work(connection: sqlite3.Connection) -> tuple[list[EpochRow], list[Pruned]]:
            epochs, pruned_ranges = prune_rows(connection, self._epochs.rows, before, rows_max)
            events = [
                self._own_events.pruned(pruned.epoch, pruned.through_seq, pruned.rows) for pruned in pruned_ranges
            ]
            if events:
                current = epochs[-1]
                payloads = [encode(event) for event in events]
                heads = append_payloads(connection, current.ordinal, current.head, payloads)
                epochs[-1] = structs.replace(current, head=heads[-1])
            return epochs, events

        with self._store.lock:
            epochs, events = self._store.write(work)
            self._epochs.replace(epochs)
            return events

    def _enter_epoch(self, after: JournalSetAside | None, marked: MarkedHead | None) -> bool:
        """Goes on in the current epoch, or opens one: for a new file, lost rows, or another device or key.

        Returns True where it opened one.
        """

        def work(connection: sqlite3.Connection) -> EpochRow | None:
            self._epochs.load(connection)
            if not self._epochs.rows:
                return self._open_first_epoch(connection, after, marked)
            current = self._epochs.current
            check_tail(connection, current)
            lost = self._find_loss(connection, marked)
            acked_head = current.acked.hash if current.acked.seq else b""
            if (current.device, current.public_key) != (self._kiosk.device, self._kiosk.public_key):
                parent_head = acked_head if current.device == self._kiosk.device else b""
                return self._succession.open_next_epoch(connection, current, "identity", parent_head, lost=lost)
            if lost is None:
                return None
            return self._succession.open_next_epoch(connection, current, "missing", acked_head, lost=lost)

        opened = self._store.write(work)
        if opened is not None:  # only then: the mark must not tell of an epoch that is not on the disk
            self._epochs.add(opened)
        return opened is not None

    def _open_first_epoch(
        self, connection: sqlite3.Connection, after: JournalSetAside | None, marked: MarkedHead | None
    ) -> EpochRow:
        if after is not None:
            return self._succession.open_epoch_after_damage(connection, after)
        if marked is not None and marked.head.seq:
            return self._succession.open_epoch_after_loss(connection, marked.epoch, marked.head.seq)
        return self._succession.open_first_epoch(connection)

    def _find_loss(self, connection: sqlite3.Connection, marked: MarkedHead | None) -> LostRange | None:
        """Returns the rows that the mark has and this journal has not; None where they agree."""
        if marked is None or marked.head.seq == 0:
            return None
        epoch = next((row for row in self._epochs.rows if row.id == marked.epoch), None)
        if epoch is None:
            return LostRange(marked.epoch, 1, marked.head.seq)
        if marked.head.seq > epoch.head.seq:
            return LostRange(marked.epoch, epoch.head.seq + 1, marked.head.seq)
        if read_hash(connection, epoch, marked.head.seq) in (marked.head.hash, None):
            return None
        return LostRange(marked.epoch, min(epoch.acked.seq + 1, marked.head.seq), marked.head.seq)
