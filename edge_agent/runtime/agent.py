"""The daemon: every room put together, started in order, watched, and stopped in the opposite order.

    device threads ─▶ inbox ─▶ station thread ─▶ screen, lights
                                     │ wakes
                                     ▼
                                uplink thread          upkeep thread          control and screen servers

READY is said once the journal holds (schema, head, the last 1,000 links), the roster is in memory and every thread
runs. The watchdog is fed only while every part is alive. A journal that turns out damaged in the middle of the day is
condemned and the process ends: systemd starts it again, and the start sets the journal aside and opens a new one.
"""

import gc
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from drivers import registry
from drivers.readings import PersonMatched, Reading
from edge_agent import identity
from edge_agent.control import SOCKET_NAME, ControlServer, Handler
from edge_agent.domain import roster as rosters
from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.domain.moment import Moment, MomentSource, is_late
from edge_agent.domain.record import EventContext, EventOrigin, build_origin
from edge_agent.domain.roster import Roster
from edge_agent.errors import ExitCode
from edge_agent.journal.errors import JournalDamaged, JournalError, RosterMismatch
from edge_agent.journal.rows import Kiosk
from edge_agent.journal.verify import Broken, Verdict
from edge_agent.process.clock import StepWatch
from edge_agent.process.metrics import Counters
from edge_agent.process.shutdown import Ending
from edge_agent.process.supervision import Part, Pulse, Supervisor
from edge_agent.runtime.devices import IndicatorLoop, Presence, ReaderLoop, signal_of
from edge_agent.runtime.inbox import Inbox, Job, PalmScan, Scan
from edge_agent.runtime.opening import Opening
from edge_agent.runtime.policy import policy
from edge_agent.runtime.staff import StaffDesk
from edge_agent.runtime.taps import Taps
from edge_agent.runtime.upkeep import Upkeep
from edge_agent.runtime.uplink import Uplink
from edge_agent.screen.health import KioskHealth, LedgerState
from edge_agent.screen.server import ScreenServer, ScreenUnavailable
from edge_agent.screen.state import Language
from edge_agent.settings import DeviceSettings, Loaded, credential
from edge_agent.station import Station
from sync.client.heartbeat import Condition
from sync.contract import wire
from sync.contract.event import (
    Boot,
    ClockStep,
    ConsentWithdrawn,
    Event,
    PersonId,
    RosterApplied,
    Stop,
    Unreadable,
    decode,
)
from sync.contract.roster import Page

if TYPE_CHECKING:
    from edge_agent.palms.recognition import Palms

log = logging.getLogger(__name__)

DELIVER_S = 2.0
LOADING_S = 120.0  # a school's palms are unsealed at the start, on a slow kiosk
MIB = 1024 * 1024
ADVISING = frozenset(
    {FeedbackKind.IDLE, FeedbackKind.AGAIN, FeedbackKind.ENROL, FeedbackKind.SHOW_PALM}
)  # have asked nothing of the journal
VERSION = version("canteen-edge-agent")


def settle_memory() -> None:
    """Take what stays for long, the roster above all, out of the collector's rounds: one of them in the middle of a
    scan would walk through all of it."""
    gc.collect()
    gc.freeze()


