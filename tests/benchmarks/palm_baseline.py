"""What the plain published method does on the same pictures: `python -m tests.benchmarks.palm_baseline DIR`.

BOCV (Guo et al. 2009) as it is usually run: local mean and deviation taken out (sigma 8), six even Gabor filters
(35 × 35, sigma 5, wavelength 14, aspect 0.5), the signs at every fourth pixel (32 × 32), masked Hamming distance, the
least of all shifts by up to five cells; a searched pose re-encodes the turned and scaled picture. One template against
one probe, no fusion. Protocols, counts and rates are those of `edge-agent palm evaluate --roi`; of the recognition
itself nothing but the reading of a cut-out is shared with it.

`--paired` compares the same pairs by our 1:1 comparison as well, and counts which genuine pairs only one of the two
misses, each at its own threshold for a share of strangers: McNemar's exact test of the two counts. `--part` keeps the
people of one part (`parts`).
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from math import comb
from pathlib import Path
from typing import Final

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.cutout import NotARegion, read_cutout
from edge_agent.palm.matching import code, match, responses
from edge_agent.palm.matching.match import unlock
from edge_agent.palm.matching.permutation import identity, protect
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.measurement.evaluation import Sample, plan
from edge_agent.palm.measurement.rates import Rate, RatePoint, Scores, equal_error, miss_rate
from edge_agent.palm.types import REGION_SIDE, Region
from tests.benchmarks.parts import Part, part_of

TURNS_DEG: Final = {1: (0.0,), 3: (-4.0, 0.0, 4.0), 5: (-8.0, -4.0, 0.0, 4.0, 8.0)}
SCALES: Final = {1: (1.0,), 3: (0.93, 1.0, 1.07), 5: (0.87, 0.93, 1.0, 1.07, 1.15)}
SIGMA_LIGHT: Final = 8.0
GABOR: Final = (35, 5.0, 14.0, 0.5)  # side, sigma, wavelength, aspect
STEP: Final = 4  # px
SIDE: Final = REGION_SIDE // STEP
SHIFT: Final = 5  # cells each way
WORST_LISTED: Final = 20
FARS: Final = {"1e-3": 1e-3, "1e-4": 1e-4, "1e-5": 1e-5}
FPIRS: Final = {"1%": 0.01, "0.1%": 0.001}

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes of n pictures or poses: a sign is ±1, 0 where no palm is seen."""

    signs: Floats = field(repr=False)  # (n, 1024 · 6)
    seen: Floats = field(repr=False)  # (n, 1024)


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.benchmarks.palm_baseline", description=__doc__)
    asked.add_argument("folder", type=Path, help="holds IDENTITY/SESSION-SAMPLE.png|jpg, regions")
    asked.add_argument("--turns", type=int, choices=sorted(TURNS_DEG), default=5)
    asked.add_argument("--scales", type=int, choices=sorted(SCALES), default=5)
    asked.add_argument("--part", type=Part, choices=list(Part), help="keep the people of this part alone")
    asked.add_argument("--palms", type=int, help="keep so many palms, the first ones")
    asked.add_argument("--paired", action="store_true", help="beside ours, on the same pairs")
    wanted = asked.parse_args()
    samples = list(_kept(read(wanted.folder), wanted.folder.name, wanted.part, wanted.palms))
    if not samples:
        print(f"{wanted.folder}: no picture IDENTITY/SESSION-SAMPLE.png or .jpg is in it", file=sys.stderr)
        return 1
    similarities = compare(samples, TURNS_DEG[wanted.turns], SCALES[wanted.scales])
    told = {"turns": wanted.turns, "scales": wanted.scales, **measure(samples, similarities)}
    if wanted.paired:
        told["paired"] = paired(samples, similarities, compare_ours(samples))
    print(msgspec.json.format(msgspec.json.encode(told)).decode())
    return 0


def read(folder: Path) -> Iterator[Sample]:
    """Every picture, in the order in which verification takes pairs."""
    people = sorted(each for each in folder.iterdir() if each.is_dir())
    found = []
    for path in (path for person in people for path in person.iterdir() if path.suffix.lower() in (".png", ".jpg")):
        session, _, number = path.stem.partition("-")
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        region: Region | None = None
        if picture is not None:
            try:
                region = read_cutout(np.asarray(picture))
            except NotARegion as reason:
                print(f"{path}: {reason}", file=sys.stderr)
        known = session.isdigit() and bool(number)
        found.append(Sample(path.parent.name, int(session) if known else 0, number if known else path.stem, region))
    yield from sorted(found, key=lambda sample: (sample.identity, sample.session, sample.number))


