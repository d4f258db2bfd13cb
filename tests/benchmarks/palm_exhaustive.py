"""Whether the search from coarse to fine answers as the comparison with every palm would.

Pictures that chance takes are searched for, every second one with its hand told, and compared with every palm of the
gallery. Each is two questions: who it is, and who it is with its own palm out of the gallery, as a stranger's. An
answer is who is named, that it might be several (and who most likely), or that nobody is. Each difference is listed.
Half an hour and more.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from edge_agent.palm.matching.gallery import AmbiguousPalm, NoPalmMatch, PalmMatch, Ranking, Snapshot, decide
from edge_agent.palm.matching.operating_point import OperatingPoint
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.protection.school_key import SchoolKey
from edge_agent.palm.types import Hand
from tests.benchmarks import crowd
from tests.benchmarks.figures import Figure, Result, Run

PEOPLE, QUICK_PEOPLE = 3_000, 30
PICTURES, QUICK_PICTURES = 480, 6  # at most
QUICK_OF_EACH_SET = 2  # palms
SAME_MIN_PERCENT = 99.9
THREADS = 2


def run(run: Run) -> Result:
    scrambles = SchoolKey(bytes(32)).scrambles()
    names = crowd.present(crowd.SETS)
    real = crowd.known(names, QUICK_OF_EACH_SET if run.quick else None) if names else crowd.drawn(8)
    gallery = crowd.school(real, QUICK_PEOPLE if run.quick else PEOPLE, scrambles)
    point = gallery.operating_point()
    pictures = [(each.name, picture) for each in real for picture in each.probes]
    order = np.random.default_rng(1).permutation(len(pictures))[: QUICK_PICTURES if run.quick else PICTURES].tolist()

    def compare(rank: int) -> tuple[bool, list[str]]:
        of, picture = pictures[order[rank]]
        return _compare(gallery, of, picture, point, told=rank % 2 == 0)

    named = 0
    differing: list[str] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for compared, (rightly, found) in enumerate(pool.map(compare, range(len(order))), 1):
            named += rightly
            differing += found
            print(f"{compared} compared", *found, sep="\n", file=sys.stderr, flush=True)
    answers = 2 * len(order)
    return Result(
        "palm_exhaustive",
        f"The search in {gallery.templates:,} templates of {gallery.persons:,} people beside comparing all of them "
        f"({', '.join(names) or 'drawn'}; the hand of every second picture told; {point})",
        [
            Figure("pictures", len(order), ""),
            Figure("of them named rightly by the search", named, ""),
            Figure("answers, as known and as strangers", answers, ""),
            Figure("of them otherwise when all are compared", len(differing), ""),
            Figure("alike", 100 - 100 * len(differing) / answers, "%", at_least=SAME_MIN_PERCENT),
        ],
        listed=differing,
    )


def _compare(
    gallery: Snapshot, of: str, picture: crowd.Picture, point: OperatingPoint, *, told: bool
) -> tuple[bool, list[str]]:
    """Whether the search names this picture rightly, and where it answers otherwise than the whole comparison."""
    probe = Probe(picture.responses(), gallery.scrambles)
    hand = gallery.palms[gallery.places[of][0]].hand if told else Hand.UNKNOWN
    everybody = gallery.search_exhaustively(probe)
    others = tuple(candidate for candidate in everybody if candidate.person != of)
    known = gallery.search(probe, hand=hand)
    name = f"{of}/{picture.name}"
    differing = _difference(name, known, everybody, point)
    differing += _difference(f"{name}, a stranger", gallery.search(probe, without=of, hand=hand), others, point)
    return _said(known, point) == of, differing


def _said(ranking: Ranking, point: OperatingPoint) -> str:
    match decide(ranking, point):
        case PalmMatch(person=person):
            return person
        case AmbiguousPalm(candidates=candidates):
            return f"several, {candidates[0].person} first"
        case NoPalmMatch():
            return "nobody"


def _difference(what: str, fast: Ranking, slow: Ranking, point: OperatingPoint) -> list[str]:
    if _said(fast, point) == _said(slow, point):
        return []
    first = [f"{ranking[0].person} {ranking[0].agreement:.3f}" if ranking else "none" for ranking in (fast, slow)]
    return [f"{what}: {_said(slow, point)} ({first[1]}); the search: {_said(fast, point)} ({first[0]})"]
