"""When a version may be tried, when its first session is over, and when it must go."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone

import pytest

from edge_agent.domain.update_plan import (
    CRASHES_MAX,
    POWER_CUT,
    UpdateCause,
    UpdateFacts,
    UpdateFault,
    UpdateRecord,
    UpdateRequest,
    UpdateState,
    choose_request,
    has_had_session,
    is_session_near,
    judge_crashes,
    judge_start,
)
from sync.contract.event import SessionId
from sync.contract.sessions import SessionWindow, Timetable

ALMATY = timezone(timedelta(hours=5))
LUNCH = SessionWindow(SessionId("lunch"), time(12), time(13), frozenset(range(1, 6)))
TIMETABLE = Timetable(ALMATY, (LUNCH,))


def local(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of November 2026; the 23rd is a Monday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=ALMATY).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "near"),
    [
        (local(23, 11, 29), False),
        (local(23, 11, 31), True),
        (local(23, 12, 30), True),
        (local(23, 13, 29), True),
        (local(23, 13, 31), False),
        (local(22, 12, 30), False),  # a Sunday
    ],
)
def test_no_update_begins_near_a_session(moment: datetime, near: bool) -> None:
    assert is_session_near(TIMETABLE, moment) is near


@pytest.mark.parametrize(
    ("since", "now", "had"),
    [
        (local(23, 8), local(23, 12, 30), False),
        (local(23, 8), local(23, 13, 10), False),  # stragglers
        (local(23, 8), local(23, 14), True),
        (local(23, 12, 10), local(23, 14), False),  # it did not see the beginning
        (local(20, 14), local(22, 20), False),  # a weekend
        (local(20, 14), local(23, 14), True),
    ],
)
def test_a_first_session_is_a_whole_one(since: datetime, now: datetime, had: bool) -> None:
    assert has_had_session(TIMETABLE, since, now) is had


def test_a_school_without_sessions_has_had_none() -> None:
    assert not has_had_session(Timetable(ALMATY), local(1, 8), local(28, 8))


@pytest.mark.parametrize("state", UpdateState)
def test_only_a_trial_that_was_cut_off_is_ended_by_a_start(state: UpdateState) -> None:
    fault = UpdateFault(UpdateCause.POWER_CUT, POWER_CUT)
    assert judge_start(UpdateRecord(state=state)) == (fault if state is UpdateState.TRIAL else None)


@pytest.mark.parametrize("state", UpdateState)
def test_only_in_the_first_session_crashes_count(state: UpdateState) -> None:
    is_last = bool(judge_crashes(UpdateRecord(state=state, crashes=CRASHES_MAX)))
    assert is_last is (state is UpdateState.FIRST_SESSION)
    assert not judge_crashes(UpdateRecord(state=state, crashes=CRASHES_MAX - 1))


@pytest.mark.parametrize("state", UpdateState)
def test_the_record_names_the_version_that_is_to_run(state: UpdateState) -> None:
    wanted = UpdateRecord(state=state, version="2", previous="1").wanted_version
    runs = {UpdateState.TRIAL: "2", UpdateState.FIRST_SESSION: "2", UpdateState.CONFIRMED: "2"}
    assert wanted == {**runs, UpdateState.ROLLED_BACK: "1"}.get(state, "")


CALM = UpdateFacts(
    is_staged=True, is_session_near=False, has_had_session=False, is_clock_trusted=True, not_recording_s=0.0
)


@pytest.mark.parametrize(
    ("state", "facts", "request_made"),
    [
        (UpdateState.NONE, CALM, UpdateRequest.APPLY),
        (UpdateState.ROLLED_BACK, CALM, UpdateRequest.APPLY),
        (UpdateState.NONE, replace(CALM, is_staged=False), None),
        (UpdateState.NONE, replace(CALM, is_session_near=True), None),
        (UpdateState.NONE, replace(CALM, is_clock_trusted=False), None),
        (UpdateState.NONE, replace(CALM, not_recording_s=1.0), None),
        (UpdateState.TRIAL, CALM, None),
        (UpdateState.FIRST_SESSION, CALM, None),
        (UpdateState.FIRST_SESSION, replace(CALM, has_had_session=True), UpdateRequest.CONFIRM),
        (UpdateState.FIRST_SESSION, replace(CALM, has_had_session=True, not_recording_s=59.0), None),
        (UpdateState.FIRST_SESSION, replace(CALM, is_session_near=True, not_recording_s=60.0), UpdateRequest.ROLL_BACK),
        (UpdateState.CONFIRMED, replace(CALM, not_recording_s=600.0), None),
    ],
)
def test_what_is_asked_for_when(state: UpdateState, facts: UpdateFacts, request_made: UpdateRequest | None) -> None:
    assert choose_request(UpdateRecord(state=state), facts) is request_made
