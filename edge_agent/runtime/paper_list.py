"""Printed lists for a time without electricity: who stands there, and what may be entered from them afterwards."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from edge_agent.domain.moment import Moment
from edge_agent.domain.name_order import order_key
from edge_agent.domain.operators import Operator
from edge_agent.domain.paper_codes import PaperCodes
from edge_agent.domain.record import StaffAct
from edge_agent.domain.roster import Roster
from edge_agent.runtime.staff_day import EntrySource, describe_people, read_day_of
from edge_agent.screen.ports import (
    EnteredPaper,
    FailureReason,
    PaperList,
    PaperRow,
    PaperSession,
    PaperWanted,
)
from sync.contract.roster import MealSession, Person
from sync.contract.sessions import Slot
from sync.contract.wire import time_text

PAPER_DAYS_MAX: Final = 31  # so long afterwards a list may be entered
HOURS_SLACK: Final = timedelta(hours=2)  # in an outage lunch is early or late
BY_CODES: Final = "codes"


class PaperRefused(Exception):
    """Nothing of the list was entered; `reason` says why."""

    def __init__(self, reason: FailureReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def read_paper_list(roster: Roster, utc: datetime, wanted: PaperWanted, entries: EntrySource) -> PaperList:
    """Returns the list of a class, or of the typed codes, with the entries that people have of that meal already."""
    tz = roster.timetable.tz
    day = wanted.day or utc.astimezone(tz).date().isoformat()
    slots = find_day_slots(roster, day)
    chosen = next((slot for slot in slots if slot.session == wanted.session), slots[0] if slots else None)
    codes = PaperCodes(roster.people)
    typed = codes.read(wanted.codes)
    members = [roster.people[person] for person in typed.people] if wanted.codes else sort_class(roster, wanted.group)
    came: dict[str, str] = {}
    if chosen is not None and members:
        for row in read_day_of(chosen.service_date, roster, entries):
            if row.session == chosen.session and not row.voided:
                came.setdefault(row.person, row.at)
    rows = [
        PaperRow(person.person, person.name, person.group, person.apart, codes.code(person.person), at)
        for person in describe_people(members, roster)
        for at in [came.get(person.person, "")]
    ]
    return PaperList(
        day=day,
        session=chosen.session if chosen else "",
        since=_clock(chosen.starts, tz) if chosen else "",
        until=_clock(max(chosen.starts, min(chosen.ends, utc)), tz) if chosen else "",
        sessions=tuple(_describe_session(slot, roster) for slot in slots),
        rows=tuple(rows),
        wrong=typed.wrong,
    )


def sort_class(roster: Roster, group: str) -> Sequence[Person]:
    """Returns the people of a class in the order of their names."""
    return sorted(
        roster.group_members(group),
        key=lambda person: (order_key(f"{person.family_name} {person.given_name}"), person.id),
    )


def find_day_slots(roster: Roster, day: str) -> list[Slot]:
    """Returns the meals that are served on a service date, in the order of their hours."""
    served = (roster.timetable.served_slot(window.session, day) for window in roster.timetable.windows)
    return sorted(filter(None, served), key=lambda slot: (slot.starts, slot.session))


def check_paper(
    roster: Roster, moment: Moment, entered: EnteredPaper, operator: Operator, reason: str
) -> tuple[Slot, StaffAct]:
    """Returns the meal of the list, and the act by which its people are entered. Raises PaperRefused.

    A clock that is not trusted does not say that a list is of the future, or too old.
    """
    own = operator.only_group
    for person in entered.people:
        if person not in roster.people:
            raise PaperRefused(FailureReason.UNKNOWN_PERSON)
        if own is not None and (not own or roster.people[person].group != own):
            raise PaperRefused(FailureReason.NOT_YOUR_CLASS)
    tz = roster.timetable.tz
    slot = next((slot for slot in find_day_slots(roster, entered.day) if slot.session == entered.session), None)
    if slot is None:
        raise PaperRefused(FailureReason.NO_SESSION)
    age = moment.utc.astimezone(tz).date() - date.fromisoformat(entered.day)
    if moment.is_trusted and not timedelta() <= age <= timedelta(days=PAPER_DAYS_MAX):
        raise PaperRefused(FailureReason.WRONG_DAY)
    since, until = (_find_time(entered.day, hour, slot, tz) for hour in (entered.since, entered.until))
    latest = min(slot.ends + HOURS_SLACK, moment.utc) if moment.is_trusted else slot.ends + HOURS_SLACK
    if not slot.starts - HOURS_SLACK <= since <= until <= latest:
        raise PaperRefused(FailureReason.WRONG_HOURS)
    paper = f"{entered.day} {entered.session} {entered.group or BY_CODES}"
    return slot, StaffAct(
        operator.id, reason, group=paper, paper=paper, eaten_from=time_text(since), eaten_until=time_text(until)
    )


def _find_time(day: str, hour: str, slot: Slot, tz: tzinfo) -> datetime:
    """Returns a local hour of a service date; of a meal that runs past midnight it may be on the next day."""
    try:
        when = datetime.fromisoformat(f"{day}T{hour}").replace(tzinfo=tz)
    except ValueError as error:
        raise PaperRefused(FailureReason.WRONG_HOURS) from error
    return when + timedelta(days=1) if when < slot.starts - HOURS_SLACK else when


def _clock(when: datetime, tz: tzinfo) -> str:
    return when.astimezone(tz).strftime("%H:%M")


def _describe_session(slot: Slot, roster: Roster) -> PaperSession:
    tz = roster.timetable.tz
    record = roster.find_session(slot.session) or MealSession(id=slot.session, name=slot.session, start="", end="")
    return PaperSession(
        slot.session, record.name, record.name_kk, record.name_ru,
        _clock(slot.starts, tz), _clock(slot.ends, tz),
    )  # fmt: skip
