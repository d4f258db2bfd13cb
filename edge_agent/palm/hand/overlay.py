"""What the region finder saw, drawn onto a copy of the picture, for a technician's eye."""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.refusal import UnfitPicture
from edge_agent.palm.hand.region import FramedPalm

_OUTLINE = (0, 200, 0)
_REGION = (255, 200, 0)
_VALLEYS = ((0, 0, 255), (255, 0, 255), (255, 0, 0))
_TEXT = (255, 255, 255)
# Eighths of a pixel, so that what is drawn is where it was found.
_SHIFT = 3


def draw(image: NDArray[np.uint8], seen: FramedPalm | UnfitPicture) -> NDArray[np.uint8]:
    """Return a BGR copy with outline, valleys, region and quality, or with the reason of the refusal."""
    canvas = _colour(image)
    width = max(1, round(max(canvas.shape[:2]) / 400))
    match seen:
        case FramedPalm(region=region, placement=placement, quality=quality):
            _line(canvas, placement.outline, _OUTLINE, width)
            _line(canvas, placement.corners, _REGION, 2 * width)
            # The region's upper edge, so that a turned or mirrored one shows.
            cv2.line(
                canvas, _point(placement.corners[0]), _point(placement.corners[1]), _VALLEYS[0], 2 * width, shift=_SHIFT
            )
            for valley, colour in zip(placement.valleys, _VALLEYS, strict=True):
                cv2.circle(canvas, _point(valley), 5 * width << _SHIFT, colour, -1, shift=_SHIFT)
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
    canvas[: (8 + 16 * len(lines)) * width] //= 3
    for row, text in enumerate(lines):
        at = (4 * width, (14 + 16 * row) * width)
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4 * width, _TEXT, width, cv2.LINE_AA)
    return canvas


def _colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    if image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(image[..., 0], cv2.COLOR_GRAY2BGR), np.uint8)
    return image[..., :3].copy()


def _point(point: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(point[0]) * (1 << _SHIFT)), round(float(point[1]) * (1 << _SHIFT))


def _line(canvas: NDArray[np.uint8], points: NDArray[np.float64], colour: tuple[int, int, int], width: int) -> None:
    fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(canvas, [fixed], True, colour, width, cv2.LINE_AA, _SHIFT)
