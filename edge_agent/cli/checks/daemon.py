"""The daemon's own account of the kiosk, with what to do. How the kiosk is, `domain.health` judges."""

from collections.abc import Iterator
from typing import assert_never

from edge_agent.cli.checks.finding import Finding, Kiosk, State, fails, look, ok
from edge_agent.control_api import DaemonStatus, DeviceStatus, JournalStatus, LedgerStatus, PalmStatus
from edge_agent.domain.health import (
    HealthLevel,
    HealthLine,
    KioskHealth,
    LedgerState,
    is_noisy,
    judge_ledger,
    judge_queue,
    judge_readers,
    judge_recording,
    judge_roster,
)
from edge_agent.settings import PalmSettings
from sync.errors import SyncAlarm

REGISTER = "register: edge-agent register URL CODE"
LOG = "read its log: journalctl -u edge-agent -b"
_STATES = {HealthLevel.OK: State.OK, HealthLevel.WATCH: State.LOOK, HealthLevel.ACT: State.FAILS}


def daemon(kiosk: Kiosk) -> Iterator[Finding]:
    """Yields what the running daemon says; nothing where none runs, since that is a finding of its own already."""
    status = kiosk.status
    if status is None:
        return
    for fault in status.faults:
        yield fails("daemon", fault, LOG)
    settings = kiosk.loaded.settings
    health = health_of(status, settings.rules.roster_age_max_s)
    yield _recording(judge_recording(health))
    yield from _journal(status.journal)
    yield _ledger(judge_ledger(health), status.ledger)
    yield _queue(judge_queue(health), status)
    yield _roster(judge_roster(health), status)
    yield from _palm(status.palm, settings.palm)
    if not status.readers:
        yield look("readers", "no reader is configured", "add a [[readers]] table: edge-agent devices probe")
    gone = judge_readers(health)
    for reader in status.readers:
        yield _gone(gone, reader) if reader.name in gone.names else _device(reader)
    for indicator in status.indicators:
        yield _device(indicator)


def health_of(status: DaemonStatus, roster_age_max_s: float) -> KioskHealth:
    """Returns the facts that health is judged by, from the daemon's answer."""
    return KioskHealth(
        recording=status.recording,
        ledger=status.ledger.state if status.ledger is not None else LedgerState.NONE,
        ledger_alarm=status.ledger is not None and status.ledger.alarm is not SyncAlarm.NONE,
        queued=status.journal.queue,
        roster_age_s=status.roster.age_s if status.roster.version else -1,
        roster_age_max_s=roster_age_max_s,
        readers_gone=tuple(reader.name for reader in status.readers if not reader.is_present),
        clock=status.clock,
    )


def _found(line: HealthLine, part: str, detail: str, next_step: str) -> Finding:
    """Returns a finding as pressing as the line; one that is OK needs no next step."""
    state = _STATES[line.level]
    return Finding(part, state, detail, "" if state is State.OK else next_step)


def _recording(line: HealthLine) -> Finding:
    detail = "every visit is written down" if line.value == "yes" else "NOT RECORDING: visits are not written down"
    return _found(line, "recording", detail, f"staff count by hand; {LOG}")


def _journal(journal: JournalStatus) -> Iterator[Finding]:
    detail = f"row {journal.head} of epoch {journal.epoch[:6]}"
    match journal.checked:
        case None:
            yield ok("journal", f"{detail}; the whole of it is not looked through yet")
        case checked if checked.whole:
            yield ok("journal", f"{detail}; {checked.rows} rows looked through, every link holds")
        case _:
            yield fails("journal", f"{detail}; a link does not hold", "edge-agent journal verify names the row")


