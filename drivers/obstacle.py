"""Obstacles: what keeps a device from working, each with the next step."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that keeps a device from working. Its text is `reason: next_step`."""

    reason: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.next_step}"


@dataclass(frozen=True, slots=True)
class NoPermission(Obstacle):
    """The user who looks may not open the device. Another user may."""


@dataclass(frozen=True, slots=True)
class Disturbance(Obstacle):
    """A device works, and something may disturb it."""
