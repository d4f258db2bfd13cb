from os import urandom

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.palm.matching.enrolment import align
from edge_agent.palm.matching.gallery import Palm
from edge_agent.palm.protection.school_key import SchoolKey
from edge_agent.palm.protection.seal import PADDED_TO, Purpose, Unsealable, seal, unseal
from edge_agent.palm.types import Hand
from tests.edge_agent.palm.made import responses

KEY = SchoolKey(bytes(range(32)))
PALM = Palm.of("pupil-ä", Hand.RIGHT, align([responses("a", seed) for seed in (1, 2)], Hand.RIGHT, KEY.scrambles()))
SEALED = seal(PALM, KEY, "school-1", Purpose.EXPORT, urandom)


def test_a_palm_comes_out_as_it_went_in() -> None:
    palm = unseal(SEALED, KEY, "school-1", Purpose.EXPORT)
    assert (palm.person, palm.hand) == (PALM.person, PALM.hand)
    assert np.array_equal(palm.fine, PALM.fine)
    assert np.array_equal(palm.coarse, PALM.coarse)
    palm.erase()


def test_the_relay_sees_neither_whose_it_is_nor_twice_the_same() -> None:
    assert b"pupil" not in SEALED
    assert PALM.fine[0].tobytes()[:16] not in SEALED
    assert seal(PALM, KEY, "school-1", Purpose.EXPORT, urandom)[4:] != SEALED[4:]
    one = Palm.of("p", Hand.LEFT, align([responses("a", 1)], Hand.LEFT, KEY.scrambles()))
    assert len(seal(one, KEY, "school-1", Purpose.EXPORT, urandom)) == len(SEALED) == 32 + PADDED_TO


@pytest.mark.parametrize(
    ("key", "school", "purpose"),
    [
        (SchoolKey(bytes(32)), "school-1", Purpose.EXPORT),
        (KEY, "school-2", Purpose.EXPORT),
        (KEY, "school-1", Purpose.AT_REST),
    ],
)
def test_it_opens_for_nobody_else(key: SchoolKey, school: str, purpose: Purpose) -> None:
    with pytest.raises(Unsealable):
        unseal(SEALED, key, school, purpose)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at: int, flip: int) -> None:
    changed = bytearray(SEALED)
    changed[at] ^= flip
    with pytest.raises(Unsealable):
        unseal(bytes(changed), KEY, "school-1", Purpose.EXPORT)


@given(st.binary(max_size=200))
def test_rubbish_is_refused(raw: bytes) -> None:
    with pytest.raises(Unsealable):
        unseal(raw, KEY, "school-1", Purpose.EXPORT)
    with pytest.raises(Unsealable):
        unseal(SEALED[:4] + raw, KEY, "school-1", Purpose.EXPORT)


def test_a_person_without_a_name_cannot_be_sealed() -> None:
    with pytest.raises(ValueError, match="0 bytes"):
        seal(Palm("", Hand.LEFT, PALM.fine, PALM.coarse), KEY, "school-1", Purpose.EXPORT, urandom)
