"""Findings from the running daemon's status, with the next step. `domain.health` judges the kiosk's health."""

from collections.abc import Iterator
from typing import assert_never
from zoneinfo import ZoneInfo

from drivers.readings import FaultCause
from edge_agent.cli.checks.finding import ExaminedKiosk, Finding, FindingState, attention, failure, good
from edge_agent.cli.refusal_words import describe_refusal
from edge_agent.control_api import DaemonStatus, DeviceStatus, JournalStatus, LedgerStatus, PalmStatus
from edge_agent.domain.health import (
    HealthLevel,
    HealthLine,
    KioskHealth,
    LedgerState,
    is_misset,
    is_noisy,
    judge_ledger,
    judge_queue,
    judge_readers,
    judge_recording,
    judge_roster,
)
from edge_agent.settings.tables import PalmSettings
from sync.errors import SyncAlarm

REGISTER = "register: edge-agent register URL CODE"
CHECK_CABLE = "check cable and power: edge-agent devices probe"
LOG = "read its log: journalctl -u edge-agent -b"
_STATES = {
    HealthLevel.OK: FindingState.GOOD,
    HealthLevel.WATCH: FindingState.ATTENTION,
    HealthLevel.ACT: FindingState.FAILURE,
}


def check_daemon(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields the findings of the running daemon; none without one, which the doctor reports itself."""
    status = kiosk.status
    if status is None:
        return
    for fault in status.faults:
        yield failure("daemon", fault, LOG)
    settings = kiosk.loaded.settings
    health = build_health(status, settings.rules.roster_age_max_s)
    yield _recording(judge_recording(health))
    yield from _journal(status.journal)
    yield _ledger(judge_ledger(health), status.ledger)
    yield _queue(judge_queue(health), status)
    yield _roster(judge_roster(health), status)
    yield from _palm(status.palm, settings.palm)
    if not status.readers:
        yield attention("readers", "no reader is configured", "add a [[readers]] table: edge-agent devices probe")
    absent = judge_readers(health)
    for reader in status.readers:
        yield _absent_reader(absent, reader) if reader.name in health.readers_gone else _device(reader, settings.zone)
    for indicator in status.indicators:
        yield _device(indicator, settings.zone)


def build_health(status: DaemonStatus, roster_age_max_s: float) -> KioskHealth:
    """Returns the kiosk's health from the daemon's status."""
    return KioskHealth(
        recording=status.recording,
        waiting=status.waiting,
        hand_count=status.hand_count,
        ledger=status.ledger.state if status.ledger is not None else LedgerState.NONE,
        ledger_alarm=status.ledger is not None and status.ledger.alarm is not SyncAlarm.NONE,
        queued=status.journal.queue,
        roster_age_s=status.roster.age_s if status.roster.version else -1,
        roster_age_max_s=roster_age_max_s,
        readers_gone=tuple(reader.name for reader in status.readers if not reader.is_present),
        readers_misset=tuple(
            reader.name
            for reader in status.readers
            if reader.is_present and is_misset(reader.readings, reader.refusal.cause if reader.refusal else None)
        ),
        clock=status.clock,
    )


def _from_line(line: HealthLine, part: str, detail: str, next_step: str) -> Finding:
    """Returns a finding as pressing as this line of health; a line that is OK needs no next step."""
    state = _STATES[line.level]
    return Finding(part, state, detail, "" if state is FindingState.GOOD else next_step)


def _recording(line: HealthLine) -> Finding:
    match line.value:
        case "yes":
            return _from_line(line, "recording", "every visit is written down", "")
        case "held":
            detail = f"NOT RECORDING: {line.number} visits wait in memory, and are lost with the power"
            return _from_line(line, "recording", detail, f"leave the kiosk on and free the disk; {LOG}")
        case _:
            detail = "NOT RECORDING: the journal cannot be written; the staff count by hand"
            return _from_line(line, "recording", detail, f"free the disk; {LOG}")


def _journal(journal: JournalStatus) -> Iterator[Finding]:
    detail = f"row {journal.head} of epoch {journal.epoch[:6]}"
    match journal.checked:
        case None:
            yield good("journal", f"{detail}; the whole chain is not checked yet")
        case checked if checked.whole:
            yield good("journal", f"{detail}; {checked.rows} rows checked, every link holds")
        case _:
            yield failure(
                "journal", f"{detail}; a link does not hold", "run edge-agent journal verify: it names the row"
            )


def _ledger(line: HealthLine, ledger: LedgerStatus | None) -> Finding:
    if ledger is None:
        return _from_line(line, "ledger", "the daemon has no ledger to send to", f"{REGISTER}, then restart it")
    if ledger.alarm is not SyncAlarm.NONE:
        return _from_line(line, "ledger", f"{ledger.alarm.value}: {ledger.why}", _step_against(ledger.alarm))
    match ledger.state:
        case LedgerState.REACHABLE:
            return _from_line(line, "ledger", "reachable", "")
        case LedgerState.REFUSED:
            return _from_line(line, "ledger", f"refuses: {ledger.why}", "tell the ledger's operator; recording goes on")
        case _:
            return _from_line(
                line, "ledger", f"unreachable: {ledger.why}", "check network and address; recording goes on"
            )


def _step_against(alarm: SyncAlarm) -> str:
    match alarm:
        case SyncAlarm.NONE:
            return ""
        case SyncAlarm.UNAUTHORISED:
            return "ask the ledger's operator if this kiosk is suspended; if not, register it again"
        case SyncAlarm.UNTRUSTED:
            return "check the kiosk's clock, then the ledger's certificate (ledger.ca_file)"
        case SyncAlarm.DECEIVED:
            return "tell the ledger's operator: the ledger's answer cannot be true"
        case SyncAlarm.REFUSED:
            return "tell the ledger's operator: the ledger does not understand this kiosk's batches"
        case SyncAlarm.SPLIT_LOG:
            return "give the evidence that it names to an auditor, and tell the ledger's operator"
        case SyncAlarm.FORK:
            return "find out whether a copy of this kiosk's card runs elsewhere; tell the ledger's operator"
        case SyncAlarm.DEFERRED:
            return "find what refuses it on the way to the ledger (a proxy?); the event is kept and offered every day"
        case SyncAlarm.LEDGER_BEHIND:
            return "tell the ledger's operator: the ledger has lost rows with receipts; the kiosk sends them again"
        case _:
            assert_never(alarm)


def _queue(line: HealthLine, status: DaemonStatus) -> Finding:
    step = "edge-agent sync now, then edge-agent sync status" if status.ledger is not None else REGISTER
    return _from_line(line, "queue", f"{status.journal.queue} events wait for the ledger", step)


def _roster(line: HealthLine, status: DaemonStatus) -> Finding:
    roster = status.roster
    if line.value == "missing":
        step = "register, or: edge-agent roster import --local FOLDER"
        return _from_line(line, "roster", "there is none: the kiosk knows nobody", step)
    detail = f"version {roster.version}, {roster.people} people, {roster.age_s // 3600} hours old"
    if line.level is not HealthLevel.OK:
        step = "check the network to the ledger, or bring a newer roster on a stick"
        return _from_line(line, "roster", f"{detail}; last pull: {roster.last}", step)
    if roster.problems:
        return attention(
            "roster", f"{detail}; {roster.problems} problems in it", "run edge-agent roster show: it names them"
        )
    return good("roster", detail)


def _palm(palm: PalmStatus | None, settings: PalmSettings) -> Iterator[Finding]:
    if palm is None:
        if settings.with_card == "confirm":
            yield attention(
                "palms",
                "the palm must confirm cards, and there is no camera",
                "add a camera, or set palm.with_card = off",
            )
    elif palm.unreadable:
        detail = f"{palm.unreadable} palms cannot be opened with this kiosk's key"
        yield failure(
            "palms", detail, "run edge-agent palm key restore with the school's printout, or enrol them again"
        )
    elif palm.why:
        yield attention("palms", "nobody can be recognised by the palm", palm.why)
    elif not palm.ready:
        yield attention("palms", "no palm is enrolled yet", "edge-agent palm enrol PERSON --operator NAME")
    else:
        yield good("palms", f"palms of {palm.people} people are enrolled")


def _absent_reader(line: HealthLine, device: DeviceStatus) -> Finding:
    return _from_line(line, f"device {device.name}", f"{device.driver} is not present", device.why or CHECK_CABLE)


def _device(device: DeviceStatus, zone: ZoneInfo) -> Finding:
    part = f"device {device.name}"
    if not device.is_present:
        return failure(part, f"{device.driver} is not present", device.why or CHECK_CABLE)
    detail = f"{device.driver} is present; {device.readings} readings, {device.faults} faults"
    refusal = device.refusal
    if refusal is not None:
        detail += f"; {describe_refusal(refusal, zone)}"
    if device.doubted_clocks:
        doubts = "; ".join(f"clock of {clock.terminal}: {clock.why}" for clock in device.doubted_clocks)
        step = "compare and set the clock, then edge-agent devices clocks and edge-agent devices confirm-clock"
        return failure(part, f"{detail}; {doubts}", step)
    if device.unread:
        detail += f"; {device.unread} requests that nobody understood are stored"
        return attention(
            part, detail, f"look at them, and read them again after an update: edge-agent devices unread {device.name}"
        )
    if is_noisy(device.readings, device.faults):
        return attention(part, detail, f"check speed and cable: edge-agent devices watch {device.name}")
    if refusal is not None and is_misset(device.readings, refusal.cause):
        return failure(part, detail, f"do as it says; edge-agent devices watch {device.name} shows what comes")
    if refusal is not None and refusal.cause is FaultCause.SETTINGS:
        return attention(part, detail, f"do as it says; edge-agent devices watch {device.name} shows what comes")
    return good(part, detail)
