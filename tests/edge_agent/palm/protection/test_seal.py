from os import urandom

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.palm.matching.code import encode
from edge_agent.palm.matching.enrolment import align
from edge_agent.palm.matching.gallery import Palm, empty
from edge_agent.palm.matching.permutation import protect
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import respond
from edge_agent.palm.protection.school_key import SchoolKey
from edge_agent.palm.protection.seal import PADDED_TO, Purpose, Unsealable, seal, unseal
from edge_agent.palm.types import Hand, Region
from tests.edge_agent.palm.made import region, responses

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


def seal_as_an_old_kiosk(people: dict[str, Hand]) -> list[bytes]:
    """Seals palms as kiosks did that cut the regions of right hands mirrored, byte by byte."""
    scrambles = KEY.scrambles()
    parcels = []
    for person, hand in people.items():
        cells = b""
        for seed in (1, 2, 3):
            seen = region(person, None, seed)
            if hand is Hand.RIGHT:
                seen = Region(np.fliplr(seen.grey).copy(), np.fliplr(seen.mask).copy(), hand)
            kept = protect(encode(respond(seen), hand), scrambles)
            cells += kept.fine.tobytes() + kept.coarse.tobytes()
        name = person.encode()
        body = bytes((("unknown", "left", "right").index(hand), 3)) + len(name).to_bytes(2, "big") + name + cells
        body += bytes(-len(body) % PADDED_TO)
        bound = b"PSL\x01" + (8).to_bytes(2, "big") + b"school-1" + b"at-rest"
        parcels.append(b"PSL\x01" + bytes(12) + KEY.sealing().encrypt(bytes(12), body, bound))
    return parcels


def test_the_store_of_an_old_kiosk_still_names_everybody() -> None:
    people = {"a": Hand.LEFT, "b": Hand.RIGHT, "c": Hand.UNKNOWN, "d": Hand.RIGHT}
    opened = [unseal(sealed, KEY, "school-1", Purpose.AT_REST) for sealed in seal_as_an_old_kiosk(people)]
    assert [(palm.person, palm.hand) for palm in opened] == list(people.items())
    gallery = empty(KEY.scrambles()).changed(opened)
    for person in people:
        best = gallery.search(Probe(responses(person, 9), KEY.scrambles()))[0]
        assert best.person == person
        assert best.agreement > 0.4


@given(st.sampled_from(Hand))
def test_sealing_turns_no_cell_round(hand: Hand) -> None:
    palm = Palm("p", hand, PALM.fine, PALM.coarse)
    back = unseal(seal(palm, KEY, "school-1", Purpose.AT_REST, urandom), KEY, "school-1", Purpose.AT_REST)
    assert np.array_equal(back.fine, palm.fine)
    assert np.array_equal(back.coarse, palm.coarse)
