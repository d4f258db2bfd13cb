import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.palm.matching.bend import ACROSS, fitted, straighten
from edge_agent.palm.matching.code import encode
from edge_agent.palm.matching.match import agreement, compare, unlock
from edge_agent.palm.matching.permutation import identity, protect
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import UPRIGHT, Bend, quadratic, respond, straight
from edge_agent.palm.types import Hand, Region
from tests.edge_agent.palm.made import region, responses


def bent(whole: Region, bend: Bend) -> Region:
    """What a camera sees of skin of which the point p lies at p + bend(p)."""
    along = np.arange(128) - 63.5
    x, y = np.meshgrid(along, along)
    # The other way round, by a few rounds of fixed-point iteration: where on the flat skin is what is seen at (x, y)?
    flat_x, flat_y = x, y
    for _ in range(20):
        off = quadratic(flat_x, flat_y) @ bend
        flat_x, flat_y = x - off[..., 0], y - off[..., 1]
    places = (flat_x + 63.5).astype(np.float32), (flat_y + 63.5).astype(np.float32)
    grey = cv2.remap(whole.grey, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return Region(np.asarray(grey, np.uint8), whole.mask, Hand.LEFT)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_bent_skin_is_laid_straight(seed: int) -> None:
    bend = np.random.default_rng(seed).uniform(-2.5, 2.5, (6, 2))  # px at the region's rim, and all of them in a corner
    kept = protect(encode(responses("a", 1), Hand.LEFT), identity())
    seen = respond(bent(region("a", None, 1), bend))
    templates = unlock(kept.fine[None], kept.coarse[None], identity().fine, identity().coarse)
    (laid,) = compare(Probe(seen, identity()), templates)
    assert laid.agreement > 0.5
    assert laid.agreement > agreement(encode(seen, Hand.LEFT).fine[None], kept.fine)[0]


def test_the_pose_is_the_plain_part_of_the_bend() -> None:
    turn, scale = np.radians(4.0), 1.05
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) - np.eye(2)
    bend = np.zeros((6, 2))
    bend[1], bend[2] = linear[:, 0] * 64, linear[:, 1] * 64
    probe = Probe(respond(bent(region("a", None, 1), bend)), identity())
    _, pose = straighten(probe, encode(responses("a", 1), Hand.LEFT).fine, UPRIGHT, straight())
    assert pose.turn_deg == pytest.approx(4, abs=0.5)
    assert pose.scale == pytest.approx(1.05, abs=0.01)
    assert max(abs(pose.dx), abs(pose.dy)) < 1


def test_a_stranger_gains_little() -> None:
    for other in "bcdefgh":
        laid, _ = straighten(
            Probe(responses("a"), identity()), encode(responses(other), Hand.LEFT).fine, UPRIGHT, straight()
        )
        assert laid < 0.3


def test_blocks_that_say_where_they_lie_are_believed_as_far_as_they_are_sure() -> None:
    """All blocks agree one place to the right of the middle; the last one, unsure, two places up."""
    compared = np.full((25, ACROSS**2), 64, np.float32)
    agreeing = np.zeros_like(compared)
    agreeing[13] = 40
    agreeing[:, -1] = 0
    agreeing[2, -1] = 4
    bend = fitted((compared, agreeing), 2, 2.0)
    middle = quadratic(np.zeros(1), np.zeros(1)) @ bend
    assert middle[0] == pytest.approx([2, 0], abs=0.2)


def test_nothing_to_compare_bends_nothing() -> None:
    empty = np.zeros((25, ACROSS**2), np.float32)
    assert not fitted((empty, empty), 2, 2.0).any()
    blank = Region(np.zeros((128, 128), np.uint8), np.zeros((128, 128), np.bool_), Hand.LEFT)
    laid, pose = straighten(
        Probe(respond(blank), identity()), encode(responses("a"), Hand.LEFT).fine, UPRIGHT, straight()
    )
    assert (laid, pose) == (0.0, UPRIGHT)
