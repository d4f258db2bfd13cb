"""A second opinion on where a hand is: the 21 landmarks of two small networks, where a technician installed them.

The models are MediaPipe's `palm_detection` and `hand_landmark` (Apache-2.0, TFLite), handed in as bytes. They know
nothing of near-infrared or of hands cut by the picture, and everything of closed fingers and thumbs laid along the
palm, which is where the outline alone errs. Without them all works; such hands are then framed wrong more often.

OpenCV runs them one output at a time, and each output costs a whole pass: about 40 ms for the detector and 25 ms
for the landmarks on one core. They are asked only when the outline is not sure.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.arrays import GREY_AXES, WHITE, Floats, Pixels
from edge_agent.palm.hand.proportions import DETECTED_MIN, JOINT_VALLEYS, PRESENT_MIN
from edge_agent.palm.types import Hand

# Facts of the models, as MediaPipe trained them and its graph runs them.
_DETECTOR_SIDE: Final = 192  # px
_LANDMARK_SIDE: Final = 224  # px
_ANCHOR_LAYERS: Final = ((24, 2), (12, 6))  # cells on a side, anchors a cell: 2,016 in all
_BOX_NUMBERS: Final = 4  # centre and size, before the palm's keypoints
_KEYPOINTS: Final = 7
_PALM_WRIST, _PALM_MIDDLE_JOINT = 0, 2  # numbers of keypoints
_CROP_GROWTH: Final = 2.6  # times that the crop is larger than the palm's box
_CROP_SHIFT: Final = 0.5  # share of the box's side that the crop is moved towards the fingers
_LANDMARKS: Final = (21, 3)
_WRIST, _INDEX_JOINT, _LITTLE_JOINT = 0, 5, 17  # numbers of landmarks; the joints are the fingers' first


@dataclass(frozen=True, slots=True)
class LandmarkValleys:
    """The finger valleys as landmarks place them."""

    valleys: Floats = field(repr=False)  # (3, 2), px of the picture, thumb side first
    hand: Hand  # of a camera that does not mirror; the side seen is taken to be the palm's


class LandmarkFinder(Protocol):
    """A second opinion on where the finger valleys of a picture are."""

    def find_valleys(self, picture: Pixels) -> LandmarkValleys | None:
        """Returns the valleys in a grey or BGR picture, or None where no hand is seen."""


Network = Callable[[Pixels, str], NDArray[np.float32]]
"""A network: from a BGR picture of its size and the name of an output to that output."""


class HandNetworks:
    """The two networks as a landmark finder. Not safe for threads: each thread needs its own."""

    __slots__ = ("_detector", "_landmarks")

    def __init__(self, detector: Network, landmarks: Network) -> None:
        self._detector = detector
        self._landmarks = landmarks

    def find_valleys(self, picture: Pixels) -> LandmarkValleys | None:
        """Returns the valleys in a grey or BGR picture, or None where the networks see no hand."""
        colour = picture
        if picture.ndim == GREY_AXES:
            colour = np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)
        to_picture = self._detect(colour)
        if to_picture is None:
            return None
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = np.asarray(cv2.warpAffine(colour, to_picture, (_LANDMARK_SIDE, _LANDMARK_SIDE), flags=flags), np.uint8)
        if float(self._landmarks(crop, "Identity_1").ravel()[0]) < PRESENT_MIN:
            return None
        points = self._landmarks(crop, "Identity").reshape(_LANDMARKS)[:, :2].astype(np.float64)
        return place_valleys(points @ to_picture[:, :2].T + to_picture[:, 2])

    def _detect(self, colour: Pixels) -> Floats | None:
        """Returns the map (2, 3) from the landmark network's crop, fingers up, to the picture; None without a palm."""
        height, width = colour.shape[:2]
        scale = _DETECTOR_SIDE / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        start_x, start_y = (_DETECTOR_SIDE - size[0]) // 2, (_DETECTOR_SIDE - size[1]) // 2
        boxed = np.zeros((_DETECTOR_SIDE, _DETECTOR_SIDE, colour.shape[2]), np.uint8)
        small = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
        boxed[start_y : start_y + size[1], start_x : start_x + size[0]] = small
        scores = self._detector(boxed, "Identity_1")[0, :, 0]
        best = int(np.argmax(scores))
        if float(scores[best]) < math.log(DETECTED_MIN / (1 - DETECTED_MIN)):
            return None
        box = self._detector(boxed, "Identity")[0, best].astype(np.float64)
        origin = _ANCHORS[best] * _DETECTOR_SIDE - (start_x, start_y)
        keypoints = (box[_BOX_NUMBERS:].reshape(_KEYPOINTS, 2) + origin) / scale
        side = float(box[2:_BOX_NUMBERS].max()) / scale
        up = keypoints[_PALM_MIDDLE_JOINT] - keypoints[_PALM_WRIST]
        length = float(np.hypot(*up))
        if length < 1.0 or side < 1.0:
            return None
        up = up / length
        right = np.array([-up[1], up[0]])
        centre = (box[:2] + origin) / scale + _CROP_SHIFT * side * up
        step = _CROP_GROWTH * side / _LANDMARK_SIDE
        corner = centre - 0.5 * _CROP_GROWTH * side * (right - up)
        return np.column_stack([step * right, -step * up, corner])


def load_networks(palm_detection: bytes, hand_landmark: bytes) -> HandNetworks:
    """Returns the landmark finder of two TFLite models. Raises `cv2.error` where one is no such model."""
    detector, landmarks = (
        partial(_run, cv2.dnn.readNetFromTFLite(np.frombuffer(content, np.uint8)))
        for content in (palm_detection, hand_landmark)
    )
    return HandNetworks(detector, landmarks)


def place_valleys(landmarks: Floats) -> LandmarkValleys:
    """Returns the valleys of a hand by its 21 landmarks (21, 2) in px of the picture."""
    base = landmarks[_INDEX_JOINT]
    along = landmarks[_LITTLE_JOINT] - base
    across = np.array([along[1], -along[0]])
    # The fingers are where the wrist is not; with them up, a left palm's little finger is to the right.
    hand = Hand.LEFT if float((landmarks[_WRIST] - base) @ across) < 0 else Hand.RIGHT
    across = across if hand is Hand.LEFT else -across
    return LandmarkValleys(np.array([base + x * along + y * across for x, y in JOINT_VALLEYS]), hand)


def _run(network: "cv2.dnn.Net", image: Pixels, name: str) -> NDArray[np.float32]:
    """Returns one output of a network on a BGR picture of its size."""
    planes = np.asarray(image, np.float32)[..., ::-1].transpose(2, 0, 1)[None] / np.float32(WHITE)
    network.setInput(np.ascontiguousarray(planes))
    return np.asarray(network.forward(name), np.float32)


def _place_anchors() -> Floats:
    """Returns the detector's anchors (2016, 2) as shares of its picture's side."""
    layers = []
    for cells, anchors in _ANCHOR_LAYERS:
        y, x = np.mgrid[0:cells, 0:cells]
        layers.append(np.repeat(np.stack([x.ravel() + 0.5, y.ravel() + 0.5], axis=1) / cells, anchors, axis=0))
    return np.concatenate(layers)


_ANCHORS: Final = _place_anchors()
