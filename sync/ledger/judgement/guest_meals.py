"""Meals of guests whom no roster knows, as kiosks told of them by number and payer. They are no visits of anybody."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import psycopg

from sync.contract.event import GuestMeals, Void, decode
from sync.contract.visit import EventId
from sync.contract.voids import find_voided

# A day on either side: the table files these events under the UTC date of their entry, and a service date is local.
_SELECT_GUESTS = """
    SELECT device, epoch, seq, payload FROM fact
    WHERE school = %(school)s AND kind = 'guest_meals' AND day BETWEEN %(first)s AND %(last)s
    ORDER BY device, epoch, seq, branch
"""
_SELECT_VOIDS = """
    SELECT device, payload FROM event
    WHERE school = %(school)s AND kind = 'void' AND named_epoch = ANY(%(epochs)s) AND named_seq = ANY(%(seqs)s)
    UNION
    SELECT device, payload FROM carried
    WHERE school = %(school)s AND kind = 'void' AND named_epoch = ANY(%(epochs)s) AND named_seq = ANY(%(seqs)s)
"""


@dataclass(frozen=True, slots=True)
class GuestEntry:
    """One entry of guests' meals, on the day on which it counts."""

    id: EventId
    day: str
    event: GuestMeals
    voided: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestLine:
    """The guests of one session of a day under one payer."""

    school: str
    day: str
    session: str
    payer: str
    entries: int
    meals: int
    void: int  # entries that were taken back


def read_guest_entries(connection: psycopg.Connection, school: str, first: date, last: date) -> list[GuestEntry]:
    """Returns the entries of guests on these days, in the order of their names; each once, and voided ones too."""
    day = timedelta(days=1)
    bounds = {"school": school, "first": (first - day).isoformat(), "last": (last + day).isoformat()}
    events: dict[EventId, GuestMeals] = {}
    for device, epoch, seq, payload in connection.execute(_SELECT_GUESTS, bounds):
        event = decode(payload)
        if isinstance(event, GuestMeals) and first.isoformat() <= find_guest_day(event) <= last.isoformat():
            events.setdefault(EventId(device, epoch, seq), event)
    if not events:
        return []
    names = {
        "school": school,
        "epochs": sorted({name.epoch for name in events}),
        "seqs": sorted({name.seq for name in events}),
    }
    decoded = ((device, decode(payload)) for device, payload in connection.execute(_SELECT_VOIDS, names))
    voids = [(device, event) for device, event in decoded if isinstance(event, Void)]
    voided = find_voided(voids, dict.fromkeys(events, ""), events)
    return [GuestEntry(name, find_guest_day(event), event, name in voided) for name, event in events.items()]


def find_guest_day(event: GuestMeals) -> str:
    """Returns the date on which these meals count: the session's, else the date of the entry in UTC."""
    return event.service_date or event.at[:10]


def sum_guests(school: str, entries: Iterable[GuestEntry]) -> Iterator[GuestLine]:
    """Yields the sums of these entries by day, session and payer."""
    groups: dict[tuple[str, str, str], list[GuestEntry]] = defaultdict(list)
    for entry in entries:
        groups[entry.day, entry.event.session, entry.event.payer].append(entry)
    for (day, session, payer), group in sorted(groups.items()):
        counted: Sequence[GuestEntry] = [entry for entry in group if not entry.voided]
        yield GuestLine(
            school=school, day=day, session=session, payer=payer, entries=len(counted),
            meals=sum(entry.event.counted for entry in counted), void=len(group) - len(counted),
        )  # fmt: skip
