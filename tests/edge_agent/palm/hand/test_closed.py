import cv2
import numpy as np
import pytest

from edge_agent.palm.hand.arrays import Mask
from edge_agent.palm.hand.closed import GapEvidence, find_closed_gaps, gather_evidence
from edge_agent.palm.hand.contour import FingerGap
from edge_agent.palm.hand.proportions import MAP_RADIUS
from edge_agent.palm.hand.segment import Silhouette

MAP_SIDE = 140  # px of the picture, which is the map: R is 36 px
MIDDLE = MAP_SIDE // 2
Line = tuple[tuple[int, int], tuple[int, int]]


def draw_lines(*lines: Line, dark: int = 60, ground: tuple[slice, slice] | None = None) -> GapEvidence:
    """Returns the evidence of dark lines on skin, the hand everywhere but on the ground."""
    image = np.full((MAP_SIDE, MAP_SIDE), 160, np.uint8)
    for start, end in lines:
        cv2.line(image, start, end, dark, 2)
    mask: Mask = np.ones((MAP_SIDE, MAP_SIDE), np.uint8)
    if ground is not None:
        mask[ground] = 0
        image[ground] = 10
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.8), np.uint8)
    return gather_evidence(Silhouette("test", image, mask, mask, MAP_RADIUS, 1.0, (0.0, 0.0)))


def clear(evidence: GapEvidence) -> list[FingerGap]:
    """Returns the gaps that lead up and are hardly to be doubted."""
    return [gap for gap in find_closed_gaps(evidence) if gap.direction[1] < -0.9 and gap.depth > 0.9]


def test_a_dark_line_between_fingers_is_a_gap_that_ends_at_the_palm() -> None:
    (gap,) = clear(draw_lines(((MIDDLE, 40), (MIDDLE, 80))))
    assert np.hypot(*(gap.point - (MIDDLE, 80))) < 5
    assert gap.closed
    assert 0.8 < gap.depth <= 1


@pytest.mark.parametrize("lean", [-18, -10, 0, 10, 20])
def test_a_line_between_the_twelve_directions_is_followed_where_it_leads(lean: float) -> None:
    angle = np.radians(lean)
    top = (round(MIDDLE + 50 * np.sin(angle)), round(85 - 50 * np.cos(angle)))
    gap, *_ = clear(draw_lines(((MIDDLE, 85), top)))
    assert np.degrees(np.arctan2(gap.direction[0], -gap.direction[1])) == pytest.approx(lean, abs=6)


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(draw_lines(), id="nothing"),
        pytest.param(draw_lines(((MIDDLE, 40), (MIDDLE, 80)), dark=152), id="a faint line"),
        pytest.param(draw_lines(((MIDDLE, 72), (MIDDLE, 80))), id="a short line"),
        pytest.param(draw_lines(((MIDDLE, 0), (MIDDLE, MAP_SIDE))), id="a line that goes on"),
    ],
)
def test_what_is_no_gap(evidence: GapEvidence) -> None:
    assert not clear(evidence)


def test_skin_without_any_line_has_no_gaps_at_all() -> None:
    assert find_closed_gaps(draw_lines()) == []
    assert find_closed_gaps(draw_lines(((MIDDLE, 72), (MIDDLE, 80)))) == []


def test_a_line_at_the_hands_edge_has_no_finger_on_one_side() -> None:
    line = ((MIDDLE, 40), (MIDDLE, 80))
    assert not clear(draw_lines(line, ground=(slice(None), slice(MIDDLE + 8, None))))


def test_a_ring_may_hide_a_part_of_a_gap_but_not_its_end() -> None:
    end, ring, tip = (MIDDLE, 84), ((MIDDLE, 76), (MIDDLE, 66)), (MIDDLE, 44)
    hidden, *_ = clear(draw_lines((end, ring[0]), (ring[1], tip)))
    assert np.hypot(*(hidden.point - end)) < 5


def test_an_open_bay_is_left_to_the_outline() -> None:
    gaps = find_closed_gaps(draw_lines(ground=(slice(0, 70), slice(60, 80))))
    assert [gap for gap in gaps if gap.direction[1] < -0.9] == []


def test_gaps_side_by_side_and_gaps_of_other_directions_are_all_found() -> None:
    two = clear(draw_lines(((50, 30), (50, 80)), ((90, 30), (90, 80))))
    assert sorted(float(round(gap.point[0], -1)) for gap in two) == [50, 90]
    angled = find_closed_gaps(draw_lines(((60, 40), (60, 80)), ((64, 84), (110, 84))))
    near = [gap for gap in angled if np.hypot(*(gap.point - (62, 82))) < 6 and gap.depth > 0.9]
    assert {(round(gap.direction[0]), round(gap.direction[1])) for gap in near} == {(0, -1), (1, 0)}


def test_levels_are_read_along_a_lines_direction() -> None:
    evidence = draw_lines(((MIDDLE, 40), (MIDDLE, 80)))
    place = np.array([[MIDDLE, 60.0]])
    along, across = (evidence.read_levels(evidence.lines, place, np.array([way])) for way in ((0.0, -1.0), (1.0, 0.0)))
    assert along[0] > 0.9
    assert across[0] < 0.8
    assert evidence.read_levels(evidence.lines, np.array([[20.0, 60]]), np.array([[0.0, -1.0]]))[0] < 0.1


def test_wide_ground_is_a_gap_and_no_line() -> None:
    evidence = draw_lines(ground=(slice(0, 70), slice(60, 80)))
    place, up_way = np.array([[MIDDLE, 30.0]]), np.array([[0.0, -1.0]])
    assert evidence.read_levels(evidence.gaps, place, up_way)[0] > 0.9
    assert evidence.read_levels(evidence.lines, place, up_way)[0] < 0.1


def test_a_sliver_of_ground_is_a_line() -> None:
    evidence = draw_lines(ground=(slice(0, 70), slice(69, 71)))
    place, up_way = np.array([[MIDDLE, 30.0]]), np.array([[0.0, -1.0]])
    assert evidence.read_levels(evidence.lines, place, up_way)[0] > 0.9
