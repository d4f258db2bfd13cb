"""The kiosk's health as the runtime sees it, for the screen, systemd and the ledger."""

from dataclasses import dataclass
from typing import Protocol

from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.journal.journal import Journal
from edge_agent.runtime.devices import ReaderPresences
from edge_agent.runtime.journal_guard import JournalGuard
from edge_agent.runtime.uplink import LedgerContact
from edge_agent.screen.health import KioskHealth, LedgerState
from edge_agent.station import Station
from edge_agent.version import VERSION
from sync.client.heartbeat import Condition
from sync.contract import wire

WHY_CHARS_MAX = 200


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
    readers: ReaderPresences
    contact: LedgerContact | None
    palms: PalmReadiness | None

    def examine(self, moment: Moment) -> KioskHealth:
        """Returns the kiosk's health at this moment."""
        return KioskHealth(
            recording=self.guard.recording,
            ledger=self.contact.state() if self.contact is not None else LedgerState.NONE,
            queued=self.journal.queue_depth(),
            roster_age_s=self.station.roster.age_s(moment.utc),
            palm=self._invites_palms(),
            card=any(reader.there for reader in self.readers.cards),
            readers_gone=self.readers.gone(),
            clock=moment.clock,
        )

    def status_line(self) -> str:
        """Returns the line for `systemctl status`."""
        gone = self.readers.gone()
        ledger = self.contact.state().value if self.contact is not None else "not registered"
        parts = [f"{self.journal.queue_depth()} events to send", f"ledger {ledger}"]
        parts += [f"readers gone: {', '.join(gone)}"] if gone else []
        parts += [] if self.guard.recording else ["NOT RECORDING"]
        return "; ".join(parts)

    def condition(self) -> Condition:
        """Returns what a heartbeat tells the ledger."""
        moment = self.now()
        health = [
            wire.Health(reader.name, "ok" if reader.there else "failed", reader.why[:WHY_CHARS_MAX])
            for reader in self.readers.everyone
        ]
        if not self.guard.recording:
            health.append(wire.Health("journal", "failed", "it cannot be written"))
        return Condition(VERSION, self.journal.roster_version(), moment.boot, moment.clock.value, tuple(health))

    def _invites_palms(self) -> bool:
        """A terminal recognises by itself; a camera invites only when somebody can be recognised here."""
        ready = self.palms is not None and self.palms.ready
        return any(terminal.there for terminal in self.readers.palm_terminals) or (
            ready and any(camera.there for camera in self.readers.cameras)
        )
