"""The daemon put together: settings in, finished parts out. Nothing is started here, and no thread begins.

    readers ─▶ inbox ─▶ station loop ─▶ surfaces: lights, screen
                             │ wakes
                             ▼
                          uplink            upkeep            control and screen servers

Each part gets in its constructor everything that it ever needs, so that the order of the lines below is the order of
dependence, and no circle is possible.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from drivers import registry
from drivers.base import Indicator, QuestionedReader, Reader
from drivers.row_mark import MarkedSource
from drivers.terminals import TerminalSource
from drivers.unread import UnreadSource
from edge_agent import identity as identities
from edge_agent.control import SOCKET_NAME, ControlServer, Handler
from edge_agent.domain.moment import MomentSource
from edge_agent.identity import DeviceIdentity
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.process.metrics import Counters
from edge_agent.process.shutdown import ShutdownFlag
from edge_agent.process.supervision import Part, Pulse, Supervisor
from edge_agent.runtime.card_desk import CardDesk
from edge_agent.runtime.card_numbers import CardNumbers
from edge_agent.runtime.card_relay import RelayedCards
from edge_agent.runtime.code_judge import CODE_KEY_NAME, build_code_judge
from edge_agent.runtime.commands.clocks import ClockCommands
from edge_agent.runtime.commands.devices import DeviceCommands
from edge_agent.runtime.commands.journal import JournalCommands
from edge_agent.runtime.commands.operators import OperatorCommands
from edge_agent.runtime.commands.palm import PalmCommands
from edge_agent.runtime.commands.paper import PaperCommands
from edge_agent.runtime.commands.roster import RosterCommands
from edge_agent.runtime.commands.status import StatusCommand
from edge_agent.runtime.commands.sync import SyncCommands
from edge_agent.runtime.commands.update import UpdateCommands
from edge_agent.runtime.day_history import DayHistory
from edge_agent.runtime.devices import DevicePresence, IndicatorLoop, ReaderLoop, ReaderPresences
from edge_agent.runtime.enrolment_desk import EnrolmentDesk
from edge_agent.runtime.enrolment_run import ENROLMENT_BEAT_MAX_S, EnrolmentRun
from edge_agent.runtime.evidence import EvidenceFolder
from edge_agent.runtime.guarded import GuardedIndicator, GuardedReader
from edge_agent.runtime.health_desk import HealthDesk
from edge_agent.runtime.inbox import Inbox
from edge_agent.runtime.journal_guard import JournalGuard, WatchedJournal
from edge_agent.runtime.last_scan import LastScan
from edge_agent.runtime.opening import JournalOpener
from edge_agent.runtime.operator_book import CommonPin, OperatorBook
from edge_agent.runtime.outage import OutageDesk
from edge_agent.runtime.palm_availability import CameraPalmAvailability
from edge_agent.runtime.policy import build_policy
from edge_agent.runtime.roster_desk import RosterDesk
from edge_agent.runtime.roster_in_force import RosterInForce, RosterReader
from edge_agent.runtime.row_mark_file import ROW_MARKS_FOLDER, RowMarkFile
from edge_agent.runtime.scan_test import ScanTest
from edge_agent.runtime.self_test import SelfTest
from edge_agent.runtime.staff import StaffDesk
from edge_agent.runtime.station_loop import StationLoop
from edge_agent.runtime.status_desk import StatusDesk
from edge_agent.runtime.surfaces import Surfaces
from edge_agent.runtime.taps import DeviceTaps, ReaderTap
from edge_agent.runtime.technician_desk import TechnicianDesk
from edge_agent.runtime.unread_requests import UNREAD_FOLDER, UnreadDesk
from edge_agent.runtime.update_clerk import UpdateClerk
from edge_agent.runtime.upkeep import JournalUpkeep
from edge_agent.runtime.uplink import LedgerContact, Uplink, UplinkHandle
from edge_agent.screen.server import ScreenServer
from edge_agent.screen.state import Language, SoundLevel
from edge_agent.settings.credentials import read_credential
from edge_agent.settings.reading import LoadedSettings
from edge_agent.settings.tables import DeviceSettings, Settings
from edge_agent.station.station import Station
from edge_agent.update.requests import RequestFolder

if TYPE_CHECKING:
    from edge_agent.palms.gallery import PalmGallery
    from edge_agent.palms.recognition import NoGallery, PalmRecognition
    from edge_agent.screen.tablets.ports import TabletParts

LOADING_S = 120.0  # a school's palms are unsealed at the start, on a slow kiosk
UPKEEP_BEAT_MAX_S = 120.0
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AgentParts:
    """The parts that `Agent` starts, watches and stops. The threads named here are those that end before the others."""

    now: MomentSource
    shutdown: ShutdownFlag
    journal: Journal
    station: Station
    station_loop: StationLoop
    inbox: Inbox
    guard: JournalGuard
    roster_desk: RosterDesk
    health_desk: HealthDesk
    upkeep: JournalUpkeep
    contact: LedgerContact | None
    uplink: UplinkHandle
    readers: ReaderPresences
    indicators: tuple[IndicatorLoop, ...]
    counters: Counters
    history: DayHistory
    screen: ScreenServer
    screen_enabled: bool
    control: ControlServer
    supervisor: Supervisor
    reader_threads: tuple[Part, ...]
    palm_threads: tuple[Part, ...]
    station_thread: Part
    control_thread: Part


def compose(loaded: LoadedSettings, now: MomentSource, shutdown: ShutdownFlag) -> AgentParts:
    """Returns the daemon's parts under these settings, ready to be started.

    Reads the device's identity (the first call makes its key) and opens the journal; both stay open. Raises
    `SettingsWrong`, `JournalBusy`, `JournalNewer`, `JournalUnwritable`: each says what to do.
    """
    settings = loaded.settings
    identity = identities.read_identity(settings.kiosk.state_dir, settings.kiosk.school)
    counters, supervisor, inbox, taps = Counters(), Supervisor(), Inbox(), DeviceTaps()

    opener = _build_opener(settings, identity, now)
    journal = opener.open_journal()
    guard = JournalGuard(journal, opener, shutdown, now)
    watched_journal = WatchedJournal(journal, guard)
    card_numbers = CardNumbers(settings.kiosk.state_dir, identity.school)
    roster_reader = RosterReader(journal, identity.school, settings.zone, card_numbers)

    readers = ReaderPresences.from_settings(settings.readers, loaded.drivers)
    gallery = _gallery(settings, readers, journal, identity.school)
    palm_availability = CameraPalmAvailability(gallery, readers.cameras) if gallery is not None else None
    station = Station(
        watched_journal,
        roster_reader.read(),
        build_policy(settings, loaded.drivers),
        palm_availability,
        journal.terminal_runs,
    )
    outage = OutageDesk(station, watched_journal, guard, now)

    station.codes = build_code_judge(journal, int(settings.rules.debounce_s * 1000), read_credential(CODE_KEY_NAME))

    payers = settings.screen.guest_payers
    desk = StaffDesk(station, inbox, now, journal.terminal_runs, journal.day_entries, outage, payers)
    in_force = RosterInForce(journal, roster_reader, station)
    station.new_cards = cards = CardDesk(station, inbox, journal.replacements, card_numbers, in_force, guard, now)
    operators = _read_operators(settings, station)
    calls = TechnicianDesk(journal, station, guard, now)
    screen = _screen(settings, desk, cards, calls, operators, now, counters)
    indicators = _indicators(loaded, taps)
    surfaces = Surfaces(indicators, screen, guard, counters)
    palms = _palms(gallery, settings, inbox, station, surfaces, now, counters)

    roster_desk = RosterDesk(journal, in_force, station, palms, guard, now)
    contact = LedgerContact() if identity.registration is not None else None
    last_scan = LastScan(journal)
    health_desk = HealthDesk(
        now, journal, station, guard, outage, readers, contact, palms, settings.rules.roster_age_max_s, calls,
        last_scan,
    )  # fmt: skip
    upkeep = JournalUpkeep(journal, now, settings.journal.keep_days, guard.condemn_if_unsent)

    for indicator in indicators:
        supervisor.add(f"indicator {indicator.presence.name}", indicator.run)
    relayed = RelayedCards(journal, in_force)
    uplink = _uplink(
        settings, identity, journal, contact, roster_desk, health_desk, relayed, palms, guard, now, supervisor
    )
    scan_test, self_test = ScanTest(now), SelfTest(inbox, journal, now)
    station_loop = StationLoop(
        station, inbox, surfaces, guard, outage, counters, now, uplink.wake, scan_test, last_scan, self_test
    )
    station_thread = supervisor.add("station", station_loop.run)
    palm_threads: tuple[Part, ...] = ()
    if palms is not None:
        palm_threads = (supervisor.add("palms", guard.protect(palms.run), beat_max_s=LOADING_S),)
    supervisor.add("upkeep", guard.protect(upkeep.run), beat_max_s=UPKEEP_BEAT_MAX_S)

    requests = RequestFolder(settings.kiosk.run_dir, settings.kiosk.state_dir)
    clerk = UpdateClerk(now, lambda: station.roster, lambda: guard.recording, requests, health_desk.update)
    supervisor.add("updates", clerk.run)

    enrolment = _enrolment_run(palms, readers, station, now, surfaces, uplink)
    if enrolment is not None:
        supervisor.add("enrolment", enrolment.run, beat_max_s=ENROLMENT_BEAT_MAX_S)
    screen.enrolment = EnrolmentDesk(journal, station, roster_desk, enrolment, now, uplink.hurry_palms)

    unread = UnreadDesk(settings.kiosk.state_dir / UNREAD_FOLDER, now)
    loops = _reader_loops(loaded, readers.everyone, taps, unread, inbox, surfaces, palms, now, counters)

    language = Language(settings.kiosk.language)
    cameras = tuple(camera.name for camera in readers.cameras)
    status = StatusCommand(
        identity,
        now,
        journal,
        station,
        guard,
        outage,
        supervisor,
        upkeep,
        contact,
        palms,
        readers,
        indicators,
        screen if settings.screen.enabled else None,
        settings.tablets.enabled,
    )
    history = DayHistory()
    screen.status = StatusDesk(status.build, journal, history, settings.kiosk.state_dir)
    handlers: dict[str, Handler] = {
        **status.table(),
        **JournalCommands(journal, station, settings.kiosk.state_dir, now).table(),
        **SyncCommands(identity, journal, uplink).table(),
        **RosterCommands(identity, journal, station, roster_desk, now).table(),
        **ClockCommands(journal.terminal_runs, desk, operators).table(),
        **OperatorCommands(operators).table(),
        **PaperCommands(station).table(),
        **DeviceCommands(taps, inbox, shutdown, now, unread, scan_test).table(),
        **UpdateCommands(self_test).table(),
        **PalmCommands(
            palms, cameras, station, identity.school, language, uplink, surfaces.show, shutdown, now, operators
        ).table(),
    }
    control = ControlServer(settings.kiosk.run_dir / SOCKET_NAME, handlers)
    control_thread = supervisor.add("control", partial(_serve_control, control))
    reader_threads = tuple(supervisor.add(f"reader {loop.presence.name}", loop.run) for loop in loops)
    return AgentParts(
        now=now,
        shutdown=shutdown,
        journal=journal,
        station=station,
        station_loop=station_loop,
        inbox=inbox,
        guard=guard,
        roster_desk=roster_desk,
        health_desk=health_desk,
        upkeep=upkeep,
        contact=contact,
        uplink=uplink,
        readers=readers,
        indicators=indicators,
        counters=counters,
        history=history,
        screen=screen,
        screen_enabled=settings.screen.enabled,
        control=control,
        supervisor=supervisor,
        reader_threads=reader_threads,
        palm_threads=palm_threads,
        station_thread=station_thread,
        control_thread=control_thread,
    )


def _build_opener(settings: Settings, identity: DeviceIdentity, now: MomentSource) -> JournalOpener:
    kiosk = KioskIdentity(identity.device, identity.key.public_bytes, identity.school)
    return JournalOpener(settings.kiosk.state_dir, kiosk, now, settings.journal.ballast_mib * MIB)


def _gallery(
    settings: Settings, readers: ReaderPresences, journal: Journal, school: str
) -> "PalmGallery | NoGallery | None":
    """Returns None without a camera: what looks at pictures is large, and a kiosk of cards needs none of it."""
    if not settings.palm.enabled or not readers.cameras:
        return None
    from edge_agent.palms.recognition import open_gallery

    return open_gallery(settings, journal, school)


def _palms(
    gallery: "PalmGallery | NoGallery | None",
    settings: Settings,
    inbox: Inbox,
    station: Station,
    surfaces: Surfaces,
    now: MomentSource,
    counters: Counters,
) -> "PalmRecognition | None":
    if gallery is None:
        return None
    from edge_agent.palms.recognition import PalmRecognition, landmarks

    return PalmRecognition(
        gallery,
        settings.palm,
        inbox,
        lambda: station.roster,
        now,
        surfaces.show,
        counters,
        partial(landmarks, settings.kiosk.state_dir),
        station.awaited_person,
    )


def _enrolment_run(
    palms: "PalmRecognition | None",
    readers: ReaderPresences,
    station: Station,
    now: MomentSource,
    surfaces: Surfaces,
    uplink: UplinkHandle,
) -> EnrolmentRun | None:
    """Returns None without a camera. Of several cameras the first one of the settings takes enrolments."""
    if palms is None:
        return None
    return EnrolmentRun(palms, readers.cameras[0].name, station, now, surfaces.show, uplink.hurry_palms)


def _read_operators(settings: Settings, station: Station) -> OperatorBook:
    pin = read_credential("staff-pin")
    return OperatorBook(
        settings.kiosk.state_dir,
        CommonPin(pin.decode(errors="replace") if pin else None, settings.screen.operators),
        lambda: station.roster.operators if station.roster.version else None,
    )


def _screen(
    settings: Settings,
    desk: StaffDesk,
    cards: CardDesk,
    calls: TechnicianDesk,
    operators: OperatorBook,
    now: MomentSource,
    counters: Counters,
) -> ScreenServer:
    return ScreenServer(
        "127.0.0.1",
        settings.screen.port,
        timezone=settings.zone,
        language=Language(settings.kiosk.language),
        sound=SoundLevel(settings.screen.sound),
        speech=settings.screen.speech == "on",
        hall=settings.screen.hall == "on",
        actions=desk,
        cards=cards,
        technician=calls,
        operators=operators,
        tablets=_tablets(settings, now),
        metrics=counters.registry,
        wall=lambda: now().utc,
    )


def _tablets(settings: Settings, now: MomentSource) -> "TabletParts | None":
    """Returns None where they are switched off: most kiosks have none, and load nothing of theirs."""
    if not settings.tablets.enabled:
        return None
    from edge_agent.runtime.tablets import build_tablets

    return build_tablets(settings, lambda: now().utc)


def _indicators(loaded: LoadedSettings, taps: DeviceTaps) -> tuple[IndicatorLoop, ...]:
    return tuple(
        IndicatorLoop(
            GuardedIndicator(device.name, partial(_build_indicator, loaded, device, taps), device.fault),
            DevicePresence(device.name, device.driver),
        )
        for device in loaded.settings.indicators
    )


def _build_indicator(loaded: LoadedSettings, device: DeviceSettings, taps: DeviceTaps) -> Indicator:
    indicator = registry.indicator_class(device.driver, loaded.drivers)
    return indicator(device.name, device.options, tap=taps.build_tap(device.name))


def _build_reader(
    loaded: LoadedSettings,
    device: DeviceSettings,
    presence: DevicePresence,
    tap: ReaderTap,
    unread: UnreadDesk,
    now: MomentSource,
) -> Reader:
    driver = registry.reader_class(device.driver, loaded.drivers)
    reader = driver(device.name, device.options, tap=tap)
    if isinstance(reader, TerminalSource):
        reader.wall, reader.trusts_wall = (lambda: now().utc), (lambda: now().is_trusted)
        presence.terminals = reader
    if isinstance(reader, QuestionedReader):
        presence.questioned = reader
    if isinstance(reader, UnreadSource):
        presence.unread_requests = unread.give_store(device.name, reader)
    if isinstance(reader, MarkedSource):
        folder = loaded.settings.kiosk.state_dir / ROW_MARKS_FOLDER
        reader.mark = RowMarkFile(folder / device.name)
    return reader


def _reader_loops(
    loaded: LoadedSettings,
    presences: Sequence[DevicePresence],
    taps: DeviceTaps,
    unread: UnreadDesk,
    inbox: Inbox,
    surfaces: Surfaces,
    palms: "PalmRecognition | None",
    now: MomentSource,
    counters: Counters,
) -> tuple[ReaderLoop, ...]:
    frames = palms.offer if palms is not None else None
    loops = []
    for device, presence in zip(loaded.settings.readers, presences, strict=True):
        tap = ReaderTap(taps, device.name, presence.refusals.hear)
        build = partial(_build_reader, loaded, device, presence, tap, unread, now)
        reader = GuardedReader(device.name, build, device.fault)
        loops.append(ReaderLoop(reader, presence, inbox, now, surfaces.show, counters, frames, tap.report))
    return tuple(loops)


def _uplink(
    settings: Settings,
    identity: DeviceIdentity,
    journal: Journal,
    contact: LedgerContact | None,
    roster_desk: RosterDesk,
    health_desk: HealthDesk,
    cards: RelayedCards,
    palms: "PalmRecognition | None",
    guard: JournalGuard,
    now: MomentSource,
    supervisor: Supervisor,
) -> UplinkHandle:
    """Returns the handle of the uplink, which has a thread only where this kiosk is registered with a ledger."""
    if identity.registration is None or contact is None:
        return UplinkHandle()
    uplink = Uplink(
        identity,
        identity.registration,
        journal,
        settings.ledger,
        contact=contact,
        wall=lambda: now().utc,
        agent_report=health_desk.agent_report,
        roster=roster_desk,
        random_source=random.Random(),  # noqa: S311  spreads requests, keeps no secret
        evidence=EvidenceFolder(settings.kiosk.state_dir),
        store_server_key=partial(identities.replace_server_key, settings.kiosk.state_dir),
        cards=cards,
        palms=palms.store if palms is not None else None,
    )
    # One request may take long on a bad line; it has its own limits.
    beat_max_s = 30.0 + 12 * settings.ledger.timeout_s
    return UplinkHandle(uplink, supervisor.add("uplink", guard.protect(uplink.run), beat_max_s=beat_max_s))


def _serve_control(control: ControlServer, pulse: Pulse) -> None:
    control.serve(pulse.beat)
