"""Calculates error rates from scores, with counts and intervals, and gives none where a set is too small."""

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

EVENTS_MIN: Final = 10  # expected false acceptances below which a rate at that point is not shown
_Z_95: Final = 1.959963984540054

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate of `events` in `trials`, in per cent, with Wilson's 95 % interval."""

    events: int
    trials: int

    @property
    def percent(self) -> float:
        return 100 * self.events / self.trials if self.trials else 0.0

    @property
    def confidence_interval(self) -> tuple[float, float]:
        """Returns the 95 % Wilson interval, in percent."""
        if not self.trials:
            return 0.0, 100.0
        share, spread = self.events / self.trials, _Z_95**2 / self.trials
        middle = (share + spread / 2) / (1 + spread)
        half = _Z_95 / (1 + spread) * sqrt(share * (1 - share) / self.trials + spread / (4 * self.trials))
        return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class RatePoint:
    """The misses at the threshold that at most a given share of strangers passes."""

    misses: Rate
    threshold: float  # a score must be above it
    shown: bool  # False: the set is too small, `misses` is an indication only


@dataclass(frozen=True, slots=True)
class EqualError:
    percent: float
    threshold: float
    misses: Rate
    false: Rate


def miss_rate(mated: Scores, strangers: Scores, share: float) -> RatePoint | None:
    """Returns the rate of mated scores not above the threshold that `share` of the strangers' scores may pass. None
    without scores.
    """
    if not len(mated) or not len(strangers):
        return None
    # floor(share · n) with care: 1e-4 · 30,000 is 2.9999999999999996 in floating point.
    allowed = int(share * len(strangers) + 1e-9)
    threshold = float(np.partition(strangers, len(strangers) - 1 - allowed)[len(strangers) - 1 - allowed])
    misses = Rate(int(np.count_nonzero(mated <= threshold)), len(mated))
    return RatePoint(misses, threshold, share * len(strangers) + 1e-9 >= EVENTS_MIN)


def equal_error(mated: Scores, strangers: Scores) -> EqualError | None:
    """Returns where misses and false acceptances are equally frequent, or the mean between two steps. Accepted is score
    ≥ t.
    """
    if not len(mated) or not len(strangers):
        return None
    mated, strangers = np.sort(mated), np.sort(strangers)
    thresholds = np.unique(np.concatenate([mated, strangers, [np.inf]]))
    missed = np.searchsorted(mated, thresholds, "left")
    passed = len(strangers) - np.searchsorted(strangers, thresholds, "left")
    crossing = int(np.argmin(np.abs(missed / len(mated) - passed / len(strangers))))
    misses, false = Rate(int(missed[crossing]), len(mated)), Rate(int(passed[crossing]), len(strangers))
    return EqualError((misses.percent + false.percent) / 2, float(thresholds[crossing]), misses, false)


def curve(mated: Scores, strangers: Scores, points: int = 400) -> tuple[Scores, Scores]:
    """Returns false acceptances and misses (shares) over all thresholds, for a DET plot."""
    strangers = np.sort(strangers)[::-1]
    ranks = np.unique(np.geomspace(1, max(len(strangers), 1), points).astype(int)) - 1
    thresholds = strangers[ranks]
    missed = np.searchsorted(np.sort(mated), thresholds, "left") / max(len(mated), 1)
    return (ranks + 1) / len(strangers), missed
