"""The payer's count against ours: every line in which they differ, explained, with the events that show it.

An explanation accuses nobody. What both count alike gives no line; what cannot be matched to a person is listed apart;
and the differences always add up to the difference of the two totals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from sync.contract.roster import Entitlement
from sync.contract.visit import EventId, Visit
from sync.money.cell_faults import CellFault
from sync.money.payer_people import MatchFault, NameKey
from sync.money.sheet import Sheet


class DifferenceKind(StrEnum):
    """The explanation of a difference."""

    LATE = "late"  # our event came after the payer had counted, or after our sheet was made
    VOID = "void"  # the entry was taken back
    SECOND_MEAL = "second_meal"
    WITHDRAWN_VOUCHER = "withdrawn_voucher"
    OTHER_SCHOOL = "other_school"
    OTHER_SESSION = "other_session"
    ROSTER_VERSION = "roster_version"  # entitled by one roster and not by the other
    OTHER_PROGRAMME = "other_programme"
    HELD = "held"
    REVERSED = "reversed"  # a named person has decided otherwise
    GUEST = "guest"  # the home school's programme pays
    NO_SCHOOL = "no_school"  # a day on which the calendar has no school
    UNREADABLE = "unreadable"  # the payer's cell of this child and day cannot be read
    NOT_MATCHED = "not_matched"  # the payer has a line that may be this child's
    THEIRS_WITHOUT_OURS = "theirs_without_ours"
    OURS_WITHOUT_THEIRS = "ours_without_theirs"


@dataclass(frozen=True, slots=True)
class TheirMeal:
    """A payer's meals of one person and day, after matching. `session` empty: the file has none."""

    line: int
    person: str
    day: date
    count: int
    session: str = ""
    school: str = ""


@dataclass(frozen=True, slots=True)
class UnreadableCell:
    """A payer's cell of a known person that cannot be read; `day` None: of every day."""

    line: int
    person: str
    day: date | None
    cell: CellFault | None = None


@dataclass(frozen=True, slots=True)
class UnmatchedLine:
    """A payer's line that fits nobody, or several, or that cannot be read at all. `count`: the meals in it."""

    line: int
    count: int
    fault: MatchFault | None
    cell: CellFault | None = None
    candidates: tuple[str, ...] = ()
    days: tuple[date, ...] = ()
    name: NameKey = ("", "")  # of the child, as a confirmation would keep it

    @property
    def what(self) -> str:
        """Returns why the line cannot be read, in English; empty where it only fits nobody."""
        return self.cell.what if self.cell else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirCount:
    """The payer's sheet after matching. `made_at`: when it was counted; None: nobody says, and late is
    what came days after the meal, and after every event that the payer has counted.
    """

    meals: Sequence[TheirMeal]
    unreadable: Sequence[UnreadableCell] = ()
    unmatched: Sequence[UnmatchedLine] = ()
    withdrawn: Mapping[str, tuple[date, int]] = field(default_factory=dict)  # person → from when, and the line
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OurCount:
    """Our sheet and what explains it.

    `visits`: all of the school's month. `elsewhere`: the same people's at other schools. `received`: when each entry
    came to the ledger. `voids`: an entry that was taken back → the void. `entitlements`: as the newest roster has them;
    `former`: of the rosters before it.
    """

    sheet: Sheet
    visits: Sequence[Visit]
    elsewhere: Sequence[Visit] = ()
    received: Mapping[EventId, datetime] = field(default_factory=dict)
    voids: Mapping[EventId, EventId] = field(default_factory=dict)
    entitlements: Mapping[str, Sequence[Entitlement]] = field(default_factory=dict)
    former: Mapping[str, Sequence[Entitlement]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class CountDifference:
    """One line in which the counts differ. `events` show why; of an outage, that a kiosk was away then."""

    person: str
    day: date
    session: str
    kind: DifferenceKind
    ours: int
    theirs: int
    lines: tuple[int, ...] = ()
    events: tuple[EventId, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class CountComparison:
    """All differences, and the payer's lines that could not be matched."""

    differences: tuple[CountDifference, ...]
    unmatched: tuple[UnmatchedLine, ...]
    ours_total: int
    theirs_total: int  # the unmatched lines' meals among them
    unreadable: tuple[UnreadableCell, ...] = ()  # of people who are known


LATE_AFTER = timedelta(days=1)  # of the day after the meal's, where nobody says when the payer counted
