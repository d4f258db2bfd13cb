"""The meaning of a sighting for the person's visit: it begins one, ends one, or changes nothing.

    nothing open, reader in or both   → entry
    open visit, reader out or both    → exit
    too soon after the last sighting  → repeat: kept as evidence, changes nothing

Kiosk and ledger ask the same function: the kiosk at the scan, about what it knows then; both again, about a whole day
in the order of its true times (`sync.contract.timelines`), where a terminal told late what it had seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Generic, Protocol, TypeVar, assert_never

import msgspec

from sync.contract.sessions import Slot, Timetable


class Direction(StrEnum):
    """The movements that a scan at a reader can mean."""

    IN = "in"
    OUT = "out"
    BOTH = "both"


class Movement(StrEnum):
    """The meaning of a granted scan for the visit."""

    ENTRY = "entry"
    EXIT = "exit"
    REPEAT = "repeat"


class MovementReason(StrEnum):
    """The reason of a movement, where the movement alone does not say it; a `domain.decision.Reason` of events."""

    ORDINARY = ""
    EXIT_WITHOUT_ENTRY = "exit_without_entry"
    DEBOUNCE = "debounce"
    MIN_STAY = "min_stay"
    ALREADY_IN = "already_in"
    ALREADY_OUT = "already_out"


class MovementRules(Protocol):
    """The thresholds, in milliseconds."""

    @property
    def debounce_ms(self) -> int: ...  # a second sighting of the person within this time is the same gesture

    @property
    def stay_min_ms(self) -> int: ...  # at a reader for both ways, between entry and exit and between exit and entry

    @property
    def leave_ms(self) -> int: ...  # so long after a session's end an exit still ends its visit

    @property
    def unplaced_ms(self) -> int: ...  # so long a visit stays open whose session the clock could not tell


class PriorSighting(Protocol):
    """An earlier sighting of the person, as far as it bears on the next one."""

    @property
    def epoch(self) -> str: ...

    @property
    def seq(self) -> int: ...

    @property
    def is_entry(self) -> bool: ...

    @property
    def is_exit(self) -> bool: ...

    @property
    def session(self) -> str: ...

    @property
    def service_date(self) -> str: ...

    @property
    def entry_epoch(self) -> str: ...  # of an exit, the entry that it ended

    @property
    def entry_seq(self) -> int: ...


Prior = TypeVar("Prior", bound=PriorSighting)


@dataclass(frozen=True, slots=True)
class PersonMovement(Generic[Prior]):
    """A movement and its reason. `about`: the entry that an exit ends, or the sighting that a repeat repeats."""

    movement: Movement
    reason: MovementReason = MovementReason.ORDINARY
    about: Prior | None = None
    slot: Slot | None = None  # of an exit without an entry, the session that it was seen in


class ScanRules(msgspec.Struct, frozen=True):
    """The settings by which a kiosk judged a sighting, as its event keeps them: `both/5000/60000/…`, times in ms."""

    direction: Direction
    debounce_ms: int
    stay_min_ms: int
    leave_ms: int
    unplaced_ms: int
    early_ms: int  # the grace before a session's start
    late_ms: int  # the grace after its end

    @property
    def text(self) -> str:
        """The form that events keep."""
        numbers = (self.debounce_ms, self.stay_min_ms, self.leave_ms, self.unplaced_ms, self.early_ms, self.late_ms)
        return "/".join([self.direction.value, *map(str, numbers)])

    def at_reader(self, direction: Direction) -> "ScanRules":
        """Returns the same rules at a reader of this direction."""
        return msgspec.structs.replace(self, direction=direction)


_NUMBERS = 6
_MS_MAX = 86_400_000  # no setting is longer than a day


@lru_cache(64)
def parse_rules(text: str) -> ScanRules | None:
    """Returns the rules in an event's text; None where there are none, or where no kiosk can have written them."""
    direction, *numbers = text.split("/")
    if direction not in list(Direction) or len(numbers) != _NUMBERS:
        return None
    if not all(number.isascii() and number.isdigit() and len(number) <= 8 for number in numbers):
        return None
    return ScanRules(Direction(direction), *(min(int(number), _MS_MAX) for number in numbers))


