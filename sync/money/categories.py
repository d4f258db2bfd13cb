"""Categories over time: opaque codes of people that may have a price of their own, in numbered versions.

A version states everybody's category from its first day on. On each day the newest version counts that is in force by
then: so a version that reaches back changes the days from its first one on, and no day before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

from sync.money.building import CategoryChange, SheetPerson
from sync.money.months import Month

BEGINNING = date.min  # the first day of what was in force before there were versions, and of a school's first version


@dataclass(frozen=True, slots=True)
class CategoryVersion:
    """One version of a school's categories. `digest` in hex, as a sheet names it."""

    number: int
    first: date
    digest: str


@dataclass(frozen=True, slots=True)
class CategorySpan:
    """The days of a month from `day` on, up to the next span. `number` is of the version that counts; None: none."""

    day: int
    number: int | None


def find_spans(versions: Iterable[CategoryVersion], month: Month) -> tuple[CategorySpan, ...]:
    """Returns which version counts on which days of a month; the first span begins on day 1."""
    versions = list(versions)
    spans: list[CategorySpan] = []
    day = month.first
    while day <= month.last:
        number = max((version.number for version in versions if version.first <= day), default=None)
        if not spans or spans[-1].number != number:
            spans.append(CategorySpan(day.day, number))
        day += timedelta(days=1)
    return tuple(spans)


def take_named(versions: Sequence[CategoryVersion], digest: str) -> list[CategoryVersion] | None:
    """Returns the versions that were there when a sheet named this digest; None where it is of none of them.

    A sheet that names none was made by what was in force before there were versions, which has number 0.
    """
    if not digest:
        return [version for version in versions if version.number == 0]
    newest = next((version.number for version in versions if version.digest == digest), None)
    return None if newest is None else [version for version in versions if version.number <= newest]


def set_categories(
    people: Iterable[SheetPerson], spans: Sequence[CategorySpan], codes: Mapping[int, Mapping[str, str]]
) -> list[SheetPerson]:
    """Returns the people with the categories of a month. `codes`: of each version that counts, person → category."""
    chosen = [(span.day, codes[span.number] if span.number is not None else {}) for span in spans]
    return [
        _set_category(person, [(day, of_people.get(person.person, "")) for day, of_people in chosen])
        for person in people
    ]


def _set_category(person: SheetPerson, days: Sequence[tuple[int, str]]) -> SheetPerson:
    first = days[0][1]
    changes = tuple(
        CategoryChange(day, category) for (_, before), (day, category) in pairwise(days) if category != before
    )
    return (
        person
        if (person.category, person.changes) == (first, changes)
        else replace(person, category=first, changes=changes)
    )
