"""The thumb's side, when the valleys are known: by its open gap, by the fingers' lean, or by its dark line."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_agent.palm.hand.anatomy.triples import GapColumns, stack_gaps
from edge_agent.palm.hand.anatomy.valleys import FingerValleys
from edge_agent.palm.hand.arrays import Floats
from edge_agent.palm.hand.contour import FingerGap
from edge_agent.palm.hand.proportions import (
    CLOSED_LEAN_MIN,
    LAID_DEPTH_MIN,
    LAID_HEIGHT_MAX,
    LAID_OPENS_UP_MIN,
    LAID_OUT,
    PRESSED_HEIGHT,
    PRESSED_OPENS_UP_MIN,
    PRESSED_OUT,
    PRESSED_STRENGTH_MIN,
    SPREAD_HEIGHT,
    SPREAD_OPENS_OUT_MIN,
    SPREAD_OPENS_UP_MIN,
    SPREAD_OUT,
    THUMB_AGREED_LEAN_MIN,
    THUMB_DEPTH_AGREED_MIN,
    THUMB_DEPTH_MIN,
    THUMB_LEAD_MIN,
)
from edge_agent.palm.types import Hand

_SIDES = (1, -1)


@dataclass(frozen=True, slots=True)
class _GapsBeside:
    """How gaps (m,) lie beside a hand's outer valley."""

    outward: Floats = field(repr=False)  # L out from the valley
    height: Floats = field(repr=False)  # L above it
    opens_up: Floats = field(repr=False)  # cos between the gap's direction and the fingers'
    opens_out: Floats = field(repr=False)  # cos between the gap's direction and the way out


def name_hand(valleys: FingerValleys, gaps: Sequence[FingerGap]) -> Hand:
    """Returns which hand it is by the side of its thumb, as a camera sees it that does not mirror."""
    columns = stack_gaps(gaps)
    side = find_open_side(valleys, columns) or find_leaning_side(valleys) or find_pressed_side(valleys, columns)
    return {1: Hand.RIGHT, -1: Hand.LEFT, 0: Hand.UNKNOWN}[side]


def find_open_side(valleys: FingerValleys, gaps: GapColumns) -> int:
    """Returns the side of the thumb's bay in the outline: 1 right, -1 left, 0 where it shows none for sure."""
    deepest = {}
    for side in _SIDES:
        beside = _place_beside(valleys, gaps, side)
        spread = SPREAD_OUT.holds(beside.outward) & SPREAD_HEIGHT.holds(beside.height)
        spread &= (beside.opens_up > SPREAD_OPENS_UP_MIN) & (beside.opens_out > SPREAD_OPENS_OUT_MIN)
        # A thumb laid along the palm closes its gap up to the height of the valleys.
        laid = LAID_OUT.holds(beside.outward) & (beside.height >= SPREAD_HEIGHT.high)
        laid &= (beside.height < LAID_HEIGHT_MAX) & (beside.opens_up > LAID_OPENS_UP_MIN)
        laid &= gaps.depths > LAID_DEPTH_MIN
        bays = ~gaps.closed[:-1] & (spread | laid)
        deepest[side] = float(np.max(gaps.depths[bays], initial=0.0))
    side = 1 if deepest[1] > deepest[-1] else -1
    # Shallow bays are mostly the folds that palms have at their sides. One is believed when the fingers agree: the
    # valleys descend to the little finger, so that to the line through them the middle finger leans to the thumb.
    agreed = side * valleys.lean > THUMB_AGREED_LEAN_MIN
    enough = deepest[side] >= (THUMB_DEPTH_AGREED_MIN if agreed else THUMB_DEPTH_MIN)
    return side if enough and deepest[side] - deepest[-side] >= THUMB_LEAD_MIN else 0


def find_leaning_side(valleys: FingerValleys) -> int:
    """Returns the side to which closed fingers lean: the thumb's, also where it hides behind the palm; 0 for none."""
    leaning = float(valleys.towards @ valleys.along)
    if valleys.closed < len(valleys.points) or abs(leaning) < CLOSED_LEAN_MIN:
        return 0
    return 1 if leaning > 0 else -1


def find_pressed_side(valleys: FingerValleys, gaps: GapColumns) -> int:
    """Returns the side where a thumb is pressed to the palm, its gap a dark line; 0 where none is, or on both."""
    sides = []
    for side in _SIDES:
        beside = _place_beside(valleys, gaps, side)
        pressed = gaps.closed[:-1] & PRESSED_OUT.holds(beside.outward) & PRESSED_HEIGHT.holds(beside.height)
        pressed &= (beside.opens_up > PRESSED_OPENS_UP_MIN) & (gaps.depths > PRESSED_STRENGTH_MIN)
        if pressed.any():
            sides.append(side)
    return sides[0] if len(sides) == 1 else 0


def _place_beside(valleys: FingerValleys, gaps: GapColumns, side: int) -> _GapsBeside:
    """Returns how the gaps lie beside the outer valley on a side."""
    offsets = gaps.points - (valleys.points[-1] if side > 0 else valleys.points[0])
    out, height = (np.einsum("gd,d->g", offsets, axis) for axis in (valleys.along, valleys.up))
    opens_out, opens_up = (np.einsum("gd,d->g", gaps.directions[:-1], axis) for axis in (valleys.along, valleys.up))
    return _GapsBeside(side * out / valleys.length, height / valleys.length, opens_up, side * opens_out)