def compare(samples: list[Sample], turns_deg: tuple[float, ...], scales: tuple[float, ...]) -> Scores:
    """(templates, probes): 1 − 2 · distance; −1 where one was not read, or where no protocol asks."""
    sessions = [sample.session for sample in samples]
    single = min(sessions) == max(sessions)
    present = [at for at, sample in enumerate(samples) if sample.region is not None]
    strangers = set(plan(samples)[2])
    first = [at for at in present if single or sessions[at] < max(sessions)]
    later = [at for at in present if single or sessions[at] > min(sessions) or at in strangers]
    regions = {at: region for at, sample in enumerate(samples) if (region := sample.region) is not None}
    found = np.full((len(samples), len(samples)), -1.0)
    if not first:
        return found
    upright = [encode(regions[at], 0.0, 1.0) for at in first]
    templates = Codes(np.concatenate([c.signs for c in upright]), np.concatenate([c.seen for c in upright]))
    for done, at in enumerate(later):
        poses = [_shifted(encode(regions[at], turn, scale)) for turn, scale in product(turns_deg, scales)]
        best = np.full(len(first), -1.0, np.float32)
        for pose in poses:  # sums of whole numbers below 2**24: exact in float32
            compared = np.maximum(pose.seen @ templates.seen.T, 1) * np.float32(6)
            best = np.maximum(best, (pose.signs @ templates.signs.T / compared).max(0))
        found[first, at] = best
        if done % 100 == 0:
            print(f"{done}/{len(later)}", file=sys.stderr, flush=True)
    return found


def _kept(samples: Iterable[Sample], folder: str, part: Part | None, palms_max: int | None) -> Iterator[Sample]:
    palms: set[str] = set()
    for sample in samples:
        if part is None or part_of(f"{folder}/{sample.identity}") is part:
            palms.add(sample.identity)
            if palms_max is None or len(palms) <= palms_max:
                yield sample


def compare_ours(samples: list[Sample]) -> Scores:
    """(templates, probes): our 1:1 agreement, one template against one probe; −1 where one was not read."""
    regions = {at: region for at, sample in enumerate(samples) if (region := sample.region) is not None}
    found = np.full((len(samples), len(samples)), -1.0)
    key = identity()
    codes = {at: code.encode(responses.respond(region), region.hand) for at, region in regions.items()}
    several = len({sample.session for sample in samples}) > 1
    for probe, region in regions.items():
        earlier = [at for at in regions if (samples[at].session < samples[probe].session if several else at < probe)]
        if not earlier:
            continue
        kept = [protect(codes[at], key) for at in earlier]
        fine, coarse = np.stack([each.fine for each in kept]), np.stack([each.coarse for each in kept])
        likenesses = match.compare(Probe(responses.respond(region), key), unlock(fine, coarse, key.fine, key.coarse))
        found[earlier, probe] = [likeness.agreement for likeness in likenesses]
    return found


def paired(samples: list[Sample], plain: Scores, own: Scores) -> dict[str, object]:
    """Counts genuine pairs that one of two methods misses, each at its own threshold, and tests their difference."""
    mated, strangers = _masks(samples)
    told: dict[str, object] = {}
    for name, share in FARS.items():
        missed = []
        for scores in (own, plain):
            point = miss_rate(scores[mated], scores[strangers], share)
            if point is not None:
                missed.append(scores[mated] <= point.threshold)
        if len(missed) == 2:
            only_own, only_plain = (int(np.sum(a & ~b)) for a, b in (missed, missed[::-1]))
            told[name] = {
                "pairs": len(missed[0]),
                "missed_by_both": int(np.sum(missed[0] & missed[1])),
                "only_by_ours": only_own,
                "only_by_plain": only_plain,
                "p": round(mcnemar(only_own, only_plain), 6),
            }
    return told


def mcnemar(one: int, other: int) -> float:
    """Returns the chance of a difference as great as this if both missed alike: exact, two-sided."""
    count, least = one + other, min(one, other)
    return min(1.0, sum(comb(count, k) for k in range(least + 1)) * float(0.5 ** (count - 1)))


def encode(region: Region, turn_deg: float, scale: float) -> Codes:
    middle = (REGION_SIDE - 1) / 2
    moved = cv2.getRotationMatrix2D((middle, middle), turn_deg, scale)
    size = (REGION_SIDE, REGION_SIDE)
    grey = cv2.warpAffine(region.grey.astype(np.float32), moved, size)
    mask = cv2.warpAffine(region.mask.astype(np.float32), moved, size, flags=cv2.INTER_NEAREST)
    weight = cv2.GaussianBlur(mask, (0, 0), SIGMA_LIGHT) + 1e-6
    centred = (grey - cv2.GaussianBlur(grey * mask, (0, 0), SIGMA_LIGHT) / weight) * mask
    deviation = np.sqrt(cv2.GaussianBlur(centred * centred, (0, 0), SIGMA_LIGHT) / weight)
    flat = centred / (deviation + 1)
    first = STEP // 2
    seen = mask[first::STEP, first::STEP].reshape(-1)
    found = [cv2.filter2D(flat, -1, kernel)[first::STEP, first::STEP].reshape(-1) for kernel in _gabors()]
    signs = np.where(np.stack(found, axis=1) < 0, 1, -1) * seen[:, None]
    return Codes(signs.reshape(1, -1).astype(np.float32), seen.reshape(1, -1).astype(np.float32))


