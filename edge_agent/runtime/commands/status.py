"""The command `status`: everything that a technician asks first, in one row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from edge_agent.control import Handler, Requester, bind_handler
from edge_agent.control_api import (
    STATUS,
    DaemonStatus,
    DeviceStatus,
    DoubtedClockStatus,
    JournalCheck,
    JournalStatus,
    LedgerStatus,
    NoArguments,
    PalmStatus,
    RefusalStatus,
    RosterStatus,
    TabletsStatus,
)
from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.domain.tablets import DoorFault
from edge_agent.identity import DeviceIdentity
from edge_agent.journal.journal import Journal
from edge_agent.process.supervision import Supervisor
from edge_agent.runtime.devices import DevicePresence, IndicatorLoop, ReaderPresences
from edge_agent.runtime.journal_guard import JournalGuard
from edge_agent.runtime.outage import OutageDesk
from edge_agent.runtime.upkeep import JournalUpkeep
from edge_agent.runtime.uplink import LedgerContact
from edge_agent.screen.server import ScreenServer
from edge_agent.station.station import Station


class PalmStatusSource(Protocol):
    """Recognition, as far as a technician asks for it."""

    def status(self) -> PalmStatus:
        """Returns if anybody can be recognised, or why not."""
        ...


@dataclass(frozen=True, slots=True)
class StatusCommand:
    """Answers `status`. `contact` None: there is no ledger; `palms` None: no camera; `screen` None: switched off."""

    identity: DeviceIdentity
    now: MomentSource
    journal: Journal
    station: Station
    guard: JournalGuard
    outage: OutageDesk
    supervisor: Supervisor
    upkeep: JournalUpkeep
    contact: LedgerContact | None
    palms: PalmStatusSource | None
    readers: ReaderPresences
    indicators: tuple[IndicatorLoop, ...]
    screen: ScreenServer | None
    tablets_enabled: bool

    def table(self) -> dict[str, Handler]:
        """Returns the command with its handler."""
        return dict([bind_handler(STATUS, self.report_status)])

    def report_status(self, _: NoArguments, requester: Requester) -> Iterator[DaemonStatus]:
        """Yields one row."""
        yield self.build()

    def build(self) -> DaemonStatus:
        """Returns the daemon's own account of the kiosk. Any thread may ask."""
        moment = self.now()
        return DaemonStatus(
            device=self.identity.device,
            school=self.identity.school,
            recording=self.guard.recording,
            waiting=self.outage.waiting,
            hand_count=self.outage.hand_count,
            faults=tuple(self.supervisor.find_faults()),
            clock=moment.clock,
            time=moment.text,
            journal=self._journal(),
            ledger=self._ledger(),
            roster=self._roster(moment),
            palm=self.palms.status() if self.palms is not None else None,
            readers=tuple(_device(presence) for presence in self.readers.everyone),
            indicators=tuple(_device(indicator.presence) for indicator in self.indicators),
            screen=f"http://127.0.0.1:{self.screen.port}/" if self.screen is not None else "",
            tablets=self._tablets() if self.tablets_enabled else None,
        )

    def _tablets(self) -> TabletsStatus:
        service = self.screen.tablets if self.screen is not None else None
        if service is None:
            return TabletsStatus(fault=DoorFault.NO_AUTHORITY)
        state, parts = service.state, service.parts
        return TabletsStatus(
            fault=state.fault,
            why=state.why,
            name=parts.lan.name,
            addresses=tuple(str(address) for address in state.addresses),
            port=state.port,
            until=state.until.isoformat(timespec="seconds") if state.until is not None else "",
            fingerprint=parts.authority.fingerprint,
            paired=len(parts.directory.list_all()),
        )

    def _journal(self) -> JournalStatus:
        journal, verdict = self.journal, self.upkeep.last_check
        return JournalStatus(
            epoch=journal.outbox.epoch,
            head=journal.outbox.head.seq,
            acknowledged=journal.outbox.acknowledged().seq,
            queue=journal.outbox.queue_depth(),
            checked=None if verdict is None else JournalCheck(rows=verdict.rows, whole=verdict.whole),
        )

    def _ledger(self) -> LedgerStatus | None:
        if self.contact is None:
            return None
        step = self.contact.step
        return LedgerStatus(
            state=self.contact.state(),
            last=step.outcome.value,
            why=self.contact.concern.why,
            alarm=self.contact.concern.alarm,
            next_s=round(step.due_s, 1),
            sent=self.contact.sent,
            twin_heard=self.contact.twin_heard,
        )

    def _roster(self, moment: Moment) -> RosterStatus:
        roster = self.station.roster
        return RosterStatus(
            version=roster.version,
            age_s=roster.age_s(moment.utc),
            people=len(roster.people),
            problems=len(roster.problems),
            timezone=roster.school_timezone,
            last=self.contact.pull.why if self.contact is not None else "no ledger",
        )


def _device(presence: DevicePresence) -> DeviceStatus:
    last = presence.refusals.last
    return DeviceStatus(
        name=presence.name,
        driver=presence.driver,
        is_present=presence.is_present,
        why=presence.why,
        readings=presence.readings,
        faults=presence.faults,
        unread=presence.unread,
        doubted_clocks=tuple(
            DoubtedClockStatus(terminal=clock.terminal, why=clock.why, offset_s=clock.offset_s)
            for clock in presence.doubted_clocks
        ),
        refusal=None
        if last is None
        else RefusalStatus(
            what=last.what,
            cause=last.cause,
            count=last.count,
            time=last.seen_utc.isoformat(timespec="seconds"),
        ),
    )
