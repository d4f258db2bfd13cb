"""A second opinion on where a hand is: the 21 landmarks of two small networks, where a technician installed them.

The models are MediaPipe's `palm_detection` and `hand_landmark` (Apache-2.0, TFLite), handed in as bytes. They know
nothing of near-infrared or of hands cut by the picture, and everything of closed fingers and thumbs laid along the
palm, which is where the outline alone errs. Without them all works; such hands are then framed wrong more often.

OpenCV runs them one output at a time, and each output costs a whole pass: about 40 ms for the detector and 25 ms
for the landmarks on one core. They are asked only when the outline is not sure.
"""

import math
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.types import Hand

Floats = NDArray[np.float64]

DETECTED_MIN = 0.6
PRESENT_MIN = 0.9
_DETECTOR_SIDE = 192
_LANDMARK_SIDE = 224
# The crop is this much larger than the palm's box and moved this share of it towards the fingers, as in training.
_CROP_GROWTH = 2.6
_CROP_SHIFT = 0.5
# Indices of the hand model: wrist, index and little finger's first joints.
_WRIST, _INDEX, _LITTLE = 0, 5, 17
# Valleys in the frame of the two joints: along, from the index to the little finger, and across, to the fingertips;
# in units of their distance. Measured on open hands, where the outline shows both (median deviation 0.02).
_VALLEYS = ((0.096, 0.261), (0.451, 0.379), (0.836, 0.239))


@dataclass(frozen=True, slots=True)
class LandmarkValleys:
    """Valleys as the landmarks place them, in picture coordinates, thumb side first."""

    valleys: Floats = field(repr=False)
    # The palm's side is taken to be the one seen; of a camera that does not mirror.
    hand: Hand


class LandmarkFinder(Protocol):
    def find_valleys(self, picture: NDArray[np.uint8]) -> LandmarkValleys | None: ...


class HandNetworks:
    """The two networks. Not safe for threads: each thread needs its own."""

    __slots__ = ("_detector", "_landmarks")

    def __init__(self, palm_detection: bytes, hand_landmark: bytes) -> None:
        self._detector = cv2.dnn.readNetFromTFLite(np.frombuffer(palm_detection, np.uint8))
        self._landmarks = cv2.dnn.readNetFromTFLite(np.frombuffer(hand_landmark, np.uint8))

    def find_valleys(self, picture: NDArray[np.uint8]) -> LandmarkValleys | None:
        colour = picture if picture.ndim == 3 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)
        to_picture = self._detect(colour)
        if to_picture is None:
            return None
        way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(colour, to_picture, (_LANDMARK_SIDE, _LANDMARK_SIDE), flags=way)
        if float(_output(self._landmarks, crop, "Identity_1").ravel()[0]) < PRESENT_MIN:
            return None
        points = _output(self._landmarks, crop, "Identity").reshape(21, 3)[:, :2].astype(np.float64)
        return place_valleys(points @ to_picture[:, :2].T + to_picture[:, 2])

    def _detect(self, colour: NDArray[np.uint8]) -> Floats | None:
        """Return the map from the landmark network's crop, fingers up, to the picture."""
        height, width = colour.shape[:2]
        scale = _DETECTOR_SIDE / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        left, top = (_DETECTOR_SIDE - size[0]) // 2, (_DETECTOR_SIDE - size[1]) // 2
        boxed = np.zeros((_DETECTOR_SIDE, _DETECTOR_SIDE, 3), np.uint8)
        boxed[top : top + size[1], left : left + size[0]] = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
        scores = _output(self._detector, boxed, "Identity_1")[0, :, 0]
        best = int(np.argmax(scores))
        if float(scores[best]) < math.log(DETECTED_MIN / (1 - DETECTED_MIN)):
            return None
        box = _output(self._detector, boxed, "Identity")[0, best].astype(np.float64)
        origin = _ANCHORS[best] * _DETECTOR_SIDE - (left, top)
        keypoints = (box[4:].reshape(7, 2) + origin) / scale
        side = float(box[2:4].max()) / scale
        # Wrist to the middle finger's first joint.
        up = keypoints[2] - keypoints[0]
        length = float(np.hypot(*up))
        if length < 1.0 or side < 1.0:
            return None
        up = up / length
        right = np.array([-up[1], up[0]])
        centre = (box[:2] + origin) / scale + _CROP_SHIFT * side * up
        step = _CROP_GROWTH * side / _LANDMARK_SIDE
        corner = centre - 0.5 * _CROP_GROWTH * side * (right - up)
        return np.column_stack([step * right, -step * up, corner])


def place_valleys(landmarks: Floats) -> LandmarkValleys:
    """Place the valleys by a hand's 21 landmarks."""
    base = landmarks[_INDEX]
    along = landmarks[_LITTLE] - base
    across = np.array([along[1], -along[0]])
    # The fingers are where the wrist is not; with them up, a left palm's little finger is to the right.
    is_left = float((landmarks[_WRIST] - base) @ across) < 0
    across = across if is_left else -across
    valleys = np.array([base + x * along + y * across for x, y in _VALLEYS])
    return LandmarkValleys(valleys, Hand.LEFT if is_left else Hand.RIGHT)


def _output(network: "cv2.dnn.Net", image: NDArray[np.generic], name: str) -> NDArray[np.float32]:
    planes = np.asarray(image, np.float32)[..., ::-1].transpose(2, 0, 1)[None] / np.float32(255)
    network.setInput(np.ascontiguousarray(planes))
    return np.asarray(network.forward(name), np.float32)


def _anchors() -> Floats:
    """Return the detector's 2,016 anchors: two a cell of 24 × 24, six a cell of 12 × 12."""
    layers = []
    for cells, each in ((24, 2), (12, 6)):
        y, x = np.mgrid[0:cells, 0:cells]
        layers.append(np.repeat(np.stack([x.ravel() + 0.5, y.ravel() + 0.5], axis=1) / cells, each, axis=0))
    return np.concatenate(layers)


_ANCHORS = _anchors()
