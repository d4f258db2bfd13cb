import math

import cv2
import numpy as np
import pytest

from edge_agent.palm.hand.arrays import Mask
from edge_agent.palm.hand.contour import (
    FingerGap,
    find_flat_bottoms,
    find_open_gaps,
    measure_concavity,
    trace_outline,
)

OUTLINE_RADIUS = 60.0  # px


def fill(*polygons: list[tuple[float, float]]) -> Mask:
    mask = np.zeros((300, 300), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.array(polygon, np.int32)], 1)
    return mask


def box(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def corner(x: float, lean: float, depth: float = 0.8) -> FingerGap:
    """Returns a bay at (x R, 0) that leads up, leaning to the right by radians."""
    return FingerGap(np.array([x * OUTLINE_RADIUS, 0.0]), np.array([math.sin(lean), -math.cos(lean)]), depth)


def disk(radius: int) -> Mask:
    mask = np.zeros((300, 300), np.uint8)
    cv2.circle(mask, (150, 150), radius, 1, -1)
    return mask


def test_an_outline_runs_clockwise_by_steps_of_a_pixel() -> None:
    outline = trace_outline(fill(box(50, 60, 200, 220)), OUTLINE_RADIUS)
    x, y = outline.T
    assert np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0
    steps = np.hypot(*(np.roll(outline, -1, axis=0) - outline).T)
    assert np.allclose(steps, 1, atol=0.1)
    assert abs(len(outline) - 2 * (150 + 160)) < 20


@pytest.mark.parametrize("radius", [20.0, 60.0])
def test_an_outline_is_smoothed_by_a_pixel_at_least_also_on_a_small_hand(radius: float) -> None:
    outline = trace_outline(fill(box(50, 60, 200, 220)), radius)
    assert 0.5 < np.hypot(*(outline - (50, 60)).T).min() < 1.5


def test_a_bay_is_as_deep_as_its_chord_lies_above_it() -> None:
    angle = np.arange(360) * math.pi / 180
    circle = 100 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert (measure_concavity(circle, 20) < 0).all()
    assert np.allclose(measure_concavity(circle[::-1], 20), -measure_concavity(circle, 20)[::-1])


def test_a_round_shape_has_no_bay() -> None:
    assert find_open_gaps(trace_outline(disk(80), OUTLINE_RADIUS), OUTLINE_RADIUS) == []


def test_the_bay_between_two_fingers_leads_to_their_tips() -> None:
    hand = fill(box(60, 150, 220, 260), box(70, 40, 130, 160), box(145, 40, 210, 160))
    gaps = find_open_gaps(trace_outline(hand, OUTLINE_RADIUS), OUTLINE_RADIUS)
    deepest = max(gaps, key=lambda gap: gap.depth)
    assert np.hypot(*(deepest.point - (137, 150))) < 8
    assert deepest.direction[1] < -0.95


def test_a_line_of_a_few_points_has_no_bays() -> None:
    for count, bays in ((12, 0), (24, 1)):
        angle = np.arange(count) * 2 * math.pi / count
        radius = np.where(np.abs(angle - 1) < 0.1, 1.0, 5.0)
        notched = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        assert len(find_open_gaps(notched, 4.0)) == bays


def test_two_bays_that_face_each_other_are_the_corners_of_a_web() -> None:
    (web,) = find_flat_bottoms([corner(0, 0.5), corner(0.6, -0.5, depth=0.5)], OUTLINE_RADIUS)
    assert np.allclose(web.point, (0.3 * OUTLINE_RADIUS, 0))
    assert np.allclose(web.direction, (0, -1))
    assert web.flat
    assert 0 < web.depth < 0.5


@pytest.mark.parametrize(
    "corners",
    [
        pytest.param((corner(0, 0.5), corner(0.1, -0.5)), id="one corner"),
        pytest.param((corner(0, 0.5), corner(1.1, -0.5)), id="two fingers apart"),
        pytest.param((corner(0, 1.3), corner(0.6, -1.3)), id="opening against each other"),
        pytest.param((corner(0, 0.05), corner(0.6, -0.05)), id="each opening straight up"),
        pytest.param((corner(0, -0.5), corner(0.6, 0.5)), id="back to back"),
        pytest.param((corner(0, 1.2), corner(0.6, -0.2)), id="opening aslant"),
    ],
)
def test_two_bays_that_are_no_web(corners: tuple[FingerGap, FingerGap]) -> None:
    assert find_flat_bottoms(list(corners), OUTLINE_RADIUS) == []


def test_a_flat_bottom_is_found_in_an_outline() -> None:
    hand = fill(box(40, 150, 260, 260), box(50, 40, 120, 160), box(160, 40, 250, 160))
    gaps = find_open_gaps(trace_outline(hand, OUTLINE_RADIUS), OUTLINE_RADIUS)
    (web,) = (gap for gap in gaps if gap.flat)
    assert np.hypot(*(web.point - (140, 150))) < 8