def measure(samples: list[Sample], similarities: Scores) -> dict[str, object]:
    """Rates by the protocols of the evaluation."""
    _, who = np.unique([sample.identity for sample in samples], return_inverse=True)
    of_one, of_two = _masks(samples)
    mated, strangers = similarities[of_one], similarities[of_two]
    equal = equal_error(mated, strangers)
    names = [sample.name for sample in samples]
    pairs = np.argwhere(of_one)
    worst = pairs[np.argsort(mated, kind="stable")[:WORST_LISTED]].tolist()
    return {
        "identities": len(set(who.tolist())),
        "samples": len(samples),
        "genuine_pairs": len(mated),
        "impostor_pairs": len(strangers),
        "eer": round(equal.percent, 4) if equal else None,
        "frr_at_far": {name: _told(miss_rate(mated, strangers, share)) for name, share in FARS.items()},
        **_identify(samples, similarities, who),
        "worst_genuine_pairs": [
            {"agreement": round(float(similarities[t, p]), 4), "template": names[t], "probe": names[p]}
            for t, p in worst
        ],
    }


def _masks(samples: list[Sample]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pairs (templates, probes) verification compares: genuine ones, and those of strangers."""
    session, order = np.array([sample.session for sample in samples]), np.arange(len(samples))
    _, who = np.unique([sample.identity for sample in samples], return_inverse=True)
    several = len(set(session.tolist())) > 1
    earlier = session[:, None] < session[None, :] if several else order[:, None] < order[None, :]
    same = who[:, None] == who[None, :]
    return earlier & same, earlier & ~same


def _identify(samples: list[Sample], similarities: Scores, who: NDArray[np.intp]) -> dict[str, object]:
    """Each probe against the best template of everybody enrolled."""
    enrolled, probes, singles = plan(samples)
    if not enrolled:
        return {"rank1": None, "fnir_at_fpir": dict.fromkeys(FPIRS)}
    asked = [*probes, *singles]
    best = np.stack([similarities[np.ix_(templates, asked)].max(0) for templates in enrolled.values()])
    owner = np.array([who[templates[0]] for templates in enrolled.values()])
    own = owner[:, None] == who[asked][None, :]
    strangers = np.where(own, -1.0, best).max(0)
    right = np.where(own, best, -1.0).max(0)[: len(probes)]
    first = right > strangers[: len(probes)]
    mated = np.where(first, right, -1.0)
    points = {name: _told(miss_rate(mated, strangers, share)) for name, share in FPIRS.items()}
    return {"rank1": round(Rate(int(first.sum()), len(first)).percent, 4), "fnir_at_fpir": points}


def _told(at: RatePoint | None) -> dict[str, object] | None:
    if at is None:
        return None
    misses = at.misses
    counts = {"events": misses.events, "trials": misses.trials, "shown": at.shown}
    return {"percent": round(misses.percent, 4), **counts}


def _shifted(code: Codes) -> Codes:
    """One code at every shift: (121, …). What comes in at the rim is no palm."""
    wide = SIDE + 2 * SHIFT
    cells = np.zeros((wide, wide, 7), np.float32)
    inner = cells[SHIFT:-SHIFT, SHIFT:-SHIFT]
    inner[..., :6] = code.signs.reshape(SIDE, SIDE, 6)
    inner[..., 6] = code.seen.reshape(SIDE, SIDE)
    reach = range(2 * SHIFT + 1)
    moved = np.stack([cells[y : y + SIDE, x : x + SIDE] for y in reach for x in reach])
    count = len(moved)
    return Codes(moved[..., :6].reshape(count, -1).copy(), moved[..., 6].reshape(count, -1).copy())


@cache
def _gabors() -> tuple[Floats, ...]:
    side, sigma, wavelength, aspect = GABOR
    kernels = []
    for k in range(6):
        kernel = cv2.getGaborKernel((side, side), sigma, np.pi * k / 6, wavelength, aspect, 0.0, ktype=cv2.CV_32F)
        kernels.append((kernel - kernel.mean()).astype(np.float32))
    return tuple(kernels)


if __name__ == "__main__":
    sys.exit(main())
