"""The rosters of a school over time: who was known when, what was served when, and who pays.

Each version is in force from a time on until the next one. Before the first there was none, and the first is the best
that can be known of that time. Membership and timetable are those in force at the time of an event, or of the version
by which its kiosk judged, where that had come into force by then: a kiosk may be offline for weeks. Entitlements have
dates of their own, and count as the newest roster that has the person states them, since they are granted with effect
from an earlier day every month. About a month that is closed no version speaks that came after its closing.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from sync.contract.entitlements import choose_entitlement
from sync.contract.roster import ClosedDay, Entitlement, MealSession, Person, Record
from sync.contract.sessions import Slot, Timetable

NOON = time(12)


@dataclass(frozen=True, slots=True)
class RecordState:
    """One state of a record: in the versions from `since` on, up to but without `until` (0: up to the newest)."""

    record: Record
    since: int
    until: int = 0

    def is_in(self, version: int) -> bool:
        """Returns True where this version has this state."""
        return self.since <= version and (not self.until or version < self.until)


class RosterHistory:
    """The versions of a school's roster. `versions`: the time from which each was in force."""

    def __init__(
        self,
        states: Iterable[RecordState],
        versions: Mapping[int, datetime],
        tz: tzinfo,
        closed_months: Mapping[str, int] | None = None,
    ) -> None:
        """Reads the states in any order. `closed_months`: `2026-11` → the version that was the newest at its close."""
        self.tz = tz
        self.newest = max(versions, default=0)
        self._in_force = dict(versions)
        self._closed_months = dict(closed_months or {})
        self._timelines: dict[int, tuple[list[datetime], list[int]]] = {}
        self._people: dict[str, list[RecordState]] = defaultdict(list)
        self._entitlements: dict[str, list[RecordState]] = defaultdict(list)
        self._served: list[RecordState] = []  # sessions and closed days
        for state in states:
            match state.record:
                case Person(id=person):
                    self._people[person].append(state)
                case Entitlement(person=person):
                    self._entitlements[person].append(state)
                case MealSession() | ClosedDay():
                    self._served.append(state)
                case _:
                    pass
        self._timetables: dict[int, Timetable] = {}
        self._slots: dict[tuple[str, str, int], Slot | None] = {}
        # As they were asked for: a day asks about hundreds of people by one and the same versions.
        self._members: dict[tuple[int, ...], dict[str, Person | None]] = defaultdict(dict)
        self._owned: dict[int, dict[str, list[Entitlement]]] = defaultdict(dict)

    def last_version(self, date: str) -> int:
        """Returns the last version that may speak about this date: the newest, or that of its month's closing."""
        return self._closed_months.get(date[:7], self.newest)

    def find_versions(self, when: datetime, judged_by: int, last: int) -> tuple[int, ...]:
        """Returns the versions up to `last` that may speak for this moment: the one in force, and the kiosk's own."""
        starts, numbers = self._timelines.get(last) or self._make_timeline(last)
        if not numbers:
            return ()
        number = numbers[max(0, bisect_right(starts, when) - 1)]
        own = self._in_force.get(judged_by) if judged_by <= last else None
        return (number, judged_by) if own is not None and judged_by != number and own <= when else (number,)

    def _make_timeline(self, last: int) -> tuple[list[datetime], list[int]]:
        starts: list[datetime] = []
        numbers: list[int] = []
        for number, start in sorted(self._in_force.items(), key=lambda pair: (pair[1], pair[0])):
            if number <= last:
                starts.append(start)
                numbers.append(max([number, *numbers[-1:]]))
        self._timelines[last] = starts, numbers
        return starts, numbers

    def find_person(self, person: str, versions: tuple[int, ...]) -> Person | None:
        """Returns the person's record in the first of these versions that has one."""
        members = self._members[versions]
        try:
            return members[person]
        except KeyError:
            record = members[person] = self._search_person(person, versions)
            return record

    def _search_person(self, person: str, versions: tuple[int, ...]) -> Person | None:
        states = self._people.get(person, ())
        for version in versions:
            for state in states:
                if state.is_in(version) and isinstance(state.record, Person):
                    return state.record
        return None

    def was_member(self, person: str, last: int) -> bool:
        """Returns True where any version up to `last` has this person."""
        return any(state.since <= last for state in self._people.get(person, ()))

    def timetable(self, version: int) -> Timetable:
        """Returns what was served by this version."""
        timetable = self._timetables.get(version)
        if timetable is None:
            served = [state.record for state in self._served if state.is_in(version)]
            sessions = (record for record in served if isinstance(record, MealSession))
            closed = (record for record in served if isinstance(record, ClosedDay))
            timetable = self._timetables[version] = Timetable.from_records(sessions, closed, self.tz)
        return timetable

    def list_timetables(self, days: Iterable[date]) -> dict[date, Timetable]:
        """Returns what was served on each of these local dates: by the version in force at noon."""
        timetables: dict[date, Timetable] = {}
        for day in days:
            noon = datetime.combine(day, NOON, self.tz)
            versions = self.find_versions(noon, 0, self.last_version(day.isoformat()))
            timetables[day] = self.timetable(versions[-1] if versions else self.newest)
        return timetables

    def has_session(self, session: str, versions: Iterable[int]) -> bool:
        """Returns True where one of these versions has a session of this id."""
        return any(window.session == session for version in versions for window in self.timetable(version).windows)

    def is_served(
        self, session: str, service_date: str, versions: Iterable[int], when: datetime | None, grace: timedelta
    ) -> bool:
        """Returns True where the session was served on that date, and at that time where one is given."""
        for version in versions:
            slot = self._served_slot(session, service_date, version)
            if slot is not None and (when is None or slot.starts - grace <= when < slot.ends + grace):
                return True
        return False

    def _served_slot(self, session: str, service_date: str, version: int) -> Slot | None:
        key = (session, service_date, version)
        try:
            return self._slots[key]
        except KeyError:
            slot = self._slots[key] = self.timetable(version).served_slot(session, service_date)
            return slot

    def choose_entitlement(self, person: str, session: str, service_date: str) -> Entitlement | None:
        """Returns the entitlement that pays for this person's meal on that date, as the newest roster states it.

        Of somebody who has left, the last roster that had them speaks: what they ate before is owed.
        """
        version = self._closed_months.get(service_date[:7], self.newest) if self._closed_months else self.newest
        owned = self._owned[version].get(person)
        if owned is None:
            stating = self._find_last_version(person, version)
            owned = self._owned[version][person] = [
                state.record
                for state in self._entitlements.get(person, ())
                if state.is_in(stating) and isinstance(state.record, Entitlement)
            ]
        return choose_entitlement(owned, session, service_date)

    def _find_last_version(self, person: str, version: int) -> int:
        """Returns the last version up to this one that has the person; this one where none has."""
        states = [state for state in self._people.get(person, ()) if state.since <= version]
        last = max(states, key=lambda state: state.since, default=None)
        return version if last is None or last.is_in(version) else last.until - 1
