import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.palms import DrawnHandView
from edge_agent.palm.matching.code import CODE_BYTES, LINES, VALID, NotAPalmCode, PalmCode, encode
from edge_agent.palm.matching.responses import respond
from edge_agent.palm.types import Hand, Region
from tests.edge_agent.palm.made import region, responses


def differing(one: PalmCode, other: PalmCode) -> float:
    """Share of the bits that differ where both show palm."""
    both = (one.fine & other.fine & VALID) > 0
    bits = np.unpackbits(((one.fine ^ other.fine) & np.uint8(LINES))[both])
    return float(bits.sum() / (6 * both.sum()))


def test_a_code_goes_through_bytes_and_stays_under_2_kib() -> None:
    code = encode(responses("a"), Hand.LEFT)
    raw = code.to_bytes()
    assert len(raw) == CODE_BYTES <= 2048
    again = PalmCode.from_bytes(raw)
    assert again.hand is Hand.LEFT
    assert np.array_equal(again.fine, code.fine)
    assert np.array_equal(again.coarse, code.coarse)
    assert again.to_bytes() == raw


def test_nothing_of_a_palm_is_in_a_repr() -> None:
    assert "array" not in repr(encode(responses("a"), Hand.LEFT))
    assert "array" not in repr(region("a"))
    assert "array" not in repr(responses("a"))


@given(st.binary(max_size=CODE_BYTES + 10))
def test_rubbish_is_refused(raw: bytes) -> None:
    with pytest.raises(NotAPalmCode):
        PalmCode.from_bytes(raw)


@given(st.data())
def test_a_changed_byte_is_refused_or_is_the_code_of_those_bytes(data: st.DataObject) -> None:
    raw = bytearray(encode(responses("a"), Hand.LEFT).to_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    try:
        code = PalmCode.from_bytes(bytes(raw))
    except NotAPalmCode:
        return
    assert code.to_bytes() == bytes(raw)


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [(0, 0x51, "begin"), (2, 2, "version 2"), (3, 9, "hand"), (7, 1, "header"), (8, 0x80, "bit"), (9, 0x3F, "bit")],
)
def test_a_refusal_says_what_is_wrong(at: int, value: int, says: str) -> None:
    raw = bytearray(encode(responses("a"), Hand.LEFT).to_bytes())
    raw[at] = value
    with pytest.raises(NotAPalmCode, match=says):
        PalmCode.from_bytes(bytes(raw))


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.4, 1.15), slope=st.floats(-0.5, 0.5))
def test_light_changes_few_bits(gain: float, slope: float) -> None:
    plain = encode(respond(region("a", DrawnHandView())), Hand.LEFT)
    lit = encode(respond(region("a", DrawnHandView(light=gain, slope=slope))), Hand.LEFT)
    assert differing(plain, lit) < 0.08


def test_people_differ() -> None:
    assert differing(encode(responses("a"), Hand.LEFT), encode(responses("b"), Hand.LEFT)) > 0.35


def test_what_is_no_palm_has_no_cell_and_changes_none_far_from_it() -> None:
    whole = region("a", DrawnHandView())
    grey, mask = whole.grey.copy(), whole.mask.copy()
    grey[:, :40], mask[:, :40] = 255, False
    code, reference = encode(respond(Region(grey, mask, Hand.LEFT)), Hand.LEFT), encode(respond(whole), Hand.LEFT)
    cells = code.fine.reshape(32, 32)
    assert not cells[:, :10].any()
    assert (cells[:, 11:] & VALID).all()
    assert code.coverage == pytest.approx(np.count_nonzero(cells) / 1024)
    far = (cells ^ reference.fine.reshape(32, 32))[:, 20:]
    assert np.unpackbits(far & np.uint8(LINES)).sum() / (6 * far.size) < 0.03


def test_an_empty_region_has_an_empty_code() -> None:
    nothing = Region(np.zeros((128, 128), np.uint8), np.zeros((128, 128), np.bool_), Hand.UNKNOWN)
    assert encode(respond(nothing), Hand.UNKNOWN).coverage == 0
