"""The evidence that a kiosk was away in a session."""

from datetime import UTC, datetime

import pytest

from sync.contract.event import Boot, ClockQuality, ClockStep, Event, Repair, Stop
from sync.contract.visit import EventId, ReceivedEvent
from sync.money.months import Month
from sync.money.outages import find_outages
from sync.money.sheet import OutageKind, SheetOutage
from tests.sync.money.school import TIMETABLE

# Lunch is at 12:00-14:00 in Almaty, breakfast at 08:00-09:00: 07:00-09:00 and 03:00-04:00 in UTC.
GOOD = ClockQuality.SYNCHRONISED


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> str:
    return datetime(2025, month, day, hour, minute, tzinfo=UTC).isoformat()


def boot(when: str, clock: ClockQuality = GOOD, mono_ms: int = 1, name: str = "b2") -> Boot:
    return Boot(school="s", at=when, boot=name, mono_ms=mono_ms, clock=clock, version="1")


def stop(when: str) -> Stop:
    return Stop(school="s", at=when, boot="b1", mono_ms=1, clock=GOOD)


def step(when: str, mono_ms: int, name: str = "b1") -> ClockStep:
    return ClockStep(
        school="s", at=when, boot=name, mono_ms=mono_ms, clock=GOOD, step_ms=1, before=ClockQuality.UNSYNCHRONISED
    )


def found(*events: Event) -> list[tuple[int, str, OutageKind, int]]:
    received = [ReceivedEvent(EventId("k1", "e", seq), event) for seq, event in enumerate(events, 1)]
    outages = find_outages(received, dict.fromkeys(Month(2025, 11).days, TIMETABLE), TIMETABLE.tz)
    return [(outage.day, outage.session, outage.kind, outage.seq) for outage in outages]


def test_a_boot_in_a_session_is_evidence_for_it() -> None:
    assert found(step(at(3, 6), 1), boot(at(3, 8))) == [(3, "lunch", OutageKind.BOOT, 2)]
    assert found(stop(at(3, 6)), boot(at(3, 8))) == [(3, "lunch", OutageKind.STOP, 2)]
    repair = Repair(school="s", at=at(3, 8), boot="b2", mono_ms=1, clock=GOOD, why="damaged")
    assert found(step(at(3, 6), 1), repair) == [(3, "lunch", OutageKind.FAULT, 2)]


def test_whoever_was_away_for_days_was_away_in_every_session() -> None:
    away = found(step(at(3, 6), 1), boot(at(5, 3, 30)))
    assert [(day, session) for day, session, _, _ in away] == [
        (3, "lunch"), (4, "breakfast"), (4, "lunch"), (5, "breakfast"),
    ]  # fmt: skip


def test_between_sessions_or_switched_off_after_lunch_is_no_evidence() -> None:
    assert found(step(at(3, 5), 1), boot(at(3, 6))) == []
    # Heard last at lunch, back the next day before breakfast: perhaps it was switched off after the meal.
    assert found(step(at(3, 8), 1), boot(at(4, 2))) == []
    assert found(step(at(3, 8), 1), boot(at(3, 12))) == [(3, "lunch", OutageKind.BOOT, 2)]


def test_a_boot_whose_clock_was_wrong_is_put_right_by_its_own_boot() -> None:
    wrong = boot("2020-01-01T00:00:00.000Z", ClockQuality.UNSYNCHRONISED, 1000)
    assert found(step(at(3, 6), 1), wrong) == []
    assert found(step(at(3, 6), 1), wrong, step(at(3, 8, 5), 301_000, "b2")) == [(3, "lunch", OutageKind.BOOT, 2)]


@pytest.mark.parametrize(("first", "last"), [((31, 6, 0, 10), (3, 3, 30)), ((28, 12), (2, 3, 30, 12))])
def test_only_the_month_counts(first: tuple[int, ...], last: tuple[int, ...]) -> None:
    days = {day for day, _, _, _ in found(step(at(*first), 1), boot(at(*last)))}
    assert days <= set(range(1, 31))
    assert days


def test_an_outage_names_its_event() -> None:
    assert SheetOutage(3, "lunch", "k1", "e", 2, OutageKind.BOOT).id == EventId("k1", "e", 2)
