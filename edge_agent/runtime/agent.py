"""The daemon's life: its parts started in order, watched, and stopped in the opposite order.

READY is said once the journal holds (schema, head, the last 1,000 links), the roster is in memory and every thread
runs. The watchdog is fed only while every part is alive. A journal that turns out damaged in the middle of the day is
condemned and the process ends: systemd starts it again, and the start sets the journal aside and opens a new one.
"""

import gc
import logging
import shutil
import time

from edge_agent.domain.health import HealthLevel, KioskHealth, LedgerState, judge_health
from edge_agent.domain.record import EventContext, EventOrigin, build_origin
from edge_agent.errors import ExitCode
from edge_agent.process.clock import StepDetector
from edge_agent.runtime.compose import AgentParts
from edge_agent.screen.server import ScreenUnavailable
from edge_agent.version import VERSION
from sync.contract.event import Boot, ClockStep, Stop, UnreadableEvent, decode

log = logging.getLogger(__name__)

DELIVER_S = 2.0
DELIVER_POLL_S = 0.05


class Agent:
    """Runs composed parts: `start`, then `tick` about once a second until the parts' `shutdown` is set, then `stop`."""

    def __init__(self, parts: AgentParts) -> None:
        self._parts = parts
        self._step_detector = StepDetector()
        self._screen_fault = ""
        self._health_subjects: set[str] = set()  # those that the counters have

    @property
    def exit_code(self) -> ExitCode:
        """Returns FAILED where the journal was condemned, so that systemd starts the agent again."""
        guard = self._parts.guard
        return ExitCode.FAILED if guard.condemned else ExitCode.OK

    def start(self) -> None:
        """Starts everything. Raises OSError where the control socket cannot be made."""
        parts = self._parts
        self._append_boot()
        self._count_health(parts.health_desk.examine(parts.now()))  # whoever reads the counters first finds them all
        self._start_screen()
        parts.control.listen()
        settle_memory()
        parts.supervisor.start()

    def tick(self) -> list[str]:
        """Looks after the clock, the health and the screen. Returns why the process is not well; empty: all is well."""
        parts = self._parts
        moment = parts.now()
        step = self._step_detector.detect_step(moment)
        if step is not None:
            parts.counters.clock_steps.inc()
            log.warning("the wall clock moved by %d ms", step.step_ms)
            parts.guard.append(ClockStep(**self._where(), step_ms=step.step_ms, before=step.quality_before))
        health = parts.health_desk.examine(moment)
        parts.screen.show_health(health)
        parts.counters.events_queued.set(health.queued)
        parts.counters.roster_age_s.set(health.roster_age_s)
        self._count_health(health)
        if parts.history.is_due(moment):
            free = shutil.disk_usage(parts.journal.path.parent).free
            parts.history.note(moment, health.queued, free, parts.readers.everyone)
        faults = parts.supervisor.find_faults()
        if parts.screen_enabled and not parts.screen.is_alive():
            self._start_screen()
        return faults

    def _count_health(self, health: KioskHealth) -> None:
        lines = judge_health(health)
        levels = list(HealthLevel)
        for subject in self._health_subjects.difference(line.subject for line in lines):
            self._parts.counters.health.remove(subject)  # such as a call that was answered
        for line in sorted(lines, key=lambda line: line.subject):
            self._parts.counters.health.labels(line.subject).set(levels.index(line.level))
        self._health_subjects = {line.subject for line in lines}

    def status_line(self) -> str:
        """Returns the line for `systemctl status`."""
        health_desk = self._parts.health_desk
        return health_desk.status_line()

    def stop(self) -> None:
        """Stops everything: first the readers, then what has come is taken and sent, then the rest ends."""
        parts = self._parts
        stuck = parts.supervisor.stop(parts.reader_threads)
        stuck += parts.supervisor.stop(parts.palm_threads)
        stuck += parts.supervisor.stop([parts.station_thread])
        if not parts.guard.condemned:
            parts.guard.append(Stop(**self._where()))
            self._deliver()
        parts.uplink.close()
        parts.control_thread.stop()
        parts.control.shutdown()
        stuck += parts.supervisor.stop()
        parts.control.server_close()
        parts.screen.stop()
        if stuck:
            log.warning("did not end in time: %s", ", ".join(stuck))
        parts.journal.close()

    def _deliver(self) -> None:
        """Gives a ledger that can be reached the last rows before a weekend; one that cannot is not waited for."""
        parts = self._parts
        if parts.contact is None or parts.contact.state() is not LedgerState.REACHABLE:
            return
        until = time.monotonic() + DELIVER_S
        while parts.journal.outbox.queue_depth() and time.monotonic() < until:
            parts.uplink.wake()
            time.sleep(DELIVER_POLL_S)

    def _start_screen(self) -> None:
        """Recording goes on without a screen: a port that somebody holds is told once and tried again."""
        parts = self._parts
        if not parts.screen_enabled:
            return
        try:
            parts.screen.start()
        except ScreenUnavailable as error:
            if str(error) != self._screen_fault:
                log.error("no screen: %s", error)  # noqa: TRY400
            self._screen_fault = str(error)
        else:
            self._screen_fault = ""

    def _append_boot(self) -> None:
        parts = self._parts
        last = parts.journal.recent(1)
        clean = not last or _is_stop(last[0].payload)
        parts.guard.append(Boot(**self._where(), version=VERSION, clean=clean))

    def _where(self) -> EventOrigin:
        parts = self._parts
        return build_origin(EventContext(parts.now(), parts.station.roster))


def settle_memory() -> None:
    """Takes what stays for long, the roster above all, out of the collector's rounds.

    A round in the middle of a scan would walk through all of it.
    """
    gc.collect()
    gc.freeze()


def _is_stop(payload: bytes) -> bool:
    try:
        return isinstance(decode(payload), Stop)
    except UnreadableEvent:
        return False
