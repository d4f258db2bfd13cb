import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.palm.hand.cutout import NotARegion, read_cutout
from edge_agent.palm.types import Hand


@pytest.mark.parametrize("shape", [(128, 128), (150, 150, 3), (64, 64, 1), (300, 260, 4), (33, 128)])
def test_any_size_and_colour_becomes_a_region(shape: tuple[int, ...]) -> None:
    region = read_cutout(np.full(shape, 120, np.uint8), Hand.RIGHT)
    assert region.grey.shape == region.mask.shape == (128, 128)
    assert region.grey.dtype == np.uint8
    assert region.hand is Hand.RIGHT
    assert np.all(region.grey[region.mask] == 120)


def test_sixteen_bits_are_read() -> None:
    region = read_cutout(np.full((90, 90), 40_000, np.uint16))
    assert region.grey[64, 64] == 40_000 >> 8


def test_an_oblong_picture_is_not_stretched() -> None:
    region = read_cutout(np.full((100, 50), 120, np.uint8))
    assert region.mask[:, 32:96].all()
    assert not region.mask[:, :32].any()


def test_black_padding_is_masked_and_a_dark_spot_in_the_palm_is_not() -> None:
    picture = np.full((128, 128), 120, np.uint8)
    picture[:30, 90:] = 0
    picture[60:80, 60:80] = 0
    region = read_cutout(picture)
    assert not region.mask[:30, 90:].any()
    assert region.mask[60:80, 60:80].all()
    assert region.mask[100:].all()


def test_a_dark_picture_is_no_padding() -> None:
    assert read_cutout(np.zeros((128, 128), np.uint8)).mask.all()


@given(
    st.lists(st.integers(0, 40), min_size=0, max_size=4),
    st.sampled_from([np.uint8, np.uint16, np.float32, np.bool_, np.int64, np.complex64]),
)
def test_what_is_no_picture_is_refused_by_name(shape: list[int], dtype: type) -> None:
    try:
        region = read_cutout(np.zeros(shape, dtype))
    except NotARegion:
        return
    assert region.grey.shape == (128, 128)