def find_movement(
    earlier: Sequence[Prior],
    elapsed_ms: Callable[[Prior], int | None],
    when: datetime,
    served: Sequence[Slot],
    timetable: Timetable,
    rules: MovementRules,
    direction: Direction,
) -> PersonMovement[Prior]:
    """Returns the movement of a sighting at `when`.

    `earlier`: the person's sightings before it at the same kiosk that nobody took back, oldest first. `elapsed_ms`: the
    milliseconds since one of them, None where nobody knows. `served`: the sessions served at `when`, with the graces.
    """

    def is_within(prior: Prior | None, milliseconds: int) -> bool:
        elapsed = elapsed_ms(prior) if prior is not None else None
        return elapsed is not None and elapsed < milliseconds

    last = earlier[-1] if earlier else None
    if last is not None and is_within(last, rules.debounce_ms):
        return PersonMovement(Movement.REPEAT, MovementReason.DEBOUNCE, last)
    entry = _open_entry(earlier)
    if entry is not None:
        is_open = (
            is_within(entry, rules.unplaced_ms)
            if not entry.session
            else _can_still_end(entry, when, served, timetable, rules, direction)
        )
        if is_open:
            return _move_inside(entry, earlier, elapsed_ms, rules, direction)
    if direction is Direction.OUT:
        return _leave_without_entry(last, when, served, timetable, rules)
    if direction is Direction.BOTH and last is not None:
        last_exit = next((prior for prior in reversed(earlier) if prior.is_exit), None)
        if is_within(last_exit, rules.stay_min_ms):
            return PersonMovement(Movement.REPEAT, MovementReason.ALREADY_OUT, last)
    return PersonMovement(Movement.ENTRY)


def is_in_slot(prior: PriorSighting, slot: Slot) -> bool:
    """Returns True where the sighting belongs to this session of this date."""
    return (prior.session, prior.service_date) == (slot.session, slot.service_date)


def _open_entry(earlier: Sequence[Prior]) -> Prior | None:
    """Returns the last entry, if nothing has ended it."""
    entry = next((prior for prior in reversed(earlier) if prior.is_entry), None)
    if entry is None:
        return None
    ended = any((prior.entry_epoch, prior.entry_seq) == (entry.epoch, entry.seq) for prior in earlier)
    return None if ended else entry


def _can_still_end(
    entry: PriorSighting, when: datetime, served: Sequence[Slot], timetable: Timetable, rules: MovementRules,
    direction: Direction,
) -> bool:  # fmt: skip
    if any(is_in_slot(entry, slot) for slot in served):
        return True
    if served and direction is not Direction.OUT:
        return False  # the next session runs: a scan now is for that one
    slot = timetable.slot(entry.session, entry.service_date)
    if slot is None:
        return False
    return slot.starts <= when < slot.ends + timedelta(milliseconds=rules.leave_ms)


def _move_inside(
    entry: Prior, earlier: Sequence[Prior], elapsed_ms: Callable[[Prior], int | None], rules: MovementRules,
    direction: Direction,
) -> PersonMovement[Prior]:  # fmt: skip
    match direction:
        case Direction.IN:
            return PersonMovement(Movement.REPEAT, MovementReason.ALREADY_IN, earlier[-1])
        case Direction.OUT:
            return PersonMovement(Movement.EXIT, about=entry)
        case Direction.BOTH:
            elapsed = elapsed_ms(entry)
            if elapsed is None or elapsed < rules.stay_min_ms:
                return PersonMovement(Movement.REPEAT, MovementReason.MIN_STAY, earlier[-1])
            return PersonMovement(Movement.EXIT, about=entry)
        case _:
            assert_never(direction)


def _leave_without_entry(
    last: Prior | None, when: datetime, served: Sequence[Slot], timetable: Timetable, rules: MovementRules
) -> PersonMovement[Prior]:
    slots = served
    if not slots:
        # The entry is perhaps on another kiosk: name the session that has just ended, and the ledger can pair them.
        slots = timetable.find_slots(when, late=timedelta(milliseconds=rules.leave_ms)).slots
    slot = slots[0] if slots else None
    if last is not None and not last.is_entry and slot is not None and is_in_slot(last, slot):
        return PersonMovement(Movement.REPEAT, MovementReason.ALREADY_OUT, last)
    return PersonMovement(Movement.EXIT, MovementReason.EXIT_WITHOUT_ENTRY, slot=slot)
