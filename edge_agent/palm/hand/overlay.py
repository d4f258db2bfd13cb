"""Draws what the region finder saw onto a copy of the picture, for a technician's eye."""

from typing import Final

import cv2
import numpy as np

from edge_agent.palm.hand.arrays import BGR, GREY_AXES, Floats, Pixels
from edge_agent.palm.hand.refusal import UnfitPicture
from edge_agent.palm.hand.region import FramedPalm

# Colours, BGR.
_OUTLINE: Final = (0, 200, 0)
_REGION: Final = (255, 200, 0)
_VALLEYS: Final = ((0, 0, 255), (255, 0, 255), (255, 0, 0))
_TEXT: Final = (255, 255, 255)

# Lengths, in widths of a line.
_LINES_A_SIDE: Final = 400  # widths of a line along the picture's longer side
_VALLEY_RADIUS: Final = 5
_TEXT_SIZE: Final = 0.4
_TEXT_INDENT: Final = 4
_TEXT_TOP: Final = 14
_TEXT_STEP: Final = 16
_BAND_EXTRA: Final = 8

_BAND_DIMMED: Final = 3  # times that the picture is darker under the text
_SHIFT: Final = 3  # bits: eighths of a pixel, so that what is drawn is where it was found


def draw_overlay(image: Pixels, finding: FramedPalm | UnfitPicture) -> Pixels:
    """Returns a BGR copy with outline, valleys, region and quality, or with the reason of the refusal."""
    canvas = _copy_as_colour(image)
    width = max(1, round(max(canvas.shape[:2]) / _LINES_A_SIDE))
    match finding:
        case FramedPalm(region=region, placement=placement, quality=quality):
            _draw_line(canvas, placement.outline, _OUTLINE, width)
            _draw_line(canvas, placement.corners, _REGION, 2 * width)
            # The region's upper edge, so that a turned one shows.
            start, end = (_shift_point(corner) for corner in placement.corners[:2])
            cv2.line(canvas, start, end, _VALLEYS[0], 2 * width, shift=_SHIFT)
            for valley, colour in zip(placement.valleys, _VALLEYS, strict=True):
                cv2.circle(canvas, _shift_point(valley), _VALLEY_RADIUS * width << _SHIFT, colour, -1, shift=_SHIFT)
            lines = [
                f"{region.hand} turn {placement.turn_deg:.0f} scale {placement.scale_px:.0f} px",
                (
                    f"quality {quality.score:.2f} focus {quality.focus:.2f} mean {quality.mean:.0f} "
                    f"burnt {quality.saturated:.0%} cover {quality.coverage:.0%} pose {quality.pose:.2f}"
                ),
            ]
        case UnfitPicture(reason=reason, detail=detail):
            lines = [f"refused: {reason}", *([detail] if detail else [])]
    # On a band of its own: no colour of text shows on every ground.
    canvas[: (_BAND_EXTRA + _TEXT_STEP * len(lines)) * width] //= _BAND_DIMMED
    for row, text in enumerate(lines):
        place = (_TEXT_INDENT * width, (_TEXT_TOP + _TEXT_STEP * row) * width)
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, _TEXT_SIZE * width, _TEXT, width, cv2.LINE_AA)
    return canvas


def _copy_as_colour(image: Pixels) -> Pixels:
    """Returns a BGR copy of a grey, BGR or BGRA picture."""
    if image.ndim == GREY_AXES:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    if image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(image[..., 0], cv2.COLOR_GRAY2BGR), np.uint8)
    return image[..., :BGR].copy()


def _shift_point(point: Floats) -> tuple[int, int]:
    """Returns a point in eighths of a pixel."""
    return round(float(point[0]) * (1 << _SHIFT)), round(float(point[1]) * (1 << _SHIFT))


def _draw_line(canvas: Pixels, points: Floats, colour: tuple[int, int, int], width: int) -> None:
    """Draws a closed line through points (n, 2)."""
    fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(canvas, [fixed], True, colour, width, cv2.LINE_AA, _SHIFT)
