"""The agent asks root at the right time: never in a session, and not with a clock that nobody trusts."""

from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from edge_agent.domain.moment import Moment
from edge_agent.domain.roster import Roster
from edge_agent.domain.update_plan import UpdateRecord, UpdateRequest, UpdateState
from edge_agent.runtime.update_clerk import UpdateClerk
from edge_agent.runtime.update_watch import UpdateWatch
from edge_agent.update.requests import RequestFolder
from edge_agent.update.versions import InstalledVersions
from sync.contract.event import ClockQuality, SessionId
from sync.contract.sessions import SessionWindow, Timetable

ALMATY = timezone(timedelta(hours=5))
LUNCH = SessionWindow(SessionId("lunch"), time(12), time(13), frozenset(range(1, 6)))
ROSTER = cast("Roster", SimpleNamespace(timetable=Timetable(ALMATY, (LUNCH,))))


class Kiosk:
    def __init__(self, folder: Path) -> None:
        self.at = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)  # a Monday, 8:00 in Almaty
        self.clock, self.is_recording = ClockQuality.SYNCHRONISED, True
        self.versions, self.requests = InstalledVersions(folder), RequestFolder(folder, folder)
        watch = UpdateWatch(folder)
        self.clerk = UpdateClerk(self.now, lambda: ROSTER, lambda: self.is_recording, self.requests, watch)

    def now(self) -> Moment:
        return Moment(self.at, int(self.at.timestamp() * 1000), "boot", self.clock)

    def stage(self, folder: Path) -> None:
        (folder / "2.release").write_bytes(b"release")
        self.requests.stage(folder / "2.release")


@pytest.fixture
def kiosk(tmp_path: Path) -> Kiosk:
    return Kiosk(tmp_path)


def test_a_staged_release_is_asked_for_outside_the_session(kiosk: Kiosk, tmp_path: Path) -> None:
    assert kiosk.clerk.look() is None
    kiosk.stage(tmp_path)
    kiosk.at += timedelta(hours=4)  # noon
    assert kiosk.clerk.look() is None
    kiosk.at += timedelta(hours=2)
    kiosk.clock = ClockQuality.UNSYNCHRONISED
    assert kiosk.clerk.look() is None
    kiosk.clock = ClockQuality.SYNCHRONISED
    assert kiosk.clerk.look() is UpdateRequest.APPLY
    assert kiosk.requests.take() is UpdateRequest.APPLY


def test_a_version_is_confirmed_after_its_first_session(kiosk: Kiosk) -> None:
    record = UpdateRecord(state=UpdateState.FIRST_SESSION, version="2", previous="1", at="2026-11-23T03:00:00+00:00")
    kiosk.versions.write_record(record)
    assert kiosk.clerk.look() is None
    kiosk.at += timedelta(hours=6)
    assert kiosk.clerk.look() is UpdateRequest.CONFIRM


def test_a_version_that_stops_recording_in_its_first_session_goes(kiosk: Kiosk) -> None:
    record = UpdateRecord(state=UpdateState.FIRST_SESSION, version="2", previous="1", at="2026-11-23T03:00:00+00:00")
    kiosk.versions.write_record(record)
    kiosk.at += timedelta(hours=4, minutes=10)
    kiosk.is_recording = False
    assert kiosk.clerk.look() is None
    kiosk.at += timedelta(seconds=59)
    assert kiosk.clerk.look() is None
    kiosk.at += timedelta(seconds=1)
    assert kiosk.clerk.look() is UpdateRequest.ROLL_BACK
