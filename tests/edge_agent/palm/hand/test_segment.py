from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_agent.palm.hand.arrays import Mask, Pixels
from edge_agent.palm.hand.segment import Silhouette, fill_holes, find_silhouettes, measure_distances, see_parts
from tests.edge_agent.palm.hands import HandPose, draw_hand

HEIGHT, WIDTH = 300, 400
MASK_RADIUS = 40.0  # px


def picture(hand: int = 200, ground: int = 10) -> tuple[Pixels, Pixels]:
    """Returns a picture of ground alone and one of the same size that is skin alone."""
    return np.full((HEIGHT, WIDTH), ground, np.uint8), np.full((HEIGHT, WIDTH), hand, np.uint8)


def paint(*shapes: tuple[slice, slice], hand: int = 200, ground: int = 10) -> Pixels:
    image, _ = picture(hand, ground)
    for shape in shapes:
        image[shape] = hand
    return image


def channels(image: Pixels) -> dict[str, Silhouette]:
    return {silhouette.channel: silhouette for silhouette in find_silhouettes(image)}


def likeness(silhouette: Silhouette, truth: Mask) -> float:
    """Returns how much of both masks is common, 0 to 1."""
    y, x = np.mgrid[0 : truth.shape[0], 0 : truth.shape[1]]
    crop = np.rint(silhouette.from_picture(np.stack([x, y], axis=-1).astype(np.float64))).astype(int)
    height, width = silhouette.solid.shape
    inside = (crop[..., 0] >= 0) & (crop[..., 0] < width) & (crop[..., 1] >= 0) & (crop[..., 1] < height)
    shown = silhouette.solid[np.clip(crop[..., 1], 0, height - 1), np.clip(crop[..., 0], 0, width - 1)].astype(bool)
    shown &= inside
    return float((shown & (truth > 0)).sum() / (shown | (truth > 0)).sum())


HAND = (slice(60, 240), slice(100, 280))
TRUTH = (paint(HAND) > 100).astype(np.uint8)


def test_a_bright_hand_is_cut_from_dark_ground() -> None:
    views = channels(paint(HAND))
    assert likeness(views["logarithm"], TRUTH) > 0.97
    assert likeness(views["root"], TRUTH) > 0.97
    assert views["root"].radius == pytest.approx(90 * views["root"].scale, rel=0.03)


def test_a_dark_hand_is_cut_from_bright_ground() -> None:
    assert likeness(channels(paint(HAND, hand=60, ground=220))["dark"], TRUTH) > 0.97


def test_points_come_back_from_the_crop_to_the_picture() -> None:
    silhouette = channels(paint(HAND))["root"]
    points = np.array([[120.0, 80.0], [250.5, 200.25]])
    assert np.allclose(silhouette.to_picture(silhouette.from_picture(points)), points)
    assert silhouette.image.shape[:2] == silhouette.mask.shape == silhouette.solid.shape


def test_a_large_picture_gives_the_same_hand() -> None:
    large = np.asarray(cv2.resize(paint(HAND), None, fx=6, fy=6, interpolation=cv2.INTER_NEAREST), np.uint8)
    silhouette = channels(large)["root"]
    assert max(silhouette.image.shape) <= 330
    wanted = channels(paint(HAND))["root"]
    assert silhouette.radius / silhouette.scale == pytest.approx(6 * wanted.radius / wanted.scale, rel=0.05)


def test_a_small_hand_is_enlarged_but_not_beyond_what_it_shows() -> None:
    assert channels(paint((slice(100, 150), slice(100, 150))))["root"].scale == 2


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(paint((slice(100, 124), slice(100, 124))), id="a spot"),
        pytest.param(paint((slice(10, None), slice(10, None))), id="a picture that is nearly all skin"),
        pytest.param(
            paint((slice(0, 50), slice(None)), (slice(-50, None), slice(None)), (slice(None), slice(0, 60))),
            id="a frame along most of the rim",
        ),
        pytest.param(paint((slice(140, 152), slice(40, 360))), id="a rod"),
    ],
)
def test_what_is_no_hand_by_its_size(image: Pixels) -> None:
    assert not {"root", "logarithm"} & set(channels(image))


