"""The commands of the control socket: what each takes, and what each row of its answer holds.

The daemon builds these rows and the command line reads them. A field's name is its key on the wire, and scripts depend
on it: it may be added, never renamed. No row holds a palm's template. Card numbers stand only in rows that the daemon
gives to root and to its own user.
"""

from typing import Final, Literal, cast

import msgspec
from msgspec import UNSET, UnsetType, field

from drivers.readings import FaultCause
from edge_agent.control import ControlCommand
from edge_agent.domain.health import LedgerState
from edge_agent.domain.operators import OperatorRole
from edge_agent.domain.tablets import DoorFault
from sync.contract.event import ClockQuality
from sync.contract.palms import PalmStickHeader, SealedTemplates
from sync.contract.roster import Record, RosterPage
from sync.errors import SyncAlarm


class NoArguments(msgspec.Struct, frozen=True):
    """The arguments of a command that takes none."""


NO_ARGUMENTS: Final = NoArguments()


# status


class JournalCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the last walk along the whole chain. `whole`: every link held."""

    rows: int
    whole: bool


class JournalStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The journal's epoch, the sequence numbers of its last and its last acknowledged event, and the queue between."""

    epoch: str
    head: int
    acknowledged: int
    queue: int
    checked: JournalCheck | None  # None: not walked yet since the start


class LedgerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The uplink's last contact with the ledger."""

    state: LedgerState
    last: str  # the outcome of the last attempt
    why: str
    alarm: SyncAlarm
    next_s: float  # seconds from that attempt to the next
    sent: int  # events acknowledged since the start
    twin_heard: str = ""  # UTC: when the ledger heard another kiosk with this identity; empty: there is none


class RosterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The roster in force; version 0: there is none."""

    version: int
    age_s: int
    people: int
    problems: int
    last: str  # how the last pull ended
    timezone: str = ""  # of the school, as the roster names it; empty: it does not


class PalmStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Palm recognition at this kiosk. Without the school's key only `ready` and `why` are there."""

    ready: bool  # somebody can be recognised
    why: str  # the reason why nobody can, and what to do
    key: str | UnsetType = UNSET  # the public fingerprint of the school's key
    people: int | UnsetType = UNSET
    templates: int | UnsetType = UNSET
    unreadable: int | UnsetType = UNSET  # palms that this kiosk's key does not open
    operating_point: str | UnsetType = UNSET
    pictures_dropped: int | UnsetType = UNSET


class RefusalStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The last thing that a reader received and refused, in its driver's sentence."""

    what: str
    cause: FaultCause
    count: int  # of the same sentence since the start
    time: str  # UTC, in ISO 8601


class DoubtedClockStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal whose clock is not believed. `offset_s`: how far it is ahead of ours; None: not measured yet."""

    terminal: str
    why: str
    offset_s: int | None


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One reader or indicator as its thread last knew it."""

    name: str
    driver: str
    is_present: bool = field(name="there")
    why: str  # the reason why it is not present
    readings: int
    faults: int
    refusal: RefusalStatus | None = None  # None: nothing was refused since the start
    doubted_clocks: tuple[DoubtedClockStatus, ...] = ()  # of terminals that call it
    unread: int = 0  # requests of it that nobody understood, and that are stored here


class TabletsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The staff's page on tablets: where it is heard, and what is wrong; an empty fault: nothing."""

    fault: DoorFault
    why: str = ""
    name: str = ""
    addresses: tuple[str, ...] = ()
    port: int = 0
    until: str = ""  # UTC, in ISO 8601: the end of the certificate, which is renewed a month before
    fingerprint: str = ""  # of the kiosk's authority
    paired: int = 0


class DaemonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon's own account of the kiosk: everything that a technician asks first."""

    device: str
    school: str
    recording: bool
    faults: tuple[str, ...]  # parts that do not live
    clock: ClockQuality
    time: str
    journal: JournalStatus
    ledger: LedgerStatus | None  # None: this kiosk is not registered with one
    roster: RosterStatus
    palm: PalmStatus | None  # None: no camera is looked at
    readers: tuple[DeviceStatus, ...]
    indicators: tuple[DeviceStatus, ...]
    screen: str  # the screen's URL; empty: it is switched off
    waiting: int = 0  # scans in memory, until the journal can be written
    hand_count: int = 0  # people whom the staff counted meanwhile
    tablets: TabletsStatus | None = None  # None: tablets are switched off


# update.…


class SelfTestRow(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a self-test's event in the journal, and the version that has made it. `seq` 0: none was recorded."""

    version: str
    epoch: str
    seq: int


# journal.…


class JournalListArguments(msgspec.Struct, frozen=True, kw_only=True):
    limit: int = 20


class JournalRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the journal. `event`: the payload's JSON object, of any kind that `sync.contract.event` knows."""

    epoch: str
    seq: int
    event: dict[str, object]


class BrokenLink(msgspec.Struct, frozen=True, kw_only=True):
    """The first row that is not what was kept. `seq` 0: the epoch as such; `epoch` empty: the file as such."""

    epoch: str
    seq: int
    what: str


class ChainVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a walk along the chain. `finished` False: it was stopped, and what was walked till then held."""

    epochs: int
    rows: int
    broken: BrokenLink | None
    finished: bool


class ExportedJournal(msgspec.Struct, frozen=True, kw_only=True):
    """The file that the daemon wrote into its state folder, and how many rows are in it."""

    path: str
    rows: int


class JournalCopy(msgspec.Struct, frozen=True, kw_only=True):
    """The copy that the daemon wrote into its state folder, and the verdict on it."""

    path: str
    verdict: ChainVerdict


class JournalVisitsArguments(msgspec.Struct, frozen=True, kw_only=True):
    day: str  # 2026-11-27


class JournalVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit as it follows from this kiosk's rows, by their true times. Times are UTC texts; empty: not known."""

    person: str
    session: str
    entered: str
    left: str
    claim: str
    closing: str
    epoch: str  # the row that the visit begins with
    seq: int


# sync.…


class QueueDepth(msgspec.Struct, frozen=True, kw_only=True):
    """How many events no receipt covers."""

    queue: int


class QuarantineListRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event that the ledger found odd or refused. `tombstone`: its bytes are only here."""

    epoch: str
    seq: int
    code: str
    detail: str
    tombstone: bool
    noted_utc: str = field(name="at")
    event: str  # the payload's bytes, as text


# roster.…


class RosterProblemRow(msgspec.Struct, frozen=True, kw_only=True):
    """A record that the school must correct."""

    type: str
    id: str
    what: str


class RosterSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The roster in force: how many records of each type, and what is wrong with it."""

    school: str
    version: int
    age_s: int
    records: dict[str, int]
    problems: tuple[RosterProblemRow, ...]


class RosterApplyArguments(msgspec.Struct, frozen=True, kw_only=True):
    page: RosterPage


class RosterVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The version of the roster that is in force now."""

    version: int


# devices.…


class DeviceWatchArguments(msgspec.Struct, frozen=True, kw_only=True):
    device: str = ""  # empty: every device
    seconds: float = 60.0


class DeviceTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that passed between a driver and its device. They hold card numbers."""

    t_ns: int  # monotonic
    device: str
    direction: Literal["RECV", "SEND"] = field(name="dir")
    hex: str
    events: tuple[dict[str, object], ...] = ()  # what the reader reported then, as `drivers.bench.described` says it


class DeviceTestArguments(msgspec.Struct, frozen=True, kw_only=True):
    within_s: float


class DeviceTestRow(msgspec.Struct, frozen=True, kw_only=True):
    """The place in the journal of a reading that was kept as a technician's test."""

    reader: str
    epoch: str
    seq: int


class TerminalMatch(msgspec.Struct, frozen=True, array_like=True):
    """One row of a terminal's own log: `[number, method, time]`, the time in ISO 8601 with its offset."""

    number: str
    method: str
    time: str


class DeviceImportArguments(msgspec.Struct, frozen=True, kw_only=True):
    device: str
    matches: tuple[TerminalMatch, ...]


class ImportedMatches(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows the station's queue took."""

    imported: int = field(name="taken")


class DeviceUnreadArguments(msgspec.Struct, frozen=True, kw_only=True):
    device: str = ""  # empty: every reader
    again: bool = False  # read them again, and record what is understood by now
    discard: bool = False  # remove them


class UnreadRow(msgspec.Struct, frozen=True, kw_only=True):
    """One request that nobody understood, redacted."""

    device: str
    at: str  # when it came, UTC
    serial: str  # of the terminal
    path: str
    table: str
    rows: tuple[str, ...]
    matches: int = 0  # how many it brought, where it was read again


class HeldClockRow(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a terminal's wrong clock, whose rows are held. Times are the terminal's own, as UTC texts."""

    run: str  # reader, serial number and when it began
    terminal: str
    offset_s: int  # how far it was ahead, as measured
    rows: int
    first_at: str
    last_at: str


class ClockConfirmArguments(msgspec.Struct, frozen=True, kw_only=True):
    run: str
    operator: str
    note: str
    offset_s: int | None = None  # None: as measured


class ConfirmedClock(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows were held for this clock, and count from now on."""

    rows: int


# operators.…


class OperatorAddArguments(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    roles: tuple[OperatorRole, ...]
    group: str = ""  # of a class teacher: the class


class OperatorArguments(msgspec.Struct, frozen=True, kw_only=True):
    """One operator, by id or by name."""

    operator: str


class OperatorListRow(msgspec.Struct, frozen=True, kw_only=True):
    """An operator of this kiosk. Events carry the id."""

    id: str
    name: str
    roles: tuple[OperatorRole, ...]
    blocked: bool
    has_own_pin: bool  # False: the PIN that was given is not changed yet


class GivenPinRow(msgspec.Struct, frozen=True, kw_only=True):
    """The PIN for an operator's next sign-in, who must change it there."""

    id: str
    name: str
    pin: str


# paper.…


class PaperListArguments(msgspec.Struct, frozen=True, kw_only=True):
    group: str = ""  # a class; empty: every class


class PaperListRow(msgspec.Struct, frozen=True, kw_only=True):
    """A person as a printed list has one."""

    group: str
    name: str
    code: str


# palm.…


class PalmEnrolArguments(msgspec.Struct, frozen=True, kw_only=True):
    person: str
    operator: str
    hand: Literal["left", "right", "unknown"] = "unknown"  # unknown: whichever is shown first
    samples: int = 3
    within_s: float = 90.0
    language: Literal["", "kk", "ru", "en"] = ""  # of the operator's lines; empty: the kiosk's own
    reader: str = ""  # which camera; empty: the only one


class PalmEnrolStep(msgspec.Struct, frozen=True, kw_only=True):
    """One line for the operator. The last one of an enrolment is `done`."""

    samples: int = field(name="good")  # so far
    step: str
    line: str = field(name="say")  # the step in the operator's language
    hand: str
    done: bool


class PalmForgetArguments(msgspec.Struct, frozen=True, kw_only=True):
    person: str


class ForgottenPalms(msgspec.Struct, frozen=True, kw_only=True):
    """How many samples of this person were deleted."""

    person: str
    deleted: int


class PalmImportArguments(msgspec.Struct, frozen=True, kw_only=True):
    head: PalmStickHeader
    palms: tuple[SealedTemplates, ...]


class PalmImportRow(msgspec.Struct, frozen=True, kw_only=True):
    """How many palms of one request were imported, and why the others were not."""

    imported: int = field(name="taken")
    passed_over: int  # known here at least as new, or of somebody who has not agreed
    unreadable: int  # sealed with another school's key, or changed


STATUS: Final = ControlCommand("status", NoArguments, DaemonStatus)
JOURNAL_LIST: Final = ControlCommand("journal.list", JournalListArguments, JournalRow)
JOURNAL_VERIFY: Final = ControlCommand("journal.verify", NoArguments, ChainVerdict)
JOURNAL_EXPORT: Final = ControlCommand("journal.export", NoArguments, ExportedJournal)
JOURNAL_BACKUP: Final = ControlCommand("journal.backup", NoArguments, JournalCopy)
JOURNAL_VISITS: Final = ControlCommand("journal.visits", JournalVisitsArguments, JournalVisit)
SYNC_NOW: Final = ControlCommand("sync.now", NoArguments, QueueDepth)
SYNC_QUARANTINE: Final = ControlCommand("sync.quarantine", NoArguments, QuarantineListRow)
ROSTER_SHOW: Final = ControlCommand("roster.show", NoArguments, RosterSummary)
# A union is no class to mypy, and msgspec takes it as one.
ROSTER_RECORDS: Final = ControlCommand("roster.records", NoArguments, cast("type[Record]", Record))
ROSTER_APPLY: Final = ControlCommand("roster.apply", RosterApplyArguments, RosterVersion)
DEVICES_WATCH: Final = ControlCommand("devices.watch", DeviceWatchArguments, DeviceTraffic)
DEVICES_TEST: Final = ControlCommand("devices.test", DeviceTestArguments, DeviceTestRow)
DEVICES_UNREAD: Final = ControlCommand("devices.unread", DeviceUnreadArguments, UnreadRow)
DEVICES_IMPORT: Final = ControlCommand("devices.import", DeviceImportArguments, ImportedMatches)
DEVICES_CLOCKS: Final = ControlCommand("devices.clocks", NoArguments, HeldClockRow)
DEVICES_CONFIRM_CLOCK: Final = ControlCommand("devices.confirm-clock", ClockConfirmArguments, ConfirmedClock)
OPERATORS_LIST: Final = ControlCommand("operators.list", NoArguments, OperatorListRow)
OPERATORS_ADD: Final = ControlCommand("operators.add", OperatorAddArguments, GivenPinRow)
OPERATORS_PIN: Final = ControlCommand("operators.pin", OperatorArguments, GivenPinRow)
OPERATORS_BLOCK: Final = ControlCommand("operators.block", OperatorArguments, OperatorListRow)
PAPER_LIST: Final = ControlCommand("paper.list", PaperListArguments, PaperListRow)
PALM_ENROL: Final = ControlCommand("palm.enrol", PalmEnrolArguments, PalmEnrolStep)
PALM_FORGET: Final = ControlCommand("palm.forget", PalmForgetArguments, ForgottenPalms)
# Each row is a line of the stick's file: a `PalmStickHeader`, then a `SealedTemplates` each.
PALM_EXPORT: Final = ControlCommand("palm.export", NoArguments, msgspec.Raw)
UPDATE_SELF_TEST: Final = ControlCommand("update.self-test", NoArguments, SelfTestRow)
PALM_IMPORT: Final = ControlCommand("palm.import", PalmImportArguments, PalmImportRow)

COMMANDS: Final = (
    STATUS,
    JOURNAL_LIST,
    JOURNAL_VERIFY,
    JOURNAL_EXPORT,
    JOURNAL_BACKUP,
    JOURNAL_VISITS,
    SYNC_NOW,
    SYNC_QUARANTINE,
    ROSTER_SHOW,
    ROSTER_RECORDS,
    ROSTER_APPLY,
    DEVICES_WATCH,
    DEVICES_TEST,
    DEVICES_UNREAD,
    DEVICES_IMPORT,
    DEVICES_CLOCKS,
    DEVICES_CONFIRM_CLOCK,
    OPERATORS_LIST,
    OPERATORS_ADD,
    OPERATORS_PIN,
    OPERATORS_BLOCK,
    PAPER_LIST,
    PALM_ENROL,
    PALM_FORGET,
    PALM_EXPORT,
    PALM_IMPORT,
    UPDATE_SELF_TEST,
)
