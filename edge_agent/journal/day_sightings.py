"""The sightings that bear on one day's visits, and what vouches for their clocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from edge_agent.journal.epochs import LoadedEpochs
from edge_agent.journal.store import Store
from sync.contract.clocks import ClockAnchor, TrueClocks, parse_utc
from sync.contract.event import Carried, ClockQuality, Sighting, UnreadableEvent, decode
from sync.contract.visit import EventId, ReceivedEvent

# Without a service date: outside all hours, or by a clock that nobody vouched for.
SELECT_DAY = """
    SELECT s.epoch, s.seq, e.payload FROM sighting AS s
    CROSS JOIN event AS e ON e.epoch = s.epoch AND e.seq = s.seq
    WHERE s.service_date IN (?, '') AND s.voided = 0
"""
SELECT_CONFIRMED_RUNS = "SELECT boot, first_at, confirmed_ms FROM terminal_run WHERE confirmed_ms IS NOT NULL"


@dataclass(frozen=True, slots=True)
class DaySightings:
    """Sightings under their names, those that were taken back left out, and the evidence about their clocks."""

    received: tuple[ReceivedEvent, ...]
    clocks: TrueClocks


def read_day_sightings(store: Store, epochs: LoadedEpochs, device: str, day: date) -> DaySightings:
    """Returns the sightings that may bear on this day, in no order."""
    received = tuple(_read_received(store, epochs, device, day))
    clocks = TrueClocks((device, arrival.event) for arrival in received)
    for boot, first_at, confirmed_ms in store.read(SELECT_CONFIRMED_RUNS):
        terminal_time = parse_utc(first_at)
        if terminal_time is not None:
            true_time = terminal_time - timedelta(milliseconds=confirmed_ms)
            mono_ms = int(terminal_time.timestamp() * 1000)
            clocks.add(device, boot, ClockAnchor(mono_ms, true_time.isoformat().replace("+00:00", "Z")))
    return DaySightings(received, clocks)


def _read_received(store: Store, epochs: LoadedEpochs, device: str, day: date) -> Iterator[ReceivedEvent]:
    near = {(day + timedelta(days=distance)).isoformat() for distance in (-1, 0, 1)}
    for ordinal, seq, payload in store.read(SELECT_DAY, (day.isoformat(),)):
        name = EventId(device, epochs.find_epoch_id(ordinal), seq)
        try:
            event = decode(payload)
            if isinstance(event, Carried):
                name = EventId(device, event.old_epoch, event.old_seq)
                event = decode(event.payload.encode())
        except UnreadableEvent:
            continue  # of a later version of the agent, which knows what it means
        if not isinstance(event, Sighting):
            continue
        if event.service_date or event.clock is not ClockQuality.SYNCHRONISED or event.at[:10] in near:
            yield ReceivedEvent(name, event)
