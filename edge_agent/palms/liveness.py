"""Whether the pictures of one presentation look like a print or a screen. Cheap signs, and said to be no more.

The single signs, and what they cannot see, are in `edge_agent/palm/hand/liveness.py`. One strong raster or glare is
enough,
and so are several weaker signs together; a real hand on a bad day must not be taken for a copy. On real hands of three
public sets (44 presentations of two or three pictures) none was.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.liveness import score_flatness, score_gloss, score_raster, score_stillness
from edge_agent.palm.hand.region import FramedPalm

COPY_STRONG = 0.9
COPY_TOGETHER = 1.6  # flatness, glare and standing still, of 3
INSCRIBED = 0.7  # of the region's side: an upright square that lies inside it however it is turned

PalmPicture = tuple[NDArray[np.uint8], FramedPalm]


def copied(looks: Sequence[PalmPicture]) -> bool:
    if not looks:
        return False
    greys = [_grey(image) for image, _ in looks]
    squares = [_square(grey, palm) for grey, (_, palm) in zip(greys, looks, strict=True)]
    rasters = [score_raster(square) for square in squares]
    flat = [score_flatness(palm.region.grey, palm.region.mask) for _, palm in looks]
    glare = [score_gloss(palm.region.grey, palm.region.mask) for _, palm in looks]
    if min(rasters) >= COPY_STRONG:
        return True
    return min(flat) + min(glare) + score_stillness(greys) >= COPY_TOGETHER


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _square(grey: NDArray[np.uint8], palm: FramedPalm) -> NDArray[np.uint8]:
    """The palm at the camera's resolution: scaling would wipe out what is looked for."""
    corners = palm.placement.corners
    x, y = (int(value) for value in corners.mean(axis=0))
    half = int(np.hypot(*(corners[1] - corners[0])) * INSCRIBED / 2)
    return grey[max(0, y - half) : y + half, max(0, x - half) : x + half]
