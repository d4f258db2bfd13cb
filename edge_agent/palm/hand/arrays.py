"""The array types of the rooms that find a hand, and the numbers that come with them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""A grey (H, W) or BGR (H, W, 3) picture, or a map of levels from 0 to 255."""

Mask = NDArray[np.uint8]
"""A map (H, W) that is 1 where a pixel shows hand and 0 elsewhere."""

Flags = NDArray[np.bool_]
"""Yes or no for each place of an array."""

Floats = NDArray[np.float64]
"""Numbers in double precision; points are (..., 2), x before y."""

Rows = NDArray[np.intp]
"""Numbers of rows in another array."""

WHITE: Final = 255  # the greatest level
HALF_GREY: Final = 127  # a mask of 0 and 255 that was scaled is cut above this
GREY_AXES: Final = 2  # of a picture without channels
COLOUR_AXES: Final = 3
BGR: Final = 3  # channels
BGRA: Final = 4  # channels
FOUR_NEIGHBOURS: Final = 4  # connectivity: pixels of one part touch by their sides, not by their corners

# Guards against dividing by nothing: too small to change a result.
TINY_LENGTH: Final = 1e-9  # px
TINY_SHARE: Final = 1e-3
TINY_LEVEL: Final = 1e-6  # of a grey level, and of a depth: two that differ by less are the same
