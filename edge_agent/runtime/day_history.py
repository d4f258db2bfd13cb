"""One day of this kiosk in samples, in memory: for the graphs of the technician's page. A restart begins anew."""

from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from edge_agent.domain.moment import Moment
from edge_agent.runtime.devices import DevicePresence

SAMPLE_MS: Final = 5 * 60_000
DAY_SAMPLES_MAX: Final = 24 * 12  # a day of five minutes


class DaySample(msgspec.Struct, frozen=True, kw_only=True):
    """The kiosk at one moment. `readings` and `faults` are those of all readers since the start."""

    at: str  # UTC, as events have it
    queue: int
    readings: int
    faults: int
    free_mib: int


class DayHistory:
    """Takes a sample every five minutes of monotonic time. One thread notes; any thread may read."""

    def __init__(self) -> None:
        self._samples: deque[DaySample] = deque(maxlen=DAY_SAMPLES_MAX)
        self._due_ms = 0

    def is_due(self, moment: Moment) -> bool:
        """Returns True when it is time for the next sample."""
        return moment.mono_ms >= self._due_ms

    def note(self, moment: Moment, queue: int, free_bytes: int, readers: Iterable[DevicePresence]) -> None:
        """Keeps a sample of this moment; the oldest one beyond a day is dropped."""
        self._due_ms = moment.mono_ms + SAMPLE_MS
        counted = [(reader.readings, reader.faults) for reader in readers]
        self._samples.append(
            DaySample(
                at=moment.text,
                queue=queue,
                readings=sum(readings for readings, _ in counted),
                faults=sum(faults for _, faults in counted),
                free_mib=free_bytes // (1024 * 1024),
            )
        )

    def samples(self) -> tuple[DaySample, ...]:
        """Returns the samples, the oldest first."""
        return tuple(self._samples)
