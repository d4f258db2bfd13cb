"""The shapes that a number of the table can have: bands and limits with a cost, spans, limits and steps.

A cost is 0 where a value is as a hand has it and grows with the square of the deviation, counted in units that the
table gives. Costs only add up: nothing counts in favour of a hand.
"""

from dataclasses import dataclass

import numpy as np

from edge_agent.palm.hand.arrays import Flags, Floats

Value = float | Floats


@dataclass(frozen=True, slots=True)
class Band:
    """A value that may lie anywhere within `free` of its centre and costs more the farther it lies outside."""

    centre: float
    free: float
    unit: float

    def cost(self, value: Value) -> Floats:
        """Returns the squared deviation beyond the free range, in units."""
        return np.asarray((np.maximum(0.0, np.abs(value - self.centre) - self.free) / self.unit) ** 2)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A value that should reach a limit and costs more the more it lacks, up to a ceiling."""

    limit: float
    unit: float
    ceiling: float = np.inf

    def cost(self, value: Value) -> Floats:
        """Returns the squared lack, in units, at most the ceiling."""
        return np.asarray(np.minimum(self.ceiling, (np.maximum(0.0, self.limit - value) / self.unit) ** 2))


@dataclass(frozen=True, slots=True)
class AtMost:
    """A value that should stay below a limit and costs more the more it exceeds, up to a ceiling."""

    limit: float
    unit: float
    ceiling: float = np.inf

    def cost(self, value: Value) -> Floats:
        """Returns the squared excess, in units, at most the ceiling."""
        return np.asarray(np.minimum(self.ceiling, (np.maximum(0.0, value - self.limit) / self.unit) ** 2))


@dataclass(frozen=True, slots=True)
class Span:
    """An open range: a value is in it or is not."""

    low: float
    high: float

    def holds(self, value: Value) -> Flags:
        """Returns True where the value lies between the two ends, the ends left out."""
        return np.asarray((value > self.low) & (value < self.high))


@dataclass(frozen=True, slots=True)
class Limits:
    """A closed range that values are brought into."""

    low: float
    high: float

    def clip(self, value: Value) -> Floats:
        """Returns the value, or the end of the range that it lies beyond."""
        return np.asarray(np.clip(value, self.low, self.high))


@dataclass(frozen=True, slots=True)
class Steps:
    """Evenly spaced places at which something is looked at, both ends among them."""

    first: float
    last: float
    count: int

    def places(self) -> Floats:
        """Returns the places, (count,)."""
        return np.linspace(self.first, self.last, self.count)
