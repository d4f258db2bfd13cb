"""What the doctor makes of the daemon's own words."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent.cli.checks.daemon import daemon
from edge_agent.cli.checks.finding import State
from edge_agent.control_api import DaemonStatus
from sync.errors import SyncAlarm
from tests.edge_agent.cli.checks.given import kiosk, states

WELL: dict[str, Any] = {
    "device": "kiosk-1",
    "school": "sch-1",
    "time": "2026-11-20T07:00:00.000Z",
    "screen": "http://127.0.0.1:8640/",
    "recording": True,
    "faults": [],
    "clock": "synchronised",
    "journal": {"epoch": "abcdef", "head": 7, "acknowledged": 7, "queue": 0, "checked": {"rows": 7, "whole": True}},
    "ledger": {"state": "reachable", "last": "idle", "why": "", "alarm": "", "next_s": 60.0, "sent": 7},
    "roster": {"version": 3, "age_s": 60, "people": 400, "problems": 0, "last": ""},
    "readers": [{"name": "door", "driver": "em4100", "there": True, "why": "", "readings": 5, "faults": 0}],
    "indicators": [],
    "palm": {"ready": True, "why": "", "people": 12, "templates": 36, "unreadable": 0},
}


def status_with(**changes: Any) -> DaemonStatus:
    status = dict(WELL)
    for key, change in changes.items():
        status[key] = {**WELL[key], **change} if isinstance(change, dict) else change
    return msgspec.convert(status, DaemonStatus)


def test_a_daemon_that_is_well(tmp_path: Path) -> None:
    assert set(states(daemon(kiosk(tmp_path, status=status_with())))) == {State.OK}


DOOR = WELL["readers"][0]


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({"recording": False}, State.FAILS, "staff count by hand"),
        ({"faults": ["station hangs"]}, State.FAILS, "journalctl"),
        ({"journal": {"checked": {"rows": 3, "whole": False}}}, State.FAILS, "journal verify"),
        ({"journal": {"queue": 5_000}}, State.LOOK, "sync now"),
        ({"ledger": None}, State.LOOK, "register"),
        ({"ledger": {"state": "unreachable"}}, State.LOOK, "network"),
        ({"ledger": {"state": "refused"}}, State.FAILS, "operator"),
        ({"ledger": {"alarm": "fork", "why": "other hash"}}, State.FAILS, "copy of this kiosk's card"),
        ({"roster": {"version": 0}}, State.FAILS, "roster import"),
        ({"roster": {"age_s": 40 * 3_600}}, State.LOOK, "newer roster"),
        ({"roster": {"age_s": 30 * 86_400}}, State.FAILS, "newer roster"),
        ({"roster": {"problems": 2}}, State.LOOK, "roster show"),
        ({"palm": {"why": "there is no key; run palm key make", "ready": False}}, State.LOOK, "palm key make"),
        ({"palm": {"ready": False}}, State.LOOK, "palm enrol"),
        ({"palm": {"unreadable": 3}}, State.FAILS, "palm key restore"),
        ({"readers": []}, State.LOOK, "devices probe"),
        ({"readers": [{**DOOR, "there": False, "why": "no such port: check the cable"}]}, State.FAILS, "cable"),
        ({"readers": [{**DOOR, "readings": 0, "faults": 900}]}, State.LOOK, "devices watch door"),
    ],
)
def test_each_trouble_is_told_with_what_to_do(
    tmp_path: Path, changes: dict[str, Any], state: State, words: str
) -> None:
    found = list(daemon(kiosk(tmp_path, status=status_with(**changes))))
    [trouble] = [each for each in found if each.state is not State.OK]
    assert trouble.state is state
    assert words in trouble.next_step


def test_a_long_queue_without_a_ledger_asks_for_one(tmp_path: Path) -> None:
    found = {
        each.part: each for each in daemon(kiosk(tmp_path, status=status_with(ledger=None, journal={"queue": 2_000})))
    }
    assert found["queue"].state is State.LOOK
    assert "register" in found["queue"].next_step


def test_cards_that_nothing_can_confirm_are_told(tmp_path: Path) -> None:
    (trouble,) = [
        each
        for each in daemon(kiosk(tmp_path, '[palm]\nwith_card = "confirm"\n', status=status_with(palm=None)))
        if each.state is not State.OK
    ]
    assert "palm.with_card" in trouble.next_step


@pytest.mark.parametrize("alarm", [alarm for alarm in SyncAlarm if alarm is not SyncAlarm.NONE])
def test_every_alarm_has_its_step(tmp_path: Path, alarm: SyncAlarm) -> None:
    found = daemon(kiosk(tmp_path, status=status_with(ledger={"alarm": alarm.value, "why": "w"})))
    assert State.FAILS in states(found)
