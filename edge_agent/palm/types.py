"""The types that the rooms of the palm share."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

REGION_SIDE: Final = 128  # pixels


class Hand(StrEnum):
    """Which hand a palm belongs to, by the side of its thumb."""

    LEFT = "left"
    RIGHT = "right"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Region:
    """A palm's region, upright: fingers up, as the camera sees the palm. `hand` is a label for people, and says where
    a search begins: no comparison asks for it.
    """

    grey: NDArray[np.uint8] = field(repr=False)  # (128, 128)
    mask: NDArray[np.bool_] = field(repr=False)  # (128, 128), True where the pixel shows palm
    hand: Hand
