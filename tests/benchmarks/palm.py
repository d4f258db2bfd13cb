"""Who is it, among 3,000 children with two hands and six samples each: the search, and a change of that gallery.

Palms are those of `crowd`: real ones where public sets lie beside the project, drawn ones elsewhere, and strangers
derived from them. Looked for are pictures that are not in the gallery, most of another day, of palms that are and of
palms that are not. The floor of the search is reading everything that it holds once, by the same library.
"""

import time
from itertools import islice

import numpy as np

from edge_agent.palm.matching.gallery import Ranking, Snapshot
from edge_agent.palm.matching.permutation import Scrambles
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import Responses
from edge_agent.palm.protection.school_key import SchoolKey
from edge_agent.palm.types import Hand
from tests.benchmarks import crowd
from tests.benchmarks.figures import Figure, Result, Run, high, middle

PEOPLE, QUICK_PEOPLE = 3_000, 60
OF_EACH_SET, QUICK_OF_EACH_SET = 40, 2  # palms; the rest of the people is derived from them
CHANGED = 84  # palms: 504 templates
SEARCHES, QUICK_SEARCHES = 200, 5
SEARCH_P99_MS_MAX = 50.0  # a child sees the light at once
STRANGER_P99_MS_MAX = 300.0  # whoever is not known is looked for twice, and waits for no meal
CHANGE_S_MAX = 2.0
MIB_MAX = 150.0


def run(run: Run) -> Result:
    people = QUICK_PEOPLE if run.quick else PEOPLE
    searches = QUICK_SEARCHES if run.quick else SEARCHES
    scrambles = SchoolKey(bytes(32)).scrambles()
    names = crowd.present(crowd.SETS)
    of_each = QUICK_OF_EACH_SET if run.quick else OF_EACH_SET
    real = crowd.known(names, of_each) if names else crowd.drawn(len(crowd.SETS) * of_each)
    gallery = crowd.school(real, people, scrambles)
    step = max(1, sum(len(each.probes) for each in real) // searches)
    probes = [(each.name, picture.responses()) for each in real for picture in each.probes][::step][:searches]

    known_ms, stranger_ms = [], []
    missed = named = 0
    point = gallery.operating_point()
    for name, responses in probes:
        hand = gallery.palms[gallery.places[name][0]].hand
        found, took = timed(gallery, responses, scrambles, hand)
        known_ms.append(took)
        missed += not found or found[0].person != name or found[0].agreement < point.threshold
        found, took = timed(gallery, responses, scrambles, hand, name)
        stranger_ms.append(took)
        named += bool(found) and found[0].agreement >= point.threshold

    fresh = [
        crowd.palm(f"new{n}", Hand.LEFT, fine, coarse, scrambles)
        for n, (fine, coarse) in enumerate(islice(crowd.strangers(real, seed=1), CHANGED))
    ]
    gone = [palm.person for palm in gallery.palms[: CHANGED // 2]]
    started = time.perf_counter()
    changed = gallery.changed(fresh, gone)
    change_s = time.perf_counter() - started
    assert changed.persons == gallery.persons - len(set(gone)) + CHANGED

    floor_ms = reading_ms(gallery.bytes_held)
    mib = gallery.bytes_held / 1024**2
    p99_max = None if run.quick else SEARCH_P99_MS_MAX
    return Result(
        "palm",
        f"One picture searched among {gallery.templates:,} templates of {gallery.persons:,} people, their hand told, "
        f"beside the time that reading their {mib:.0f} MiB once takes ({floor_ms:.1f} ms). "
        f"{len(real)} palms are {', '.join(names) or 'drawn'}, the others derived from them",
        [
            Figure("search p50", middle(known_ms), "ms"),
            Figure("search p99", high(known_ms), "ms", at_most=p99_max),
            Figure("search p50 beside one reading", middle(known_ms), "ms", floor=floor_ms),
            Figure("search for a stranger p50", middle(stranger_ms), "ms"),
            Figure(
                "search for a stranger p99",
                high(stranger_ms),
                "ms",
                at_most=None if run.quick else STRANGER_P99_MS_MAX,
            ),
            Figure("palms of the gallery searched for", len(probes), ""),
            Figure("of them not found, or below the threshold", missed, ""),
            Figure("strangers above the threshold", named, ""),
            Figure("change of 504 templates", change_s, "s", at_most=CHANGE_S_MAX),
            Figure("gallery in memory", mib, "MiB", at_most=MIB_MAX),
        ],
    )


def timed(
    gallery: Snapshot, responses: Responses, scrambles: Scrambles, hand: Hand, without: str | None = None
) -> tuple[Ranking, float]:
    """Who is alike, and in how many milliseconds that was found."""
    started = time.perf_counter()
    found = gallery.search(Probe(responses, scrambles), without=without, hand=hand)
    return found, (time.perf_counter() - started) * 1e3


def reading_ms(size: int) -> float:
    """What reading so many bytes once takes."""
    held = np.ones(size // 8, np.uint64)
    took_ms = []
    for _ in range(20):
        started = time.perf_counter()
        held.sum()
        took_ms.append((time.perf_counter() - started) * 1e3)
    return middle(took_ms)
