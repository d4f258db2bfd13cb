import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.palms import DrawnHandView
from edge_agent.palm.matching import bits
from edge_agent.palm.matching.code import Cells, encode
from edge_agent.palm.matching.match import Likeness, agreement, compare, find_poses, unlock
from edge_agent.palm.matching.permutation import Scrambles, identity, protect
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import Responses, respond
from edge_agent.palm.types import Hand, Region
from tests.edge_agent.palm.made import creaseless, region, responses, scrambles

ALIKE = 0.4  # well above any stranger
STRANGE = 0.3  # what strangers stay below


def against(probe: Responses, template: Responses, key: Scrambles | None = None) -> Likeness:
    key = key or identity()
    kept = protect(encode(template, Hand.LEFT), key)
    templates = unlock(kept.fine[None], kept.coarse[None], key.fine, key.coarse)
    return compare(Probe(probe, key), templates)[0]


def test_a_picture_is_like_itself_and_lies_where_it_lies() -> None:
    found = against(responses("a"), responses("a"))
    assert found.agreement > 0.95
    assert abs(found.pose.turn_deg) <= 1.25
    assert found.pose.scale == pytest.approx(1, abs=0.02)
    assert abs(found.pose.dx) <= 2
    assert abs(found.pose.dy) <= 2


@settings(max_examples=12, deadline=None)
@given(turn=st.floats(-15, 15), scale=st.floats(0.87, 1.15), dx=st.floats(-0.12, 0.12), dy=st.floats(-0.12, 0.12))
def test_a_moved_hand_is_still_the_same(turn: float, scale: float, dx: float, dy: float) -> None:
    moved = respond(region("a", DrawnHandView(turn_deg=turn, scale=scale, dx=dx, dy=dy, noise=2)))
    assert against(moved, respond(region("a", DrawnHandView(noise=2), seed=1))).agreement > ALIKE


@settings(max_examples=8, deadline=None)
@given(gain=st.floats(0.4, 1.15), slope=st.floats(-0.5, 0.5), noise=st.floats(0, 4))
def test_light_and_noise_do_not_make_a_stranger(gain: float, slope: float, noise: float) -> None:
    lit = respond(region("a", DrawnHandView(light=gain, slope=slope, noise=noise)))
    assert against(lit, responses("a", 7)).agreement > ALIKE


@settings(max_examples=8, deadline=None)
@given(left=st.integers(0, 32), top=st.integers(0, 32))
def test_a_half_covered_palm_is_recognised_by_the_rest(left: int, top: int) -> None:
    whole = region("a", None, 3)
    grey, mask = whole.grey.copy(), whole.mask.copy()
    mask[:top], mask[:, :left] = False, False
    grey[~mask] = 255
    assert against(respond(Region(grey, mask, Hand.LEFT)), responses("a", 4)).agreement > STRANGE


def test_strangers_and_mirrored_palms_are_not_alike() -> None:
    for other in "bcdefgh":
        assert against(responses("a"), responses(other)).agreement < 0.3
    whole = region("a", None, 5)
    mirrored = Region(whole.grey[:, ::-1].copy(), whole.mask[:, ::-1].copy(), Hand.LEFT)
    assert against(respond(mirrored), responses("a", 6)).agreement < 0.3


def test_skin_without_creases_is_known_where_it_lies_upright() -> None:
    days = [[respond(creaseless(skin, day)) for day in (1, 2)] for skin in range(12)]
    same = [against(second, first) for first, second in days]
    assert min(each.agreement for each in same) > ALIKE
    assert max(abs(each.pose.turn_deg) for each in same) < 2.5
    others = [against(second, days[at - 1][0]) for at, (_, second) in enumerate(days)]
    assert max(each.agreement for each in others) < STRANGE


def test_a_pair_is_never_less_alike_than_the_plain_code_upright() -> None:
    for one, other in [("a", "a"), ("a", "b"), ("c", "d")]:
        first, second = (encode(responses(name, seed), Hand.LEFT) for name, seed in ((one, 1), (other, 2)))
        upright = agreement(first.fine[None], second.fine)[0]
        assert against(responses(one, 1), responses(other, 2)).agreement >= upright


def test_nothing_is_like_nothing() -> None:
    blank = respond(Region(np.zeros((128, 128), np.uint8), np.zeros((128, 128), np.bool_), Hand.LEFT))
    flat = respond(Region(np.full((128, 128), 90, np.uint8), np.ones((128, 128), np.bool_), Hand.LEFT))
    for one in (blank, flat):
        assert against(one, responses("a")).agreement < 0.3
        assert against(responses("a"), one).agreement < 0.3
    assert against(blank, blank).agreement == 0


@pytest.mark.parametrize("person", ["a", "b"])
def test_the_permuted_comparison_equals_the_plain_one_to_the_last_bit(person: str) -> None:
    probe = responses("a", 1)
    plain = against(probe, responses(person, 2))
    for seed in range(3):
        assert against(probe, responses(person, 2), scrambles(seed)) == plain
    found = []
    for key in (identity(), scrambles(1)):
        kept = [protect(encode(responses(person, seed), Hand.LEFT), key) for seed in (2, 3)]
        fine, coarse = np.stack([code.fine for code in kept]), np.stack([code.coarse for code in kept])
        found.append(find_poses(Probe(probe, key), unlock(fine, coarse, key.fine, key.coarse)))
    assert np.array_equal(found[0].starts, found[1].starts)
    assert np.array_equal(found[0].hints, found[1].hints)


def slow_agreement(one: Cells, other: Cells) -> float:
    """By the definition, bit by bit."""
    both = [(a, b) for a, b in zip(one.tolist(), other.tolist(), strict=True) if a & b & 0x40]
    if len(both) < 0.35 * len(one):
        return -1.0
    differing = sum(((a ^ b) & 0x3F).bit_count() for a, b in both)
    return float((1 - 2 * differing / (6 * len(both))) * min(1, len(both) / len(one) / 0.8) ** 0.5)


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32), share=st.floats(0, 1))
def test_agreement_is_what_its_definition_says(seed: int, share: float) -> None:
    dice = np.random.default_rng(seed)
    valid = dice.random((2, 256)) < share
    cells = np.where(valid, dice.integers(0, 64, (2, 256)) | 0x40, 0).astype(np.uint8)
    assert agreement(cells[:1], cells[1])[0] == pytest.approx(slow_agreement(cells[0], cells[1]))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_bits_are_counted_alike_with_and_without_numpy_2(words: list[int]) -> None:
    array = np.array(words, np.uint64)
    expected = [word.bit_count() for word in words]
    assert bits._count_by_table(array).tolist() == expected
    assert bits.count(array).tolist() == expected
