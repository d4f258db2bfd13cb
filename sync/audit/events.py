"""From chained events to events as the rule of visits takes them: decoded, carried ones under their old names."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sync.audit.chains import ChainedEvent, EpochChain, EpochName, walk_events
from sync.contract import event
from sync.contract.branches import move_to_branch
from sync.contract.clocks import CLOCK_SLACK
from sync.contract.event import Carried, ClockQuality, Event, UnreadableEvent
from sync.contract.visit import EventId, ReceivedEvent


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A carried event out of its wrapping."""

    seq: int
    event: Event | None
    received_at: datetime


@dataclass(slots=True)
class _EpochTimes:
    """The good wall times of an epoch's events by number, so that an event earlier than one before it shows."""

    times: list[tuple[int, str]] = field(default_factory=list)

    def latest_before(self, seq: int) -> str:
        return max((time for number, time in self.times if number < seq), default="")


def read_events(chains: Mapping[EpochName, EpochChain]) -> list[ReceivedEvent]:
    """Returns every event of the school once, with what the ledger knew of its coming."""
    received: list[ReceivedEvent] = []
    times: dict[EpochName, _EpochTimes] = defaultdict(_EpochTimes)
    floors = _find_floors(chains)
    parcels: dict[tuple[str, str, str], list[_Parcel]] = defaultdict(list)
    carried: set[tuple[str, str, int, str]] = set()
    for name in chains:
        latest = floors[name]
        for _, chained in sorted(chains[name].events.items()):
            decoded = _decode(chained.payload)
            if isinstance(decoded, Carried):
                key = (chained.device, decoded.old_epoch, decoded.old_seq, decoded.old_hash)
                if key not in carried and not _is_stored(chains, key):
                    carried.add(key)
                    parcel = _Parcel(decoded.old_seq, _decode_parcel(decoded), chained.received_at)
                    parcels[chained.device, decoded.old_epoch, chained.epoch].append(parcel)
            elif decoded is not None:
                event_id = EventId(chained.device, chained.epoch, chained.seq)
                received.append(ReceivedEvent(event_id, decoded, chained.received_at, latest))
            time = _good_time(decoded, chained.received_at)
            times[name].times.append((chained.seq, time))
            latest = max(latest, time)
    for (device, epoch, by_epoch), group in parcels.items():
        before = _find_earlier(chains, device, epoch if (device, epoch) in chains else by_epoch)
        floor = max((time for name in before for _, time in times[name].times), default="")
        received += _place_carried(chains, times[device, epoch], floor, device, epoch, by_epoch, group)
    return received


def _find_earlier(chains: Mapping[EpochName, EpochChain], device: str, epoch: str) -> list[EpochName]:
    """Returns the device's epochs that were opened before this one, in their order."""
    own = [name for name in chains if name[0] == device]
    return own[: own.index((device, epoch))] if (device, epoch) in chains else []


def _find_floors(chains: Mapping[EpochName, EpochChain]) -> dict[EpochName, str]:
    """Returns the latest good wall time that the ledger had of a device's earlier epochs when each was opened."""
    floors: dict[EpochName, str] = {}
    for name, chain in chains.items():
        earlier = _find_earlier(chains, *name)
        opened_at = min((chained.received_at for chained in chain.events.values()), default=None)
        if not earlier or opened_at is None:
            floors[name] = ""
            continue
        before = [each for each in chains[earlier[-1]].events.values() if each.received_at < opened_at]
        times = [_good_time(_decode(each.payload), each.received_at) for each in before]
        floors[name] = max([floors[earlier[-1]], *times])
    return floors


def _is_stored(chains: Mapping[EpochName, EpochChain], key: tuple[str, str, int, str]) -> bool:
    """Returns True where the old event itself was delivered, too."""
    device, epoch, seq, hashed = key
    chain = chains.get((device, epoch))
    return chain is not None and seq in chain.events and chain.hashes[seq].hex() == hashed


