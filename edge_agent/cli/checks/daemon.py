"""Findings from the running daemon's status, with the next step. `domain.health` judges the kiosk's health."""

from collections.abc import Iterator
from typing import assert_never
from zoneinfo import ZoneInfo

from drivers.readings import FaultCause
from edge_agent.cli.checks.finding import ExaminedKiosk, Finding, FindingState, attention, failure, good
from edge_agent.cli.phrases import Phrase, phrase
from edge_agent.cli.refusal_words import describe_refusal
from edge_agent.control_api import DaemonStatus, DeviceStatus, JournalStatus, LedgerStatus, PalmStatus, RosterStatus
from edge_agent.domain.health import (
    HealthLevel,
    HealthLine,
    KioskHealth,
    LedgerState,
    is_garbled,
    is_misset,
    is_noisy,
    judge_identity,
    judge_ledger,
    judge_queue,
    judge_readers,
    judge_recording,
    judge_roster,
)
from edge_agent.settings.tables import PalmSettings
from sync.errors import SyncAlarm

REGISTER = phrase("register: edge-agent register URL CODE")
CHECK_CABLE = phrase("check cable and power: edge-agent devices probe")
LOG = phrase("read its log: journalctl -u edge-agent -b")
_ALARMS = {
    SyncAlarm.UNAUTHORISED: phrase("it does not let this kiosk in"),
    SyncAlarm.UNTRUSTED: phrase("it cannot be trusted"),
    SyncAlarm.DECEIVED: phrase("its answer cannot be true"),
    SyncAlarm.REFUSED: phrase("it does not understand this kiosk"),
    SyncAlarm.SPLIT_LOG: phrase("its log contradicts itself, or this kiosk's journal"),
    SyncAlarm.FORK: phrase("it has something else under this kiosk's numbers"),
    SyncAlarm.DEFERRED: phrase("an event was refused, and not by the ledger's own word"),
    SyncAlarm.LEDGER_BEHIND: phrase("it has lost events that it had signed for"),
}
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
    yield from _identity(judge_identity(health), status.ledger)
    yield _queue(judge_queue(health), status)
    yield _roster(judge_roster(health), status)
    yield from _zone(status.roster, kiosk)
    yield from _palm(status.palm, settings.palm)
    if not status.readers:
        yield attention(
            "readers",
            phrase("no reader is configured"),
            phrase("add a [[readers]] table: edge-agent devices probe"),
        )
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
        has_twin=status.ledger is not None and bool(status.ledger.twin_heard),
        queued=status.journal.queue,
        roster_age_s=status.roster.age_s if status.roster.version else -1,
        roster_age_max_s=roster_age_max_s,
        readers_gone=tuple(reader.name for reader in status.readers if not reader.is_present),
        readers_misset=tuple(
            reader.name
            for reader in status.readers
            if reader.is_present
            and is_misset(reader.readings, reader.faults, reader.refusal.cause if reader.refusal else None)
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
            return _from_line(line, "recording", phrase("every visit is written down"), "")
        case "held":
            detail = phrase(
                "NOT RECORDING: {number} visits wait in memory, and are lost with the power", number=line.number
            )
            return _from_line(
                line, "recording", detail, phrase("leave the kiosk on and free the disk; {step}", step=LOG)
            )
        case _:
            detail = phrase("NOT RECORDING: the journal cannot be written; the staff count by hand")
            return _from_line(line, "recording", detail, phrase("free the disk; {step}", step=LOG))


def _journal(journal: JournalStatus) -> Iterator[Finding]:
    detail = phrase("row {head} of epoch {epoch}", head=journal.head, epoch=journal.epoch[:6])
    match journal.checked:
        case None:
            yield good("journal", phrase("{detail}; the whole chain is not checked yet", detail=detail))
        case checked if checked.whole:
            yield good(
                "journal",
                phrase("{detail}; {rows} rows checked, every link holds", detail=detail, rows=checked.rows),
            )
        case _:
            yield failure(
                "journal",
                phrase("{detail}; a link does not hold", detail=detail),
                phrase("run edge-agent journal verify: it names the row"),
            )


def _ledger(line: HealthLine, ledger: LedgerStatus | None) -> Finding:
    if ledger is None:
        return _from_line(
            line,
            "ledger",
            phrase("the daemon has no ledger to send to"),
            phrase("{step}, then restart it", step=REGISTER),
        )
    if ledger.alarm is not SyncAlarm.NONE:
        return _from_line(
            line,
            "ledger",
            phrase("{alarm}: {why}", alarm=_ALARMS[ledger.alarm], why=ledger.why),
            _step_against(ledger.alarm),
        )
    match ledger.state:
        case LedgerState.REACHABLE:
            return _from_line(line, "ledger", phrase("reachable"), "")
        case LedgerState.REFUSED:
            return _from_line(
                line,
                "ledger",
                phrase("refuses: {why}", why=ledger.why),
                phrase("tell the ledger's operator; recording goes on"),
            )
        case _:
            return _from_line(
                line,
                "ledger",
                phrase("unreachable: {why}", why=ledger.why),
                phrase("check network and address; recording goes on"),
            )


def _identity(lines: tuple[HealthLine, ...], ledger: LedgerStatus | None) -> Iterator[Finding]:
    for line in lines:
        time = ledger.twin_heard if ledger is not None else ""
        yield _from_line(
            line,
            "identity",
            phrase("another kiosk uses this kiosk's identity; the ledger heard it last at {time}", time=time),
            phrase("find the copy (of a memory card?) and register it there anew: edge-agent register URL CODE"),
        )


def _step_against(alarm: SyncAlarm) -> str:
    match alarm:
        case SyncAlarm.NONE:
            return ""
        case SyncAlarm.UNAUTHORISED:
            return phrase("ask the ledger's operator if this kiosk is suspended; if not, register it again")
        case SyncAlarm.UNTRUSTED:
            return phrase("check the kiosk's clock, then the ledger's certificate (ledger.ca_file)")
        case SyncAlarm.DECEIVED:
            return phrase("tell the ledger's operator: the ledger's answer cannot be true")
        case SyncAlarm.REFUSED:
            return phrase("tell the ledger's operator: the ledger does not understand this kiosk's batches")
        case SyncAlarm.SPLIT_LOG:
            return phrase("give the evidence that it names to an auditor, and tell the ledger's operator")
        case SyncAlarm.FORK:
            return phrase("find out whether a copy of this kiosk's card runs elsewhere; tell the ledger's operator")
        case SyncAlarm.DEFERRED:
            return phrase(
                "find what refuses it on the way to the ledger (a proxy?); the event is kept and offered every day"
            )
        case SyncAlarm.LEDGER_BEHIND:
            return phrase(
                "tell the ledger's operator: the ledger has lost rows with receipts; the kiosk sends them again"
            )
        case _:
            assert_never(alarm)


def _queue(line: HealthLine, status: DaemonStatus) -> Finding:
    step = phrase("edge-agent sync now, then edge-agent sync status") if status.ledger is not None else REGISTER
    return _from_line(line, "queue", phrase("{number} events wait for the ledger", number=status.journal.queue), step)


def _roster(line: HealthLine, status: DaemonStatus) -> Finding:
    roster = status.roster
    if line.value == "missing":
        detail = phrase("there is none: the kiosk knows nobody; last pull: {last}", last=roster.last)
        return _from_line(line, "roster", detail, _step_to_roster(status.ledger))
    detail = phrase(
        "version {version}, {people} people, {hours} hours old",
        version=roster.version,
        people=roster.people,
        hours=roster.age_s // 3600,
    )
    if line.level is not HealthLevel.OK:
        step = phrase("check the network to the ledger, or bring a newer roster on a stick")
        return _from_line(line, "roster", phrase("{detail}; last pull: {last}", detail=detail, last=roster.last), step)
    if not roster.people:
        return attention("roster", phrase("{detail}; it names nobody", detail=detail), _step_to_roster(status.ledger))
    if roster.problems:
        return attention(
            "roster",
            phrase("{detail}; {problems} problems in it", detail=detail, problems=roster.problems),
            phrase("run edge-agent roster show: it names them"),
        )
    return good("roster", detail)


def _step_to_roster(ledger: LedgerStatus | None) -> Phrase:
    """Returns whose turn it is where the kiosk knows nobody."""
    if ledger is None:
        return phrase("register, or: edge-agent roster import --local FOLDER")
    if ledger.state is not LedgerState.REACHABLE:
        return phrase("your turn: the line to the ledger first, see the finding on it; the roster comes by itself then")
    return phrase(
        "the turn of the ledger's operator: edge-agent roster import FILE --school SCHOOL there; "
        "the kiosk fetches it by itself"
    )


def _zone(roster: RosterStatus, kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a failure where kiosk and school count their days and sessions by different clocks."""
    ours = kiosk.loaded.settings.kiosk.timezone
    if roster.timezone not in {"", ours}:
        detail = phrase("the kiosk's zone is {ours}, the school's is {theirs}", ours=ours, theirs=roster.timezone)
        step = phrase("set kiosk.timezone in {path}, and systemctl restart edge-agent", path=kiosk.loaded.path)
        yield failure("time zones", detail, step)


def _palm(palm: PalmStatus | None, settings: PalmSettings) -> Iterator[Finding]:
    if palm is None:
        if settings.with_card == "confirm":
            yield attention(
                "palms",
                phrase("the palm must confirm cards, and there is no camera"),
                phrase("add a camera, or set palm.with_card = off"),
            )
    elif palm.unreadable:
        detail = phrase("{number} palms cannot be opened with this kiosk's key", number=palm.unreadable)
        yield failure(
            "palms",
            detail,
            phrase("run edge-agent palm key restore with the school's printout, or enrol them again"),
        )
    elif palm.why:
        yield attention("palms", phrase("nobody can be recognised by the palm"), palm.why)
    elif not palm.ready:
        yield attention("palms", phrase("no palm is enrolled yet"), "edge-agent palm enrol PERSON --operator NAME")
    else:
        yield good("palms", phrase("palms of {people} people are enrolled", people=palm.people))


def _absent_reader(line: HealthLine, device: DeviceStatus) -> Finding:
    return _from_line(
        line,
        phrase("device {name}", name=device.name),
        phrase("{driver} is not present", driver=device.driver),
        device.why or CHECK_CABLE,
    )


def _device(device: DeviceStatus, zone: ZoneInfo) -> Finding:
    part = phrase("device {name}", name=device.name)
    if not device.is_present:
        return failure(part, phrase("{driver} is not present", driver=device.driver), device.why or CHECK_CABLE)
    detail = phrase(
        "{driver} is present; {readings} readings, {faults} faults",
        driver=device.driver,
        readings=device.readings,
        faults=device.faults,
    )
    refusal = device.refusal
    if refusal is not None:
        detail = phrase("{detail}; {more}", detail=detail, more=describe_refusal(refusal, zone))
    if device.doubted_clocks:
        for clock in device.doubted_clocks:
            doubt = phrase("clock of {terminal}: {why}", terminal=clock.terminal, why=clock.why)
            detail = phrase("{detail}; {more}", detail=detail, more=doubt)
        step = phrase("compare and set the clock, then edge-agent devices clocks and edge-agent devices confirm-clock")
        return failure(part, detail, step)
    if device.unread:
        stored = phrase("{number} requests that nobody understood are stored", number=device.unread)
        detail = phrase("{detail}; {more}", detail=detail, more=stored)
        return attention(
            part,
            detail,
            phrase(
                "look at them, and read them again after an update: edge-agent devices unread {name}", name=device.name
            ),
        )
    is_settings = refusal is not None and refusal.cause is FaultCause.SETTINGS
    if is_garbled(device.readings, device.faults) and not is_settings:
        step = phrase(
            "compare driver and speed with the reader's label: edge-agent devices watch {name} shows what comes",
            name=device.name,
        )
        return failure(part, phrase("{detail}; nothing that it sends is a card", detail=detail), step)
    if is_noisy(device.readings, device.faults):
        return attention(
            part, detail, phrase("check speed and cable: edge-agent devices watch {name}", name=device.name)
        )
    if is_settings:
        step = phrase("do as it says; edge-agent devices watch {name} shows what comes", name=device.name)
        return (attention if device.readings else failure)(part, detail, step)
    return good(part, detail)
