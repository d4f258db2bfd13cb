"""The port of the screen: the staff's actions that the runtime offers to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from edge_agent.domain.operators import Operator, OperatorRole
from sync.contract.chain import Epoch
from sync.contract.event import Method, PersonId


class EntryReason(StrEnum):
    """Stock reasons for an entry by hand; the staff may also type their own words."""

    FORGOT_CARD = "forgot_card"
    LOST_CARD = "lost_card"
    PALM_UNREAD = "palm_unread"
    NEW_PUPIL = "new_pupil"
    READER_DOWN = "reader_down"


class ClockReason(StrEnum):
    """Stock reasons for confirming how far a terminal's clock was off."""

    COMPARED = "compared"
    SET_SINCE = "set_since"


class PaperReason(StrEnum):
    """Stock reasons for a printed list."""

    NO_POWER = "no_power"
    KIOSK_DOWN = "kiosk_down"
    AWAY = "away"  # they ate where no kiosk is


class VoidReason(StrEnum):
    """Stock reasons for voiding an entry."""

    WRONG_PERSON = "wrong_person"
    DID_NOT_EAT = "did_not_eat"
    TWICE = "twice"


class GuestReason(StrEnum):
    """Stock reasons for meals of guests."""

    INSPECTION = "inspection"
    PARENTS = "parents"
    OTHER_SCHOOL = "other_school"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class WrongClock:
    """A run of a terminal's wrong clock, whose rows are held. The first row's time is as the terminal has it."""

    run: str
    terminal: str
    offset_s: int  # how far it was ahead, as measured
    rows: int
    first_at: str


