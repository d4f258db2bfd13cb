"""The columns of one event, and what it bears on: the shapes in which an event goes from its bytes into the tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from sync.contract.chain import Epoch, Hash
from sync.contract.clocks import CLOCK_SLACK, ClockAnchor, is_utc_text
from sync.contract.event import ClockQuality, Entry, Event, Exit, Manual, Sighting, Void
from sync.contract.wire import INT_MAX

_NAME_CHARS_MAX = 200  # of a boot or an epoch that an event names: they stand in indexes


class EventRow(NamedTuple):
    """The columns of one event, in the order of the tables `event` and `carried`."""

    kind: str
    day: str
    flags: str
    person: str = ""
    session: str = ""
    service_date: str = ""
    programme: str = ""
    method: str = ""
    claim: str = ""
    reader: str = ""
    operator: str = ""
    note: str = ""
    group_id: str = ""
    recorded_at: str = ""
    boot: str = ""
    mono_ms: int = 0
    clock: str = ""
    roster: int = 0
    named_device: str = ""
    named_epoch: str = ""
    named_seq: int = 0


def as_arrays(rows: Sequence[EventRow]) -> dict[str, list[str | int]]:
    """Returns the rows as one list a column, by the columns' names."""
    columns = map(list, zip(*rows, strict=True)) if rows else ([] for _ in EventRow._fields)
    return dict(zip(EventRow._fields, columns, strict=True))


UNREAD = EventRow("", "", "")  # of a line that is no event


def build_row(event: Event, day: str, flags: str) -> EventRow:
    """Returns the columns of an event that was filed under this day, with these flags."""
    kind: str = event.__struct_config__.tag  # type: ignore[assignment]  # tags are texts here
    boot, mono_ms, roster = event.boot, event.mono_ms, event.roster
    if len(boot) > _NAME_CHARS_MAX:
        boot = boot[:_NAME_CHARS_MAX]
    if not -INT_MAX <= mono_ms <= INT_MAX or not 0 <= roster <= INT_MAX:
        mono_ms, roster = _clamp(mono_ms), _clamp(roster)
    clock = event.clock._value_
    if isinstance(event, Entry | Manual):
        return EventRow(
            kind, day, flags, event.person, event.session, event.service_date, event.programme, event.method._value_,
            event.claim._value_, event.reader, event.operator, event.note,
            event.group if isinstance(event, Manual) else "", event.at, boot, mono_ms, clock, roster,
        )  # fmt: skip
    if isinstance(event, Exit):
        return EventRow(
            kind, day, flags, event.person, event.session, event.service_date, "", event.method._value_, "",
            event.reader, event.operator, event.note, "", event.at, boot, mono_ms, clock, roster, "",
            event.entry_epoch[:_NAME_CHARS_MAX], _clamp(event.entry_seq),
        )  # fmt: skip
    if isinstance(event, Sighting):
        return EventRow(
            kind, day, flags, event.person, event.session, event.service_date, "", event.method._value_, "",
            event.reader, event.operator, event.note, "", event.at, boot, mono_ms, clock, roster,
        )  # fmt: skip
    if isinstance(event, Void):
        return EventRow(
            kind, day, flags, event.person, operator=event.operator, note=event.note, recorded_at=event.at, boot=boot,
            mono_ms=mono_ms, clock=clock, roster=roster, named_device=event.void_device[:_NAME_CHARS_MAX],
            named_epoch=event.void_epoch[:_NAME_CHARS_MAX],
            named_seq=_clamp(event.void_seq),
        )  # fmt: skip
    return EventRow(kind, day, flags, recorded_at=event.at, boot=boot, mono_ms=mono_ms, clock=clock, roster=roster)


def _clamp(number: int) -> int:
    """Returns the number, or the nearest one that a column holds: an absurd one must not stop the line."""
    return max(-INT_MAX, min(INT_MAX, number))


def receipt_limit(received_at: datetime) -> str:
    """Returns the latest wall time that an event received at this moment can truly have, as events write it."""
    return (received_at.astimezone(UTC) + CLOCK_SLACK).strftime("%Y-%m-%dT%H:%M:%S")


def good_time(kind: str, clock: str, day: str, recorded_at: str, received_at: datetime) -> str:
    """Returns an event's wall time where it is good evidence about the order of its chain; '' else."""
    good = kind not in ("", "carried") and clock == ClockQuality.SYNCHRONISED and day
    return recorded_at if good and recorded_at <= receipt_limit(received_at) else ""


@dataclass(frozen=True, slots=True)
class CarriedEvent:
    """A carried event under its old identity, and the event that carried it."""

    epoch: Epoch
    seq: int
    hash: Hash
    payload: bytes
    by_seq: int
    row: EventRow


@dataclass(frozen=True, slots=True)
class StrayedEvent:
    """An entry or exit that may belong to another day than its column says. `hash`: of a carried event, else empty."""

    epoch: str
    seq: int
    hash: bytes
    row: EventRow

    @property
    def is_uncertain(self) -> bool:
        """Returns True where its wall clock was not synchronised."""
        return self.row.clock != ClockQuality.SYNCHRONISED


@dataclass(slots=True)
class DayEffects:
    """The parts of a run of events that bear on the days to be judged again."""

    days: set[str] = field(default_factory=set)
    anchors: dict[tuple[str, int], ClockAnchor] = field(default_factory=dict)  # boot and span → the first one
    strayed: list[StrayedEvent] = field(default_factory=list)
    voids: list[EventRow] = field(default_factory=list)
    carried_epochs: set[str] = field(default_factory=set)

    def note(self, epoch: str, seq: int, digest: bytes, row: EventRow) -> None:
        """Adds what one event bears on."""
        synchronised = row.clock == ClockQuality.SYNCHRONISED
        if synchronised:
            anchor = ClockAnchor(row.mono_ms, row.recorded_at)
            first = self.anchors.get((row.boot, anchor.span))
            if first is None or anchor < first:
                self.anchors[row.boot, anchor.span] = anchor
        match row.kind:
            case "entry" | "manual" | "exit":
                if row.day:
                    self.days.add(row.day)
                elsewhere = row.kind == "exit" and row.recorded_at[:10] != row.day
                if elsewhere and is_utc_text(row.recorded_at):
                    self.days.add(row.recorded_at[:10])
                if elsewhere or not synchronised:
                    self.strayed.append(StrayedEvent(epoch, seq, digest, row))
            case "void":
                self.voids.append(row)
