"""Appending events: the journal's one transaction, and what is done about a commit whose outcome nobody knows.

`Append` is one such transaction. The store calls it, and calls it once more when the first try failed:

    was_already_written ──yes──▶ the first try's result: its commit had reached the disk after all
            │ no
            ▼
          plan ──▶ write ──▶ COMMIT, by the store

When both tries fail, the caller is told that nothing was kept, and the staff count by hand. If the disk refused even
to be read again, that is not certain: the rows of the last try are doubted. They may be on the disk when it comes
back. Then the next append voids their entries, so that no meal counts twice.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge_agent.journal.epochs import LoadedEpochs
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.own_events import OwnEvents
from edge_agent.journal.rows import AppendedEvent, append_payloads
from edge_agent.journal.sightings import index_event
from edge_agent.journal.store import Store
from sync.contract.chain import Epoch, Head
from sync.contract.event import PAYLOAD_BYTES_MAX, Carried, Entry, Event, GuestMeals, Manual, encode

T = TypeVar("T")

# A carried event holds the old payload as a JSON string, in which a character may take two bytes. Every event must fit
# into the contract's 8 KiB when it is carried, so none is longer than this.
EVENT_BYTES_MAX = 3_900

# The hash decides: after a failure the same number may have been given to another event.
SELECT_ROW_WITH_HASH = "SELECT 1 FROM event WHERE epoch = ? AND seq = ? AND hash = ?"


@dataclass(frozen=True, slots=True)
class WrittenRows:
    """The events that one try wrote into its transaction, and the chain's head after each of them."""

    ordinal: int  # of the epoch
    events: tuple[Event, ...]
    heads: tuple[Head, ...]

    def are_on_disk(self, connection: sqlite3.Connection) -> bool:
        """Returns if these very rows are in the file. One transaction wrote them, so the first one speaks for all."""
        first = self.heads[0]
        row = connection.execute(SELECT_ROW_WITH_HASH, (self.ordinal, first.seq, first.hash)).fetchone()
        return row is not None


class Append(Generic[T]):
    """One transaction: `work`, and the events that tell of its result, in the current epoch.

    `prepare_head` brings the chain into order before the events and returns the head behind which they go.
    """

    def __init__(
        self,
        work: Callable[[sqlite3.Connection], T],
        events_for: Callable[[T], Sequence[Event]],
        epochs: LoadedEpochs,
        prepare_head: Callable[[sqlite3.Connection], Head],
    ) -> None:
        self._work = work
        self._events_for = events_for
        self._epochs = epochs
        self._prepare_head = prepare_head
        self._last_try: tuple[T, WrittenRows] | None = None

    def run(self, connection: sqlite3.Connection) -> tuple[T, WrittenRows]:
        """Does the work within the store's transaction; returns its result and the rows that were written."""
        if self._last_try is not None and self.was_already_written(self._last_try[1]):
            return self._last_try
        self._last_try = None
        result, events, payloads = self.plan(connection)
        self._last_try = result, self.write(connection, events, payloads)
        return self._last_try

    def was_already_written(self, rows: WrittenRows) -> bool:
        """Returns if the try before this one, whose commit seemed to fail, is on the disk.

        The store has opened the file again since and read the epochs anew: the current head is what the disk holds.
        """
        return bool(rows.heads) and rows.heads[-1] == self._epochs.current.head

    def plan(self, connection: sqlite3.Connection) -> tuple[T, tuple[Event, ...], list[bytes]]:
        """Does the work; returns its result, the events that tell of it, and their payloads.

        Raises ValueError for an event that is too long.
        """
        result = self._work(connection)
        events = tuple(self._events_for(result))
        return result, events, [encode_within_limit(event) for event in events]

    def write(
        self, connection: sqlite3.Connection, events: tuple[Event, ...], payloads: Sequence[bytes]
    ) -> WrittenRows:
        """Chains the payloads behind the head and enters the sightings into the index."""
        ordinal = self._epochs.current.ordinal
        if not events:
            return WrittenRows(ordinal, (), ())
        heads = append_payloads(connection, ordinal, self._prepare_head(connection), payloads)
        for head, event in zip(heads, events, strict=True):
            index_event(connection, ordinal, head.seq, event, self._epochs.ordinals)
        return WrittenRows(ordinal, events, tuple(heads))

    @property
    def doubted_rows(self) -> WrittenRows | None:
        """The rows of a failed append that may be on the disk all the same; None when no commit was tried."""
        return self._last_try[1] if self._last_try is not None and self._last_try[1].heads else None


class Appender:
    """Appends events to the current epoch. While the kiosk runs, scans reach the chain only by this way."""

    def __init__(self, store: Store, epochs: LoadedEpochs, own_events: OwnEvents) -> None:
        self._store = store
        self._epochs = epochs
        self._own_events = own_events
        self._doubted: list[WrittenRows] = []

    def append_events(self, events: Sequence[Event]) -> list[AppendedEvent]:
        """Appends all of these events or none, in this order; returns their places.

        Raises `JournalUnwritable`, `JournalDamaged`; ValueError for an event that is too long.
        """
        return self.append_with(lambda _: None, lambda _: events)[1] if events else []

    def append_with(
        self, work: Callable[[sqlite3.Connection], T], events_for: Callable[[T], Sequence[Event]]
    ) -> tuple[T, list[AppendedEvent]]:
        """Does `work` and appends the events that tell of its result, all in one transaction.

        Returns the result and the places of the events. `work` may be called twice. Raises as `append_events`, and
        what `work` raises.
        """
        with self._store.lock:
            append = Append(work, events_for, self._epochs, self._prepare_head)
            try:
                result, rows = self._store.write(append.run)
            except JournalUnwritable:
                if append.doubted_rows is not None:
                    self._doubted.append(append.doubted_rows)
                raise
            if rows.heads:
                self._doubted.clear()
                self._epochs.move_head(rows.heads[-1])
            epoch: Epoch = self._epochs.current.id
            return result, [AppendedEvent(epoch, head.seq, head.hash) for head in rows.heads]

    def _prepare_head(self, connection: sqlite3.Connection) -> Head:
        """Returns the head behind which the next events go; first voids entries that were said not to be kept."""
        head = self._epochs.current.head
        # The file was opened again since these rows failed: those that are not in it now will never be.
        self._doubted = [rows for rows in self._doubted if rows.are_on_disk(connection)]
        for rows in self._doubted:
            for event_head, event in zip(rows.heads, rows.events, strict=True):
                if isinstance(event, Entry | Manual | GuestMeals):
                    person = "" if isinstance(event, GuestMeals) else event.person
                    head = self._append_void(connection, head, rows.ordinal, event_head.seq, person)
        return head

    def _append_void(
        self, connection: sqlite3.Connection, head: Head, entry_ordinal: int, entry_seq: int, person: str
    ) -> Head:
        void = self._own_events.void_unreported_entry(self._epochs.find_epoch_id(entry_ordinal), entry_seq, person)
        ordinal = self._epochs.current.ordinal
        (void_head,) = append_payloads(connection, ordinal, head, [encode(void)])
        index_event(connection, ordinal, void_head.seq, void, self._epochs.ordinals)
        return void_head


def encode_within_limit(event: Event) -> bytes:
    """Returns the event's payload. Raises ValueError when it is longer than `EVENT_BYTES_MAX`, and is not carried."""
    payload = encode(event)
    if len(payload) > (PAYLOAD_BYTES_MAX if isinstance(event, Carried) else EVENT_BYTES_MAX):
        raise ValueError(f"event of {len(payload)} bytes; at most {EVENT_BYTES_MAX} can be kept and carried")
    return payload