class Agent:
    """`start`, then `tick` about once a second while not `ending`, then `stop`."""

    def __init__(self, loaded: Loaded, *, now: MomentSource) -> None:
        self.settings = loaded.settings
        self._drivers = loaded.drivers
        self.now = now
        self.counters = Counters()
        self.supervisor = Supervisor()
        self.inbox = Inbox()
        self.taps = Taps()
        self.readers: list[Presence] = []
        self.indicators: list[IndicatorLoop] = []
        self.recording = True
        self.ending = Ending()
        self.exit_code = ExitCode.OK
        self.uplink: Uplink | None = None
        self.uplink_part: Part | None = None
        self._reader_parts: list[Part] = []
        self._palm_parts: list[Part] = []
        self._screen_fault = ""
        self._steps = StepWatch()

    def start(self, handlers: Mapping[str, Handler]) -> None:
        """Everything up and running, or an error that says what to do. `handlers`: of the control socket."""
        kiosk = self.settings.kiosk
        self.identity = identity.read(kiosk.state_dir, kiosk.school)
        me = Kiosk(self.identity.device, self.identity.key.public_bytes, self.identity.school)
        self._opening = Opening(kiosk.state_dir, me, self.now, self.settings.journal.ballast_mib * MIB)
        self.journal = self._opening.open()
        self.station = Station(self.journal, self._roster_of_journal(), policy(self.settings))
        self._note_boot()
        self.palms = self._make_palms()
        self.station.palms = PalmsAtHand(self) if self.palms is not None else None
        self.upkeep = Upkeep(self.journal, self.now, self.settings.journal.keep_days, self._found_broken)
        self.screen = self._make_screen()
        self._start_screen()
        self.control = ControlServer(kiosk.run_dir / SOCKET_NAME, handlers)
        self._add_parts()
        settle_memory()
        self.supervisor.start()

    def stop(self) -> None:
        """First nobody brings anything any more, then what has come is taken and sent, then the rest ends."""
        stuck = self.supervisor.shut(self._reader_parts)
        stuck += self.supervisor.shut(self._palm_parts)
        stuck += self.supervisor.shut([self._station_part])
        if self.exit_code is ExitCode.OK:
            self.note(Stop(**self._where()))
            self._deliver()
        if self.uplink is not None:
            self.uplink.close()
        self._control_part.pulse.stop()
        self.control.shutdown()
        stuck += self.supervisor.shut()
        self.control.server_close()
        self.screen.stop()
        if stuck:
            log.warning("did not end in time: %s", ", ".join(stuck))
        self.journal.close()

    def _deliver(self) -> None:
        """Give a ledger that can be reached the last rows before a weekend; one that cannot is not waited for."""
        if self.uplink is None or self.uplink.state() is not LedgerState.REACHABLE:
            return
        until = time.monotonic() + DELIVER_S
        while self.journal.queue_depth() and time.monotonic() < until:
            self._wake_uplink()
            time.sleep(0.05)

    def tick(self) -> list[str]:
        """What is looked at once a second. Returns why the process is not well; nothing: all parts live."""
        moment = self.now()
        step = self._steps.observe(moment)
        if step is not None:
            self.counters.steps.inc()
            log.warning("the wall clock moved by %d ms", step.step_ms)
            self.note(ClockStep(**self._where(), step_ms=step.step_ms, before=step.before))
        health = self.health(moment)
        self.screen.show_health(health)
        self.counters.queue.set(health.queued)
        self.counters.roster_age_s.set(health.roster_age_s)
        faults = self.supervisor.faults()
        if self.settings.screen.enabled and not self.screen.is_alive():
            self._start_screen()
        return faults

    def _start_screen(self) -> None:
        """Recording goes on without a screen: a port that somebody holds is told once and tried again."""
        if not self.settings.screen.enabled:
            return
        try:
            self.screen.start()
        except ScreenUnavailable as error:
            if str(error) != self._screen_fault:
                log.error("no screen: %s", error)  # noqa: TRY400
            self._screen_fault = str(error)
        else:
            self._screen_fault = ""

    def health(self, moment: Moment) -> KioskHealth:
        palms = [each for each in self.readers if "palm" in each.driver or self.is_camera(each.driver)]
        cards = [each for each in self.readers if each not in palms]
        return KioskHealth(
            recording=self.recording,
            ledger=self.uplink.state() if self.uplink else LedgerState.NONE,
            queued=self.journal.queue_depth(),
            roster_age_s=self.station.roster.age_s(moment.utc),
            palm=any(each.there and self._invites(each) for each in palms),
            card=any(each.there for each in cards),
            readers_gone=tuple(each.name for each in self.readers if not each.there),
            clock=moment.clock,
        )

    def _invites(self, reader: Presence) -> bool:
        """A camera before which nobody can be recognised yet invites nobody."""
        return not self.is_camera(reader.driver) or (self.palms is not None and self.palms.ready)

    def is_camera(self, driver: str) -> bool:
        """Whether a driver's readers bring pictures."""
        return registry.entry(driver, self._drivers).camera

    def status_line(self) -> str:
        """For `systemctl status`."""
        gone = [each.name for each in self.readers if not each.there]
        ledger = self.uplink.state().value if self.uplink else "not registered"
        parts = [f"{self.journal.queue_depth()} events to send", f"ledger {ledger}"]
        parts += [f"readers gone: {', '.join(gone)}"] if gone else []
        parts += [] if self.recording else ["NOT RECORDING"]
        return "; ".join(parts)

    def note(self, event: Event) -> None:
        """Keep an event of the agent's own; a disk that refuses it has been reported by the scans before."""
        try:
            self.journal.append(event)
        except JournalDamaged as error:
            self.condemn(str(error))
        except JournalError as error:
            self.recording = False
            log.error("an event of the agent's own could not be recorded: %s", error)  # noqa: TRY400

    def condemn(self, why: str) -> None:
        """Leave a word for the next start to set the journal aside, and end."""
        log.critical("the journal cannot go on: %s", why)
        self.recording = False
        self.exit_code = ExitCode.FAILED
        self._opening.condemn(why)
        self.ending.set()

    # The roster.

    def new_roster(self, pages: Sequence[Page], confirmed_at: datetime) -> None:
        """Bring a newer roster into force: on disk, in the station, and as events."""
        before = self.station.roster
        change = self.journal.apply_roster(pages, confirmed_at)
        roster = self.station.roster = self._roster_of_journal()
        log.info(
            "roster version %d is in force: %d people, %d credentials",
            roster.version,
            change.people,
            change.credentials,
        )
        for problem in roster.problems[:20]:
            log.warning("roster: %s %s: %s", problem.type, problem.id, problem.what)
        if self.palms is not None:
            self.palms.forget(change.forgotten)
        deleted = sum(change.forgotten.values())
        self.note(
            RosterApplied(
                **self._where(), people=change.people, credentials=change.credentials, templates_deleted=deleted
            )
        )
        for person in before.people:
            # Of those whose palms were here, the receipts went with the deletion.
            if before.has_consent(person) and not roster.has_consent(person) and person not in change.forgotten:
                self.note(ConsentWithdrawn(**self._where(), person=person, templates_deleted=0))

    def roster_confirmed(self, at: datetime) -> None:
        self.station.roster = replace(self.station.roster, confirmed_at=at)

    def _roster_of_journal(self) -> Roster:
        try:
            records = self.journal.roster_records()
        except RosterMismatch as error:
            log.error("%s", error)  # noqa: TRY400
            records = []
        return rosters.build_roster(
            records,
            school=self.identity.school,
            version=self.journal.roster_version(),
            confirmed_at=self.journal.roster_confirmed_at(),
            tz=self.settings.zone,
        )

    def _note_boot(self) -> None:
        last = self.journal.recent(1)
        self.note(Boot(**self._where(), version=VERSION, clean=not last or _is_stop(last[0].payload)))

    def _found_broken(self, verdict: Verdict) -> None:
        """Rows that the ledger has are safe there; a broken one that it has not would stop the queue for ever."""
        broken = verdict.broken
        if broken is not None and self._unsent(broken):
            self.condemn(f"epoch {broken.epoch} row {broken.seq}: {broken.what}")

    def _unsent(self, broken: Broken) -> bool:
        return not broken.epoch or (broken.epoch == self.journal.epoch and broken.seq > self.journal.acknowledged().seq)

    # Parts.

    def _add_parts(self) -> None:
        add = self.supervisor.add
        for device in self.settings.indicators:
            presence = Presence(device.name, device.driver)
            driver = registry.indicator_class(device.driver, self._drivers)
            loop = IndicatorLoop(driver(device.name, device.options, tap=self.taps.tap(device.name)), presence)
            self.indicators.append(loop)
            add(f"indicator {device.name}", loop.body)
        self._station_part = add("station", self._take)
        registration = self.identity.registration
        if registration is not None:
            self.uplink = Uplink(
                self.identity,
                registration,
                self.journal,
                self.settings.ledger,
                wall=lambda: self.now().utc,
                condition=self._condition,
                new_roster=self.new_roster,
                roster_confirmed=self.roster_confirmed,
                dice=random.Random(),  # noqa: S311  spreads requests, keeps no secret
                palms=self.palms.store if self.palms is not None else None,
            )
            # One request may take long on a bad line; it has its own limits.
            self.uplink_part = add(
                "uplink", self._guarded(self.uplink.body), beat_max_s=30.0 + 12 * self.settings.ledger.timeout_s
            )
        if self.palms is not None:
            self._palm_parts.append(add("palms", self._guarded(self.palms.body), beat_max_s=LOADING_S))
        add("upkeep", self._guarded(self.upkeep.body), beat_max_s=120.0)
        self._control_part = add("control", self._serve_control)
        self._reader_parts = [
            add(f"reader {device.name}", self._reader_loop(device).body) for device in self.settings.readers
        ]

    def _guarded(self, body: Callable[[Pulse], None]) -> Callable[[Pulse], None]:
        """A part that finds the journal damaged ends the process in order; starting the part again would not help."""

        def guarded(pulse: Pulse) -> None:
            try:
                body(pulse)
            except JournalDamaged as error:
                self.condemn(str(error))
                pulse.stop()

        return guarded

    def _reader_loop(self, device: DeviceSettings) -> ReaderLoop:
        presence = Presence(device.name, device.driver)
        self.readers.append(presence)
        reader = registry.reader_class(device.driver, self._drivers)(
            device.name, device.options, tap=self.taps.tap(device.name)
        )
        frames = self.palms.offer if self.palms is not None else None
        return ReaderLoop(reader, presence, self.inbox, self.now, self.show, self.counters, frames)

    def _take(self, pulse: Pulse) -> None:
        """The station's thread: one thing at a time, and what has come before a stop is still taken."""
        while (work := self.inbox.get(0 if pulse.stopping() else 0.5)) is not None or not pulse.stopping():
            if self.station.has_waits:
                reading = work.reading if isinstance(work, Scan) else None
                self._lapse(partial(self.station.end_waits, self.now(), reading))
            match work:
                case Scan():
                    self._scan(work.moment, partial(self.station.take_reading, work.reading, work.moment), work.reading)
                case PalmScan():
                    self._scan(work.moment, partial(self.station.take_palm, work.sight, work.moment))
                case Job():
                    work.run()
                    self._wake_uplink()
                case None:
                    pass
            pulse.beat()
        self._lapse(self.station.end_all_waits)

    def _scan(self, moment: Moment, take: Callable[[], Feedback | None], reading: Reading | None = None) -> None:
        try:
            feedback = take()
        except JournalDamaged as error:
            feedback = Feedback(FeedbackKind.NOT_RECORDED)
            self.condemn(str(error))
        if feedback is None:
            return
        if not _told_late(reading, moment):
            self.show(feedback)
        self.counters.scan_s.observe((self.now().mono_ms - moment.mono_ms) / 1000)
        self._wake_uplink()

    def _lapse(self, lapse: Callable[[], list[Feedback]]) -> None:
        """Cards that waited for a palm are settled without it."""
        try:
            told = lapse()
        except JournalDamaged as error:
            told = [Feedback(FeedbackKind.NOT_RECORDED)]
            self.condemn(str(error))
        for feedback in told:
            self.show(feedback)
            self._wake_uplink()

    def show(self, feedback: Feedback) -> None:
        """On every surface at once; never blocks."""
        if feedback.kind not in ADVISING:
            self.recording = feedback.kind is not FeedbackKind.NOT_RECORDED
        # The light first: a child looks there.
        signal_ = signal_of(feedback)
        for indicator in self.indicators:
            indicator.show(signal_)
        self.screen.show(feedback)
        self.counters.shown.labels(feedback.kind.value).inc()

    def palms_changed(self) -> None:
        """The other kiosks of the school should know soon."""
        if self.uplink is not None:
            self.uplink.hurry_palms()
        self._wake_uplink()

    def _wake_uplink(self) -> None:
        if self.uplink_part is not None:
            self.uplink_part.pulse.wake()

    def _serve_control(self, pulse: Pulse) -> None:
        self.control.on_poll = pulse.beat
        self.control.serve_forever(poll_interval=0.5)

    def _make_palms(self) -> "Palms | None":
        """Only where a camera wants it: what looks at pictures is large, and a kiosk of cards needs none of it."""
        settings = self.settings
        if not settings.palm.enabled or not any(self.is_camera(each.driver) for each in settings.readers):
            return None
        from edge_agent.palms.recognition import Palms, landmarks, open_gallery

        gallery = open_gallery(settings, self.journal, self.identity.school)
        return Palms(
            gallery,
            settings.palm,
            self.inbox,
            lambda: self.station.roster,
            self.now,
            self.show,
            self.counters,
            lambda: landmarks(settings.kiosk.state_dir),
            self.station.awaited_person,
        )

    def _condition(self) -> Condition:
        moment = self.now()
        health = [wire.Health(each.name, "ok" if each.there else "failed", each.why[:200]) for each in self.readers]
        if not self.recording:
            health.append(wire.Health("journal", "failed", "it cannot be written"))
        return Condition(VERSION, self.journal.roster_version(), moment.boot, moment.clock.value, tuple(health))

    def _make_screen(self) -> ScreenServer:
        screen = self.settings.screen
        pin = credential("staff-pin")
        desk = StaffDesk(self.station, self.inbox, self.now, self.show)
        return ScreenServer(
            "127.0.0.1",
            screen.port,
            timezone=self.settings.zone,
            language=Language(self.settings.kiosk.language),
            actions=desk,
            pin=pin.decode() if pin else None,
            operators=screen.operators,
            metrics=self.counters.registry,
            wall=lambda: self.now().utc,
        )

    def _where(self) -> EventOrigin:
        return build_origin(EventContext(self.now(), self.station.roster))


class PalmsAtHand:
    """`station.PalmAvailability`: whether somebody can be asked for the palm at this moment."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def has_template(self, person: PersonId) -> bool:
        palms = self._agent.palms
        return palms is not None and palms.known(person)

    def has_camera(self) -> bool:
        return any(each.there for each in self._agent.readers if self._agent.is_camera(each.driver))


def _told_late(reading: Reading | None, moment: Moment) -> bool:
    """Whether nobody stands there to be greeted."""
    return isinstance(reading, PersonMatched) and reading.seen_at is not None and is_late(reading.seen_at, moment)


def _is_stop(payload: bytes) -> bool:
    try:
        return isinstance(decode(payload), Stop)
    except Unreadable:
        return False
