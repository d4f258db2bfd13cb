"""The entries of one day as the staff look at them: also those that were voided."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from edge_agent.journal.epochs import LoadedEpochs
from edge_agent.journal.store import Store
from sync.contract.chain import Epoch
from sync.contract.event import Carried, Entry, GuestMeals, Manual, UnreadableEvent, decode

# Without a service date: entered outside all hours, or by a clock that nobody vouched for.
SELECT_ENTRIES = """
    SELECT s.epoch, s.seq, s.voided, e.payload FROM sighting AS s
    CROSS JOIN event AS e ON e.epoch = s.epoch AND e.seq = s.seq
    WHERE s.service_date IN (?, '') AND s.visit = 1 ORDER BY s.epoch DESC, s.seq DESC
"""


@dataclass(frozen=True, slots=True)
class DayEntry:
    """One entry under the name by which it is voided; a carried one has its old name."""

    epoch: Epoch
    seq: int
    voided: bool
    event: Entry | Manual | GuestMeals


def read_day_entries(store: Store, epochs: LoadedEpochs, day: date) -> tuple[DayEntry, ...]:
    """Returns the entries of this service date, newest first.

    One without a service date belongs to the date of its own time, in UTC.
    """
    return tuple(_read_entries(store, epochs, day.isoformat()))


def _read_entries(store: Store, epochs: LoadedEpochs, day: str) -> Iterator[DayEntry]:
    for ordinal, row_seq, voided, payload in store.read(SELECT_ENTRIES, (day,)):
        epoch, seq = epochs.find_epoch_id(ordinal), row_seq
        try:
            event = decode(payload)
            if isinstance(event, Carried):
                epoch, seq = Epoch(event.old_epoch), event.old_seq
                event = decode(event.payload.encode())
        except UnreadableEvent:
            continue  # of a later version of the agent, which knows what it means
        if isinstance(event, Entry | Manual | GuestMeals) and (event.service_date or event.at[:10]) == day:
            yield DayEntry(epoch, seq, bool(voided), event)
