"""When something happened, as far as this kiosk can tell."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sync.contract.event import Clock


@dataclass(frozen=True, slots=True)
class Stamp:
    """The wall clock with its quality, beside the monotonic clock of a named boot."""

    at: datetime  # UTC
    boot: str  # the kernel's boot id
    mono_ms: int
    clock: Clock


Now = Callable[[], Stamp]
"""Reads the clocks; the journal stamps its own events with it (repair, pruned)."""
