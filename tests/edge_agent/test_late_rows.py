"""Rows that terminals tell late: whatever the order of their coming, the visits are those of the true times."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from drivers.readings import CardRead, PersonMatched, Reading
from edge_agent.domain.confirmation import ConfirmationLimits
from edge_agent.domain.moment import Moment
from edge_agent.domain.record import StaffAct
from edge_agent.domain.roster import Roster, build_roster
from edge_agent.domain.sighting import EarlierSighting
from edge_agent.journal.rows import AppendedEvent
from edge_agent.station.ports import StationPolicy
from edge_agent.station.station import Station
from sync.contract.chain import Epoch, Hash
from sync.contract.event import (
    Claim,
    ClockQuality,
    Entry,
    Event,
    Exit,
    Manual,
    PersonId,
    Refusal,
    Repeat,
    encode,
)
from sync.contract.event import decode as decode_event
from sync.contract.movements import Direction, parse_rules
from sync.contract.roster import Entitlement, MealSession, Record
from sync.contract.visits import EventId, ReceivedEvent, Visit, derive_visits
from tests.edge_agent.domain.world import RULES, build_earlier_sighting, em4100, pupil
from tests.vectors import load_jsonl

ALMATY = ZoneInfo("Asia/Almaty")
DAY = "2026-11-27"  # a Friday
EPOCH = Epoch("41" * 8)
RELEASED = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)  # when the late rows come


def local(clock: str, day: str = DAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ALMATY).astimezone(UTC)


def make_roster() -> Roster:
    sessions = (
        MealSession(id="breakfast", name="Breakfast", start="08:00", end="09:00"),
        MealSession(id="lunch", name="Lunch", start="12:00", end="13:00"),
        MealSession(id="snack", name="Snack", start="12:30", end="13:30"),
    )
    records: list[Record] = [*sessions, *pupil(1), *pupil(2, "")]
    records.append(Entitlement(id="lunch-2", person="u2", programme="state", sessions=("lunch",)))
    return build_roster(records, school="s", version=7, confirmed_at=RELEASED, tz=ALMATY)


ROSTER = make_roster()
ENTITLEMENTS = {person: ROSTER.entitlements(person) for person in ROSTER.people}
POLICY = StationPolicy(
    rules=RULES,
    confirmation_limits=ConfirmationLimits(window_ns=10**9, unknown_per_minute=20),
    early_grace=timedelta(minutes=10),
    late_grace=timedelta(minutes=10),
    palm_with_card=False,
    pairing_ms=8_000,
    directions={"in": Direction.IN, "out": Direction.OUT, "way-out": Direction.OUT},
    keeps_rules=True,
)


@dataclass
class MemoryJournal:
    """The part of a journal that the station uses, in memory; the events went through their bytes."""

    events: list[Event] = field(default_factory=list)

    def append(self, event: Event) -> AppendedEvent:
        self.events.append(decode_event(encode(event)))
        return AppendedEvent(EPOCH, len(self.events), Hash(bytes(32)))

    def append_all(self, events: Sequence[Event]) -> Sequence[AppendedEvent]:
        return [self.append(event) for event in events]

    def earlier_sightings(self, person: PersonId, since: str) -> Sequence[EarlierSighting]:
        return [
            build_earlier_sighting(event, EPOCH, seq)
            for seq, event in enumerate(self.events, 1)
            if isinstance(event, Entry | Manual | Exit | Repeat | Refusal) and event.person == person
        ]

    def sighting(self, epoch: Epoch, seq: int) -> EarlierSighting | None:
        return None


def make_moment(utc: datetime) -> Moment:
    """A moment of the kiosk's own clocks; its boot began at the day's midnight."""
    return Moment(utc, (utc - local("00:00:00")) // timedelta(milliseconds=1), "boot-1", ClockQuality.SYNCHRONISED)


@dataclass(frozen=True)
class Sighted:
    """One time somebody was seen: by a card reader, by a terminal, or by the staff."""

    at: datetime
    person: int
    reader: str  # a terminal's begins with its reader's name and a colon

    def reading(self) -> Reading:
        name, _, serial = self.reader.partition(":")
        if serial:
            return PersonMatched(name, str(self.person), 0, "palm", seen_at=self.at, terminal=serial)
        return CardRead(name, em4100(self.person), 0)

    @property
    def is_terminal(self) -> bool:
        return ":" in self.reader


@dataclass
class Day:
    """A kiosk's journal of one day."""

    journal: MemoryJournal = field(default_factory=MemoryJournal)
    roster: Roster = ROSTER

    def __post_init__(self) -> None:
        self.station = Station(self.journal, self.roster, POLICY)

    def take(self, sighted: Sighted, arrival: datetime | None = None) -> None:
        if sighted.reader == "staff":
            act = StaffAct("Cook", "forgot_card")
            self.station.enter_by_hand(PersonId(f"u{sighted.person}"), make_moment(sighted.at), act)
            return
        self.station.take_reading(sighted.reading(), make_moment(arrival or sighted.at))

    def visits(self) -> list[Visit]:
        received = [ReceivedEvent(EventId("A", EPOCH, seq), event) for seq, event in enumerate(self.journal.events, 1)]
        timetable = self.roster.timetable
        return list(derive_visits(received, timetable=timetable, now=RELEASED, entitlements=ENTITLEMENTS).visits)


