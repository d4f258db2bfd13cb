"""The columns of events, and what events bear on: the shapes in which they go from their bytes into the tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import get_args

import msgspec
from msgspec.structs import asdict, astuple, replace

from sync.contract.chain import Epoch, Hash
from sync.contract.clocks import CLOCK_SLACK, SPAN_MS, ClockAnchor, is_utc_text
from sync.contract.event import (
    ClockQuality,
    ConsentNoted,
    ConsentWithdrawn,
    Entry,
    Event,
    EventsLost,
    Exit,
    Manual,
    Method,
    Refusal,
    Repeat,
    Sighting,
    Void,
)
from sync.contract.movements import parse_rules
from sync.contract.timelines import OUTSIDE_HOURS
from sync.contract.wire import INT_MAX

INDEXED_CHARS_MAX = 200  # of a boot or an epoch that an event names: they stand in indexes
_GOOD = ClockQuality.SYNCHRONISED
_VISITING = frozenset({"entry", "manual", "exit"})
_CODE_TAKING = frozenset({Entry, Exit, Repeat})  # a changing code is used up by them


class EventRow(msgspec.Struct, frozen=True, gc=False):
    """The columns of one event, as the tables `event` and `carried` name them."""

    kind: str = ""
    day: str = ""
    flags: str = ""
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
    latest_before: str = ""  # where it bears on the event: it is earlier, or its own clock was uncertain
    scan_rules: str = ""  # where the sighting may mean something else among sightings that came late


COLUMN_NAMES = EventRow.__struct_fields__
COLUMN_TYPES = tuple("int8" if kind is int else "text" for kind in EventRow.__annotations__.values())
UNREAD = EventRow()  # of a line that is no event
# Asked of the class once: to ask an event costs as much as to decode it.
_KINDS: dict[type[Event], str] = {kind: str(kind.__struct_config__.tag) for kind in get_args(Event)}


def read_row(event: Event, day: str, flags: str, latest: str) -> EventRow:
    """Returns the columns of an event that is filed under this day, with these flags.

    `latest`: the latest good wall time before it in its epoch.
    """
    kind, recorded_at, clock = _KINDS[type(event)], event.at, event.clock
    before = latest if latest > recorded_at or clock is not _GOOD else ""
    if isinstance(event, Sighting):
        programme, claim, group, named_epoch, named_seq = "", "", "", "", 0
        method = event.method._value_
        if type(event) is Exit:
            named_epoch, named_seq = event.entry_epoch, event.entry_seq
        elif type(event) is Entry or type(event) is Manual:
            programme, claim = event.programme, event.claim._value_
            if type(event) is Manual:
                group = event.group
                method = Method.PAPER._value_ if event.paper else method
        row = EventRow(
            kind, day, flags, event.person, event.session, event.service_date, programme, method, claim,
            event.reader, event.operator, event.note, group, recorded_at, event.boot, event.mono_ms, clock._value_,
            event.roster, "", named_epoch, named_seq, before,
            _state_rules(event) if event.scan_rules else "",
        )  # fmt: skip
    elif type(event) is Void:
        row = EventRow(
            kind, day, flags, event.person, operator=event.operator, note=event.note, recorded_at=recorded_at,
            boot=event.boot, mono_ms=event.mono_ms, clock=clock._value_, roster=event.roster,
            named_device=event.void_device, named_epoch=event.void_epoch, named_seq=event.void_seq,
            latest_before=before,
        )  # fmt: skip
    else:
        row = EventRow(
            kind, day, flags, recorded_at=recorded_at, boot=event.boot, mono_ms=event.mono_ms, clock=clock._value_,
            roster=event.roster, latest_before=before,
        )  # fmt: skip
    return row


def _state_rules(event: Sighting) -> str:
    """Returns the rules of a sighting that bears on visits; '' where it bears on none, or where they are no rules."""
    if isinstance(event, Refusal) and event.reason not in OUTSIDE_HOURS:
        return ""
    return event.scan_rules if parse_rules(event.scan_rules) is not None else ""


def fit_row(row: EventRow) -> EventRow:
    """Returns the row as the columns can hold it: an absurd value must not stop the line."""
    columns = asdict(row).items()
    fitting = replace(row, **{
        name: _without_zero(value) if isinstance(value, str) else _clamp(value) for name, value in columns
    })  # fmt: skip
    return replace(
        fitting, boot=fitting.boot[:INDEXED_CHARS_MAX], roster=max(0, fitting.roster),
        named_device=fitting.named_device[:INDEXED_CHARS_MAX], named_epoch=fitting.named_epoch[:INDEXED_CHARS_MAX],
    )  # fmt: skip


def _without_zero(text: str) -> str:
    return text.replace("\0", "␀")  # PostgreSQL's text holds no zero byte


def _clamp(number: int) -> int:
    return max(-INT_MAX, min(INT_MAX, number))


def list_columns(rows: Sequence[EventRow]) -> dict[str, list[str | int]]:
    """Returns each column of these rows by its name."""
    columns = map(list, zip(*map(astuple, rows), strict=True)) if rows else ([] for _ in COLUMN_NAMES)
    return dict(zip(COLUMN_NAMES, columns, strict=True))


def receipt_limit(received_at: datetime) -> str:
    """Returns the latest wall time that an event received at this moment can truly have, as events write it."""
    return (received_at.astimezone(UTC) + CLOCK_SLACK).strftime("%Y-%m-%dT%H:%M:%S")


def good_time(kind: str, clock: str, day: str, recorded_at: str, received_at: datetime) -> str:
    """Returns an event's wall time where it is good evidence about the order of its chain; '' else."""
    good = kind not in ("", "carried") and clock == _GOOD and day
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
        return self.row.clock != _GOOD


