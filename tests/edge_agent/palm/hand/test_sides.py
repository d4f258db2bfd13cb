"""Which hand a picture seems to show never decides whose palm it is."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.palm.hand import region as framing
from edge_agent.palm.hand.region import FramedPalm, find_region
from edge_agent.palm.matching.code import encode
from edge_agent.palm.matching.match import compare, unlock
from edge_agent.palm.matching.permutation import identity, protect
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import Responses, respond
from edge_agent.palm.types import Hand
from tests.edge_agent.palm.hand.test_real_hands import SAMPLES, pictures, turned
from tests.edge_agent.palm.hands import HandPose, draw_hand

ALIKE = 0.4  # well above any stranger


def agreement(one: Responses, other: Responses) -> float:
    kept = protect(encode(other, Hand.UNKNOWN), identity())
    templates = unlock(kept.fine[None], kept.coarse[None], identity().fine, identity().coarse)
    return compare(Probe(one, identity()), templates)[0].agreement


@pytest.mark.parametrize("side", list(Hand))
@settings(max_examples=6, deadline=None, derandomize=True)
@given(turn=st.floats(0, 360), right=st.booleans())
def test_a_side_that_is_told_wrongly_moves_no_pixel(side: Hand, turn: float, right: bool) -> None:
    picture = draw_hand(HandPose(turn_deg=turn, right=right, scale=80)).picture
    told = find_region(picture)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "name_hand", lambda valleys, gaps: side)
        misled = find_region(picture)
    assert isinstance(told, FramedPalm)
    assert isinstance(misled, FramedPalm)
    assert misled.region.hand is side
    assert np.array_equal(told.region.grey, misled.region.grey)
    assert np.array_equal(told.region.mask, misled.region.mask)


@pytest.mark.parametrize("name", ["full_nir_hand", "full_polyu2"])
def test_no_pair_of_a_palm_is_lost_at_any_angle(name: str) -> None:
    palms: dict[str, list[Responses]] = {}
    for number, (identity_, picture) in enumerate(pictures(name, SAMPLES[name][:4])):
        for quarter in range(3):
            palm = find_region(turned(picture, 360 / 3 * quarter + 31.0 * number))
            assert isinstance(palm, FramedPalm), (identity_, palm)
            palms.setdefault(identity_, []).append(respond(palm.region))
    for identity_, seen in palms.items():
        assert min(agreement(one, other) for one, other in combinations(seen, 2)) > ALIKE, identity_
