"""One kiosk, shown four times: whatever is wrong with it, screen, doctor, status line and heartbeat agree."""

from dataclasses import replace
from pathlib import Path

import pytest

from drivers.readings import FaultCause
from edge_agent.cli.checks.daemon import build_health, check_daemon
from edge_agent.cli.checks.finding import FindingState
from edge_agent.control_api import (
    DaemonStatus,
    DeviceStatus,
    JournalStatus,
    LedgerStatus,
    RefusalStatus,
    RosterStatus,
)
from edge_agent.domain.health import HealthLevel, KioskHealth, LedgerState, judge_health
from edge_agent.runtime.health_desk import render_status_line
from edge_agent.runtime.uplink import LedgerContact
from sync.client.paced import SyncOutcome, SyncStep
from sync.contract.event import ClockQuality
from sync.errors import SyncAlarm
from tests.edge_agent.cli.checks.kiosk import kiosk

WELL = KioskHealth(ledger=LedgerState.REACHABLE, roster_age_s=60, clock=ClockQuality.SYNCHRONISED)
STATES = {
    HealthLevel.OK: FindingState.GOOD,
    HealthLevel.WATCH: FindingState.ATTENTION,
    HealthLevel.ACT: FindingState.FAILURE,
}
TROUBLES = [
    WELL,
    replace(WELL, recording=False),
    replace(WELL, ledger=LedgerState.UNREACHABLE),
    replace(WELL, ledger=LedgerState.REFUSED),
    replace(WELL, ledger=LedgerState.REACHABLE, ledger_alarm=True),
    replace(WELL, ledger=LedgerState.NONE),
    replace(WELL, has_twin=True),
    replace(WELL, queued=1_500),
    replace(WELL, queued=2_000),
    replace(WELL, roster_age_s=-1),
    replace(WELL, roster_age_s=40 * 3_600),
    replace(WELL, roster_age_s=5 * 86_400),
    replace(WELL, readers_gone=("door",)),
    replace(WELL, readers_misset=("door",)),
]


def build_status(health: KioskHealth) -> DaemonStatus:
    """The daemon's answer to `status` of a kiosk that is like this."""
    alarm = SyncAlarm.FORK if health.ledger_alarm else SyncAlarm.NONE
    ledger = LedgerStatus(
        state=health.ledger,
        last="sent",
        why="so it is",
        alarm=alarm,
        next_s=1.0,
        sent=0,
        twin_heard="2026-11-20T07:00:00.000Z" if health.has_twin else "",
    )
    is_absent = "door" in health.readers_gone
    why = "no such port: check the cable" if is_absent else ""
    wrong = RefusalStatus(what="set a lower baud", cause=FaultCause.SETTINGS, count=1, time="2026-11-20T07:00:00+00:00")
    refusal = wrong if "door" in health.readers_misset else None
    door = DeviceStatus(
        name="door", driver="em4100", is_present=not is_absent, why=why, readings=0, faults=0, refusal=refusal
    )
    has_roster = health.roster_age_s >= 0
    return DaemonStatus(
        device="d",
        school="s",
        recording=health.recording,
        faults=(),
        clock=health.clock,
        time="2026-11-20T07:00:00.000Z",
        journal=JournalStatus(epoch="abcdef", head=9, acknowledged=9, queue=health.queued, checked=None),
        ledger=None if health.ledger is LedgerState.NONE else ledger,
        roster=RosterStatus(version=int(has_roster), age_s=health.roster_age_s, people=4, problems=0, last="current"),
        palm=None,
        readers=(door,),
        indicators=(),
        screen="",
    )


@pytest.mark.parametrize("health", TROUBLES)
def test_screen_and_doctor_say_the_same(tmp_path: Path, health: KioskHealth) -> None:
    status = build_status(health)
    assert build_health(status, health.roster_age_max_s) == health
    states = {
        finding.part.removesuffix(" door"): finding.state for finding in check_daemon(kiosk(tmp_path, status=status))
    }
    for line in judge_health(health):
        part = {"readers": "device"}.get(line.subject, line.subject)
        if part != "clock":  # the doctor asks the kernel itself
            assert states[part] is STATES[line.level], line


@pytest.mark.parametrize(
    ("health", "line"),
    [
        (WELL, "0 events to send; ledger reachable"),
        (replace(WELL, queued=7, ledger=LedgerState.NONE), "7 events to send; ledger not registered"),
        (replace(WELL, readers_gone=("door", "till")), "0 events to send; ledger reachable; readers gone: door, till"),
        (
            replace(WELL, readers_misset=("yard",)),
            "0 events to send; ledger reachable; readers that read nothing: yard",
        ),
        (replace(WELL, recording=False), "0 events to send; ledger reachable; NOT RECORDING"),
        (replace(WELL, has_twin=True), "0 events to send; ledger reachable; ANOTHER KIOSK HAS THIS IDENTITY"),
        (replace(WELL, technician_called=True), "0 events to send; ledger reachable; the technician is called"),
    ],
)
def test_the_status_line(health: KioskHealth, line: str) -> None:
    assert render_status_line(health) == line


def test_a_split_log_is_shown_unless_the_line_itself_needs_somebody() -> None:
    sent = SyncStep(SyncOutcome.SENT, 0.0, "sent")
    split = SyncStep(SyncOutcome.STOPPED, 900.0, "the log does not hold", SyncAlarm.SPLIT_LOG)
    fork = SyncStep(SyncOutcome.STOPPED, 900.0, "fork", SyncAlarm.FORK)
    unauthorised = SyncStep(SyncOutcome.STOPPED, 900.0, "who are you", SyncAlarm.UNAUTHORISED)
    assert LedgerContact(step=sent, watch=split).concern is split
    assert LedgerContact(step=fork, watch=split).concern is fork
    assert LedgerContact(step=sent, watch=unauthorised).concern is sent  # the batches will say so themselves
    assert LedgerContact(step=sent, watch=sent).concern is sent
