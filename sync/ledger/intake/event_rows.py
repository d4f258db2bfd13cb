"""The columns of events, and what events bear on: the shapes in which they go from their bytes into the tables.

Most columns say the same for many events of a run: they are its *context*. A run's contexts go to the database once,
and each event only names its own; so a row of two dozen columns costs little more than one of nine.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, get_args

import msgspec

from sync.contract.chain import Epoch, Hash
from sync.contract.clocks import CLOCK_SLACK, SPAN_MS, ClockAnchor, is_utc_text
from sync.contract.event import ClockQuality, Entry, Event, Exit, Manual, Refusal, Sighting, Void
from sync.contract.movements import parse_rules
from sync.contract.timelines import OUTSIDE_HOURS
from sync.contract.wire import INT_MAX

_NAME_CHARS_MAX = 200  # of a boot or an epoch that an event names: they stand in indexes
_GOOD = ClockQuality.SYNCHRONISED.value
_VISITING = frozenset({"entry", "manual", "exit"})


class SharedColumns(NamedTuple):
    """The columns that events share with their neighbours, in the order of the tables `event` and `carried`."""

    kind: str = ""
    day: str = ""
    flags: str = ""
    session: str = ""
    service_date: str = ""
    programme: str = ""
    method: str = ""
    claim: str = ""
    reader: str = ""
    operator: str = ""
    note: str = ""
    group_id: str = ""
    boot: str = ""
    clock: str = ""
    roster: int = 0
    named_device: str = ""
    named_epoch: str = ""
    latest_before: str = ""  # where it bears on the event: it is earlier, or its own clock was uncertain
    scan_rules: str = ""  # where the sighting may mean something else among sightings that came late


class EventRow(NamedTuple):
    """The columns of one event."""

    context: SharedColumns
    person: str = ""
    recorded_at: str = ""
    mono_ms: int = 0
    named_seq: int = 0


ColumnValues = tuple[str | int, ...]  # in the order of COLUMN_NAMES
COLUMN_NAMES = (*SharedColumns._fields, *EventRow._fields[1:])
UNREAD = EventRow(SharedColumns())  # of a line that is no event
# Asked of the class once: to ask an event costs as much as to decode it.
_KINDS: dict[type[Event], str] = {kind: str(kind.__struct_config__.tag) for kind in get_args(Event)}


class RowArrays:
    """The columns of a run of events as arrays for one statement. Written for speed."""

    def __init__(self) -> None:
        self._numbers: dict[ColumnValues, int] = {}  # context → its number, from 1
        self._contexts: list[SharedColumns] = []
        self._context: list[int] = []
        self._people: list[str] = []
        self._times: list[str] = []
        self._monotonic: list[int] = []
        self._named: list[int] = []

    def __len__(self) -> int:
        return len(self._context)

    def add(self, row: EventRow) -> None:
        """Adds one event's columns."""
        self._append(tuple(row.context), row.person, row.recorded_at, row.mono_ms, row.named_seq)

    def add_event(self, event: Event, day: str, flags: str, latest: str) -> SharedColumns:
        """Adds an event that was filed under this day, with these flags, and returns its context.

        `latest`: the latest good wall time before it in its epoch.
        """
        boot, roster, clock, recorded_at = event.boot, event.roster, event.clock._value_, event.at
        before = latest if latest > recorded_at or clock != _GOOD else ""
        kind, person, named_seq = _KINDS[type(event)], "", 0
        context: ColumnValues
        if isinstance(event, Entry):
            person = event.person
            context = (
                kind, day, flags, event.session, event.service_date, event.programme, event.method._value_,
                event.claim._value_, event.reader, event.operator, event.note, "", boot, clock, roster, "", "", before,
                _state_rules(event),
            )  # fmt: skip
        elif isinstance(event, Sighting):
            person, named_epoch, programme, claim, group = event.person, "", "", "", ""
            if isinstance(event, Exit):
                named_epoch, named_seq = event.entry_epoch, event.entry_seq
            elif isinstance(event, Manual):
                programme, claim, group = event.programme, event.claim._value_, event.group
            context = (
                kind, day, flags, event.session, event.service_date, programme, event.method._value_, claim,
                event.reader, event.operator, event.note, group, boot, clock, roster, "", named_epoch, before,
                _state_rules(event),
            )  # fmt: skip
        elif isinstance(event, Void):
            person, named_seq = event.person, event.void_seq
            context = (
                kind, day, flags, "", "", "", "", "", "", event.operator, event.note, "", boot, clock, roster,
                event.void_device, event.void_epoch, before, "",
            )  # fmt: skip
        else:
            context = (kind, day, flags, "", "", "", "", "", "", "", "", "", boot, clock, roster, "", "", before, "")
        return self._append(context, person, recorded_at, event.mono_ms, named_seq)

    def _append(
        self, context: ColumnValues, person: str, recorded_at: str, mono_ms: int, named_seq: int
    ) -> SharedColumns:
        number = self._numbers.get(context)
        if number is None:
            self._contexts.append(_fit_context(context))
            number = self._numbers[context] = len(self._contexts)
        self._context.append(number)
        self._people.append(person if "\0" not in person else _without_zero(person))
        self._times.append(recorded_at if "\0" not in recorded_at else _without_zero(recorded_at))
        self._monotonic.append(mono_ms if -INT_MAX <= mono_ms <= INT_MAX else _clamp(mono_ms))
        self._named.append(named_seq if -INT_MAX <= named_seq <= INT_MAX else _clamp(named_seq))
        return self._contexts[number - 1]

    def last(self) -> EventRow:
        """Returns the columns of the event that was added last."""
        context = self._contexts[self._context[-1] - 1]
        return EventRow(context, self._people[-1], self._times[-1], self._monotonic[-1], self._named[-1])

    def first(self) -> dict[str, str | int]:
        """Returns the columns of the first event by their names."""
        return dict(zip(COLUMN_NAMES, self.values()[0], strict=True))

    def parameters(self) -> dict[str, str | list[str] | list[int]]:
        """Returns an array a column by its name, the numbers of the contexts from 1, and the contexts as a JSON text.

        One text goes out faster than an array for each of the contexts' columns.
        """
        contexts = [{"number": number, **each._asdict()} for number, each in enumerate(self._contexts, 1)]
        return {
            "contexts": msgspec.json.encode(contexts).decode(), "context": self._context, "person": self._people,
            "recorded_at": self._times, "mono_ms": self._monotonic, "named_seq": self._named,
        }  # fmt: skip

    def values(self) -> list[ColumnValues]:
        """Returns each event's columns in the order of COLUMN_NAMES."""
        columns = zip(self._context, self._people, self._times, self._monotonic, self._named, strict=True)
        return [
            (*self._contexts[number - 1], person, recorded_at, mono_ms, named_seq)
            for number, person, recorded_at, mono_ms, named_seq in columns
        ]