class RosterPerson(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person of the roster, with the name and class by which the staff tell people apart."""

    person: PersonId
    name: str
    group: str
    apart: str = ""  # the last digits of a namesake's card: it tells people of one name and class apart


@dataclass(frozen=True, slots=True)
class TodayRow:
    """One entry of the day, as the staff's page lists it. `epoch` and `seq` name it for a void.

    Meals of guests have no person, name or group.
    """

    epoch: Epoch
    seq: int
    person: PersonId
    name: str
    group: str
    at: str  # the school's local time: `09:41`
    session: str  # its id; empty outside every session
    method: Method
    voided: bool
    operator: str = ""  # who entered it by hand
    reason: str = ""  # why by hand
    guests: int = 0  # meals of guests, whom the row names not
    payer: str = ""  # of the guests
    score: int = 0  # of a palm: the agreement in ten-thousandths
    rule: str = ""  # where a machine named the person: a `decision.DecisionReason` that a person should weigh


@dataclass(frozen=True, slots=True)
class DaySession:
    """One meal of the day: how many have eaten, and who of the entitled has not."""

    session: str
    name: str
    name_kk: str
    name_ru: str
    starts: str  # the school's local time
    ends: str
    eaten: int  # people, each once; no guests
    waiting: tuple[RosterPerson, ...]
    guests: int = 0  # their meals


@dataclass(frozen=True, slots=True)
class DayBoard:
    """A day's entries, newest first, and its meals in the order of their hours."""

    day: str  # the service date: `2026-11-22`
    rows: tuple[TodayRow, ...]
    sessions: tuple[DaySession, ...]


@dataclass(frozen=True, slots=True)
class TickPerson:
    """A person of a class in the tick-list: with the entry of the present meal, or without one."""

    person: PersonId
    name: str
    group: str
    apart: str
    at: str = ""  # the school's local time of the entry; empty: not here yet
    epoch: str = ""
    seq: int = 0


class PaperRow(msgspec.Struct, frozen=True):
    """A person of a printed list, with the code that stands there."""

    person: PersonId
    name: str
    group: str
    apart: str
    code: str
    at: str = ""  # the school's local time of an entry of this meal; empty: there is none yet


class PaperSession(msgspec.Struct, frozen=True):
    """A meal that is served on the day of a printed list, with its local hours."""

    session: str
    name: str
    name_kk: str
    name_ru: str
    starts: str
    ends: str


class PaperWanted(msgspec.Struct, frozen=True):
    """The list that is wanted: a class, or codes as they were typed. An empty session means the day's first one."""

    day: str  # the service date: `2026-11-22`; empty: the present one
    session: str = ""
    group: str = ""
    codes: str = ""


class PaperList(msgspec.Struct, frozen=True):
    """The people of a printed list in the order of names, and the codes that fit nobody."""

    day: str
    session: str  # empty: nothing is served on that day
    since: str  # its local hours, as far as they have passed
    until: str
    sessions: tuple[PaperSession, ...]
    rows: tuple[PaperRow, ...]
    wrong: tuple[str, ...]


class EnteredPaper(msgspec.Struct, frozen=True):
    """The content of a printed list: whose meal, of which day, in which local hours. `group` empty: by codes."""

    day: str
    session: str
    group: str
    since: str  # `12:05`
    until: str
    people: tuple[PersonId, ...]


class FailureReason(StrEnum):
    """The reason of a failure. The catalogues hold its words, and what to do next."""

    UNKNOWN_PERSON = "unknown_person"
    UNKNOWN_GROUP = "unknown_group"
    UNKNOWN_ENTRY = "unknown_entry"
    ALREADY_VOID = "already_void"
    ALREADY_IN = "already_in"
    NO_SESSION = "no_session"
    UNKNOWN_RUN = "unknown_run"
    CLOCK_UNCERTAIN = "clock_uncertain"  # the kiosk's own clock vouches for no other
    NOT_RECORDED = "not_recorded"  # the journal cannot be written: count on the page
    NAMES_SOMEBODY = "names_somebody"  # the reason does, and it is kept for ever
    UNKNOWN_PAYER = "unknown_payer"
    WRONG_DAY = "wrong_day"  # of a printed list
    WRONG_HOURS = "wrong_hours"
    NOT_YOUR_CLASS = "not_your_class"
    COUNT_CLOSED = "count_closed"  # the journal can be written: enter by name
    BUSY = "busy"  # try again


@dataclass(frozen=True, slots=True)
class ActionDone:
    """An action that succeeded."""

    rows: int  # the number of events in the journal, durable


@dataclass(frozen=True, slots=True)
class ActionFailed:
    """An action that changed nothing."""

    reason: FailureReason


@dataclass(frozen=True, slots=True)
class ActionHeld:
    """An action that waits in memory until the journal can be written."""

    waiting: int  # the number of people whom it entered


@dataclass(frozen=True, slots=True)
class CountedByHand:
    """The count by hand, as the agent has it."""

    number: int


@dataclass(frozen=True, slots=True)
class WaitingPerson:
    """Somebody who waits for the journal. The name is empty for a scan of nobody known."""

    name: str
    group: str
    age_s: int


ActionResult = ActionDone | ActionFailed | ActionHeld | CountedByHand


class StaffActions(Protocol):
    """The staff's acts by hand. The screen's worker threads call it, one call at a time.

    Each act returns within about two seconds, with `ActionFailed(FailureReason.BUSY)` when the station has no time.
    After `ActionDone` the events are on disk. `reason` is an `EntryReason` or `VoidReason` code, or the operator's own
    words.
    """

    def find_people(self, text: str) -> Sequence[RosterPerson]:
        """Returns everybody whom `text` may mean, the likeliest first; see `domain.people_search`."""
        ...

    def read_day(self) -> DayBoard:
        """Returns everybody of the present day, from the journal."""
        ...

    def list_groups(self) -> Sequence[str]:
        """Returns the names of all classes, in the order of `domain.name_order`."""
        ...

    def enter_by_hand(self, person: PersonId, operator: str, reason: str) -> ActionResult:
        """Enters one person."""
        ...

    def enter_class(self, group: str, operator: str, reason: str) -> ActionResult:
        """Enters everybody of a class, all of them or nobody."""
        ...

    def list_ticks(self, group: str) -> Sequence[TickPerson]:
        """Returns everybody of a class in the order of names, with their entries of the present meal."""
        ...

    def enter_people(self, people: Sequence[PersonId], operator: str, reason: str) -> ActionResult:
        """Enters these people, all of them or nobody; `rows` counts those who were not in already."""
        ...

    def list_paper(self, wanted: PaperWanted) -> PaperList:
        """Returns the people of a class, or those whose codes were typed, for a printed list of a day's meal."""
        ...

    def enter_paper(self, entered: EnteredPaper, operator: Operator, reason: str) -> ActionResult:
        """Enters people of a printed list; `rows` counts those who had no entry of that meal."""
        ...

    def list_payers(self) -> Sequence[str]:
        """Returns the codes of those who may pay for guests, as the settings name them."""
        ...

    def enter_guests(self, counted: int, payer: str, operator: str, reason: str) -> ActionResult:
        """Enters meals of guests whom nobody knows, in the present session."""
        ...

    def list_clocks(self) -> Sequence[WrongClock]:
        """Returns the terminals' clocks for which rows are held, the newest first."""
        ...

    def confirm_clock(self, run: str, offset_s: int | None, operator: str, reason: str) -> ActionResult:
        """Confirms how far a clock was ahead, in seconds; None: as it was measured."""
        ...

    def list_waiting(self) -> Sequence[WaitingPerson]:
        """Returns the people who wait until the journal can be written, in their order."""
        ...

    def change_count(self, step: int, operator: str) -> ActionResult:
        """Adds to the count by hand, or takes away from it, while the journal cannot be written."""
        ...

    def void_entry(self, epoch: Epoch, seq: int, operator: str, reason: str) -> ActionResult:
        """Voids the entry with this epoch and sequence number."""
        ...


class PinVerdict(StrEnum):
    """The worth of a typed PIN for its operator."""

    RIGHT = "right"
    TO_CHANGE = "to_change"  # right, and given for one sign-in: its operator must choose another
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class ListedOperator:
    """An operator as the head sees one."""

    operator: Operator
    is_blocked: bool
    has_own_pin: bool  # False: none was given here, or the one that was has not been changed yet


class OperatorDirectory(Protocol):
    """The operators of this kiosk and their PINs. Any thread may call it.

    Acts raise `OperatorRefused`, and then nothing has changed. The calls with a PIN take some tens of milliseconds.
    """

    @property
    def is_first_awaited(self) -> bool:
        """True while the common PIN of the settings may make the first head."""
        ...

    def choices(self) -> Sequence[Operator]:
        """Returns the operators who can sign in, by name."""
        ...

    def find(self, operator: str) -> Operator | None:
        """Returns the operator with this id, or None for one who cannot sign in."""
        ...

    def list_all(self) -> Sequence[ListedOperator]:
        """Returns every operator made here or on the roster, those who can sign in no more too, by name."""
        ...

    def check_pin(self, operator: str, pin: str) -> PinVerdict:
        """Returns what this PIN is worth for this operator."""
        ...

    def check_common_pin(self, pin: str) -> bool:
        """Returns True when the first head is awaited and this is the common PIN."""
        ...

    def add_first(self, name: str, pin: str) -> Operator:
        """Makes the first head, with this own PIN."""
        ...

    def add(self, name: str, roles: Sequence[OperatorRole], group: str = "") -> tuple[Operator, str]:
        """Makes an operator, with the class of a class teacher; returns also the PIN for the first sign-in."""
        ...

    def renew_pin(self, operator: str) -> str:
        """Returns a new PIN for one sign-in; the old one opens nothing from now on."""
        ...

    def change_pin(self, operator: str, old_pin: str, pin: str) -> None:
        """Sets the operator's own new PIN in place of the old one, which the caller has checked."""
        ...

    def block(self, operator: str, *, even_the_last_head: bool = False) -> None:
        """Lets the operator sign in no more, here. The name stays, since events carry the id."""
        ...