@dataclass(slots=True)
class EventEffects:
    """The parts of a run of events that bear on more than their own rows: days to be judged again, clocks, holes."""

    days: set[str] = field(default_factory=set)
    anchors: dict[tuple[str, int], ClockAnchor] = field(default_factory=dict)  # boot and span → the first one
    strayed: list[StrayedEvent] = field(default_factory=list)
    voids: list[EventRow] = field(default_factory=list)
    carried_epochs: set[str] = field(default_factory=set)
    lost: list[EventsLost] = field(default_factory=list)
    code_steps: dict[str, int] = field(default_factory=dict)  # person → the last step of a changing code
    desk_words: list[tuple[str, int, ConsentNoted | ConsentWithdrawn]] = field(default_factory=list)  # epoch, seq, word

    def note(self, epoch: str, seq: int, digest: bytes, event: Event, row: EventRow) -> None:
        """Adds what an event bears on. `digest`: the hash of a carried one, else empty."""
        day, good = row.day, event.clock is _GOOD
        if good:
            self._note_clock(event.mono_ms, row)
        if isinstance(event, Sighting) and event.code_step and type(event) in _CODE_TAKING:
            self.code_steps[event.person] = max(event.code_step, self.code_steps.get(event.person, 0))
        if row.kind in _VISITING or row.scan_rules:
            if day:
                self.days.add(day)
            if not good and row.method != Method.PAPER._value_:  # a list names its day
                self.strayed.append(StrayedEvent(epoch, seq, digest, row))
            elif row.kind == "exit" and not event.at.startswith(day or "-"):
                self.strayed.append(StrayedEvent(epoch, seq, digest, row))
                if is_utc_text(event.at):
                    self.days.add(event.at[:10])
        elif type(event) is Void:
            self.voids.append(row)
        elif type(event) is ConsentNoted or (type(event) is ConsentWithdrawn and event.operator):
            self.desk_words.append((epoch, seq, event))
        elif type(event) is EventsLost and 1 <= event.first_seq <= event.last_seq < 2**53:
            self.lost.append(event)

    def _note_clock(self, mono_ms: int, row: EventRow) -> None:
        key = (row.boot, mono_ms // SPAN_MS)
        first = self.anchors.get(key)
        if (first is None or mono_ms <= first.mono_ms) and -INT_MAX <= mono_ms <= INT_MAX:
            anchor = ClockAnchor(mono_ms, row.recorded_at)
            self.anchors[key] = min(first, anchor) if first else anchor
