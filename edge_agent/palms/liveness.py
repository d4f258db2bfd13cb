"""Judges if the pictures of one presentation look like a print or a screen, by cheap signs that are no proof.

The single signs, what they cannot see, and their numbers are in `edge_agent/palm/hand/liveness.py`. A raster that is
strong in every picture is enough, and so are several weaker signs together; a real hand on a bad day must not be taken
for a copy. On real hands of three public sets (44 presentations of two or three pictures) none was.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.liveness import (
    COPY_STRONG,
    COPY_TOGETHER,
    INSCRIBED_SHARE,
    score_flatness,
    score_gloss,
    score_raster,
    score_stillness,
)
from edge_agent.palm.hand.region import FramedPalm

PalmPicture = tuple[NDArray[np.uint8], FramedPalm]


def copied(looks: Sequence[PalmPicture]) -> bool:
    """Tells if the pictures of one presentation look like a copy of a palm. Without pictures they do not."""
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
    """Returns the palm's square at the camera's resolution: scaling would wipe out what is looked for."""
    corners = palm.placement.corners
    x, y = (int(value) for value in corners.mean(axis=0))
    half = int(np.hypot(*(corners[1] - corners[0])) * INSCRIBED_SHARE / 2)
    return grey[max(0, y - half) : y + half, max(0, x - half) : x + half]
