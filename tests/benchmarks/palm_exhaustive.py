"""Whether the search from coarse to fine answers as the comparison with every palm would.

    its own palm  each picture is compared 1:1 with its own palm as well: a child whom the sieve lost shows here
    all palms     some, as many as half an hour has time for, are compared with every palm of the gallery: those that
                  the search was least sure of and as many that chance takes, in turn

Each picture is searched for twice, the second time as that of a stranger, with its own palm out of the gallery. An
answer is who is named, that it might be several (and who most likely), or that nobody is. Each difference is listed.
"""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from edge_agent.palm.gallery import Ambiguous, Candidate, Match, NoMatch, Ranking, Snapshot, decide
from edge_agent.palm.operating_point import OperatingPoint
from edge_agent.palm.probe import Probe
from edge_agent.palm.school_key import SchoolKey
from edge_agent.palm.types import Hand
from tests.benchmarks import crowd
from tests.benchmarks.figures import Figure, Result, Run

PEOPLE, QUICK_PEOPLE = 3_000, 30
PICTURES, QUICK_PICTURES = 1_500, 8  # at most
QUICK_OF_EACH_SET = 2  # palms
EXHAUSTIVE_S, QUICK_EXHAUSTIVE_S = 1_800.0, 3.0
SAME_MIN_PERCENT = 99.9
THREADS = 2


@dataclass(frozen=True, slots=True)
class _Sought:
    """One picture, and what the search said."""

    of: str
    picture: crowd.Picture = field(repr=False)
    hand: Hand
    known: Ranking = field(repr=False)
    stranger: Ranking = field(repr=False)
    own: float  # 1:1

    @property
    def name(self) -> str:
        return f"{self.of}/{self.picture.name}"


def run(run: Run) -> Result:
    scrambles = SchoolKey(bytes(32)).scrambles()
    names = crowd.present(crowd.SETS)
    real = crowd.known(names, QUICK_OF_EACH_SET if run.quick else None) if names else crowd.drawn(8)
    gallery = crowd.school(real, QUICK_PEOPLE if run.quick else PEOPLE, scrambles)
    point = gallery.operating_point()
    pictures = [(each.name, picture) for each in real for picture in each.probes]
    dice = np.random.default_rng(1)
    chosen = dice.permutation(len(pictures))[: QUICK_PICTURES if run.quick else PICTURES].tolist()
    until = 0.0

    def search(rank: int) -> _Sought:
        return _search(gallery, *pictures[chosen[rank]], told=rank % 2 == 0)

    def compare(each: _Sought) -> Ranking | None:
        if time.monotonic() > until:
            return None
        return gallery.search_exhaustively(Probe(each.picture.responses(), scrambles))

    lost: list[str] = []
    differing: list[str] = []
    compared = 0
    with ThreadPoolExecutor(THREADS) as pool:
        sought = list(pool.map(search, range(len(chosen))))
        for each in sought:
            lost += _difference("its own palm", each, each.known, _with(each.known, each), point)
        print(f"{len(sought)} searched for, {len(lost)} lost", *lost, sep="\n", file=sys.stderr, flush=True)
        until = time.monotonic() + (QUICK_EXHAUSTIVE_S if run.quick else EXHAUSTIVE_S)
        order = list(_hard_and_any(sought, dice))
        for each, everybody in zip(order, pool.map(compare, order), strict=True):
            if everybody is None:
                break
            others = tuple(candidate for candidate in everybody if candidate.person != each.of)
            found = _difference("all palms", each, each.known, everybody, point)
            found += _difference("all palms, its own left out", each, each.stranger, others, point)
            compared += 1
            differing += found
            print(f"{compared} compared with all", *found, sep="\n", file=sys.stderr, flush=True)
    return Result(
        "palm_exhaustive",
        f"The search in {gallery.templates:,} templates of {gallery.persons:,} people beside comparing the own "
        f"and all palms ({', '.join(names) or 'drawn'}; the hand of every second picture told; {point})",
        [
            Figure("pictures searched for", len(sought), ""),
            Figure("of them named rightly", sum(_said(each.known, point) == each.of for each in sought), ""),
            Figure("answers that its own palm changes", len(lost), ""),
            Figure("alike", 100 - 100 * len(lost) / len(sought), "%", at_least=SAME_MIN_PERCENT),
            Figure("pictures compared with all palms, half of them the hardest", compared, ""),
            Figure("answers of those, as known and as strangers", 2 * compared, ""),
            Figure("answers that another palm changes", len(differing), ""),
        ],
        listed=[*lost, *differing],
    )


def _search(gallery: Snapshot, of: str, picture: crowd.Picture, *, told: bool) -> _Sought:
    probe = Probe(picture.responses(), gallery.scrambles)
    hand = gallery.palms[gallery.places[of][0]].hand if told else Hand.UNKNOWN
    known, stranger = gallery.search(probe, hand=hand), gallery.search(probe, without=of, hand=hand)
    return _Sought(of, picture, hand, known, stranger, gallery.verify(of, probe))


def _with(ranking: Ranking, sought: _Sought) -> Ranking:
    """The ranking, had its own palm been compared as in 1:1."""
    own = Candidate(sought.of, sought.own, sought.hand)
    others = [candidate for candidate in ranking if candidate.person != own.person]
    return tuple(sorted([own, *others], key=lambda candidate: -candidate.agreement))


def _said(ranking: Ranking, point: OperatingPoint) -> str:
    match decide(ranking, point):
        case Match(person=person):
            return person
        case Ambiguous(candidates=candidates):
            return f"several, {candidates[0].person} first"
        case NoMatch():
            return "nobody"


def _difference(what: str, each: _Sought, fast: Ranking, slow: Ranking, point: OperatingPoint) -> list[str]:
    if _said(fast, point) == _said(slow, point):
        return []
    first = [f"{ranking[0].person} {ranking[0].agreement:.3f}" if ranking else "none" for ranking in (fast, slow)]
    return [f"{each.name}, {what}: {_said(slow, point)} ({first[1]}); the search: {_said(fast, point)} ({first[0]})"]


def _hard_and_any(sought: list[_Sought], dice: np.random.Generator) -> Iterator[_Sought]:
    """Those that the search was least sure of, and any, in turn; each once."""
    hard = sorted(sought, key=lambda each: each.known[0].agreement if each.known else 0.0)
    anyone = [sought[at] for at in dice.permutation(len(sought)).tolist()]
    seen: set[str] = set()
    for pair in zip(hard, anyone, strict=True):
        for each in pair:
            if each.name not in seen:
                seen.add(each.name)
                yield each
