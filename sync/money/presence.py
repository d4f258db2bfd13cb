"""Meals against presence at lessons, each day: what does not fit is a question, never an accusation."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sync.contract.visit import EventId, Visit
from sync.money.months import Month
from sync.money.sheet import Sheet


class PresenceKind(StrEnum):
    """The way in which meals and presence do not fit."""

    MEAL_WITHOUT_PRESENCE = "meal_without_presence"
    PRESENCE_WITHOUT_MEAL = "presence_without_meal"


@dataclass(frozen=True, slots=True, order=True)
class PresenceDifference:
    """One child and day that does not fit. `events`: the entries, or the returns of a kiosk that was away then."""

    day: date
    person: str
    kind: PresenceKind
    events: tuple[EventId, ...] = ()


def compare_presence(
    sheet: Sheet, visits: Iterable[Visit], present: Mapping[date, Collection[str]],
    unclear: Mapping[date, Collection[str]],
) -> tuple[PresenceDifference, ...]:  # fmt: skip
    """Returns what does not fit on the days of which presence is told: day → those who were at lessons.

    `sheet`: of the month, for who was entitled and who had a meal. A held or a guest's meal is a meal, too. `unclear`:
    day → those of whom a line that cannot be read or matched may speak; their meal is no question.
    """
    days = {day.day: day for day in Month.parse(sheet.subject.month).days if day in present}
    entries: dict[tuple[str, int], list[EventId]] = {}
    for visit in visits:
        if visit.counts and visit.day.startswith(sheet.subject.month):
            entries.setdefault((visit.person, int(visit.day[8:10])), []).append(visit.id)
    away: dict[int, list[EventId]] = {}
    for outage in sheet.outages:
        away.setdefault(outage.day, []).append(outage.id)
    lines = set()
    for row in sheet.rows:
        for number in {*row.days, *row.held, *row.pending, *row.outside} & days.keys():
            if row.person not in {*present[days[number]], *unclear.get(days[number], ())}:
                events = tuple(sorted(entries.get((row.person, number), ())))
                kind = PresenceKind.MEAL_WITHOUT_PRESENCE
                lines.add(PresenceDifference(days[number], row.person, kind, events))
        for number in set(row.absent) & days.keys():
            if row.person in present[days[number]]:
                kind = PresenceKind.PRESENCE_WITHOUT_MEAL
                lines.add(PresenceDifference(days[number], row.person, kind, tuple(away.get(number, ()))))
    return tuple(sorted(lines))
