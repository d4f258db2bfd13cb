"""A few pictures of the public research sets: their palms are found, framed alike and not confused."""

from collections.abc import Iterator
from itertools import combinations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.protocols.picture import decode
from edge_agent.palm.hand.region import FramedPalm, find_region
from edge_agent.palm.matching import permutation
from edge_agent.palm.measurement.evaluation import Sample, evaluate
from edge_agent.palm.types import Hand
from tests.outside import find_palms

SAMPLES = {
    "full_nir_hand": ("0001/0-0.png", "0001/0-2.png", "0005/0-0.png", "0005/0-1.png", "0011/0-0.png", "0011/0-1.png"),
    "full_polyu2": ("03/1-01.png", "03/2-04.png", "13/1-01.png", "13/2-05.png", "20/1-02.png", "20/2-05.png"),
    "full_hands11k": (
        "0000507_L/0-Hand_0010190.jpg",
        "0000507_L/0-Hand_0010194.jpg",
        "0000559_R/0-Hand_0000087.jpg",
        "0000559_R/0-Hand_0000088.jpg",
        "0001571_R/0-Hand_0003540.jpg",
        "0001571_R/0-Hand_0003541.jpg",
    ),
}


# Fingers closed, a thumb along them, a ring, shadows: two pictures of each palm.
HARD = (
    "0000065_L/0-Hand_0000124.jpg",
    "0000065_L/0-Hand_0000125.jpg",
    "0001029_L/0-Hand_0006863.jpg",
    "0001029_L/0-Hand_0006864.jpg",
    "0001060_R/0-Hand_0010976.jpg",
    "0001060_R/0-Hand_0010977.jpg",
    "0001516_L/0-Hand_0007784.jpg",
    "0001516_L/0-Hand_0007790.jpg",
    "0001536_L/0-Hand_0011273.jpg",
    "0001536_L/0-Hand_0011274.jpg",
)


def pictures(name: str, samples: tuple[str, ...] = ()) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    folder = find_palms(name)
    for sample in samples or SAMPLES[name]:
        picture = decode((folder / sample).read_bytes())
        assert isinstance(picture, np.ndarray)
        yield sample.split("/")[0], picture


def likeness(first: FramedPalm, second: FramedPalm) -> float:
    """Return the best correlation of the regions' line pictures over small shifts."""
    lines = []
    for framed in (first, second):
        grey = framed.region.grey.astype(np.float32)
        lines.append(cv2.GaussianBlur(grey, (0, 0), 1.5) - cv2.GaussianBlur(grey, (0, 0), 8))
    return float(cv2.matchTemplate(lines[0], lines[1][20:-20, 20:-20], cv2.TM_CCOEFF_NORMED).max())


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_two_pictures_give_a_palm_alike_regions(name: str) -> None:
    framed: list[tuple[str, FramedPalm]] = []
    for identity, picture in pictures(name):
        palm = find_region(picture)
        assert isinstance(palm, FramedPalm), (identity, palm)
        assert palm.region.mask.mean() > 0.8
        framed.append((identity, palm))
    alike = [likeness(a, b) for (i, a), (j, b) in combinations(framed, 2) if i == j]
    different = [likeness(a, b) for (i, a), (j, b) in combinations(framed, 2) if i != j]
    assert min(alike) > max(different)


def test_left_and_right_hands_get_their_names() -> None:
    for identity, picture in pictures("full_hands11k"):
        palm = find_region(picture)
        assert isinstance(palm, FramedPalm)
        assert palm.region.hand is (Hand.LEFT if identity.endswith("_L") else Hand.RIGHT)


def test_a_quarter_turn_changes_the_name_of_no_hand_and_moves_no_region() -> None:
    _, picture = next(pictures("full_nir_hand"))
    upright, turned = find_region(picture), find_region(np.ascontiguousarray(np.rot90(picture)))
    assert isinstance(upright, FramedPalm)
    assert isinstance(turned, FramedPalm)
    assert upright.region.hand is turned.region.hand
    assert (upright.placement.turn_deg - turned.placement.turn_deg) % 360 == pytest.approx(90, abs=2)
    assert likeness(upright, turned) > 0.9


def turned(picture: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Turn a picture on ground of its own colour, nothing cut off."""
    height, width = picture.shape[:2]
    side = int(np.hypot(height, width)) + 1
    carry = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, 1.0)
    carry[:, 2] += (side - width) / 2, (side - height) / 2
    rim = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    ground = tuple(float(level) for level in np.atleast_1d(np.median(rim, axis=0)))
    return np.asarray(cv2.warpAffine(picture, carry, (side, side), borderValue=ground), np.uint8)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("name", [*sorted(SAMPLES), "closed"])
def test_palms_are_known_however_they_are_turned(name: str, mirrored: bool) -> None:
    folder, samples = ("full_hands11k", HARD) if name == "closed" else (name, ())
    held: list[Sample] = []
    for number, (person, picture) in enumerate(pictures(folder, samples)):
        half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        small = np.asarray(half, np.uint8) if max(picture.shape) > 1000 else picture
        palm = find_region(turned(small[:, ::-1] if mirrored else small, 77.0 * number))
        assert isinstance(palm, FramedPalm), (person, palm)
        held.append(Sample(person, 0, str(number), palm.region))
    verification = evaluate(held, permutation.identity(), lambda: 0.0).verification
    assert verification.mated.min() > verification.strangers.max()
