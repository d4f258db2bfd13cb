"""A clock that runs faster than life. All processes of one demo share its zero."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_agent.domain.moment import Moment
from edge_agent.process.clock import BOOT_ID
from sync.contract.event import ClockQuality


@dataclass(frozen=True, slots=True)
class FastClock:
    """A moment source that shows `opens` (aware) when the monotonic clock stands at `zero_ns`.

    It runs `speed` times as fast as life. Its quality is synchronised, so that meals are claimed and not held.
    """

    opens: datetime
    zero_ns: int
    speed: float

    def __call__(self) -> Moment:
        passed_s = self.seconds()
        return Moment(
            utc=self.opens + timedelta(seconds=passed_s),
            mono_ms=int((passed_s + 3_600) * 1000),  # so the machine seems to run for an hour already
            boot=BOOT_ID.read_text("ascii").strip(),
            clock=ClockQuality.SYNCHRONISED,
        )

    def seconds(self) -> float:
        """Returns the simulated seconds since the doors opened; negative before."""
        return (time.monotonic_ns() - self.zero_ns) / 1e9 * self.speed

    def arguments(self) -> tuple[str, str, str]:
        """Returns this clock as words of a command line; another process reads them with `parse`."""
        return self.opens.isoformat(), str(self.zero_ns), str(self.speed)

    @classmethod
    def parse(cls, opens: str, zero_ns: str, speed: str) -> "FastClock":
        """Returns the clock that another process wrote with `arguments`."""
        return cls(datetime.fromisoformat(opens), int(zero_ns), float(speed))