def _ledger(line: HealthLine, ledger: LedgerStatus | None) -> Finding:
    if ledger is None:
        return _found(line, "ledger", "the daemon sends nowhere", f"{REGISTER}, then restart it")
    if ledger.alarm is not SyncAlarm.NONE:
        return _found(line, "ledger", f"{ledger.alarm.value}: {ledger.why}", _against(ledger.alarm))
    match ledger.state:
        case LedgerState.REACHABLE:
            return _found(line, "ledger", "reachable", "")
        case LedgerState.REFUSED:
            return _found(line, "ledger", f"refuses: {ledger.why}", "tell the ledger's operator; recording goes on")
        case _:
            return _found(line, "ledger", f"unreachable: {ledger.why}", "check network and address; recording goes on")


def _against(alarm: SyncAlarm) -> str:
    match alarm:
        case SyncAlarm.NONE:
            return ""
        case SyncAlarm.UNAUTHORISED:
            return "ask the ledger's operator whether this kiosk is suspended; else register it again"
        case SyncAlarm.UNTRUSTED:
            return "check the kiosk's clock, then the ledger's certificate (ledger.ca_file)"
        case SyncAlarm.DECEIVED:
            return "tell the ledger's operator: its answer cannot be true"
        case SyncAlarm.REFUSED:
            return "tell the ledger's operator: it does not understand our batches"
        case SyncAlarm.FORK:
            return "find out whether a copy of this kiosk's card runs elsewhere; tell the ledger's operator"
        case SyncAlarm.LEDGER_BEHIND:
            return "tell the ledger's operator: it has lost rows that it gave receipts for; they are sent again"
        case _:
            assert_never(alarm)


def _queue(line: HealthLine, status: DaemonStatus) -> Finding:
    step = "edge-agent sync now, then edge-agent sync status" if status.ledger is not None else REGISTER
    return _found(line, "queue", f"{status.journal.queue} events wait for the ledger", step)


def _roster(line: HealthLine, status: DaemonStatus) -> Finding:
    roster = status.roster
    if line.value == "missing":
        step = "register, or: edge-agent roster import --local FOLDER"
        return _found(line, "roster", "there is none, nobody is known", step)
    detail = f"version {roster.version}, {roster.people} people, {roster.age_s // 3600} hours old"
    if line.level is not HealthLevel.OK:
        step = "bring the ledger or a newer roster on a stick"
        return _found(line, "roster", f"{detail}; last pull: {roster.last}", step)
    if roster.problems:
        return look("roster", f"{detail}; {roster.problems} problems in it", "edge-agent roster show names them")
    return ok("roster", detail)


def _palm(palm: PalmStatus | None, settings: PalmSettings) -> Iterator[Finding]:
    if palm is None:
        if settings.with_card == "confirm":
            yield look("palms", "cards are to be confirmed, and there is no camera", "add one, or palm.with_card = off")
    elif palm.unreadable:
        detail = f"{palm.unreadable} palms cannot be opened with this kiosk's key"
        yield fails("palms", detail, "edge-agent palm key restore with the school's printout, or enrol them again")
    elif palm.why:
        detail, _, step = palm.why.rpartition("; ")
        yield look("palms", f"nobody is recognised: {detail or step}", step)
    elif not palm.ready:
        yield look("palms", "nobody is known by the palm yet", "edge-agent palm enrol PERSON --operator NAME")
    else:
        yield ok("palms", f"{palm.people} people are known by the palm")


def _gone(line: HealthLine, device: DeviceStatus) -> Finding:
    detail, _, step = device.why.partition(": ")
    away = f"{device.driver} is away: {detail}"
    return _found(line, f"device {device.name}", away, step or "check cable and power; devices probe")


def _device(device: DeviceStatus) -> Finding:
    part = f"device {device.name}"
    if not device.is_present:
        detail, _, step = device.why.partition(": ")
        return fails(part, f"{device.driver} is away: {detail}", step or "check cable and power; devices probe")
    detail = f"{device.driver} is there; {device.readings} readings, {device.faults} faults"
    if is_noisy(device.readings, device.faults):
        return look(part, detail, f"check speed and cable: edge-agent devices watch {device.name}")
    return ok(part, detail)
