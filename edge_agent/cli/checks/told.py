"""What the doctor reads of the daemon's answer to `status`; anything else in it is passed over."""

import msgspec

from edge_agent.screen.health import LedgerState
from sync.client.client import Alarm
from sync.contract.event import ClockQuality


class Checked(msgspec.Struct, frozen=True):
    rows: int
    whole: bool


class JournalTold(msgspec.Struct, frozen=True):
    epoch: str
    head: int
    acknowledged: int
    queue: int
    checked: Checked | None


class LedgerTold(msgspec.Struct, frozen=True):
    state: LedgerState
    why: str
    alarm: Alarm


class RosterTold(msgspec.Struct, frozen=True):
    version: int
    age_s: int
    people: int
    problems: int
    last: str


class DeviceTold(msgspec.Struct, frozen=True):
    name: str
    driver: str
    there: bool
    why: str
    readings: int
    faults: int


class PalmTold(msgspec.Struct, frozen=True):
    ready: bool
    why: str  # nobody can be recognised, and what to do
    people: int = 0
    unreadable: int = 0


class Told(msgspec.Struct, frozen=True):
    recording: bool
    faults: tuple[str, ...]
    clock: ClockQuality
    journal: JournalTold
    ledger: LedgerTold | None
    roster: RosterTold
    readers: tuple[DeviceTold, ...]
    indicators: tuple[DeviceTold, ...]
    palm: PalmTold | None = None  # None: no camera is looked at
