"""The meal that is served at an instant: local time windows laid over UTC.

Kiosk and ledger ask the same timetable: the kiosk at the scan, the ledger again once a wrong clock has been put right.

A session belongs to the local date on which it starts (its service date), also when it ends after midnight. An hour
that the clocks repeat belongs to the session twice, and one that they skip makes its window longer, never empty: a
doubt about the clock is decided for the child.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import IntEnum

import msgspec

from sync.contract.event import SessionId
from sync.contract.roster import ClosedDay, MealSession

_LOCAL_TIME = re.compile(r"(\d{1,2}):([0-5]\d)")
_DAY = timedelta(days=1)
_CACHED_DATES_MAX = 8
_YEAR_FIRST, _YEAR_LAST = 1970, 9000


class Phase(IntEnum):
    """Where in its session an instant lies; of several sessions at once the lowest comes first."""

    RUNNING = 0
    EARLY = 1  # in the grace before the start
    LATE = 2  # in the grace after the end


class Slot(msgspec.Struct, frozen=True):
    """One session on one service date; `starts` and `ends` in UTC, the end not included."""

    session: SessionId
    service_date: str  # local date of the start: `2026-11-22`
    starts: datetime
    ends: datetime
    phase: Phase = Phase.RUNNING


class ServedSlots(msgspec.Struct, frozen=True):
    """The slots served at an instant. Where several overlap, the first comes first in the choice, too."""

    slots: tuple[Slot, ...] = ()
    closed: bool = False  # the school is closed on this local date


@dataclass(frozen=True, slots=True)
class SessionWindow:
    """A session's hours as local wall time. An `end` at or before `start` is on the next day."""

    session: SessionId
    start: time
    end: time
    weekdays: frozenset[int]  # ISO, of the day on which it starts

    def to_slot(self, day: date, tz: tzinfo) -> Slot:
        """Returns the session's slot on one service date."""
        end_day = day if self.end > self.start else day + _DAY
        return Slot(
            self.session,
            day.isoformat(),
            min(_both_readings(day, self.start, tz)),
            max(_both_readings(end_day, self.end, tz)),
        )


def _both_readings(day: date, wall: time, tz: tzinfo) -> tuple[datetime, datetime]:
    """Returns the two instants of a wall time that comes twice, or never; of any other one, the same instant twice."""
    local = datetime.combine(day, wall, tz)
    return local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def _local_time(text: str) -> time:
    match = _LOCAL_TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no local time; write it as 09:30")
    hour, minute = int(match[1]), int(match[2])
    if (hour, minute) == (24, 0):
        return time(0, 0)
    if hour > 23:
        raise ValueError(f"{text!r} is no local time; hours go from 00 to 23")
    return time(hour, minute)


def read_window(record: MealSession) -> SessionWindow:
    """Returns the session's hours. Raises ValueError that says what to correct in the roster."""
    weekdays = frozenset(record.weekdays)
    if not weekdays or not weekdays <= frozenset(range(1, 8)):
        raise ValueError("the weekdays must be numbers from 1 (Monday) to 7, at least one")
    return SessionWindow(SessionId(record.id), _local_time(record.start), _local_time(record.end), weekdays)


@dataclass(frozen=True, slots=True)
class Timetable:
    """A school's sessions, closed days and time zone."""

    tz: tzinfo
    windows: tuple[SessionWindow, ...] = ()
    closed_days: frozenset[str] = field(default=frozenset())  # local dates
    _by_session: Mapping[str, SessionWindow] = field(init=False, repr=False, compare=False)
    _cached_dates: dict[date, tuple[Slot, ...]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_session", {window.session: window for window in self.windows})

    @classmethod
    def from_records(cls, sessions: Iterable[MealSession], closed: Iterable[ClosedDay], tz: tzinfo) -> "Timetable":
        """Returns the timetable of the sessions that can be read; `read_window` says why one cannot."""
        windows = []
        for record in sessions:
            try:
                windows.append(read_window(record))
            except ValueError:
                continue  # the roster's reader lists it as a problem; the other meals go on
        return cls(tz, tuple(windows), frozenset(day.id for day in closed))

    def find_slots(
        self, utc: datetime, *, early: timedelta = timedelta(), late: timedelta = timedelta()
    ) -> ServedSlots:
        """Returns the slots served at this aware instant, with grace before the start and after the end.

        Of overlapping sessions a running one comes before one that is early or late, then the one that started last,
        then the lowest id.
        """
        if not _YEAR_FIRST <= utc.year <= _YEAR_LAST:
            return ServedSlots()  # a clock that never stood near the truth; its neighbouring days need not even exist
        today = utc.astimezone(self.tz).date()
        slots = []
        for slot in self._around(today):
            if not slot.starts - early <= utc < slot.ends + late:
                continue
            phase = Phase.EARLY if utc < slot.starts else Phase.RUNNING if utc < slot.ends else Phase.LATE
            slots.append(Slot(slot.session, slot.service_date, slot.starts, slot.ends, phase))
        slots.sort(key=lambda slot: (slot.phase, -slot.starts.timestamp(), slot.session))
        return ServedSlots(tuple(slots), today.isoformat() in self.closed_days)

    def _around(self, today: date) -> Sequence[Slot]:
        """Returns the slots of this date and its neighbours; those of the last few dates are cached."""
        slots = self._cached_dates.get(today)
        if slots is None:
            slots = tuple(
                window.to_slot(day, self.tz)
                for day in (today - _DAY, today, today + _DAY)
                if day.isoformat() not in self.closed_days
                for window in self.windows
                if day.isoweekday() in window.weekdays
            )
            if len(self._cached_dates) >= _CACHED_DATES_MAX:
                self._cached_dates.clear()
            self._cached_dates[today] = slots
        return slots

    def slot(self, session: str, service_date: str) -> Slot | None:
        """Returns a session's slot on a service date, whatever the weekday; None where either is not known."""
        window = self._by_session.get(session)
        if window is None:
            return None
        try:
            day = date.fromisoformat(service_date)
        except ValueError:
            return None
        return window.to_slot(day, self.tz) if _YEAR_FIRST <= day.year <= _YEAR_LAST else None

    def served_slot(self, session: str, service_date: str) -> Slot | None:
        """Returns a session's slot on a service date on which it is served; None on closed days and other weekdays."""
        slot = self.slot(session, service_date)
        if slot is None or slot.service_date != service_date or service_date in self.closed_days:
            return None
        return slot if date.fromisoformat(service_date).isoweekday() in self._by_session[session].weekdays else None
