"""How good a frame is: focus, exposure, pose, coverage."""

from dataclasses import dataclass

import cv2
import numpy as np

from edge_agent.palm.hand.refusal import UnfitPicture, UnfitReason
from edge_agent.palm.types import Region

FOCUS_MIN = 0.15
SATURATED_MAX = 0.6
MEAN_MIN = 14.0
COVERAGE_MIN = 0.6
# At and above this the frame is as sharp as the code can use.
_FOCUS_GOOD = 0.30
_WHITE = 252
# What rounding to whole grey levels adds to the fine contrast of a picture without any.
_ROUNDING = 0.12
# The rim of the region, in its pixels: webs and shadows of fingers there are no lines of the palm.
_RIM = 12


@dataclass(frozen=True, slots=True)
class PalmQuality:
    # Contrast at the width of fine lines over contrast at the width of principal lines; light cancels out.
    focus: float
    # Grey level of the palm, 0 to 255, and the share of it that is burnt out.
    mean: float
    saturated: float
    # Share of the region that shows palm.
    coverage: float
    # 1 for a hand as flat and open as in a textbook, towards 0 the less sure the valleys are.
    pose: float

    @property
    def score(self) -> float:
        """0 to 1, for putting the frames of a burst in order; each fault counts by itself."""
        sharp = min(1.0, self.focus / _FOCUS_GOOD)
        light = (1 - self.saturated) * min(1.0, self.mean / 60)
        return float(sharp * light * self.coverage * (0.5 + 0.5 * self.pose))


def measure_quality(region: Region, pose: float) -> PalmQuality:
    grey = region.grey.astype(np.float32)
    shown = cv2.erode(region.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if not shown.any():
        return PalmQuality(0.0, float(grey.mean()), 0.0, 0.0, pose)
    blurs = [cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (1.0, 2.0, 6.0)]
    inner = np.zeros_like(shown)
    inner[_RIM:-_RIM, _RIM:-_RIM] = shown[_RIM:-_RIM, _RIM:-_RIM]
    judged = inner if inner.any() else shown
    fine = max(0.0, float((blurs[0] - blurs[1])[judged].var()) - _ROUNDING**2) ** 0.5
    coarse = float((blurs[1] - blurs[2])[judged].std())
    saturated = float((region.grey[shown] >= _WHITE).mean())
    return PalmQuality(fine / (coarse + 0.5), float(grey[shown].mean()), saturated, float(region.mask.mean()), pose)


def judge_quality(quality: PalmQuality) -> UnfitPicture | None:
    """Return what is wrong with a frame that should not be matched at all."""
    if quality.saturated > SATURATED_MAX:
        return UnfitPicture(UnfitReason.OVER_EXPOSED, f"{quality.saturated:.0%} burnt out, at most {SATURATED_MAX:.0%}")
    if quality.mean < MEAN_MIN:
        return UnfitPicture(UnfitReason.UNDER_EXPOSED, f"grey level {quality.mean:.0f}, at least {MEAN_MIN:.0f}")
    if quality.focus < FOCUS_MIN:
        return UnfitPicture(UnfitReason.BLURRED, f"focus {quality.focus:.2f}, at least {FOCUS_MIN:.2f}")
    if quality.coverage < COVERAGE_MIN:
        return UnfitPicture(UnfitReason.TURNED, f"palm covers {quality.coverage:.0%}, at least {COVERAGE_MIN:.0%}")
    return None
