"""What the rooms of the palm hand to one another."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

REGION_SIDE = 128  # pixels


class Hand(StrEnum):
    LEFT = "left"
    RIGHT = "right"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Region:
    """A palm's region, upright: fingers up, mirrored so that a right and a left palm share one orientation."""

    grey: NDArray[np.uint8] = field(repr=False)  # (128, 128)
    mask: NDArray[np.bool_] = field(repr=False)  # (128, 128), True where the pixel shows palm
    hand: Hand
