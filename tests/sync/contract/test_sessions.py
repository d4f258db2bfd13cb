"""Which meal is served at an instant: where clocks were turned back once, over midnight, on closed days."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.contract.event import SessionId
from sync.contract.roster import ClosedDay, MealSession
from sync.contract.sessions import Phase, SessionWindow, Slot, Timetable, read_window
from tests.vectors import load_jsonl

ALMATY = ZoneInfo("Asia/Almaty")
ALL_DAYS = frozenset(range(1, 8))


def session(start: str, end: str, name: str = "lunch", weekdays: tuple[int, ...] = (1, 2, 3, 4, 5, 6)) -> MealSession:
    return MealSession(id=name, name=name, start=start, end=end, weekdays=weekdays)


def timetable(*sessions: MealSession, closed: tuple[str, ...] = (), zone: str = "Asia/Almaty") -> Timetable:
    return Timetable.from_records(sessions, [ClosedDay(id=day) for day in closed], ZoneInfo(zone))


def at(table: Timetable, local: str, **grace: timedelta) -> list[tuple[str, str, Phase]]:
    utc = datetime.fromisoformat(local).replace(tzinfo=table.tz).astimezone(UTC)
    return [(slot.session, slot.service_date, slot.phase) for slot in table.find_slots(utc, **grace).slots]


@pytest.mark.parametrize("vector", load_jsonl("canteen/tz_asia_almaty.jsonl"), ids=lambda vector: str(vector["utc"]))
def test_local_time_and_service_date_of_almaty(vector: dict[str, Any]) -> None:
    utc = datetime.fromisoformat(vector["utc"])
    local = utc.astimezone(ALMATY)
    assert (local.isoformat(), local.fold) == (vector["almaty"], vector["fold"])
    whole_day = timetable(session("00:00", "24:00", weekdays=(1, 2, 3, 4, 5, 6, 7)))
    (slot,) = whole_day.find_slots(utc).slots
    assert slot.service_date == vector["service_date"]


def test_the_hour_that_came_twice_belongs_to_its_session_twice() -> None:
    supper = timetable(session("22:30", "23:30", "supper"))
    (slot,) = supper.find_slots(datetime(2024, 2, 29, 17, 0, tzinfo=UTC)).slots
    assert slot.starts == datetime(2024, 2, 29, 16, 30, tzinfo=UTC)
    assert slot.ends == datetime(2024, 2, 29, 18, 30, tzinfo=UTC)
    for utc in ("17:29:59", "17:30:00", "18:29:59"):  # 23:29:59, 23:30 the first time, 23:29:59 the second time
        assert supper.find_slots(datetime.fromisoformat(f"2024-02-29T{utc}+00:00")).slots == (slot,)


@settings(deadline=None)
@given(
    day=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    start=st.times(),
    end=st.times(),
    zone=st.sampled_from(["Asia/Almaty", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"]),
)
def test_a_window_is_never_empty_and_at_most_a_day_and_its_clock_changes(
    day: date, start: time, end: time, zone: str
) -> None:
    hours = SessionWindow(SessionId("s"), start, end, ALL_DAYS)
    slot = hours.to_slot(day, ZoneInfo(zone))
    assert timedelta() < slot.ends - slot.starts <= timedelta(hours=27)
    assert slot.service_date == day.isoformat()
    table = Timetable(ZoneInfo(zone), (hours,))
    assert slot in table.find_slots(slot.starts).slots
    assert slot not in table.find_slots(slot.ends).slots


def test_the_end_belongs_to_nobody_and_the_start_to_the_session() -> None:
    table = timetable(session("09:30", "10:10"))
    assert at(table, "2026-11-23T09:29:59") == []
    assert at(table, "2026-11-23T09:30:00") == [("lunch", "2026-11-23", Phase.RUNNING)]
    assert at(table, "2026-11-23T10:09:59") == [("lunch", "2026-11-23", Phase.RUNNING)]
    assert at(table, "2026-11-23T10:10:00") == []


def test_grace_before_and_after() -> None:
    table = timetable(session("09:30", "10:10"))
    grace = timedelta(minutes=5)
    assert at(table, "2026-11-23T09:25:00", early=grace) == [("lunch", "2026-11-23", Phase.EARLY)]
    assert at(table, "2026-11-23T09:24:59", early=grace) == []
    assert at(table, "2026-11-23T10:14:59", late=grace) == [("lunch", "2026-11-23", Phase.LATE)]


def test_over_midnight_the_service_date_is_that_of_the_start() -> None:
    table = timetable(session("19:00", "00:30", "supper", weekdays=(6,)))
    assert at(table, "2026-11-22T00:10:00") == [("supper", "2026-11-21", Phase.RUNNING)]  # Sunday, of Saturday's
    assert at(table, "2026-11-23T00:10:00") == []  # Sunday has no supper


def test_a_grace_before_midnight_belongs_to_tomorrow() -> None:
    table = timetable(session("00:00", "01:00", "night"))
    assert at(table, "2026-11-23T23:58:00", early=timedelta(minutes=5)) == [("night", "2026-11-24", Phase.EARLY)]


def test_a_closed_day_serves_nothing_and_says_so() -> None:
    table = timetable(session("09:30", "10:10"), session("19:00", "00:30", "supper"), closed=("2026-12-16",))
    noon = table.find_slots(datetime(2026, 12, 16, 5, 0, tzinfo=UTC))
    assert (noon.slots, noon.closed) == ((), True)
    # The supper of the day before ends in the closed day's first half hour.
    assert at(table, "2026-12-16T00:10:00") == [("supper", "2026-12-15", Phase.RUNNING)]
    assert at(table, "2026-12-17T00:10:00") == []


def test_weekdays() -> None:
    table = timetable(session("09:30", "10:10", weekdays=(1, 2)))
    assert at(table, "2026-11-24T09:40:00")
    assert not at(table, "2026-11-25T09:40:00")


def test_overlapping_sessions_stand_in_a_fixed_order() -> None:
    sessions = [session("09:00", "10:30", "b"), session("10:00", "11:00", "c"), session("10:00", "11:00", "a")]
    for order in (sessions, sessions[::-1]):
        found = at(timetable(*order), "2026-11-23T10:15:00")
        assert [name for name, _, _ in found] == ["a", "c", "b"]
    # Running before early, whatever started last.
    found = at(timetable(*sessions), "2026-11-23T09:58:00", early=timedelta(minutes=5))
    assert [(name, phase) for name, _, phase in found] == [("b", Phase.RUNNING), ("a", Phase.EARLY), ("c", Phase.EARLY)]


@pytest.mark.parametrize(
    "record",
    [
        session("", ""),
        session("9.30", "10:10"),
        session("24:30", "10:10"),
        session("09:30", "09:60"),
        session("09:30", "10:10", weekdays=()),
        session("09:30", "10:10", weekdays=(0,)),
        session("09:30", "10:10", weekdays=(8,)),
    ],
)
def test_hours_that_cannot_be_read_are_named_and_passed_over(record: MealSession) -> None:
    with pytest.raises(ValueError, match=r"write it as|numbers from|hours go"):
        read_window(record)
    table = timetable(record, session("09:30", "10:10", "good"))
    assert [each.session for each in table.windows] == ["good"]


def test_a_slot_by_name() -> None:
    table = timetable(session("09:30", "10:10"))
    slot = table.slot("lunch", "2026-11-23")
    assert slot == Slot(
        SessionId("lunch"),
        "2026-11-23",
        datetime(2026, 11, 23, 4, 30, tzinfo=UTC),
        datetime(2026, 11, 23, 5, 10, tzinfo=UTC),
    )
    assert table.slot("supper", "2026-11-23") is None
    assert table.slot("lunch", "") is None


@pytest.mark.parametrize("utc", [datetime.min, datetime.max, datetime(1970, 1, 1)])
def test_a_clock_far_from_the_truth_stops_nothing(utc: datetime) -> None:
    table = timetable(session("00:00", "24:00"))
    table.find_slots(utc.replace(tzinfo=UTC))
    assert table.slot("lunch", utc.date().isoformat()) is None or utc.year == 1970