def test_all_parts_that_a_channel_sees_are_seen_in_a_picture_of_the_working_size() -> None:
    first, second = (slice(60, 240), slice(20, 200)), (slice(60, 140), slice(250, 330))
    mask, scale = see_parts(paint(first, second), "root")
    assert scale == pytest.approx(320 / WIDTH)
    assert mask.shape == (HEIGHT * 320 // WIDTH, 320)
    assert mask.sum() / scale**2 == pytest.approx(180 * 180 + 80 * 80, rel=0.03)


def test_the_threshold_follows_a_light_that_falls_to_a_quarter() -> None:
    image = paint(HAND, hand=250, ground=0) * np.linspace(1.0, 0.25, WIDTH)
    assert likeness(channels(np.asarray(image, np.uint8))["root"], TRUTH) > 0.98


def test_the_threshold_follows_the_light_at_the_edge_and_not_in_the_palm() -> None:
    image = paint(HAND, hand=250, ground=0) * np.linspace(1.0, 0.25, WIDTH)
    image[146:150, 140:175] = 35  # a crease, brighter than the hand's dark side
    silhouette = channels(np.asarray(image, np.uint8))["root"]
    x, y = np.rint(silhouette.from_picture(np.array([157.0, 148.0]))).astype(int)
    assert silhouette.mask[y, x]


def test_the_threshold_follows_the_light_at_the_edge_and_not_far_out_on_the_ground() -> None:
    angle = paint((slice(20, 280), slice(40, 90)), (slice(230, 280), slice(40, 380)))
    assert likeness(channels(angle)["root"], (angle > 100).astype(np.uint8)) > 0.97


def hole(x: slice, y: slice) -> tuple[bool, bool]:
    """Returns if a hole stays open in the two masks that are filled."""
    mask = np.ones((260, 260), np.uint8)
    mask[y, x] = 0
    filled, solid = fill_holes(mask, MASK_RADIUS)
    return not filled[y, x].all(), not solid[y, x].all()


def test_slivers_of_ground_stay_open_in_the_first_mask_only() -> None:
    assert hole(slice(100, 103), slice(50, 150)) == (True, False)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        pytest.param(slice(100, 103), slice(50, 56), id="a speck"),
        pytest.param(slice(100, 112), slice(50, 110), id="a burnt-out spot"),
        pytest.param(slice(100, 130), slice(50, 150), id="a large burnt-out spot"),
    ],
)
def test_other_holes_are_filled_in_both(x: slice, y: slice) -> None:
    assert hole(x, y) == (False, False)


def test_a_large_web_of_thin_lines_is_filled_in_both() -> None:
    mask = np.ones((260, 260), np.uint8)
    mask[20:240:4, 20:240] = 0
    mask[20:240, 20] = 0
    filled, solid = fill_holes(mask, MASK_RADIUS)
    assert filled.all()
    assert solid.all()


def test_ground_at_the_crops_edge_is_no_hole() -> None:
    mask = np.ones((100, 100), np.uint8)
    mask[:30, 40:60] = 0
    filled, solid = fill_holes(mask, MASK_RADIUS)
    assert np.array_equal(filled, mask)
    assert np.array_equal(solid, mask)


def test_distances_count_from_the_pictures_edge_too() -> None:
    assert measure_distances(np.ones((41, 41), np.uint8)).max() == pytest.approx(21, abs=0.5)


@pytest.mark.parametrize("light", [0.0, 0.4])
def test_colour_alone_shows_a_hand_that_is_as_bright_as_its_ground(light: float) -> None:
    pose = HandPose(hand=170, ground=170, colour=True, light=light)
    truth = draw_hand(replace(pose, hand=250, ground=0, light=0.0, colour=False)).picture > 120
    views = channels(draw_hand(pose).picture)
    for channel in ("skin", "tint", "ground"):
        assert likeness(views[channel], truth.astype(np.uint8)) > 0.95
