"""The sheet (табель) of one school, programme and month: who had a meal on which day, and what that costs.

It holds opaque ids only. Names, classes and categories are joined when it is shown, so that the record of a person
can be erased, and a caterer sees no category.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sync.contract.visit import EventId

RowKey = tuple[str, str]  # person, session


@dataclass(frozen=True, slots=True, order=True)
class SheetSubject:
    """The name of a sheet. `number` 0 is the month's own; from 1 on they are its correction sheets."""

    school: str
    programme: str
    month: str  # `2026-11`
    number: int = 0

    def __str__(self) -> str:
        correction = f" correction {self.number}" if self.number else ""
        return f"{self.school} {self.programme} {self.month}{correction}"


class OutageKind(StrEnum):
    """The way in which a kiosk was away."""

    BOOT = "boot"  # it came back after it had not stopped in an orderly way
    STOP = "stop"  # it was stopped and started again
    FAULT = "fault"  # its journal was repaired, and a new one begun


@dataclass(frozen=True, slots=True, order=True)
class SheetOutage:
    """The evidence that a kiosk was away in a session: the event of its return."""

    day: int  # of the month
    session: str
    device: str
    epoch: str
    seq: int
    kind: OutageKind

    @property
    def id(self) -> EventId:
        """Returns the identity of the event."""
        return EventId(self.device, self.epoch, self.seq)


@dataclass(frozen=True, slots=True, order=True)
class SheetObjection:
    """A line of an earlier version to which a side objected; `session` and `person` as in the row."""

    version: int
    side: str
    person: str
    session: str


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class SheetRow:
    """One person in one session (empty: days are counted, not meals). Days are numbers of the month, ascending."""

    person: str
    session: str
    days: tuple[int, ...] = ()  # billed
    tiyn: int = 0
    absent: tuple[int, ...] = ()  # entitled and taught, and no meal
    down: tuple[int, ...] = ()  # those of `absent` on which a kiosk was away
    held: tuple[int, ...] = ()  # a meal that waits for a judgement
    pending: tuple[int, ...] = ()  # a guest's meal: the home school's programme pays
    outside: tuple[int, ...] = ()  # a meal on a day on which the calendar has no school: not billed

    @property
    def key(self) -> RowKey:
        """Returns the name of the row within its sheet."""
        return self.person, self.session


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class CorrectionRow:
    """The difference of one person's row in one session from what was closed. `tiyn` may be negative."""

    person: str
    session: str
    added: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    tiyn: int = 0

    @property
    def key(self) -> RowKey:
        """Returns the name of the row within its sheet."""
        return self.person, self.session


@dataclass(frozen=True, slots=True)
class DaySum:
    """The meals of one day."""

    day: int
    meals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One version of a sheet. `calendar` and `tariff` are the digests of the terms by which it was made.

    `categories`: the digest of the newest version of the categories then; empty: there was none.
    `base`: of a correction sheet, the digests of what was closed before it, the month's own first.
    """

    subject: SheetSubject
    version: int
    payer: str
    mark: str
    calendar: str
    tariff: str
    rows: tuple[SheetRow, ...] = ()
    corrections: tuple[CorrectionRow, ...] = ()
    outages: tuple[SheetOutage, ...] = ()
    objections: tuple[SheetObjection, ...] = ()
    base: tuple[str, ...] = ()
    categories: str = ""
    _keys: frozenset[RowKey] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keys = [row.key for row in self.rows] + [row.key for row in self.corrections]
        object.__setattr__(self, "_keys", frozenset(keys))

    @property
    def meals(self) -> int:
        """Returns how many meals are billed; of a correction sheet, the difference."""
        billed = sum(len(row.days) for row in self.rows)
        return billed + sum(len(row.added) - len(row.dropped) for row in self.corrections)

    @property
    def tiyn(self) -> int:
        """Returns the money that is billed, in tiyn; of a correction sheet, the difference."""
        return sum(row.tiyn for row in self.rows) + sum(row.tiyn for row in self.corrections)

    @property
    def days(self) -> tuple[DaySum, ...]:
        """Returns the sums of the days on which the sheet has meals or takes some back, ascending."""
        meals: dict[int, int] = defaultdict(int)
        for row in self.rows:
            for day in row.days:
                meals[day] += 1
        for correction in self.corrections:
            for day in correction.added:
                meals[day] += 1
            for day in correction.dropped:
                meals[day] -= 1
        return tuple(DaySum(day, meals[day]) for day in sorted(meals))

    def take_terms(self, other: "Sheet") -> "Sheet":
        """Returns the sheet with the names of another one's terms: what is left to differ is what they say."""
        return replace(self, calendar=other.calendar, tariff=other.tariff, categories=other.categories)

    def has_row(self, key: RowKey) -> bool:
        """Returns True if the sheet has a row of this person and session."""
        return key in self._keys


@dataclass(frozen=True, slots=True)
class BilledRow:
    """The days and the money that stand billed of one person in one session."""

    days: frozenset[int] = frozenset()
    tiyn: int = 0


def sum_billed(sheets: Iterable[Sheet]) -> Mapping[RowKey, BilledRow]:
    """Returns what stands billed after a month's own sheet and its correction sheets, in their order."""
    billed: dict[RowKey, BilledRow] = {}
    for sheet in sheets:
        for row in sheet.rows:
            billed[row.key] = BilledRow(frozenset(row.days), row.tiyn)
        for correction in sheet.corrections:
            before = billed.get(correction.key, BilledRow())
            days = (before.days | frozenset(correction.added)) - frozenset(correction.dropped)
            billed[correction.key] = BilledRow(days, before.tiyn + correction.tiyn)
    return billed


def find_corrections(closed: Iterable[Sheet], newest: Sheet) -> tuple[CorrectionRow, ...]:
    """Returns what the newest recomputation of a month's own sheet differs by from what was closed, by person."""
    before, after = sum_billed(closed), sum_billed([newest])
    rows = []
    for person, session in sorted(before.keys() | after.keys()):
        old, new = before.get((person, session), BilledRow()), after.get((person, session), BilledRow())
        if old != new:
            rows.append(
                CorrectionRow(
                    person=person, session=session, added=tuple(sorted(new.days - old.days)),
                    dropped=tuple(sorted(old.days - new.days)), tiyn=new.tiyn - old.tiyn,
                )
            )  # fmt: skip
    return tuple(rows)