def essence(visits: Sequence[Visit]) -> list[tuple[object, ...]]:
    """What people and payers are told of visits, by person; which row of the journal says it is another matter."""
    ordered = sorted(visits, key=lambda visit: (visit.person, str(visit.entry_time)))
    return [
        (visit.person, visit.session, visit.service_date, visit.entry_time, visit.exit_time, visit.claim, visit.closing)
        for visit in ordered
    ]


def in_order(*sightings: Sighted) -> Day:
    day = Day()
    for sighted in sorted(sightings, key=lambda sighted: sighted.at):
        day.take(sighted)
    return day


def test_a_breakfast_that_comes_after_the_lunch_is_a_breakfast() -> None:
    """frappe/biometric-attendance-sync-tool#80, and two files of a memory stick."""
    (case,) = [case for case in load_jsonl("field_readers.jsonl") if "sync-tool#80" in case["source"]]
    assert "breakfast and lunch" in case["expected"]
    day = Day()
    for sighted in (Sighted(local("12:10:00"), 1, "palm:SN2"), Sighted(local("08:10:00"), 1, "palm:SN1")):
        day.take(sighted, RELEASED)
    assert [type(event) for event in day.journal.events] == [Entry, Entry]
    assert [(visit.session, visit.claim) for visit in day.visits()] == [
        ("breakfast", Claim.CLAIMABLE),
        ("lunch", Claim.CLAIMABLE),
    ]


def test_a_late_row_before_a_live_scan_of_the_same_meal_is_one_visit() -> None:
    scans = Sighted(local("12:05:00"), 1, "palm:SN1"), Sighted(local("12:05:40"), 1, "door")
    live = in_order(*scans)
    late = Day()
    late.take(scans[1])
    late.take(scans[0], local("12:20:00"))
    assert essence(late.visits()) == essence(live.visits())
    (visit,) = late.visits()
    assert (visit.entry_time, visit.claim) == (local("12:05:00"), Claim.CLAIMABLE)


def test_an_exit_that_comes_before_its_entry_ends_it() -> None:
    """The breakfast was over by then: the kiosk refused the row that it knew first."""
    way_in, way_out = Sighted(local("08:40:00"), 1, "palm:SN1"), Sighted(local("09:12:00"), 1, "palm:SN2")
    day = Day()
    day.take(way_out)
    day.take(way_in, RELEASED)
    assert isinstance(day.journal.events[0], Refusal)
    (visit,) = day.visits()
    assert (visit.entry_time, visit.exit_time) == (local("08:40:00"), local("09:12:00"))


READERS = ("palm:SN1", "palm:SN2", "way-out:SN3", "door", "in", "out", "staff")
SIGHTINGS = st.builds(
    lambda second, person, reader: Sighted(local("07:40:00") + timedelta(seconds=second), person, reader),
    st.one_of(
        st.integers(0, 6 * 3600),
        st.integers(0, 90).map(lambda step: 15_600 + step * 20),  # close together, at the lunch
    ),
    st.integers(1, 2),
    st.sampled_from(READERS),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SIGHTINGS, max_size=9, unique_by=lambda sighted: (sighted.at, sighted.person)), st.randoms())
def test_any_order_of_the_same_rows_gives_the_same_visits(sightings: list[Sighted], dice: random.Random) -> None:
    late_people = {sighted.person for sighted in sightings if sighted.is_terminal}
    sightings = [sighted for sighted in sightings if sighted.person in late_people]
    straight = essence(in_order(*sightings).visits())
    shuffled = list(sightings)
    dice.shuffle(shuffled)
    day = Day()
    for sighted in shuffled:
        day.take(sighted, RELEASED if sighted.is_terminal else None)
    assert essence(day.visits()) == straight


@settings(max_examples=100, deadline=None)
@given(st.lists(SIGHTINGS, max_size=9, unique_by=lambda sighted: (sighted.at, sighted.person)))
def test_a_day_in_order_means_what_the_kiosk_said_at_each_scan(sightings: list[Sighted]) -> None:
    """The function that judges late rows is the one that judges scans."""
    day = in_order(*sightings)
    placed = day.visits()
    for number, event in enumerate(day.journal.events):
        if isinstance(event, Entry | Manual | Exit | Repeat | Refusal):
            kiosk_boot = replace(event, boot="boot-1", scan_rules="")  # as if no terminal's clock were in it
            day.journal.events[number] = kiosk_boot
    assert essence(placed) == essence(day.visits())


def test_a_kiosk_without_terminals_says_no_rules_and_others_do() -> None:
    day = in_order(Sighted(local("12:05:00"), 1, "out"))
    (event,) = day.journal.events
    assert isinstance(event, Exit)
    rules = parse_rules(event.scan_rules)
    assert rules is not None
    assert rules.text == event.scan_rules == "out/5000/60000/1800000/2700000/600000/600000"


@pytest.mark.parametrize("text", ["", "both", "both/1/2/3/4/5", "up/1/2/3/4/5/6", "in/1/2/3/4/5/-6", "in/1/2/3/4/5/٣"])
def test_rules_that_no_kiosk_writes_are_none(text: str) -> None:
    assert parse_rules(text) is None
