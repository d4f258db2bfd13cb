"""How good a frame is: focus, exposure, pose, coverage."""

from dataclasses import dataclass

import cv2
import numpy as np

from edge_agent.palm.hand.proportions import (
    COARSE_FLOOR,
    FOCUS_GOOD,
    FOCUS_MIN,
    LINE_BLURS,
    MEAN_GOOD,
    MEAN_MIN,
    PALM_COVERAGE_MIN,
    RIM_WIDTH,
    ROUNDING,
    SATURATED_MAX,
    SHOWN_MARGIN,
    WHITE_MIN,
)
from edge_agent.palm.hand.refusal import UnfitPicture, UnfitReason
from edge_agent.palm.types import Region


@dataclass(frozen=True, slots=True)
class PalmQuality:
    """The measures of a region, for the technician and for choosing among frames."""

    focus: float  # contrast at the width of fine lines over that at the width of principal lines; light cancels out
    mean: float  # grey level of the palm, 0 to 255
    saturated: float  # share of the palm that is burnt out
    coverage: float  # share of the region that shows palm
    pose: float  # 1 for a hand as flat and open as in a textbook, towards 0 the less sure the valleys are

    @property
    def score(self) -> float:
        """The quality as one number, 0 to 1, for putting frames in order; each fault counts by itself."""
        sharp = min(1.0, self.focus / FOCUS_GOOD)
        light = (1 - self.saturated) * min(1.0, self.mean / MEAN_GOOD)
        return float(sharp * light * self.coverage * (0.5 + 0.5 * self.pose))


def measure_quality(region: Region, pose: float) -> PalmQuality:
    """Returns the quality of a region whose valleys are sure to the degree `pose`, 0 to 1."""
    grey = region.grey.astype(np.float32)
    shown = cv2.erode(region.mask.astype(np.uint8), np.ones((SHOWN_MARGIN, SHOWN_MARGIN), np.uint8)) > 0
    if not shown.any():
        return PalmQuality(0.0, float(grey.mean()), 0.0, 0.0, pose)
    sharp, soft, softest = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in LINE_BLURS)
    inner = np.zeros_like(shown)
    inner[RIM_WIDTH:-RIM_WIDTH, RIM_WIDTH:-RIM_WIDTH] = shown[RIM_WIDTH:-RIM_WIDTH, RIM_WIDTH:-RIM_WIDTH]
    judged = inner if inner.any() else shown
    fine = max(0.0, float((sharp - soft)[judged].var()) - ROUNDING**2) ** 0.5
    coarse = float((soft - softest)[judged].std())
    saturated = float((region.grey[shown] >= WHITE_MIN).mean())
    return PalmQuality(
        fine / (coarse + COARSE_FLOOR), float(grey[shown].mean()), saturated, float(region.mask.mean()), pose
    )


def judge_quality(quality: PalmQuality) -> UnfitPicture | None:
    """Returns why a frame should not be compared at all, or None where it may be."""
    if quality.saturated > SATURATED_MAX:
        detail = f"{quality.saturated:.0%} burnt out, at most {SATURATED_MAX:.0%}"
        return UnfitPicture(UnfitReason.OVER_EXPOSED, detail)
    if quality.mean < MEAN_MIN:
        return UnfitPicture(UnfitReason.UNDER_EXPOSED, f"grey level {quality.mean:.0f}, at least {MEAN_MIN:.0f}")
    if quality.focus < FOCUS_MIN:
        return UnfitPicture(UnfitReason.BLURRED, f"focus {quality.focus:.2f}, at least {FOCUS_MIN:.2f}")
    if quality.coverage < PALM_COVERAGE_MIN:
        detail = f"palm covers {quality.coverage:.0%}, at least {PALM_COVERAGE_MIN:.0%}"
        return UnfitPicture(UnfitReason.TURNED, detail)
    return None