def _place_carried(
    chains: Mapping[EpochName, EpochChain], own: _EpochTimes, floor: str, device: str, epoch: str, by_epoch: str,
    group: list[_Parcel],
) -> list[ReceivedEvent]:  # fmt: skip
    """Returns carried events: on a branch of their own from where they part from what the ledger has.

    `floor`: the latest good wall time of the epochs before theirs.
    """
    group.sort(key=lambda parcel: parcel.seq)
    chain = chains.get((device, epoch))
    stored = chain.events.keys() if chain else frozenset[int]()
    parting = next((parcel.seq for parcel in group if parcel.seq in stored), 0)
    line = _EpochTimes([(0, floor), *((seq, time) for seq, time in own.times if seq < group[0].seq)])
    received = []
    for parcel in group:
        latest = line.latest_before(parcel.seq)
        line.times.append((parcel.seq, _good_time(parcel.event, parcel.received_at)))
        if parcel.event is None:
            continue
        parted = 0 < parting <= parcel.seq
        branch = f"{epoch}/{by_epoch}" if parted else epoch
        moved = move_to_branch(parcel.event, epoch, branch, parting) if parted else parcel.event
        event_id = EventId(device, branch, parcel.seq)
        received.append(ReceivedEvent(event_id, moved, parcel.received_at, latest))
    return received


def _decode(payload: bytes | None) -> Event | None:
    if payload is None:
        return None
    try:
        return event.decode(payload)
    except UnreadableEvent:
        return None  # stored and acknowledged, and listed in the ledger's quarantine: it bills nothing


def _decode_parcel(carried: Carried) -> Event | None:
    try:
        inner = event.decode(carried.payload.encode())
    except (UnreadableEvent, UnicodeEncodeError):
        return None
    return None if isinstance(inner, Carried) else inner


def _good_time(decoded: Event | None, received_at: datetime) -> str:
    if decoded is None or isinstance(decoded, Carried) or decoded.clock is not ClockQuality.SYNCHRONISED:
        return ""
    limit = (received_at.astimezone(UTC) + CLOCK_SLACK).strftime("%Y-%m-%dT%H:%M:%S")
    return decoded.at if decoded.at <= limit else ""


def find_returns(chains: Mapping[EpochName, EpochChain], first_day: str, last_day: str) -> list[ReceivedEvent]:
    """Returns the events from which outages follow: boots, stops, repairs, clock steps, and what came before a boot."""
    wanted: dict[EventId, ReceivedEvent] = {}
    for chained in walk_events(chains):
        decoded = _decode(chained.payload)
        if not isinstance(decoded, event.Boot | event.Stop | event.Repair | event.ClockStep):
            continue
        if first_day <= decoded.at[:10] <= last_day:
            own = EventId(chained.device, chained.epoch, chained.seq)
            wanted[own] = ReceivedEvent(own, decoded)
            before = _find_before(chains, chained) if isinstance(decoded, event.Boot) else None
            if before is not None:
                wanted[before.id] = before
    return list(wanted.values())


def _find_before(chains: Mapping[EpochName, EpochChain], boot: ChainedEvent) -> ReceivedEvent | None:
    """Returns the event before a boot: of its epoch, or the one that its epoch's genesis cites."""
    epoch, seq = boot.epoch, boot.seq - 1
    if seq == 0:
        parent = chains[boot.device, boot.epoch].parent
        cited = [
            (name[1], seq)
            for name, chain in chains.items()
            if name[0] == boot.device
            for seq, hashed in chain.hashes.items()
            if seq in chain.events and hashed == parent
        ]
        if not cited:
            return None
        epoch, seq = cited[0]
    before = chains[boot.device, epoch].events.get(seq)
    decoded = _decode(before.payload) if before else None
    return None if decoded is None else ReceivedEvent(EventId(boot.device, epoch, seq), decoded)
