"""The journal: every fact of this kiosk, kept before anybody is told, and the queue to the ledger.

An event is appended in one transaction: its row, the head it moves, its line in the index of sightings. When `append`
returns, the row is on the disk; when it raises `JournalUnwritable`, it is not in the journal.

Several threads may use one `Journal`: the station appends, sync takes and acknowledges. One lock orders them.
"""

import os
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self, TypedDict, TypeVar

from msgspec import structs

from edge_agent.domain.moment import MomentSource
from edge_agent.domain.sighting import EarlierSighting
from edge_agent.journal import acknowledged, epochs, retention, roster_store, rows, schema, sightings, template_store
from edge_agent.journal.acknowledged import QUARANTINED_SHOWN_MAX, Quarantined
from edge_agent.journal.aside import SetAside
from edge_agent.journal.ballast import Ballast
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.roster_store import RosterChange
from edge_agent.journal.rows import Appended, EpochRow, Kept, Kiosk
from edge_agent.journal.store import Store
from edge_agent.journal.template_store import SealedPalm, TakenBack
from sync.client.ports import Line
from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.contract.event import (
    ClockQuality,
    ConsentWithdrawn,
    Entry,
    Event,
    Manual,
    PersonId,
    Pruned,
    Repair,
    Void,
    encode,
)
from sync.contract.roster import Page, Record
from sync.contract.wire import time_text

BALLAST_BYTES = 32 * 1024 * 1024

T = TypeVar("T")

# A carried event holds the old payload as a JSON string, in which a character may take two. So that every event can
# be carried within the contract's 8 KiB, none is longer than this.
EVENT_BYTES_MAX = 3_900


