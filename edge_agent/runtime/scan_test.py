"""A technician's test scan: the next reading of any reader is kept as a test, and not as a visit.

The reading goes the whole way of a visit: bytes, driver, inbox, station, journal, and from there to the ledger. Its
event is a refusal without a person, which no ledger can bill. One reading at most is taken for a test. A child whose
card it was is asked to hold it there once more.
"""

import queue
from dataclasses import dataclass, field

from drivers.readings import PersonMatched, Reading
from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.journal.rows import AppendedEvent
from edge_agent.station.station import Station

TEST_SCAN_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class RecordedTest:
    """The reader of a test scan, and the place of its event in the journal."""

    reader: str
    place: AppendedEvent


@dataclass(slots=True)
class ScanTest:
    """Waits for one reading at a time: `wait` in the thread of the technician, `take` in the station's thread."""

    now: MomentSource
    _until_ms: int | None = None  # of the monotonic clock; None: no test is wanted
    _recorded: "queue.SimpleQueue[RecordedTest]" = field(default_factory=queue.SimpleQueue)

    def wait(self, seconds: float) -> RecordedTest | None:
        """Returns the next reading that was kept as a test; None where none came within `seconds`."""
        self._until_ms = self.now().mono_ms + int(min(seconds, TEST_SCAN_S_MAX) * 1000)
        try:
            return self._recorded.get(timeout=min(seconds, TEST_SCAN_S_MAX))
        except queue.Empty:
            return None
        finally:
            self._until_ms = None

    def is_wanted(self, reading: Reading, moment: Moment) -> bool:
        """Returns True where this reading is to be kept as a test. One that a terminal tells late never is."""
        until_ms = self._until_ms
        is_told_late = isinstance(reading, PersonMatched) and reading.seen_at is not None
        return until_ms is not None and moment.mono_ms <= until_ms and not is_told_late

    def take(self, station: Station, reader: str, moment: Moment) -> None:
        """Keeps the reading as a test. Raises JournalUnwritable; then the test goes on."""
        place = station.take_test_scan(reader, moment)
        self._until_ms = None
        self._recorded.put(RecordedTest(reader, place))
