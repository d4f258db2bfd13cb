"""Whom the search loses although 1:1 knows them: `python -m tests.benchmarks palm_lost`.

A picture is accepted when `verify` with the true child's palms reaches the threshold of the gallery, or when the search
names that child. It is lost when it is accepted and the search among 100, 1,000 or 6,000 palms does not put that child
first, at the threshold or above. Pictures are

    real      of another day than the enrolled ones where a set has two, else other pictures of the same day
    derived   the same palms turned by quarters and mirrored, picture and templates alike: palms that nobody has
    posed     either kind held otherwise: turned by up to 12°, scaled by up to 12 %, moved by up to 16 px each way

of the people whom no number was chosen on (`parts`). The hand is told rightly to five of eight searches, wrongly to
one.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice

import cv2
import numpy as np

from edge_agent.palm.matching.code import COARSE_SIDE, FINE_SIDE
from edge_agent.palm.matching.gallery import Palm, Snapshot, empty
from edge_agent.palm.matching.permutation import Scrambles
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import respond
from edge_agent.palm.protection.school_key import SchoolKey
from edge_agent.palm.types import REGION_SIDE, Hand, Region
from tests.benchmarks import crowd
from tests.benchmarks.crowd import UPRIGHT, lay
from tests.benchmarks.figures import Figure, Result, Run, high, middle
from tests.benchmarks.parts import Part, part_of

SIZES, QUICK_SIZES = (100, 1_000, 6_000), (20, 60)  # palms
SETS = (*crowd.SETS, *crowd.MORE_STRANGERS)
CASIA = ("casia_WHT", *crowd.MORE_STRANGERS)
ACCEPTED_MIN = 6_000
SHOWN, QUICK_SHOWN = 6_600, 12  # pictures: not all are accepted
LOST_MAX = 3
QUICK_OF_EACH_SET = 2  # palms
SAMPLES = 3  # of a palm in the gallery
DERIVED = (2, 5, 7)  # ways of `crowd.lay` in which palms are enrolled and shown as well
STRANGERS = (1, 3, 4, 6)  # ways in which they are enrolled only, as they are and in halves
TURN_DEG, SCALING, MOVE_PX = 12.0, 0.12, 16.0  # how far a posed picture lies off at most
THREADS = 2
NAMED_P99_MS_MAX, UNKNOWN_P99_MS_MAX = 50.0, 300.0


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture to be searched: whose, which of them, and how it is laid and held."""

    person: str
    kind: str
    name: str
    region: Region = field(repr=False)


@dataclass(slots=True)
class Tally:
    accepted: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    named_ms: list[float] = field(default_factory=list)  # processor time
    unknown_ms: list[float] = field(default_factory=list)


def run(run: Run, part: Part = Part.SHOWN, shown_max: int = 0) -> Result:
    scrambles = SchoolKey(bytes(32)).scrambles()
    names = crowd.present(SETS)
    of_each = QUICK_OF_EACH_SET if run.quick else None
    real = crowd.known(names, of_each) if names else crowd.drawn(8)
    real = [each for each in real if not names or _in_one_light(each.name)]
    others = [each for each in real if names and part_of(each.name) is not part]
    real = [each for each in real if not names or part_of(each.name) is part]
    sizes = QUICK_SIZES if run.quick else SIZES
    palms = list(islice(_palms(real, others, scrambles), sizes[-1]))
    shown_max = shown_max or (QUICK_SHOWN if run.quick else SHOWN)
    tallies = {size: Tally() for size in sizes}
    place = {palm.person: at for at, palm in enumerate(palms)}
    pictures = [each for each in islice(_shown(real, shown_max), shown_max) if each.person in place]
    for size, tally in tallies.items():
        galleries = _galleries(palms, size, scrambles)
        _search_all(pictures, place, galleries, size, tally)
        print(f"{size} palms: {sum(tally.accepted.values())} accepted, lost:", *tally.lost, sep="\n", file=sys.stderr)
    figures = [figure for size, tally in tallies.items() for figure in _figures(size, tally, run.quick)]
    return Result(
        "palm_lost",
        f"{len(pictures)} pictures of the part {part} of {', '.join(names) or 'drawn palms'}, searched, and compared "
        f"1:1 with the true child: {len(real)} real palms, the others derived from them. Times are processor time",
        figures,
        listed=[f"{size} palms: {each}" for size, tally in tallies.items() for each in tally.lost],
    )


def _in_one_light(name: str) -> bool:
    """Whether this is the light in which a hand of CASIA counts: three of them would be three persons with one palm."""
    folder, _, identity = name.partition("/")
    return folder not in CASIA or folder == CASIA[int(identity[:3]) % len(CASIA)]


def _figures(size: int, tally: Tally, quick: bool) -> Iterator[Figure]:
    accepted = sum(tally.accepted.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.accepted.items()))
    yield Figure(f"{size:,} palms: accepted 1:1 ({kinds})", accepted, "", at_least=None if quick else ACCEPTED_MIN)
    yield Figure(f"{size:,} palms: of them lost by the search", len(tally.lost), "", at_most=0 if quick else LOST_MAX)
    for who, took, limit in (
        ("named", tally.named_ms, NAMED_P99_MS_MAX),
        ("unknown", tally.unknown_ms, UNKNOWN_P99_MS_MAX),
    ):
        if took:
            yield Figure(f"{size:,} palms: search p50, {who}", middle(took), "ms")
            yield Figure(f"{size:,} palms: search p99, {who}", high(took), "ms", at_most=None if quick else limit)