class Envelope(TypedDict):
    """The part of an event that every kind has."""

    school: str
    at: str
    boot: str
    mono_ms: int
    clock: ClockQuality


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What `maintain` found. `folded` False: a reader was in the way of the WAL."""

    folded: bool
    ballast: bool


@dataclass(frozen=True, slots=True)
class _Doubted:
    """Rows that were said not to be kept, when the disk would not say."""

    ordinal: int
    heads: tuple[Head, ...]
    events: tuple[Event, ...]

    def came_back(self, connection: sqlite3.Connection) -> bool:
        first = (self.ordinal, self.heads[0].seq, self.heads[0].hash)
        found = connection.execute("SELECT 1 FROM event WHERE epoch = ? AND seq = ? AND hash = ?", first)
        return found.fetchone() is not None


class Journal:
    """The one journal of this kiosk; `open` it, and `close` it in the end."""

    def __init__(self, store: Store, kiosk: Kiosk, now: MomentSource, dice: Callable[[int], bytes]) -> None:
        self._store = store
        self._kiosk = kiosk
        self._now = now
        self._dice = dice
        self._epochs: list[EpochRow] = []
        self._ids: dict[int, Epoch] = {}
        self._ordinals: dict[Epoch, int] = {}
        self._doubted: list[_Doubted] = []
        store.reload = self._load

    @classmethod
    def open(
        cls,
        path: Path,
        kiosk: Kiosk,
        *,
        now: MomentSource,
        dice: Callable[[int], bytes] = os.urandom,
        ballast_bytes: int = BALLAST_BYTES,
        after: SetAside | None = None,
    ) -> Self:
        """Take the lock, bring the schema up to date, check the head and the last 1,000 links.

        Without a journal there, a new one is begun; `after` names the damaged one it takes the place of. A kiosk whose
        device or key is no longer that of the current epoch goes on in a new one.

        Raises `JournalBusy`, `JournalDamaged`, `JournalNewer`, `JournalUnwritable`.
        """
        store = Store(path, Ballast(path.with_name(path.name + ".ballast"), ballast_bytes))
        try:
            journal = cls(store, kiosk, now, dice)
            store.open(prepare=_prepare)
            journal._begin_or_go_on(after)
            store.ballast.restore()
        except BaseException:
            store.close()
            raise
        return journal

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        return self._store.path

    @property
    def device(self) -> DeviceId:
        return self._kiosk.device

    @property
    def epoch(self) -> Epoch:
        return self._current.id

    @property
    def head(self) -> Head:
        return self._current.head

    @property
    def parent_head(self) -> bytes:
        return self._current.parent_head

    # Facts in, facts out.

    def append(self, event: Event) -> Appended:
        """Keep this fact. Raises `JournalUnwritable`, `JournalDamaged`; ValueError for one that is too long."""
        return self.append_all((event,))[0]

    def append_all(self, events: Sequence[Event]) -> list[Appended]:
        """Keep all of these facts or none, in this order: a whole class by hand."""
        if not events:
            return []
        return self._appended_with(lambda _: None, lambda _: events)[1]

    def _appended_with(
        self, work: Callable[[sqlite3.Connection], T], tell: Callable[[T], Sequence[Event]]
    ) -> tuple[T, list[Appended]]:
        """Do `work` and append what is to be told of it, in one transaction."""
        done: list[T] = []
        told: list[Event] = []
        tried: list[Head] = []

        def both(connection: sqlite3.Connection) -> T:
            if tried and tried[-1] == self._current.head:
                return done[0]  # the commit that seemed to fail was found on the disk when it was opened again
            tried.clear()
            done[:] = [work(connection)]
            told[:] = tell(done[0])
            if told:
                payloads = [_bytes_of(event) for event in told]
                before = self._take_back(connection) if self._doubted else self._current.head
                tried[:] = rows.insert(connection, self._current.ordinal, before, payloads)
                for head, event in zip(tried, told, strict=True):
                    sightings.note(connection, self._current.ordinal, head.seq, event, self._ordinals)
            return done[0]

        with self._store.lock:
            try:
                result = self._store.write(both)
            except JournalUnwritable:
                if tried:
                    self._doubted.append(_Doubted(self._current.ordinal, tuple(tried), tuple(told)))
                raise
            if told:
                self._doubted.clear()
                self._current = structs.replace(self._current, head=tried[-1])
            return result, [Appended(self._current.id, head.seq, head.hash) for head in tried]

    def _take_back(self, connection: sqlite3.Connection) -> Head:
        """Void entries that came to light after all; the head behind that.

        When the disk fails in the middle of a commit and cannot be opened again, the caller is told that nothing was
        kept, and the staff count by hand. If it comes back with the rows on it, those meals must not count twice.
        """
        head = self._current.head
        # The file was opened anew since: what is not on it now will never be.
        self._doubted = [doubted for doubted in self._doubted if doubted.came_back(connection)]
        for doubted in self._doubted:
            for seq, event in enumerate(doubted.events, doubted.heads[0].seq):
                if isinstance(event, Entry | Manual):
                    void = Void(
                        **self._stamped(),
                        void_epoch=self._ids[doubted.ordinal],
                        void_seq=seq,
                        person=event.person,
                        operator="",
                        note="found on the disk after it was said not to be recorded",
                    )
                    (head,) = rows.insert(connection, self._current.ordinal, head, [encode(void)])
                    sightings.note(connection, self._current.ordinal, head.seq, void, self._ordinals)
        return head

    def earlier_sightings(self, person: PersonId, since: str) -> tuple[EarlierSighting, ...]:
        """This person's entries and exits whose service date is `since` or later, and their last few sightings of
        any kind and date; oldest first, in the order in which they were kept."""
        found = sorted(self._store.run(lambda connection: sightings.before(connection, person, since)))
        return tuple(past for row in found if (past := self._earlier_sighting(*row)) is not None)

    def sighting(self, epoch: Epoch, seq: int) -> EarlierSighting | None:
        """The sighting kept under this identity; None where there is none (any more)."""
        ordinal = self._ordinals.get(epoch)
        found = self._store.read("SELECT payload FROM event WHERE epoch = ? AND seq = ?", (ordinal, seq))
        past = sightings.past(epoch, seq, False, found[0][0]) if found else None
        if ordinal is None or past is None or not past.person:
            return past
        indexed = self._store.read(sightings.ONE, (past.person, ordinal, seq))
        return self._earlier_sighting(*indexed[0]) if indexed else past

    def recent(self, rows_max: int) -> list[Kept]:
        """The last rows, newest first, over every epoch."""
        return self._store.run(lambda connection: rows.recent(connection, rows_max))

    # The queue to the ledger: `sync.client.ports.Outbox`.

    def acknowledged(self) -> Head:
        return self._current.acked

    def queue_depth(self) -> int:
        current = self._current
        return current.head.seq - current.acked.seq

    def take(self, after: int, events_max: int, bytes_max: int) -> Sequence[Line]:
        ordinal = self._current.ordinal
        found = self._store.run(lambda connection: rows.page(connection, ordinal, after, events_max))
        lines: list[Line] = []
        for seq, payload, own in found:
            bytes_max -= len(payload)
            if bytes_max < 0 and lines:
                break
            lines.append(Line(seq, payload, Hash(own)))
        return lines

    def hash_at(self, seq: int) -> Hash | None:
        return self._store.run(lambda connection: rows.hash_of(connection, self._current, seq))

    def acknowledge(self, head: Head, receipt: bytes) -> None:
        """Raises `AcknowledgementDisagrees` when our own hash there is another."""
        at = self._now().utc
        with self._store.lock:
            acked = self._store.write(
                lambda connection: acknowledged.mark(connection, self._current, head, receipt, at)
            )
            self._current = structs.replace(self._current, acked=acked)

    def quarantine(self, seq: int, code: str, detail: str, *, tombstone: bool) -> None:
        at = self._now().utc
        with self._store.lock:
            ordinal = self._current.ordinal
            self._store.write(
                lambda connection: acknowledged.quarantine(connection, ordinal, seq, code, detail, tombstone, at)
            )

    def quarantined(self, rows_max: int = QUARANTINED_SHOWN_MAX) -> list[Quarantined]:
        return acknowledged.quarantined(self._store, rows_max)

    def new_epoch(self, why: str, *, parent: Head | None, kept_as: str = "") -> Epoch:
        """Raises `JournalDamaged` when a row that must be carried does not hold; then nothing was changed."""

        def work(connection: sqlite3.Connection) -> EpochRow:
            return self._succeed(connection, why, parent.hash if parent else b"", kept_as)

        with self._store.lock:
            opened = self._store.write(work)
            self._know([*self._epochs, opened])
            return opened.id

    # The roster: `sync.client.ports.RosterStore`.

    def roster_version(self) -> int:
        return roster_store.version(self._store)

    def roster_confirmed_at(self) -> datetime | None:
        return roster_store.confirmed_at(self._store)

    def roster_records(self) -> list[Record]:
        """Raises `RosterMismatch` when a record here cannot be read: ask for the whole roster."""
        return roster_store.records(self._store)

    def apply_roster(self, pages: Sequence[Page], confirmed_at: datetime) -> RosterChange:
        """All pages of one version, or nothing. Raises `RosterMismatch`; then the old roster stays in force.

        In the same transaction the palms of those who are gone, or have not agreed any more, are deleted, and a
        receipt for each is appended.
        """
        with self._store.lock:
            difference = roster_store.joined(pages, self._kiosk.school, self.roster_version())

            def work(connection: sqlite3.Connection) -> tuple[RosterChange, Mapping[PersonId, int]]:
                change = roster_store.replace(connection, pages, difference, confirmed_at)
                return change, template_store.delete_without_consent(connection)

            change, forgotten = self._forgetting(work, pages[0].version)
            return replace(change, forgotten=forgotten)

    # Palms, sealed by the caller.

    def keep_palm(self, palm: SealedPalm, event: Event) -> Appended:
        """Keep this palm, in the place of an older one of the same hand, and append what is told of it; both or none.

        Raises `NoConsent` when the roster in force does not allow it, `JournalUnwritable`, `JournalDamaged`.
        """

        def work(connection: sqlite3.Connection) -> None:
            template_store.need_consent(connection, palm.person)
            template_store.put(connection, palm)

        return self._appended_with(work, lambda _: [event])[1][0]

    def restore_palms(self, palms: Sequence[SealedPalm]) -> None:
        """Take over what was rescued from a damaged journal, as far as the roster in force still allows it."""

        def work(connection: sqlite3.Connection) -> None:
            for palm in palms:
                template_store.put(connection, palm)
            template_store.delete_without_consent(connection)

        self._store.write(work)

    def palms(self) -> list[SealedPalm]:
        return self._store.run(template_store.every)

    def forget_palms(self, people: Collection[PersonId]) -> Mapping[PersonId, int]:
        """Delete all that is kept of these people, with a receipt for each of whom there was something; how much."""
        with self._store.lock:
            return self._forgetting(
                lambda connection: (None, template_store.delete(connection, people)), self.roster_version()
            )[1]

    def take_back_palms(self, person: PersonId) -> int:
        """As `forget_palms`, by a technician's word, of which the other kiosks must hear; how many samples."""

        def work(connection: sqlite3.Connection) -> tuple[None, Mapping[PersonId, int]]:
            template_store.take_back(connection, person, self._now().text)
            return None, template_store.delete(connection, [person])

        with self._store.lock:
            return self._forgetting(work, self.roster_version())[1].get(person, 0)

    def pending_palm(self) -> SealedPalm | TakenBack | None:
        """One of which the ledger has not heard."""
        return self._store.run(template_store.pending)

    def palm_relayed(self, palm: SealedPalm | TakenBack) -> None:
        self._store.write(lambda connection: template_store.relayed(connection, palm))

    def palms_version(self, fingerprint: str) -> int:
        return self._store.run(lambda connection: template_store.relay_version(connection, fingerprint))

    def take_palms(
        self,
        palms: Collection[SealedPalm],
        gone: Collection[tuple[PersonId, str]] = (),
        version: int = 0,
        fingerprint: str = "",
    ) -> tuple[list[SealedPalm], Mapping[PersonId, int]]:
        """Keep palms of other kiosks, delete what they took back; what was kept, and how much of whom was deleted.

        With a `fingerprint` they are the ledger's up to this `version` of its order.
        """

        def work(connection: sqlite3.Connection) -> tuple[list[SealedPalm], Mapping[PersonId, int]]:
            if fingerprint:
                template_store.note_version(connection, version, fingerprint)
            return template_store.take(connection, palms), template_store.delete_hands(connection, gone)

        with self._store.lock:
            return self._forgetting(work, self.roster_version())

    def _forgetting(
        self, work: Callable[[sqlite3.Connection], tuple[T, Mapping[PersonId, int]]], roster: int
    ) -> tuple[T, Mapping[PersonId, int]]:
        """Do what deletes palms, with the receipts in the same transaction; then see that no copy stays in the WAL."""

        def receipts(done: tuple[T, Mapping[PersonId, int]]) -> list[Event]:
            return [
                ConsentWithdrawn(**self._stamped(), roster=roster, person=person, templates_deleted=samples)
                for person, samples in done[1].items()
            ]

        done, _ = self._appended_with(work, receipts)
        if done[1]:
            with suppress(JournalUnwritable):  # or a reader is in the way: then upkeep does it at its next round
                self._store.fold()
        return done

    def confirm_roster(self, confirmed_at: datetime) -> None:
        self.set_state(roster_store.CONFIRMED_AT, time_text(confirmed_at))

    def state(self, key: str) -> str | None:
        return roster_store.state(self._store, key)

    def set_state(self, key: str, value: str) -> None:
        self._store.write(lambda connection: roster_store.set_state(connection, {key: value}))

    # Upkeep, called by the runtime when nobody is at the kiosk.

    def maintain(self) -> Upkeep:
        """Fold the WAL into the file, and put the ballast back where the disk has room for it again.

        Raises `JournalUnwritable` while the disk is full.
        """
        return Upkeep(folded=self._store.fold(), ballast=self._store.ballast.restore())

    def prune(self, *, before: datetime, rows_max: int = 10_000) -> list[Pruned]:
        """Remove rows whose receipt came before that day (UTC), at most `rows_max`: call again while rows go.

        What went is told by an event for each epoch, in the same transaction.
        """

        def work(connection: sqlite3.Connection) -> tuple[list[EpochRow], list[Pruned]]:
            kept, removed = retention.prune(connection, self._epochs, before, rows_max)
            told = [self._pruned(one) for one in removed]
            if told:
                heads = rows.insert(connection, kept[-1].ordinal, kept[-1].head, [encode(event) for event in told])
                kept[-1] = structs.replace(kept[-1], head=heads[-1])
            return kept, told

        with self._store.lock:
            kept, told = self._store.write(work)
            self._know(kept)
            return told

    # Within.

    @property
    def _current(self) -> EpochRow:
        return self._epochs[-1]

    @_current.setter
    def _current(self, row: EpochRow) -> None:
        self._epochs[-1] = row

    def _know(self, found: list[EpochRow]) -> None:
        self._epochs = found
        self._ids = {row.ordinal: row.id for row in found}
        self._ordinals = {row.id: row.ordinal for row in found}

    def _load(self, connection: sqlite3.Connection) -> None:
        """Read the epochs anew: after the file was opened, only it tells where the journal stands."""
        found = rows.epochs(connection)
        for row in found:
            row.check()
        self._know(found)

    def _begin_or_go_on(self, after: SetAside | None) -> None:
        def work(connection: sqlite3.Connection) -> None:
            self._load(connection)
            if not self._epochs:
                self._know([self._first_epoch(connection, after)])
                return
            rows.check_tail(connection, self._current)
            current = self._current
            if (current.device, current.public_key) != (self._kiosk.device, self._kiosk.public_key):
                parent = current.acked.hash if current.device == self._kiosk.device and current.acked.seq else b""
                self._know([*self._epochs, self._succeed(connection, "identity", parent, "")])

        self._store.write(work)

    def _first_epoch(self, connection: sqlite3.Connection, after: SetAside | None) -> EpochRow:
        epoch = self._draw_epoch()
        if after is None:
            at = self._now().text
            return rows.open_epoch(connection, self._kiosk, epoch, parent_head=b"", at=at, why="first")
        repair = self._repair("damaged", after.epoch, after.head, after.kept_as)
        parent = after.acked.hash if after.acked is not None and after.acked.seq else b""
        return epochs.begin(connection, self._kiosk, epoch, parent, repair)

    def _succeed(self, connection: sqlite3.Connection, why: str, parent_head: bytes, kept_as: str) -> EpochRow:
        current = self._current
        repair = self._repair(why, current.id, current.head, kept_as)
        opened = epochs.begin(connection, self._kiosk, self._draw_epoch(), parent_head, repair)
        return epochs.carry(connection, current, opened, repair)

    def _draw_epoch(self) -> Epoch:
        return Epoch(self._dice(8).hex())

    def _repair(self, why: str, epoch: str, head: Head | None, kept_as: str) -> Repair:
        return Repair(
            **self._stamped(),
            why=why,
            old_epoch=epoch,
            old_head=head.hash.hex() if head else "",
            old_seq=head.seq if head else 0,
            kept_as=kept_as,
        )

    def _pruned(self, removed: retention.Removed) -> Pruned:
        return Pruned(**self._stamped(), pruned_epoch=removed.epoch, through_seq=removed.through_seq, rows=removed.rows)

    def _stamped(self) -> Envelope:
        """What the journal's own events carry; they are judged by no roster."""
        moment = self._now()
        return Envelope(
            school=self._kiosk.school,
            at=moment.text,
            boot=moment.boot,
            mono_ms=moment.mono_ms,
            clock=moment.clock,
        )

    def _earlier_sighting(self, ordinal: int, seq: int, voided: int, payload: bytes) -> EarlierSighting | None:
        return sightings.past(self._ids[ordinal], seq, bool(voided), payload)


def _prepare(connection: sqlite3.Connection) -> None:
    schema.migrate(connection)
    schema.check(connection)


def _bytes_of(event: Event) -> bytes:
    payload = encode(event)
    if len(payload) > EVENT_BYTES_MAX:
        raise ValueError(f"event of {len(payload)} bytes; at most {EVENT_BYTES_MAX} can be kept and carried")
    return payload
