"""Findings from the daemon's status."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent.cli.checks.daemon import check_daemon
from edge_agent.cli.checks.finding import FindingState
from edge_agent.control_api import DaemonStatus
from sync.errors import SyncAlarm
from tests.edge_agent.cli.checks.kiosk import kiosk, states

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
    assert set(states(check_daemon(kiosk(tmp_path, status=status_with())))) == {FindingState.GOOD}


DOOR = WELL["readers"][0]
REFUSAL = {"what": "check uid_encoding", "cause": "settings", "count": 3, "time": "2026-11-20T07:00:00+00:00"}


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({"recording": False}, FindingState.FAILURE, "free the disk"),
        ({"faults": ["station hangs"]}, FindingState.FAILURE, "journalctl"),
        ({"journal": {"checked": {"rows": 3, "whole": False}}}, FindingState.FAILURE, "journal verify"),
        ({"journal": {"queue": 5_000}}, FindingState.ATTENTION, "sync now"),
        ({"ledger": None}, FindingState.ATTENTION, "register"),
        ({"ledger": {"state": "unreachable"}}, FindingState.ATTENTION, "network"),
        ({"ledger": {"state": "refused"}}, FindingState.FAILURE, "operator"),
        ({"ledger": {"alarm": "fork", "why": "other hash"}}, FindingState.FAILURE, "copy of this kiosk's card"),
        ({"roster": {"version": 0}}, FindingState.FAILURE, "the turn of the ledger's operator"),
        ({"roster": {"people": 0}}, FindingState.ATTENTION, "the turn of the ledger's operator"),
        ({"roster": {"timezone": "Europe/Berlin"}}, FindingState.FAILURE, "set kiosk.timezone"),
        ({"roster": {"age_s": 40 * 3_600}}, FindingState.ATTENTION, "newer roster"),
        ({"roster": {"age_s": 30 * 86_400}}, FindingState.FAILURE, "newer roster"),
        ({"roster": {"problems": 2}}, FindingState.ATTENTION, "roster show"),
        (
            {"palm": {"why": "there is no key; run palm key make", "ready": False}},
            FindingState.ATTENTION,
            "palm key make",
        ),
        ({"palm": {"ready": False}}, FindingState.ATTENTION, "palm enrol"),
        ({"palm": {"unreadable": 3}}, FindingState.FAILURE, "palm key restore"),
        ({"readers": []}, FindingState.ATTENTION, "devices probe"),
        (
            {"readers": [{**DOOR, "there": False, "why": "no such port: check the cable"}]},
            FindingState.FAILURE,
            "cable",
        ),
        ({"readers": [{**DOOR, "refusal": REFUSAL}]}, FindingState.ATTENTION, "do as it says"),
        ({"readers": [{**DOOR, "readings": 0, "faults": 3}]}, FindingState.FAILURE, "driver and speed"),
        ({"readers": [{**DOOR, "readings": 5, "faults": 900}]}, FindingState.ATTENTION, "devices watch door"),
    ],
)
def test_each_fault_has_its_state_and_its_next_step(
    tmp_path: Path, changes: dict[str, Any], state: FindingState, words: str
) -> None:
    findings = list(check_daemon(kiosk(tmp_path, status=status_with(**changes))))
    [finding] = [finding for finding in findings if finding.state is not FindingState.GOOD]
    assert finding.state is state
    assert words in finding.next_step


def test_an_empty_roster_says_whose_turn_it_is(tmp_path: Path) -> None:
    def find_step(**changes: Any) -> str:
        findings = check_daemon(kiosk(tmp_path, status=status_with(roster={"version": 0}, **changes)))
        return next(finding.next_step for finding in findings if finding.part == "roster")

    assert "the turn of the ledger's operator: edge-agent roster import" in find_step()
    assert "your turn: the line to the ledger first" in find_step(ledger={"state": "unreachable"})
    assert "edge-agent roster import --local" in find_step(ledger=None)


def test_a_long_queue_without_a_ledger_asks_for_one(tmp_path: Path) -> None:
    findings = {
        finding.part: finding
        for finding in check_daemon(kiosk(tmp_path, status=status_with(ledger=None, journal={"queue": 2_000})))
    }
    assert findings["queue"].state is FindingState.ATTENTION
    assert "register" in findings["queue"].next_step


def test_cards_without_a_camera_to_confirm_them(tmp_path: Path) -> None:
    (finding,) = [
        finding
        for finding in check_daemon(kiosk(tmp_path, '[palm]\nwith_card = "confirm"\n', status=status_with(palm=None)))
        if finding.state is not FindingState.GOOD
    ]
    assert "palm.with_card" in finding.next_step


@pytest.mark.parametrize("alarm", [alarm for alarm in SyncAlarm if alarm is not SyncAlarm.NONE])
def test_every_alarm_has_its_step(tmp_path: Path, alarm: SyncAlarm) -> None:
    findings = check_daemon(kiosk(tmp_path, status=status_with(ledger={"alarm": alarm.value, "why": "w"})))
    assert FindingState.FAILURE in states(findings)
