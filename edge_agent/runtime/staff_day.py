"""The day as the staff look at it: who came, by which meal, and who of the entitled did not."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, tzinfo

from edge_agent.domain.name_order import order_key
from edge_agent.domain.respond import full_name
from edge_agent.domain.roster import Roster
from edge_agent.journal.day_entries import DayEntry
from edge_agent.journal.sightings import NOBODY
from edge_agent.screen.ports import DayBoard, DaySession, RosterPerson, TickPerson, TodayRow
from sync.contract.entitlements import choose_entitlement
from sync.contract.event import GuestMeals, Manual, Method, PersonId, is_on_paper
from sync.contract.roster import MealSession, Person
from sync.contract.sessions import Slot
from sync.contract.wire import read_time

EntrySource = Callable[[date], Sequence[DayEntry]]


def read_day(roster: Roster, utc: datetime, entries: EntrySource) -> DayBoard:
    """Returns the board of the service date of this instant: of a meal that runs past midnight, the day before."""
    served = roster.timetable.find_slots(utc).slots
    tz = roster.timetable.tz
    day = served[0].service_date if served else utc.astimezone(tz).date().isoformat()
    rows = read_day_of(day, roster, entries)
    eaten: dict[str, set[str]] = {}
    guests: Counter[str] = Counter()
    for row in rows:
        if row.guests and not row.voided:
            guests[row.session] += row.guests
        elif not row.voided:
            eaten.setdefault(row.session, set()).add(row.person)
    slots = [roster.timetable.served_slot(window.session, day) for window in roster.timetable.windows]
    ordered = sorted(filter(None, slots), key=lambda slot: (slot.starts, slot.session))
    sessions = (_describe_slot(slot, roster, eaten.get(slot.session, set()), guests[slot.session]) for slot in ordered)
    return DayBoard(day, rows, tuple(sessions))


def read_day_of(day: str, roster: Roster, entries: EntrySource) -> tuple[TodayRow, ...]:
    """Returns the entries of a service date, newest first, voided ones too."""
    tz = roster.timetable.tz
    return tuple(_describe_entry(entry, roster, tz) for entry in entries(date.fromisoformat(day)))


def list_ticks(roster: Roster, group: str, utc: datetime, entries: EntrySource) -> list[TickPerson]:
    """Returns everybody of a class in the order of names, with their entries of the meal of this instant."""
    slots = roster.timetable.find_slots(utc).slots
    session = slots[0].session if slots else ""
    came = {
        row.person: row
        for row in read_day(roster, utc, entries).rows
        if not row.voided and (row.session == session or not session)
    }
    members = sorted(
        roster.group_members(group),
        key=lambda person: (order_key(f"{person.family_name} {person.given_name}"), person.id),
    )
    ticks = []
    for person in describe_people(members, roster):
        row = came.get(person.person)
        place = (row.at, row.epoch, row.seq) if row is not None else ("", "", 0)
        ticks.append(TickPerson(person.person, person.name, person.group, person.apart, *place))
    return ticks


def describe_people(people: Sequence[Person], roster: Roster) -> list[RosterPerson]:
    """Returns these people as the staff's page lists them, in this order."""
    names = Counter(full_name(person) for person in people)
    alike = {person.id for person in people if names[full_name(person)] > 1}
    endings = roster.find_card_endings(alike) if alike else {}
    return [
        RosterPerson(PersonId(person.id), full_name(person), person.group, endings.get(person.id, ""))
        for person in people
    ]


def _describe_entry(entry: DayEntry, roster: Roster, tz: tzinfo) -> TodayRow:
    event = entry.event
    at = read_time(event.at).astimezone(tz).strftime("%H:%M")
    if isinstance(event, GuestMeals):
        return TodayRow(
            entry.epoch, entry.seq, NOBODY, "", "", at, event.session, Method.MANUAL, entry.voided,
            operator=event.operator, reason=event.note, guests=event.counted, payer=event.payer,
        )  # fmt: skip
    person = roster.people.get(event.person)
    return TodayRow(
        epoch=entry.epoch,
        seq=entry.seq,
        person=PersonId(event.person),
        name=full_name(person) if person else "",
        group=person.group if person else "",
        at=at,
        session=event.session,
        method=Method.PAPER if is_on_paper(event) else event.method,
        voided=entry.voided,
        operator=event.operator if isinstance(event, Manual) else "",
        reason=event.note if isinstance(event, Manual) else "",
        score=event.score,
        rule="" if isinstance(event, Manual) else event.reason,
    )


def _describe_slot(slot: Slot, roster: Roster, eaten: set[str], guests: int) -> DaySession:
    tz = roster.timetable.tz
    record = roster.find_session(slot.session) or MealSession(id=slot.session, name=slot.session, start="", end="")
    waiting = [
        person
        for person in roster.people.values()
        if person.id not in eaten
        and choose_entitlement(roster.entitlements(person.id), slot.session, slot.service_date) is not None
    ]
    waiting.sort(key=lambda person: (order_key(person.group), order_key(person.family_name), person.id))
    return DaySession(
        session=slot.session,
        name=record.name,
        name_kk=record.name_kk,
        name_ru=record.name_ru,
        starts=slot.starts.astimezone(tz).strftime("%H:%M"),
        ends=slot.ends.astimezone(tz).strftime("%H:%M"),
        eaten=len(eaten),
        waiting=tuple(describe_people(waiting, roster)),
        guests=guests,
    )
