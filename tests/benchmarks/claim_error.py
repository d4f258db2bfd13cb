"""How far the bill of a month lies from what was eaten, when the faults of the field happen to the kiosks.

The truth is drawn first: who is entitled, and who eats on which day. Two kiosks then record it through faults, each
with a stated rate, and the ledger judges what they recorded by its own rules. As the USDA's studies of school meals do
it (APEC), the error is stated as *over* (billed, and not owed), *under* (owed, and not billed) and *net*, in percent of
what was owed. No person has looked at a held claim yet.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sync.contract.event import Claim, ClockQuality, Entry, Event, Manual, Method, Void
from sync.contract.judgement import JudgementBasis
from sync.contract.roster import Entitlement, MealSession, Person, Record
from sync.contract.roster_history import RecordState, RosterHistory
from sync.contract.sessions import Timetable
from sync.contract.visits import EventId, ReceivedEvent, derive_visits
from tests.benchmarks.figures import Figure, Result, Run

FIRST, DAYS = date(2026, 11, 2), 20
NOW = datetime(2026, 12, 2, tzinfo=UTC)
LUNCH_START = 7  # UTC; twelve in Almaty
ALMATY = ZoneInfo("Asia/Almaty")
KIOSKS: Final = ("left", "right")
SCHOOLS, PUPILS = 20, 600

# Rates: assumptions, stated so that anybody may put in their own. A day: of a kiosk. A meal: of one that is eaten.
ENTITLED, PRESENT = 0.9, 0.94
DOWN_DAY = 0.02  # half of the lunch without a kiosk: entered by hand from paper in the afternoon
PAPER_LOST_MEAL = 0.03  # of those on paper: nobody wrote the child down
WRONG_CLOCK_DAY = 0.02  # a power cut without a network: the clock is wrong until the next boot
CLOCK_NEVER_RIGHT = 0.2  # of those: no later event of the boot vouches for it
OTHER_KIOSK_MEAL = 0.01  # the child taps at the second kiosk, too
OTHER_CHILD_MEAL = 0.001  # recognised as another child
ABSENT_ENTERED_DAY = 0.002  # of absent children: entered by hand with their class
ABSENT_VOIDED = 0.8  # of those: taken back
LATE_ROSTER = 0.02  # of pupils: entitled from the first day, on the roster from the sixth


@dataclass(slots=True)
class _Month:
    """The truth, and what the kiosks recorded of it."""

    dice: random.Random
    owed: set[tuple[str, str]] = field(default_factory=set)  # person and day
    received: list[ReceivedEvent] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def record(self, kiosk: str, event: Event, when: datetime) -> EventId:
        self.numbers[kiosk] += 1
        event_id = EventId(kiosk, "e", self.numbers[kiosk])
        self.received.append(ReceivedEvent(event_id, event, when + timedelta(minutes=5)))
        return event_id


def run(run: Run) -> Result:
    schools, pupils = (2, 60) if run.quick else (SCHOOLS, PUPILS)
    owed = over = under = twice = 0
    faults: Counter[str] = Counter()
    for seed in range(schools):
        month, meals = _play_month(seed, pupils)
        billed = set(meals)
        owed += len(month.owed)
        over += len(billed - month.owed)
        under += len(month.owed - billed)
        twice += len(meals) - len(billed)
        faults += month.faults
    return Result(
        "claim_error",
        f"{schools} schools of {pupils} pupils, {DAYS} days, {owed:,} meals owed; faults: "
        + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())),
        [
            Figure("over: billed and not owed", 100 * over / owed, "%"),
            Figure("under: owed and not billed", 100 * under / owed, "%"),
            Figure("net", 100 * (over - under) / owed, "%"),
            Figure("meals billed twice", twice, "", at_most=0),
        ],
    )


def _play_month(seed: int, pupils: int) -> tuple[_Month, list[tuple[str, str]]]:
    """Returns a school's month, and the person and day of each meal that is billed."""
    month = _Month(random.Random(seed))
    people = [f"p{number}" for number in range(pupils)]
    entitled = {person for person in people if month.dice.random() < ENTITLED}
    late = {person for person in sorted(entitled) if month.dice.random() < LATE_ROSTER}
    for number in range(DAYS):
        day = FIRST + timedelta(days=number // 5 * 7 + number % 5)
        _play_day(month, day, people, entitled, late if number < 5 else set())
    return month, _bill(month, people, entitled, late)


def _play_day(month: _Month, day: date, people: list[str], entitled: set[str], late: set[str]) -> None:
    dice, service_date = month.dice, day.isoformat()
    opens = datetime(day.year, day.month, day.day, LUNCH_START, tzinfo=UTC)
    down = {kiosk for kiosk in KIOSKS if dice.random() < DOWN_DAY}
    wrong = {kiosk for kiosk in KIOSKS if kiosk not in down and dice.random() < WRONG_CLOCK_DAY}
    month.faults["kiosk down"] += len(down)
    month.faults["clock wrong"] += len(wrong)
    for place, person in enumerate(people):
        kiosk = KIOSKS[place % 2]
        when = opens + timedelta(seconds=3 * place)
        if dice.random() >= PRESENT:
            _maybe_enter_absent(month, kiosk, person, service_date, opens, person in entitled)
            continue
        if person in entitled:
            month.owed.add((person, service_date))
        claim = Claim.CLAIMABLE if person in entitled and person not in late else Claim.NONE
        if kiosk in down and place < len(people) // 2:
            if dice.random() < PAPER_LOST_MEAL:
                month.faults["lost on paper"] += 1
            else:
                _enter_by_hand(month, kiosk, person, service_date, opens, claim)
            continue
        shown = person
        if dice.random() < OTHER_CHILD_MEAL:
            shown = dice.choice(people)
            month.faults["taken for another"] += 1
        for door in _doors(month, kiosk):
            month.record(door, _entry(door, shown, service_date, when, claim, door in wrong), when)
    for kiosk in wrong:
        if dice.random() >= CLOCK_NEVER_RIGHT:
            after = opens + timedelta(hours=3)
            month.record(kiosk, _entry(kiosk, "nobody", service_date, after, Claim.NONE, False), after)


def _doors(month: _Month, kiosk: str) -> Iterator[str]:
    """Yields the kiosk, and now and then the other one after it."""
    yield kiosk
    if month.dice.random() < OTHER_KIOSK_MEAL:
        month.faults["second tap"] += 1
        yield KIOSKS[1 - KIOSKS.index(kiosk)]


def _maybe_enter_absent(
    month: _Month, kiosk: str, person: str, service_date: str, opens: datetime, is_entitled: bool
) -> None:
    if month.dice.random() >= ABSENT_ENTERED_DAY or not is_entitled:
        return
    month.faults["absent child entered"] += 1
    entered = _enter_by_hand(month, kiosk, person, service_date, opens, Claim.CLAIMABLE)
    if month.dice.random() < ABSENT_VOIDED:
        when = opens + timedelta(hours=2)
        void = Void(
            school="s", at=_text(when), boot=service_date, mono_ms=7_200_000, clock=ClockQuality.SYNCHRONISED,
            void_epoch=entered.epoch, void_seq=entered.seq, person=person, operator="cook", note="was away",
        )  # fmt: skip
        month.record(kiosk, void, when)


def _enter_by_hand(month: _Month, kiosk: str, person: str, service_date: str, opens: datetime, claim: Claim) -> EventId:
    when = opens + timedelta(hours=2, minutes=30)
    manual = Manual(
        school="s", at=_text(when), boot=service_date, mono_ms=9_000_000, clock=ClockQuality.SYNCHRONISED,
        person=person, session="lunch", service_date=service_date, method=Method.MANUAL, operator="cook",
        note="from paper", claim=claim, programme="state" if claim is Claim.CLAIMABLE else "",
    )  # fmt: skip
    return month.record(kiosk, manual, when)


def _entry(kiosk: str, person: str, service_date: str, when: datetime, claim: Claim, is_wrong: bool) -> Entry:
    shown = when - timedelta(days=400) if is_wrong else when
    placed = not is_wrong
    return Entry(
        school="s", at=_text(shown), boot=f"{kiosk} {service_date}",
        mono_ms=int((when - datetime(when.year, when.month, when.day, tzinfo=UTC)).total_seconds() * 1000),
        clock=ClockQuality.UNSYNCHRONISED if is_wrong else ClockQuality.SYNCHRONISED, person=person,
        session="lunch" if placed else "", service_date=service_date if placed else "", reader="door",
        claim=Claim.HELD if is_wrong and claim is Claim.CLAIMABLE else claim,
        programme="state" if claim is Claim.CLAIMABLE else "",
    )  # fmt: skip


def _bill(month: _Month, people: list[str], entitled: set[str], late: set[str]) -> list[tuple[str, str]]:
    """Returns the person and day of each meal that the ledger bills, by the newest roster."""
    lunch = MealSession(id="lunch", name="Lunch", start="12:00", end="13:30", weekdays=(1, 2, 3, 4, 5))
    records: list[Record] = [lunch]
    records += [Person(id=person, given_name="", family_name="") for person in people]
    states = [RecordState(record, 1) for record in records]
    states += [
        RecordState(Entitlement(id=person, person=person, programme="state"), 2 if person in late else 1)
        for person in sorted(entitled)
    ]
    began = datetime(2026, 9, 1, tzinfo=UTC)
    sixth_day = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=7)
    history = RosterHistory(states, {1: began, 2: sixth_day}, ALMATY)
    timetable = Timetable.from_records([lunch], [], ALMATY)
    derived = derive_visits(month.received, timetable=timetable, now=NOW, basis=JudgementBasis(history=history))
    return [(visit.person, visit.service_date) for visit in derived.visits if visit.claim is Claim.CLAIMABLE]


def _text(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")