def _search_all(
    pictures: Sequence[Shown], place: dict[str, int], galleries: Sequence[Snapshot], size: int, tally: Tally
) -> None:
    def search(number: int) -> None:
        each = pictures[number]
        gallery = galleries[min(place[each.person] // size, len(galleries) - 1)]
        own = gallery.palms[gallery.places[each.person][0]].hand
        other = Hand.LEFT if own is Hand.RIGHT else Hand.RIGHT
        told = other if number % 8 == 0 else Hand.UNKNOWN if number % 4 == 1 else own
        threshold = gallery.operating_point().threshold
        probe = Probe(respond(each.region), gallery.scrambles)
        started = time.thread_time()
        found = gallery.search(probe, hand=told)
        took_ms = (time.thread_time() - started) * 1e3
        named = bool(found) and found[0].agreement >= threshold
        (tally.named_ms if named else tally.unknown_ms).append(took_ms)
        if named and found[0].person == each.person:
            tally.accepted[each.kind] += 1
        elif (agreement := gallery.verify(each.person, probe)) >= threshold:
            tally.accepted[each.kind] += 1
            said = f"{found[0].person} {found[0].agreement:.3f}" if found else "nobody"
            tally.lost.append(f"{each.name} ({each.kind}, told {told}): {agreement:.3f} 1:1, the search: {said}")

    with ThreadPoolExecutor(THREADS) as pool:
        for done, _ in enumerate(pool.map(search, range(len(pictures))), 1):
            if done % 500 == 0:
                print(f"{size} palms: {done}/{len(pictures)}", file=sys.stderr, flush=True)


def _galleries(palms: Sequence[Palm], size: int, scrambles: Scrambles) -> list[Snapshot]:
    """Galleries of `size` palms each. What is left over at the end goes without one, and the last takes the end."""
    count = max(1, len(palms) // size)
    parts = [palms[at * size : (at + 1) * size] for at in range(count - 1)] + [palms[(count - 1) * size :]]
    return [empty(scrambles).changed(part) for part in parts]


def _palms(real: Sequence[crowd.Known], others: Sequence[crowd.Known], scrambles: Scrambles) -> Iterator[Palm]:
    """The palms that are shown, real and derived, then others derived from everybody: strangers without an end."""
    hands = (Hand.LEFT, Hand.RIGHT)
    shown = [(_name(each, way), each, way) for way in (UPRIGHT, *DERIVED) for each in real]
    palms = [(name, lay(each.fine, FINE_SIDE, way), lay(each.coarse, COARSE_SIDE, way)) for name, each, way in shown]
    strangers = crowd.strangers([*real, *others], ways=STRANGERS)
    named = ((f"stranger {at}", *codes) for at, codes in enumerate(strangers))
    for at, (name, fine, coarse) in enumerate(chain(palms, named)):
        yield crowd.palm(name, hands[at % 2], fine[:SAMPLES], coarse[:SAMPLES], scrambles, SAMPLES)


def _name(each: crowd.Known, way: int) -> str:
    return f"{each.name}, laid {way}" if way else each.name


def _shown(real: Sequence[crowd.Known], count: int) -> Iterator[Shown]:
    """Pictures by chance: a third real, a third derived, a third of either kind posed."""
    dice = np.random.default_rng(0)
    probes = [(each, picture) for each in real for picture in each.probes]
    turns = dice.permutation(len(probes))
    at = 0
    while True:
        each, picture = probes[turns[at % len(turns)]]
        repeat = at // len(turns)
        way = int(dice.choice(DERIVED)) if at % 3 == 1 else UPRIGHT
        posed = at % 3 == 2 or repeat > 0
        if posed:
            way = int(dice.choice((UPRIGHT, *DERIVED)))
        region = _laid(picture.region(), way)
        kind = "derived" if way else "real"
        name = f"{each.name}/{picture.name}" + (f" laid {way}" if way else "")
        if posed:
            turn, scale = dice.uniform(-TURN_DEG, TURN_DEG), 1 + dice.uniform(-SCALING, SCALING)
            right, down = dice.uniform(-MOVE_PX, MOVE_PX, 2)
            region = _posed(region, turn, scale, right, down)
            kind += " posed"
            name += f" {turn:+.0f}° ×{scale:.2f} {right:+.0f},{down:+.0f} px"
        yield Shown(_name(each, way), kind, name, region)
        at += 1


def _laid(region: Region, way: int) -> Region:
    """The region turned by `way % 4` quarters, and from 4 on mirrored, as `crowd.lay` does with its code."""
    grey, mask = (np.rot90(each, way % 4) for each in (region.grey, region.mask))
    if way >= 4:
        grey, mask = grey[:, ::-1], mask[:, ::-1]
    return Region(np.ascontiguousarray(grey), np.ascontiguousarray(mask), Hand.UNKNOWN)


def _posed(region: Region, turn_deg: float, scale: float, right_px: float, down_px: float) -> Region:
    """The palm as another cut-out would show it; what was not in the picture is no palm."""
    middle = (REGION_SIDE - 1) / 2
    moved = cv2.getRotationMatrix2D((middle, middle), turn_deg, scale)
    moved[:, 2] += np.array([right_px, down_px])
    size = (REGION_SIDE, REGION_SIDE)
    grey = cv2.warpAffine(region.grey, moved, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(region.mask.astype(np.uint8), moved, size, flags=cv2.INTER_NEAREST)
    return Region(np.asarray(grey, np.uint8), mask > 0, Hand.UNKNOWN)
