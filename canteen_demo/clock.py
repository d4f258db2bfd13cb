"""A clock that runs faster: the demo's fourth seam. Every process of one demo shares its zero."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_agent.domain.moment import Moment
from edge_agent.process.clock import BOOT_ID
from sync.contract.event import ClockQuality


@dataclass(frozen=True, slots=True)
class FastClock:
    """Shows `opens` (aware) when the machine's monotonic clock stands at `zero_ns`, and runs `speed` times as fast.

    Calls itself synchronised: within the demo nobody doubts it, so that meals are claimed and not held.
    """

    opens: datetime
    zero_ns: int
    speed: float

    def __call__(self) -> Moment:
        passed_s = self.seconds()
        return Moment(
            utc=self.opens + timedelta(seconds=passed_s),
            mono_ms=int((passed_s + 3_600) * 1000),  # the machine is taken to have been up for an hour
            boot=BOOT_ID.read_text("ascii").strip(),
            clock=ClockQuality.SYNCHRONISED,
        )

    def seconds(self) -> float:
        """Simulated seconds since the doors opened; negative before."""
        return (time.monotonic_ns() - self.zero_ns) / 1e9 * self.speed

    def arguments(self) -> tuple[str, str, str]:
        """For the command line of another process; `parse` there."""
        return self.opens.isoformat(), str(self.zero_ns), str(self.speed)

    @classmethod
    def parse(cls, opens: str, zero_ns: str, speed: str) -> "FastClock":
        return cls(datetime.fromisoformat(opens), int(zero_ns), float(speed))
