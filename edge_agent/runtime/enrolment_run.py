"""Takes the palms that the staff's page asks for: one person at a time, hand by hand, in a thread of its own.

The camera's pictures belong to the enrolment meanwhile. Each hand is kept on disk before the next one begins.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_agent.domain.feedback import Feedback
from edge_agent.domain.moment import MomentSource
from edge_agent.domain.respond import full_name
from edge_agent.errors import RequestRefused
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.process.supervision import Pulse
from edge_agent.screen.enrolment_ports import EnrolmentProgress
from edge_agent.screen.state import Language
from edge_agent.station.station import Station
from sync.contract.event import PersonId

if TYPE_CHECKING:
    from edge_agent.palms.recognition import PalmRecognition

log = logging.getLogger(__name__)

ENROLMENT_BEAT_MAX_S = 120.0  # the networks that find hands are loaded before the first picture
ORDER_WAIT_S = 1.0
STOPPED = "stopped"  # the step of an enrolment that the operator ended


@dataclass(frozen=True, slots=True)
class EnrolmentOrder:
    """The hands of one person that are to be made known."""

    person: PersonId
    hands: tuple[str, ...]
    operator: str
    language: Language


class EnrolmentRun:
    """The enrolment that goes on. Any thread may order, stop and read; `run` belongs to one."""

    def __init__(
        self,
        palms: "PalmRecognition",
        camera: str,
        station: Station,
        now: MomentSource,
        show: Callable[[Feedback], None],
        hurry: Callable[[], object],
    ) -> None:
        self._palms = palms
        self._camera = camera
        self._station = station
        self._now = now
        self._show = show
        self._hurry = hurry
        self._orders: queue.Queue[EnrolmentOrder] = queue.Queue(maxsize=1)
        self._ordering = threading.Lock()
        self._stopped = threading.Event()
        self.progress = EnrolmentProgress()

    def order(self, person: PersonId, hands: Sequence[str], operator: str, language: Language) -> bool:
        """Begins an enrolment. Returns False while another one goes on."""
        with self._ordering:
            if self.progress.running:
                return False
            self._stopped.clear()
            group = self._station.roster.people[person].group
            self.progress = EnrolmentProgress(person=person, group=group, hand=hands[0], running=True)
            self._orders.put(EnrolmentOrder(person, tuple(hands), operator, language))
        return True

    def stop(self) -> None:
        """Ends the enrolment that goes on; the hand in progress is not kept."""
        self._stopped.set()

    def run(self, pulse: Pulse) -> None:
        """Takes one order after the other until the part must stop."""
        while not pulse.is_stopping():
            pulse.beat()
            try:
                order = self._orders.get(timeout=ORDER_WAIT_S)
            except queue.Empty:
                continue
            try:
                self._take(order, pulse)
            finally:
                self.progress = replace(self.progress, running=False)

    def _take(self, order: EnrolmentOrder, pulse: Pulse) -> None:
        from edge_agent.palms.enrolment import EnrolmentRefused

        try:
            for hand in order.hands:
                self._take_hand(order, hand, pulse)
        except EnrolmentRefused as refused:
            step = STOPPED if self._stopped.is_set() else refused.step.value
            self._fail(step, str(refused), self._describe(refused.known_as))
        except RequestRefused as refused:
            self._fail("", str(refused))
        except JournalUnwritable as error:
            log.warning("a palm of %s was not kept: %s", order.person, error)
            self._fail("not_recorded", str(error))

    def _take_hand(self, order: EnrolmentOrder, hand: str, pulse: Pulse) -> None:
        from edge_agent.palm.types import Hand
        from edge_agent.palms.enrolment import EnrolmentRequest, enrol

        def stopping() -> bool:
            pulse.beat()
            return pulse.is_stopping() or self._stopped.is_set()

        request = EnrolmentRequest(order.person, order.operator, Hand(hand), language=order.language)
        self.progress = replace(self.progress, hand=hand, good=0, wanted=request.samples, step="", say="")
        for line in enrol(
            request, self._camera, self._palms, lambda: self._station.roster, self._now, stopping, self._show
        ):
            done = (*self.progress.done, line.hand) if line.done else self.progress.done
            self.progress = replace(self.progress, good=line.good, step=line.step.value, say=line.say, done=done)
        self._hurry()

    def _fail(self, step: str, say: str, known_as: str = "") -> None:
        self.progress = replace(self.progress, failed=True, step=step, say=say, known_as=known_as)

    def _describe(self, person: str) -> str:
        """Returns name and class of a person, for the operator."""
        known = self._station.roster.people.get(person)
        return f"{full_name(known)} {known.group}".strip() if known is not None else person
