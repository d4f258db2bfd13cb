"""The search from coarse to fine answers as comparing everybody would, in small; `palm_exhaustive` among the benchmarks
does the same with thousands of palms."""

import numpy as np

from edge_agent.palm.matching.code import COARSE_SIDE, FINE_SIDE, encode
from edge_agent.palm.matching.gallery import Palm, PalmMatch, Ranking, decide, empty
from edge_agent.palm.matching.operating_point import operating_point
from edge_agent.palm.matching.permutation import protect
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import respond
from edge_agent.palm.types import Hand
from tests.benchmarks import crowd
from tests.edge_agent.palm.made import creaseless, scrambles
from tests.outside import skip_without_palms

PEOPLE = 300  # more palms of one hand than the sieve lets pass
OF_EACH_SET = 1
CREASELESS = 120  # palms, of which the coarse code would let a dozen through by chance
POINT = operating_point(36_000)


def sets() -> list[str]:
    """Return the sets of cut regions that are at hand."""
    return crowd.present(crowd.SETS) or skip_without_palms(*crowd.SETS)


def said(ranking: Ranking) -> str:
    answer = decide(ranking, POINT)
    return answer.person if isinstance(answer, PalmMatch) else type(answer).__name__


def test_search_and_comparison_with_everybody_give_the_same_answers_for_real_palms() -> None:
    known = crowd.known(sets(), OF_EACH_SET)
    gallery = crowd.school(known, PEOPLE, scrambles(1), samples=2)
    assert len(gallery.palms) == 2 * PEOPLE
    differing = []
    for n, each in enumerate(known):
        picture = each.probes[n % len(each.probes)]
        probe = Probe(picture.responses(), gallery.scrambles)
        everybody = gallery.search_exhaustively(probe)
        others = tuple(candidate for candidate in everybody if candidate.person != each.name)
        for hand in Hand:  # also the one that it is not
            pairs = (gallery.search(probe, hand=hand), everybody), (gallery.search(probe, each.name, hand), others)
            differing += [(each.name, picture.name, said(a), said(b)) for a, b in pairs if said(a) != said(b)]
    assert differing == []


def test_a_palm_whose_samples_lie_in_two_poses_is_found_by_the_one_that_fits() -> None:
    known = crowd.known(sets()[:1], OF_EACH_SET * 2)
    one, *others = known
    upside_down = crowd.lay(one.fine[1:2], FINE_SIDE, 2), crowd.lay(one.coarse[1:2], COARSE_SIDE, 2)
    fine, coarse = np.concatenate([upside_down[0], one.fine[:1]]), np.concatenate([upside_down[1], one.coarse[:1]])
    mixed = crowd.palm("both", Hand.LEFT, fine, coarse, scrambles(1), 2)
    gallery = crowd.school(others, PEOPLE, scrambles(1), [mixed], samples=1)
    assert len(gallery.owner) == len(gallery.palms) + 1
    assert gallery.search(Probe(one.probes[0].responses(), scrambles(1)))[0].person == "both"


def test_skin_without_creases_is_found_among_many_of_its_kind() -> None:
    key = scrambles(1)
    codes = [protect(encode(respond(creaseless(skin, 1)), Hand.LEFT), key) for skin in range(CREASELESS)]
    gallery = empty(key).changed(Palm.of(f"skin {skin}", Hand.LEFT, [code]) for skin, code in enumerate(codes))
    for skin in range(0, CREASELESS, CREASELESS // 6):
        found = gallery.search(Probe(respond(creaseless(skin, 2)), key), hand=Hand.LEFT)
        assert found[0].person == f"skin {skin}"
        assert found[0].agreement >= gallery.operating_point().threshold
