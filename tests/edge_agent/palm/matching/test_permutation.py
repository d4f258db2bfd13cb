import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.palm.matching.code import LINES, VALID, Cells, encode
from edge_agent.palm.matching.match import compare, unlock
from edge_agent.palm.matching.permutation import draw, identity, protect
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.types import Hand
from tests.edge_agent.palm.made import responses, scrambles


def cells(seed: int) -> Cells:
    dice = np.random.default_rng(seed)
    return np.where(dice.random(1024) < 0.8, dice.integers(0, 64, 1024) | VALID, 0).astype(np.uint8)


@given(st.integers(0, 2**32), st.integers(0, 50))
def test_distances_survive(seed: int, key: int) -> None:
    one, other, scramble = cells(seed), cells(seed + 1), scrambles(key).fine
    kept = scramble.unpad(scramble.protect(one)), scramble.unpad(scramble.protect(other))
    for left, right in ((kept[0], one[scramble.order]), (kept[1], other[scramble.order])):
        assert np.array_equal(left, right)


def test_the_same_stream_draws_the_same_and_another_does_not() -> None:
    code = encode(responses("a"), Hand.LEFT)
    one, same, other = scrambles(1), draw(np.random.default_rng(1).bytes), scrambles(2)
    assert np.array_equal(protect(code, one).fine, protect(code, same).fine)
    assert np.mean(protect(code, one).fine == protect(code, other).fine) < 0.05


def test_what_is_kept_shows_neither_lines_nor_mask() -> None:
    """Over many keys each kept bit is set half of the time, whether its cell showed palm or not."""
    empty = np.zeros(1024, np.uint8)
    kept = np.stack([scrambles(key).fine.protect(empty) for key in range(40)])
    share = np.unpackbits(kept).mean()
    assert 0.49 < share < 0.51


def test_schools_cannot_be_linked() -> None:
    """The same picture under two keys is no more like itself than a stranger is."""
    mated: list[float] = []
    strangers: list[float] = []
    for person in "abcdef":
        for other in "abcdef":
            kept = protect(encode(responses(other), Hand.LEFT), scrambles(11))
            templates = unlock(kept.fine[None], kept.coarse[None], scrambles(12).fine, scrambles(12).coarse)
            likeness = compare(Probe(responses(person), scrambles(12)), templates)[0].agreement
            (mated if person == other else strangers).append(likeness)
    assert max(mated) < 0.2
    assert abs(np.mean(mated) - np.mean(strangers)) < 0.05


def test_kept_bits_of_two_keys_agree_by_chance() -> None:
    code = encode(responses("a"), Hand.LEFT)
    one, other = protect(code, scrambles(21)), protect(code, scrambles(22))
    differing = np.unpackbits((one.fine ^ other.fine) & np.uint8(LINES)).sum() / (6 * 1024)
    assert 0.46 < differing < 0.54


def test_erased_is_zero_and_nothing_is_in_a_repr() -> None:
    kept = protect(encode(responses("a"), Hand.LEFT), scrambles(1))
    assert "array" not in repr(kept)
    assert "array" not in repr(scrambles(1))
    kept.erase()
    assert not kept.fine.any()
    assert not kept.coarse.any()


def test_identity_changes_nothing() -> None:
    code = encode(responses("a"), Hand.LEFT)
    kept = protect(code, identity())
    assert np.array_equal(kept.fine, code.fine)
    assert np.array_equal(identity().fine.unpad(kept.fine), code.fine)
