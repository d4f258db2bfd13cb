"""The kiosk's health as the runtime sees it, for the screen, systemd and the ledger."""

from dataclasses import dataclass, field
from typing import Protocol

from drivers.readings import FaultCause
from edge_agent.domain.health import (
    HealthLevel,
    KioskHealth,
    LedgerState,
    ReaderReport,
    is_misset,
    judge_ledger,
    judge_queue,
    judge_recording,
)
from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.journal.journal import Journal
from edge_agent.runtime.devices import DevicePresence, ReaderPresences
from edge_agent.runtime.journal_guard import JournalGuard
from edge_agent.runtime.last_scan import LastScan
from edge_agent.runtime.outage import OutageDesk
from edge_agent.runtime.technician_desk import TechnicianDesk
from edge_agent.runtime.update_watch import WHY_CHARS_MAX, UpdateWatch
from edge_agent.runtime.uplink import LedgerContact
from edge_agent.station.station import Station
from edge_agent.version import VERSION
from sync.client.heartbeat import AgentReport
from sync.contract import wire
from sync.errors import SyncAlarm


class PalmReadiness(Protocol):
    """Recognition, as far as the kiosk's health needs it."""

    @property
    def ready(self) -> bool:
        """Returns True where somebody can be recognised."""
        ...


@dataclass(frozen=True, slots=True)
class HealthDesk:
    """Gathers the facts about the kiosk's health. `contact` None: there is no ledger; `palms` None: no camera."""

    now: MomentSource
    journal: Journal
    station: Station
    guard: JournalGuard
    outage: OutageDesk
    readers: ReaderPresences
    contact: LedgerContact | None
    palms: PalmReadiness | None
    roster_age_max_s: float
    calls: TechnicianDesk
    last_scan: LastScan
    update: UpdateWatch = field(default_factory=UpdateWatch)

    def examine(self, moment: Moment) -> KioskHealth:
        """Returns the kiosk's health at this moment."""
        update = self.update.read()
        return KioskHealth(
            recording=self.guard.recording,
            waiting=self.outage.waiting,
            hand_count=self.outage.hand_count,
            ledger=self.contact.state() if self.contact is not None else LedgerState.NONE,
            ledger_alarm=self.contact is not None and self.contact.concern.alarm is not SyncAlarm.NONE,
            has_twin=self.contact is not None and bool(self.contact.twin_heard),
            queued=self.journal.outbox.queue_depth(),
            roster_age_s=self.station.roster.age_s(moment.utc),
            roster_age_max_s=self.roster_age_max_s,
            palm=self._invites_palms(),
            card=any(reader.is_present for reader in self.readers.cards),
            readers_gone=self.readers.absent_names(),
            readers_misset=tuple(reader.name for reader in self.readers.everyone if _is_misset(reader)),
            clock=moment.clock,
            doubted_clocks=tuple(clock.terminal for reader in self.readers.everyone for clock in reader.doubted_clocks),
            technician_called=self.calls.open_call is not None,
            taken_back=update.cause,
            taken_back_version=update.version,
            readers=tuple(sorted(filter(None, map(_report, self.readers.everyone)), key=_need)),
        )

    def status_line(self) -> str:
        """Returns the line for `systemctl status`."""
        return render_status_line(self.examine(self.now()))

    def agent_report(self) -> AgentReport:
        """Returns what a heartbeat tells the ledger."""
        moment = self.now()
        health = self.examine(moment)
        parts = [
            wire.PartHealth(
                reader.name,
                "failed" if reader.name in (*health.readers_gone, *health.readers_misset) else "ok",
                (reader.why or _misset_why(reader))[:WHY_CHARS_MAX],
                wire.PartKind.READER,
            )
            for reader in self.readers.everyone
        ]
        parts += [
            _failed(f"{reader.name} {clock.terminal} clock", clock.why, wire.PartKind.TERMINAL_CLOCK)
            for reader in self.readers.everyone
            for clock in reader.doubted_clocks
        ]
        call = self.calls.open_call
        if call is not None:
            why = f"called by the staff: {call.about}" if call.about else "called by the staff"
            parts.append(_failed("technician", why, wire.PartKind.TECHNICIAN))
        if judge_recording(health).level is HealthLevel.ACT:
            parts.append(_failed("journal", "it cannot be written", wire.PartKind.JOURNAL))
        if self.contact is not None and self.contact.watch.alarm is SyncAlarm.SPLIT_LOG:
            parts.append(_failed("log", self.contact.watch.why, wire.PartKind.LOG))
        return AgentReport(
            VERSION,
            self.journal.roster.version(),
            moment.boot,
            moment.clock.value,
            tuple(parts),
            roster_age_s=health.roster_age_s,
            scanned=self.last_scan.read(),
            update=self.update.report(),
        )

    def _invites_palms(self) -> bool:
        """A terminal recognises by itself; a camera invites only when somebody can be recognised here."""
        ready = self.palms is not None and self.palms.ready
        return any(terminal.is_present for terminal in self.readers.palm_terminals) or (
            ready and any(camera.is_present for camera in self.readers.cameras)
        )


def _failed(part: str, why: str, kind: wire.PartKind) -> wire.PartHealth:
    return wire.PartHealth(part, "failed", why[:WHY_CHARS_MAX], kind)


def _is_misset(reader: DevicePresence) -> bool:
    last = reader.refusals.last
    return reader.is_present and is_misset(reader.readings, reader.faults, last.cause if last is not None else None)


def _misset_why(reader: DevicePresence) -> str:
    last = reader.refusals.last
    return last.what if last is not None and _is_misset(reader) else ""


def _report(reader: DevicePresence) -> ReaderReport | None:
    last, unread = reader.refusals.last, reader.unread
    if last is None:
        is_fine = reader.is_present and not unread
        return None if is_fine else ReaderReport(reader.name, reader.why, unread=unread)
    refused_s = int(last.seen_utc.timestamp())
    return ReaderReport(reader.name, reader.why, last.what, last.cause, last.count, refused_s, unread)


def _need(report: ReaderReport) -> int:
    """Returns the order on the staff's page: readers that do not work come first."""
    return 0 if report.away else 1 if report.cause is FaultCause.SETTINGS else 2


def render_status_line(health: KioskHealth) -> str:
    """Returns the kiosk's health in one line, for `systemctl status`."""
    ledger = judge_ledger(health).value
    parts = [
        f"{judge_queue(health).number} events to send",
        f"ledger {'not registered' if ledger == LedgerState.NONE else ledger}",
    ]
    parts += [f"readers gone: {', '.join(health.readers_gone)}"] if health.readers_gone else []
    parts += [f"readers that read nothing: {', '.join(health.readers_misset)}"] if health.readers_misset else []
    recording = judge_recording(health)
    parts += ["ANOTHER KIOSK HAS THIS IDENTITY"] if health.has_twin else []
    parts += ["the technician is called"] if health.technician_called else []
    parts += ["NOT RECORDING"] if recording.level is HealthLevel.ACT else []
    parts += [f"{recording.number} wait in memory: leave the power on"] if recording.value == "held" else []
    return "; ".join(parts)
