"""The self-test after an update: a card that nobody has, read from bytes in memory, and recorded as a test.

It goes the whole way of a visit: bytes, driver, reader's thread, inbox, station, journal, and stands in the queue to
the ledger. Its event is a refusal without a person, which no ledger can bill. Children's scans go on beside it, and
no surface shows it.
"""

import queue
import time
from dataclasses import dataclass, field
from threading import Thread

from drivers.cards.em4100 import Em4100, Em4100Settings
from drivers.protocols import em4100
from drivers.readings import Reading
from drivers.transports.memory import MemoryTransport
from edge_agent.domain.feedback import Feedback
from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.journal.journal import Journal
from edge_agent.journal.rows import AppendedEvent
from edge_agent.process.metrics import Counters
from edge_agent.process.supervision import Pulse
from edge_agent.runtime.devices import DevicePresence, ReaderLoop
from edge_agent.runtime.inbox import Inbox
from edge_agent.station.station import Station

SELF_TEST_READER = "self test"  # the settings' names have no blank, so that no real reader has this one
SELF_TEST_S = 3.0
_CARD = b"\x01TEST"  # no card has it
_OPEN_POLL_S = 0.01


@dataclass(slots=True)
class SelfTest:
    """Runs one self-test at a time: `run` in the thread of whoever asks, `take` in the station's thread."""

    inbox: Inbox
    journal: Journal
    now: MomentSource
    _recorded: "queue.SimpleQueue[AppendedEvent]" = field(default_factory=queue.SimpleQueue)

    def run(self) -> AppendedEvent | None:
        """Returns the place of the test's event, once it is durable and queued; None where it did not come so far."""
        transport = MemoryTransport()
        reader = Em4100(SELF_TEST_READER, Em4100Settings(port="memory"), transport=transport)
        presence = DevicePresence(SELF_TEST_READER, "em4100")
        loop = ReaderLoop(reader, presence, self.inbox, self.now, _show_nobody, Counters())
        pulse = Pulse(time.monotonic)
        thread = Thread(target=loop.run, args=(pulse,), name=SELF_TEST_READER, daemon=True)
        thread.start()
        try:
            until = time.monotonic() + SELF_TEST_S
            while not presence.is_present and time.monotonic() < until:
                time.sleep(_OPEN_POLL_S)
            transport.put(em4100.encode(_CARD))
            place = self._recorded.get(timeout=max(until - time.monotonic(), 0))
        except queue.Empty:
            return None
        finally:
            pulse.stop()
            thread.join()
        outbox = self.journal.outbox
        is_queued = place.epoch == outbox.epoch and place.seq <= outbox.head.seq
        return place if is_queued else None

    def is_test(self, reading: Reading) -> bool:
        """Returns True for the self-test's own reading."""
        return reading.reader == SELF_TEST_READER

    def take(self, station: Station, moment: Moment) -> None:
        """Keeps the reading as a test. Raises JournalUnwritable."""
        self._recorded.put(station.take_test_scan(SELF_TEST_READER, moment))


def _show_nobody(_: Feedback) -> None:
    """Shows nothing: nobody stands there."""
