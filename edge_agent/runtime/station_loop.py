"""The station's thread: one piece of work at a time, in order of arrival."""

import logging
from collections.abc import Callable
from functools import partial

from drivers.readings import PersonMatched, Reading
from edge_agent.domain.decision import DecisionReason
from edge_agent.domain.feedback import Feedback, FeedbackKind, StaffFeedback
from edge_agent.domain.moment import Moment, MomentSource, is_late
from edge_agent.journal.errors import JournalDamaged, JournalUnwritable
from edge_agent.process.metrics import Counters
from edge_agent.process.supervision import Pulse
from edge_agent.runtime.inbox import Inbox, PalmScan, Scan, StationJob
from edge_agent.runtime.journal_guard import JournalGuard
from edge_agent.runtime.last_scan import LastScan
from edge_agent.runtime.outage import OutageDesk
from edge_agent.runtime.scan_test import ScanTest
from edge_agent.runtime.self_test import SelfTest
from edge_agent.runtime.surfaces import Surfaces
from edge_agent.station.station import Station

log = logging.getLogger(__name__)

INBOX_WAIT_S = 0.5


class StationLoop:
    """Carries work from the inbox to the station, and its feedback to the surfaces.

    `wake_uplink` is called after each piece of work, so that what was recorded is sent soon.
    """

    def __init__(
        self,
        station: Station,
        inbox: Inbox,
        surfaces: Surfaces,
        guard: JournalGuard,
        outage: OutageDesk,
        counters: Counters,
        now: MomentSource,
        wake_uplink: Callable[[], None],
        scan_test: ScanTest,
        last_scan: LastScan,
        self_test: SelfTest,
    ) -> None:
        self.station = station
        self._inbox = inbox
        self._surfaces = surfaces
        self._guard = guard
        self._outage = outage
        self._counters = counters
        self._now = now
        self._wake_uplink = wake_uplink
        self._scan_test = scan_test
        self._last_scan = last_scan
        self._self_test = self_test

    def run(self, pulse: Pulse) -> None:
        """Works until the stop; what has come before the stop is still done."""
        while not pulse.is_stopping():
            self._do_work(self._inbox.next_work(INBOX_WAIT_S))
            pulse.beat()
        while (work := self._inbox.next_work(0)) is not None:
            self._do_work(work)
            pulse.beat()
        self._end_waits(self.station.end_all_waits)
        self._outage.close()

    def _do_work(self, work: Scan | PalmScan | StationJob | None) -> None:
        """Does one piece of work, or with None only what time alone brings."""
        if not self._guard.recording and self._outage.recover():
            self._wake_uplink()
        if self.station.has_waits:
            reading = work.reading if isinstance(work, Scan) and not self._self_test.is_test(work.reading) else None
            self._end_waits(partial(self.station.end_waits, self._now(), reading))
        match work:
            case Scan() if self._self_test.is_test(work.reading):
                self._take_scan(partial(self._take_self_test, work), work.moment, greet=False)
            case Scan() if self._scan_test.is_wanted(work.reading, work.moment):
                self._take_scan(partial(self._take_test, work), work.moment)
            case Scan():
                take = partial(self.station.take_reading, work.reading, work.moment)
                self._take_scan(take, work.moment, greet=not _is_late(work.reading, work.moment))
            case PalmScan():
                self._take_scan(partial(self.station.take_palm, work.presentation, work.moment), work.moment)
            case StationJob():
                work.run(self._surfaces.show)
                self._wake_uplink()
            case None:
                pass

    def _take_test(self, work: Scan) -> Feedback:
        """Keeps a reading as a technician's test. A child whose card it was holds it there again."""
        try:
            self._scan_test.take(self.station, work.reading.reader, work.moment)
        except JournalUnwritable:
            return Feedback(FeedbackKind.NOT_RECORDED)
        return Feedback(FeedbackKind.AGAIN, staff=StaffFeedback(DecisionReason.TEST_SCAN))

    def _take_self_test(self, work: Scan) -> None:
        """Keeps the reading of an update's self-test, which nobody waits for; one that cannot be kept has failed."""
        try:
            self._self_test.take(self.station, work.moment)
        except JournalUnwritable as error:
            log.warning("the self-test was not recorded: %s", error)

    def _take_scan(self, take: Callable[[], Feedback | None], moment: Moment, *, greet: bool = True) -> None:
        """Takes one scan and shows its feedback, unless nobody stands there to be greeted."""
        if greet:
            self._last_scan.note(moment)
        try:
            feedback = take()
        except JournalDamaged as error:
            feedback = Feedback(FeedbackKind.NOT_RECORDED)
            self._guard.condemn(str(error))
        if feedback is None:
            return
        if greet:
            self._surfaces.show(feedback)
        self._counters.scan_s.observe((self._now().mono_ms - moment.mono_ms) / 1000)
        self._wake_uplink()

    def _end_waits(self, end: Callable[[], list[Feedback]]) -> None:
        """Settles cards that waited for a palm without it."""
        try:
            feedbacks = end()
        except JournalDamaged as error:
            feedbacks = [Feedback(FeedbackKind.NOT_RECORDED)]
            self._guard.condemn(str(error))
        for feedback in feedbacks:
            self._surfaces.show(feedback)
            self._wake_uplink()


def _is_late(reading: Reading, moment: Moment) -> bool:
    """Returns True where a terminal tells of somebody whom it saw some time ago."""
    return isinstance(reading, PersonMatched) and reading.seen_at is not None and is_late(reading.seen_at, moment)