def _state_rules(event: Sighting) -> str:
    """Returns the rules of a sighting that bears on visits; '' where it bears on none, or where they are no rules."""
    if not event.scan_rules or (isinstance(event, Refusal) and event.reason not in OUTSIDE_HOURS):
        return ""
    return event.scan_rules if parse_rules(event.scan_rules) is not None else ""


def _fit_context(context: ColumnValues) -> SharedColumns:
    """Returns a context as its columns can hold it."""
    fitting = SharedColumns._make(_without_zero(value) if isinstance(value, str) else value for value in context)
    return fitting._replace(
        boot=fitting.boot[:_NAME_CHARS_MAX], roster=max(0, _clamp(fitting.roster)),
        named_device=fitting.named_device[:_NAME_CHARS_MAX], named_epoch=fitting.named_epoch[:_NAME_CHARS_MAX],
    )  # fmt: skip


def _without_zero(text: str) -> str:
    return text.replace("\0", "␀") if "\0" in text else text


def _clamp(number: int) -> int:
    """Returns the number, or the nearest one that a column holds: an absurd one must not stop the line."""
    return number if -INT_MAX <= number <= INT_MAX else max(-INT_MAX, min(INT_MAX, number))


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
        return self.row.context.clock != _GOOD


@dataclass(slots=True)
class DayEffects:
    """The parts of a run of events that bear on the days to be judged again."""

    days: set[str] = field(default_factory=set)
    anchors: dict[tuple[str, int], ClockAnchor] = field(default_factory=dict)  # boot and span → the first one
    strayed: list[StrayedEvent] = field(default_factory=list)
    voids: list[EventRow] = field(default_factory=list)
    carried_epochs: set[str] = field(default_factory=set)

    def note(self, name: tuple[str, int, bytes], context: SharedColumns, event: Event, rows: RowArrays) -> None:
        """Adds what the event that was added to `rows` last bears on. `name`: epoch, number, hash if it was carried."""
        kind, day = context.kind, context.day
        synchronised = context.clock == _GOOD
        if synchronised:
            mono_ms = event.mono_ms
            key = (context.boot, mono_ms // SPAN_MS)
            first = self.anchors.get(key)
            if (first is None or mono_ms <= first.mono_ms) and -INT_MAX <= mono_ms <= INT_MAX:
                anchor = ClockAnchor(mono_ms, rows.last().recorded_at)
                self.anchors[key] = min(first, anchor) if first else anchor
        if kind in _VISITING or context.scan_rules:
            if day:
                self.days.add(day)
            if not synchronised:
                self.strayed.append(StrayedEvent(*name, rows.last()))
            elif kind == "exit" and not event.at.startswith(day or "-"):
                self.strayed.append(StrayedEvent(*name, rows.last()))
                if is_utc_text(event.at):
                    self.days.add(event.at[:10])
        elif kind == "void":
            self.voids.append(rows.last())
