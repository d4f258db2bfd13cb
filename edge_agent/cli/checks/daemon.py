"""What the running daemon says of itself."""

from collections.abc import Iterator
from typing import assert_never

from edge_agent.cli.checks.finding import Finding, Kiosk, fails, look, ok
from edge_agent.control_api import DaemonStatus, DeviceStatus, JournalStatus, LedgerStatus, PalmStatus
from edge_agent.screen.health import LedgerState
from edge_agent.settings import PalmSettings
from sync.client.client import Alarm

QUEUE_LONG = 1_000  # more than a school's day
FAULTS_MANY = 20
LOG = "read its log: journalctl -u edge-agent -b"


def daemon(kiosk: Kiosk) -> Iterator[Finding]:
    status = kiosk.status
    if status is None:
        return  # said already where it was asked
    for fault in status.faults:
        yield fails("daemon", fault, LOG)
    if status.recording:
        yield ok("recording", "every visit is written down")
    else:
        yield fails("recording", "NOT RECORDING: visits are not written down", f"staff count by hand; {LOG}")
    yield from _journal(status.journal)
    yield _ledger(status.ledger)
    yield from _queue(status)
    yield from _roster(status, kiosk.loaded.settings.rules.roster_age_max_s)
    yield from _palm(status.palm, kiosk.loaded.settings.palm)
    if not status.readers:
        yield look("readers", "no reader is configured", "add a [[readers]] table: edge-agent devices probe")
    for device in (*status.readers, *status.indicators):
        yield _device(device)


def _journal(journal: JournalStatus) -> Iterator[Finding]:
    detail = f"row {journal.head} of epoch {journal.epoch[:6]}"
    match journal.checked:
        case None:
            yield ok("journal", f"{detail}; the whole of it is not looked through yet")
        case checked if checked.whole:
            yield ok("journal", f"{detail}; {checked.rows} rows looked through, every link holds")
        case _:
            yield fails("journal", f"{detail}; a link does not hold", "edge-agent journal verify names the row")


def _ledger(ledger: LedgerStatus | None) -> Finding:
    if ledger is None:
        return look("ledger", "the daemon sends nowhere", "register: edge-agent register URL CODE, then restart it")
    if ledger.alarm is not Alarm.NONE:
        return fails("ledger", f"{ledger.alarm.value}: {ledger.why}", _against(ledger.alarm))
    match ledger.state:
        case LedgerState.REACHABLE:
            return ok("ledger", "reachable")
        case LedgerState.REFUSED:
            return fails("ledger", f"refuses: {ledger.why}", "tell the ledger's operator; recording goes on")
        case _:
            return look("ledger", f"unreachable: {ledger.why}", "check network and address; recording goes on")


def _against(alarm: Alarm) -> str:
    match alarm:
        case Alarm.NONE:
            return ""
        case Alarm.UNAUTHORISED:
            return "ask the ledger's operator whether this kiosk is suspended; else register it again"
        case Alarm.UNTRUSTED:
            return "check the kiosk's clock, then the ledger's certificate (ledger.ca_file)"
        case Alarm.DECEIVED:
            return "tell the ledger's operator: its answer cannot be true"
        case Alarm.REFUSED:
            return "tell the ledger's operator: it does not understand our batches"
        case Alarm.FORK:
            return "find out whether a copy of this kiosk's card runs elsewhere; tell the ledger's operator"
        case Alarm.LEDGER_BEHIND:
            return "tell the ledger's operator: it has lost rows that it gave receipts for; they are sent again"
        case _:
            assert_never(alarm)


def _queue(status: DaemonStatus) -> Iterator[Finding]:
    depth = status.journal.queue
    if status.ledger is not None and depth > QUEUE_LONG:
        yield look("queue", f"{depth} events wait for the ledger", "edge-agent sync now, then edge-agent sync status")
    else:
        yield ok("queue", f"{depth} events wait for the ledger")


def _roster(status: DaemonStatus, age_max_s: float) -> Iterator[Finding]:
    roster = status.roster
    if roster.version == 0:
        yield fails("roster", "there is none, nobody is known", "register, or: edge-agent roster import --local FOLDER")
        return
    detail = f"version {roster.version}, {roster.people} people, {roster.age_s // 3600} hours old"
    if roster.age_s > age_max_s:
        yield look("roster", f"{detail}; last pull: {roster.last}", "bring the ledger or a newer roster on a stick")
    elif roster.problems:
        yield look("roster", f"{detail}; {roster.problems} problems in it", "edge-agent roster show names them")
    else:
        yield ok("roster", detail)


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


def _device(device: DeviceStatus) -> Finding:
    part = f"device {device.name}"
    if not device.there:
        detail, _, step = device.why.partition(": ")
        return fails(part, f"{device.driver} is away: {detail}", step or "check cable and power; devices probe")
    detail = f"{device.driver} is there; {device.readings} readings, {device.faults} faults"
    if device.faults > FAULTS_MANY and device.faults > device.readings:
        return look(part, detail, f"check speed and cable: edge-agent devices watch {device.name}")
    return ok(part, detail)
