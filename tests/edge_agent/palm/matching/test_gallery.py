from functools import cache

import pytest

from edge_agent.palm.matching.code import COARSE_SIDE, FINE_SIDE, encode
from edge_agent.palm.matching.enrolment import align
from edge_agent.palm.matching.fusion import fuse_frames
from edge_agent.palm.matching.gallery import (
    AmbiguousPalm,
    Candidate,
    NoPalmMatch,
    Palm,
    PalmMatch,
    Snapshot,
    decide,
    empty,
)
from edge_agent.palm.matching.operating_point import OperatingPoint, operating_point
from edge_agent.palm.matching.permutation import identity
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import respond
from edge_agent.palm.types import Hand
from tests.benchmarks import crowd
from tests.edge_agent.palm.made import region, responses, scrambles

PEOPLE = tuple("abcdef")
POINT = OperatingPoint(threshold=0.35, margin=0.04, fpir=0.001, templates=18)


def palm_of(person: str, key: int = 1, hand: Hand = Hand.LEFT) -> Palm:
    return Palm.of(person, hand, align([responses(person, seed) for seed in (1, 2, 3)], hand, scrambles(key)))


@cache
def gallery(key: int = 1) -> Snapshot:
    return empty(scrambles(key)).changed([palm_of(person, key) for person in PEOPLE])


def probe(person: str, seed: int = 9, key: int = 1) -> Probe:
    return Probe(responses(person, seed), scrambles(key))


@pytest.mark.parametrize("person", PEOPLE)
def test_everybody_is_found_and_a_stranger_is_not(person: str) -> None:
    answer = decide(gallery().search(probe(person)), POINT)
    assert isinstance(answer, PalmMatch)
    assert answer.person == person
    assert answer.margin > 0.1
    assert isinstance(decide(gallery().search(probe(person), without=person), POINT), NoPalmMatch)


def test_one_to_one_says_the_same_as_one_to_many() -> None:
    best = gallery().search(probe("a"))[0]
    assert gallery().verify("a", probe("a")) == best.agreement
    assert gallery().verify("b", probe("a")) < 0.3
    assert gallery().verify("nobody", probe("a")) == 0


def test_a_hand_is_looked_for_among_its_own_kind_and_where_that_is_in_vain_among_all() -> None:
    both = gallery().changed([palm_of("g", hand=Hand.UNKNOWN), palm_of("h", hand=Hand.RIGHT)])
    assert [palm.hand for palm in both.palms] == [Hand.LEFT] * 6 + [Hand.UNKNOWN, Hand.RIGHT]
    assert {candidate.person for candidate in both.search(probe("h"), hand=Hand.RIGHT)} == {"g", "h"}
    assert both.search(probe("a"), hand=Hand.LEFT)[0].person == "a"
    for hand in Hand:  # also the one that it is not
        for person in "agh":
            assert both.search(probe(person), hand=hand)[0].person == person


def test_every_key_gives_the_same_ranking() -> None:
    assert gallery(1).search(probe("a", 9, 1)) == gallery(2).search(probe("a", 9, 2))


def test_an_empty_gallery_knows_nobody() -> None:
    nobody = empty(scrambles(1))
    assert nobody.search(probe("a")) == ()
    assert decide((), POINT) == NoPalmMatch(0.0)
    assert nobody.persons == nobody.templates == 0
    assert nobody.changed([], ["x"]).persons == 0


def test_a_change_makes_a_new_snapshot_and_leaves_the_old_one() -> None:
    old = gallery()
    new = old.changed([palm_of("g"), palm_of("a", hand=Hand.RIGHT)], ["b"])
    assert (old.persons, old.templates) == (6, 18)
    assert (new.persons, new.templates) == (6, 21)
    assert new.search(probe("g"))[0].person == "g"
    assert new.search(probe("b"))[0].agreement < 0.3
    assert old.search(probe("b"))[0].person == "b"
    assert len(new.places["a"]) == 2


def test_a_hand_enrolled_again_replaces_the_old_palm() -> None:
    new = gallery().changed([Palm.of("a", Hand.LEFT, align([responses("h", 1)], Hand.LEFT, scrambles(1)))])
    assert new.templates == 16
    assert new.search(probe("h"))[0].person == "a"
    assert new.verify("a", probe("a")) < 0.3


def test_an_erased_palm_is_found_by_nobody() -> None:
    palm = palm_of("a")
    snapshot = empty(scrambles(1)).changed([palm])
    palm.erase()
    assert not palm.fine.any()
    assert isinstance(decide(snapshot.search(probe("a")), POINT), NoPalmMatch)
    assert "array" not in repr(palm)
    assert "array" not in repr(snapshot)


@pytest.mark.parametrize(
    ("agreements", "kind"),
    [
        ((), NoPalmMatch),
        ((0.3,), NoPalmMatch),
        ((0.5,), PalmMatch),
        ((0.5, 0.45), PalmMatch),
        ((0.5, 0.47), AmbiguousPalm),
    ],
)
def test_the_decision(agreements: tuple[float, ...], kind: type) -> None:
    ranking = tuple(Candidate(f"p{at}", agreement) for at, agreement in enumerate(agreements))
    assert isinstance(decide(ranking, POINT), kind)


def test_an_ambiguous_answer_names_those_who_are_near() -> None:
    ranking = (Candidate("a", 0.5), Candidate("b", 0.48), Candidate("c", 0.4))
    assert decide(ranking, POINT) == AmbiguousPalm(ranking[:2])


def test_a_larger_gallery_asks_for_more_and_says_so() -> None:
    small, large = operating_point(100), operating_point(36_000)
    assert small.threshold < large.threshold
    assert "36000 templates" in str(large)
    with pytest.raises(ValueError, match="between 0 and 1"):
        operating_point(10, fpir=0)


def test_frames_are_averaged() -> None:
    one, two = (Candidate("a", 0.5), Candidate("b", 0.2)), (Candidate("a", 0.3),)
    assert fuse_frames([one, two]) == (Candidate("a", 0.4), Candidate("b", 0.1))
    assert fuse_frames([]) == ()
    with pytest.raises(ValueError, match="3 at most"):
        fuse_frames([one] * 4)


def test_sieve_and_sketch_lose_nobody_whom_exhaustive_search_names() -> None:
    """640 palms: drawn ones, each in its eight mirrorings and quarter turns, which are as many strangers."""
    plain = identity()
    palms = []
    for person in range(80):
        code = encode(respond(region(f"x{person}", None, 1)), Hand.LEFT)
        for way in range(8):
            fine, coarse = crowd.lay(code.fine[None], FINE_SIDE, way), crowd.lay(code.coarse[None], COARSE_SIDE, way)
            palms.append(crowd.palm(f"x{person}/{way}", Hand.LEFT, fine, coarse, plain, samples=1))
    everybody = empty(plain).changed(palms)
    assert len(palms) == 640  # more than the first look's sieve lets pass
    for person in range(0, 80, 32):
        moved = Probe(respond(region(f"x{person}", None, 2)), plain)
        assert everybody.search(moved)[0] == everybody.search_exhaustively(moved)[0]
        assert everybody.search(moved)[0].person == f"x{person}/0"
