"""How like an open hand an outline is, whatever its size: fingers that stand out, and gaps between that open alike."""

from dataclasses import dataclass

import cv2
import numpy as np

from edge_agent.palm.hand.arrays import FOUR_NEIGHBOURS, Mask
from edge_agent.palm.hand.contour import find_open_gaps, trace_outline
from edge_agent.palm.hand.proportions import (
    FINGER_AREA_MIN,
    FINGER_SLENDER_MIN,
    FINGER_WIDTH_MIN,
    GAPS_ALIKE_MIN,
    PALM_OPENING,
    SOLIDITY_MAX,
    SPECK_SIDE,
    STANDING_FINGERS_MIN,
    STANDING_GAPS_MIN,
    SURE_GAPS_MIN,
)
from edge_agent.palm.hand.segment import measure_distances


@dataclass(frozen=True, slots=True)
class HandShape:
    """The signs of an open hand."""

    fingers: int  # that stand out of the palm
    gaps: int  # bays that open in about one direction
    solidity: float  # share of its convex hull that it fills

    @property
    def has_gaps(self) -> bool:
        """True where gaps stand open as between fingers. A cup with its handle may have them too."""
        return self.gaps >= STANDING_GAPS_MIN and self.solidity < SOLIDITY_MAX

    @property
    def is_hand(self) -> bool:
        """True for an open hand."""
        return self.has_gaps and (self.fingers >= STANDING_FINGERS_MIN or self.gaps >= SURE_GAPS_MIN)


def measure_shape(mask: Mask) -> HandShape:
    """Returns the signs of an open hand in the outline of a mask, which is not empty."""
    radius = float(measure_distances(mask).max())
    outline = np.argwhere(mask)[:, ::-1].astype(np.int32)
    hull = float(cv2.contourArea(cv2.convexHull(outline)))
    gaps = find_open_gaps(trace_outline(mask, radius), radius)
    directions = np.array([gap.direction for gap in gaps if not gap.flat]).reshape(-1, 2)
    alike = int((directions @ directions.T > GAPS_ALIKE_MIN).sum(axis=1).max(initial=0))
    return HandShape(_count_fingers(mask, radius), alike, float(np.count_nonzero(mask)) / max(1.0, hull))


def _count_fingers(mask: Mask, radius: float) -> int:
    """Returns the number of slender things that stand out of a mask's body; `radius` is the body's."""
    side = max(SPECK_SIDE, 2 * round(PALM_OPENING * radius) + 1)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    # Where the picture's rim cuts it, it goes on.
    padded = cv2.copyMakeBorder(mask, side, side, side, side, cv2.BORDER_REPLICATE)
    body = np.asarray(cv2.morphologyEx(padded, cv2.MORPH_OPEN, disk)[side:-side, side:-side], np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask & (1 - body), connectivity=FOUR_NEIGHBOURS)
    fingers = 0
    for number in range(1, count):
        area = float(stats[number, cv2.CC_STAT_AREA])
        if area < FINGER_AREA_MIN * radius * radius:
            continue
        width = 2 * float(measure_distances((labels == number).astype(np.uint8)).max())
        fingers += area > FINGER_SLENDER_MIN * width * width and width > FINGER_WIDTH_MIN * radius
    return fingers
