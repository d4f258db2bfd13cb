"""Measures how well palms are recognised on pictures of people whose names are given, by exactly what the kiosk runs.

Verification: every genuine pair across sessions, or every pair when there is one session; every impostor pair of the
same kind. The earlier sample is the template, the later the probe. A sample that could not be acquired is refused in
every pair it is in (ISO/IEC 19795-1: generalised rates), and counted by itself.

Identification, open set: of every identity with at least two samples the first min(3, n − 1) of its first session are
enrolled; its probes are its samples of later sessions, or the rest when it has one session only. A stranger is every
probe searched with its own identity removed, and every identity with one sample. A probe that could not be acquired
is a miss, and no stranger is found by it.

A rate at a share of strangers is shown where at least ten strangers are expected beyond the threshold; else it is null.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.matching.code import CODE_BYTES, encode
from edge_agent.palm.matching.enrolment import align
from edge_agent.palm.matching.gallery import AmbiguousPalm, Palm, PalmMatch, Ranking, Snapshot, decide, empty
from edge_agent.palm.matching.match import Templates, compare, unlock
from edge_agent.palm.matching.operating_point import OperatingPoint
from edge_agent.palm.matching.permutation import ProtectedCode, Scrambles, protect
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import Responses, respond
from edge_agent.palm.measurement.rates import EqualError, Rate, RatePoint, Scores, equal_error, miss_rate
from edge_agent.palm.types import Hand, Region

ENROLLED_MAX: Final = 3
FARS: Final = {"1e-3": 1e-3, "1e-4": 1e-4, "1e-5": 1e-5}
FPIRS: Final = {"1%": 0.01, "0.1%": 0.001}
PROBES_TOGETHER: Final = 256  # templates compared in one step
WORST_LISTED: Final = 20
TIMED_ALONE: Final = 100  # searches
NOT_ACQUIRED: Final = -1.0  # below every agreement

Clock = Callable[[], float]
"""Seconds, monotonic."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of a palm whose owner is given. `region` is None where none was found."""

    identity: str
    session: int
    number: str
    region: Region | None = field(repr=False)
    region_s: float | None = None  # what finding it took

    @property
    def name(self) -> str:
        return f"{self.identity}/{self.session}-{self.number}"


class Mapper(Protocol):
    """The builtin `map`, or that of processes: pieces of work are independent of one another, results keep their
    order.
    """

    def __call__(self, work: Callable[[int], Any], items: Iterable[int], /) -> Iterable[Any]: ...


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Times in milliseconds."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Verification:
    mated: Scores = field(repr=False)
    strangers: Scores = field(repr=False)
    worst: tuple[tuple[float, str, str], ...]  # genuine pairs: agreement, template, probe
    likest: tuple[tuple[float, str, str], ...]  # impostor pairs

    @property
    def equal_error(self) -> EqualError | None:
        return equal_error(self.mated, self.strangers)

    def at(self, share: float) -> RatePoint | None:
        return miss_rate(self.mated, self.strangers, share)


@dataclass(frozen=True, slots=True)
class Identification:
    mated: Scores = field(repr=False)  # of the right person where first, else NOT_ACQUIRED
    strangers: Scores = field(repr=False)  # best of anybody
    rank1: Rate
    misses: Rate  # at the shipped operating point
    false: Rate
    ambiguous: Rate  # of the mated probes: not named, but asked again
    missed: tuple[str, ...]
    point: OperatingPoint
    templates: int
    persons: int

    def at(self, share: float) -> RatePoint | None:
        return miss_rate(self.mated, self.strangers, share)


@dataclass(frozen=True, slots=True)
class Evaluation:
    identities: int
    samples: int
    failed: tuple[str, ...]
    verification: Verification
    identification: Identification
    region: Quantiles | None
    code: Quantiles | None
    search: Quantiles | None


@dataclass(frozen=True, slots=True)
class _Set:
    samples: tuple[Sample, ...]
    codes: tuple[ProtectedCode | None, ...]
    scrambles: Scrambles

    def responses(self, index: int) -> Responses:
        region = self.samples[index].region
        assert region is not None, "only acquired samples are filtered"
        return respond(region)  # again for each use: kept for all they would fill the memory

    def probe(self, index: int) -> Probe:
        return Probe(self.responses(index), self.scrambles)


def evaluate(samples: Iterable[Sample], scrambles: Scrambles, clock: Clock, mapper: Mapper = map) -> Evaluation:
    """Runs both protocols over a set."""
    ordered = tuple(sorted(samples, key=lambda sample: (sample.identity, sample.session, sample.number)))

    def code(index: int) -> tuple[ProtectedCode | None, float]:
        region = ordered[index].region
        if region is None:
            return None, 0.0
        started = clock()
        code = protect(encode(respond(region), region.hand), scrambles)
        return code, clock() - started

    coded = list(mapper(code, range(len(ordered))))
    coded_set = _Set(ordered, tuple(made for made, _ in coded), scrambles)
    identification, search_s = identify(coded_set, clock, mapper)
    return Evaluation(
        identities=len({sample.identity for sample in ordered}),
        samples=len(ordered),
        failed=tuple(sample.name for sample in ordered if sample.region is None),
        verification=verify(coded_set, mapper),
        identification=identification,
        region=_quantiles([sample.region_s for sample in ordered if sample.region_s is not None]),
        code=_quantiles([took for made, took in coded if made is not None]),
        search=_quantiles(search_s),
    )


def verify(coded_set: _Set, mapper: Mapper) -> Verification:
    """Compares every pair once."""
    samples = coded_set.samples
    several = len({sample.session for sample in samples}) > 1
    templates = _templates(coded_set)

    def references(probe: int) -> list[int]:
        if several:
            return [i for i, sample in enumerate(samples) if sample.session < samples[probe].session]
        return list(range(probe))

    def scores(probe: int) -> Scores:
        others = references(probe)
        agreements = np.full(len(others), NOT_ACQUIRED)
        present = [index for index, sample in enumerate(others) if coded_set.codes[sample] is not None]
        if coded_set.codes[probe] is not None and present:
            moved = coded_set.probe(probe)
            for first in range(0, len(present), PROBES_TOGETHER):
                part = present[first : first + PROBES_TOGETHER]
                likenesses = compare(moved, _rows(templates, [others[index] for index in part]))
                agreements[part] = [likeness.agreement for likeness in likenesses]
        return agreements

    mated: list[Scores] = []
    strangers: list[Scores] = []
    low: list[tuple[float, int, int]] = []
    high: list[tuple[float, int, int]] = []
    _, who = np.unique([sample.identity for sample in samples], return_inverse=True)
    for probe, agreements in enumerate(mapper(scores, range(len(samples)))):
        others = references(probe)
        same = who[others] == who[probe]
        mated.append(agreements[same])
        strangers.append(agreements[~same])

        low = sorted([*low, *_pairs(agreements, np.flatnonzero(same), others, probe)])[:WORST_LISTED]
        likest = np.flatnonzero(~same)[np.argsort(-agreements[~same], kind="stable")[:WORST_LISTED]]
        high = sorted([*high, *_pairs(agreements, likest, others, probe)], reverse=True)[:WORST_LISTED]
    return Verification(
        np.concatenate([*mated, []]),
        np.concatenate([*strangers, []]),
        tuple(_named(low, samples)),
        tuple(_named(high, samples)),
    )


def _pairs(
    agreements: Scores, indices: NDArray[np.intp], others: list[int], probe: int
) -> list[tuple[float, int, int]]:
    return [(float(agreements[index]), others[index], probe) for index in indices.tolist()]


def _named(pairs: list[tuple[float, int, int]], samples: Sequence[Sample]) -> Iterator[tuple[float, str, str]]:
    return ((agreement, samples[template].name, samples[probe].name) for agreement, template, probe in pairs)


def identify(coded_set: _Set, clock: Clock, mapper: Mapper) -> tuple[Identification, list[float]]:
    """Searches an open set, and returns how long each search took (s)."""
    enrolled, probes, singles = plan(coded_set.samples)
    gallery = enrol(coded_set, enrolled, mapper)
    point = gallery.operating_point()

    def search(probe: int) -> tuple[Ranking | None, Ranking | None, float]:
        if coded_set.codes[probe] is None:
            return None, None, 0.0
        moved = coded_set.probe(probe)
        started = clock()
        whole = gallery.search(moved)
        took = clock() - started
        return whole, gallery.search(moved, without=coded_set.samples[probe].identity), took

    mated: list[float] = []
    strangers: list[float] = []
    missed: list[str] = []
    counts: Counter[str] = Counter()
    mated_probes = set(probes)
    order = [*probes, *singles]
    alone = [probe for probe in order[:: max(1, len(order) // TIMED_ALONE)] if coded_set.codes[probe] is not None]
    times = [search(probe)[2] for probe in alone]  # beside others of its kind a search takes longer
    for probe, (whole, others, _) in zip(order, mapper(search, order), strict=True):
        strangers.append(others[0].agreement if others else NOT_ACQUIRED)
        counts["false"] += isinstance(decide(others or (), point), PalmMatch)
        if probe not in mated_probes:
            continue
        right = whole is not None and len(whole) > 0 and whole[0].person == coded_set.samples[probe].identity
        mated.append(whole[0].agreement if right and whole else NOT_ACQUIRED)
        decision = decide(whole or (), point)
        named = right and isinstance(decision, PalmMatch)
        counts["rank1"] += right
        counts["missed"] += not named
        counts["ambiguous"] += isinstance(decision, AmbiguousPalm)
        if not named:
            missed.append(coded_set.samples[probe].name)
    return (
        Identification(
            mated=np.array(mated),
            strangers=np.array(strangers),
            rank1=Rate(counts["rank1"], len(mated)),
            misses=Rate(counts["missed"], len(mated)),
            false=Rate(counts["false"], len(strangers)),
            ambiguous=Rate(counts["ambiguous"], len(mated)),
            missed=tuple(missed),
            point=point,
            templates=gallery.templates,
            persons=gallery.persons,
        ),
        times,
    )


def plan(samples: Sequence[Sample]) -> tuple[dict[str, list[int]], list[int], list[int]]:
    """Plans the identification: who is enrolled by which samples, the mated probes, and the strangers with one sample
    (indices).
    """
    samples_by_palm: defaultdict[str, list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        samples_by_palm[sample.identity].append(index)
    enrolled: dict[str, list[int]] = {}
    probes: list[int] = []
    singles: list[int] = []
    for identity, indices in samples_by_palm.items():
        if len(indices) < 2:
            singles += indices
            continue
        first = [index for index in indices if samples[index].session == samples[indices[0]].session]
        later = [index for index in indices if index not in first]
        enrolled[identity] = first[: min(ENROLLED_MAX, len(indices) - 1)]
        probes += later or first[len(enrolled[identity]) :]
    return enrolled, probes, singles


def enrol(coded_set: _Set, enrolled: dict[str, list[int]], mapper: Mapper = map) -> Snapshot:
    """Enrols these samples. An identity without any acquired sample is not in the gallery, and its probes miss."""
    people = list(enrolled.items())

    def palm(index: int) -> Palm | None:
        identity, samples = people[index]
        present = [sample for sample in samples if coded_set.codes[sample] is not None]
        hands = {code.hand for sample in present if (code := coded_set.codes[sample]) is not None}
        hand = hands.pop() if len(hands) == 1 else Hand.UNKNOWN
        templates = align([coded_set.responses(sample) for sample in present], hand, coded_set.scrambles)
        return Palm.of(identity, hand, templates) if templates else None

    palms = mapper(palm, range(len(people)))
    return empty(coded_set.scrambles).changed(palm for palm in palms if palm is not None)


def report(evaluation: Evaluation) -> dict[str, object]:
    """Returns the object that `--json` prints: rates in per cent, null where the set is too small, counts and intervals
    beside.
    """
    equal = evaluation.verification.equal_error
    frr = {name: evaluation.verification.at(share) for name, share in FARS.items()}
    fnir = {name: evaluation.identification.at(share) for name, share in FPIRS.items()}
    who = evaluation.identification
    return {
        "identities": evaluation.identities,
        "samples": evaluation.samples,
        "failed_to_acquire": len(evaluation.failed),
        "eer": _round(equal.percent) if equal else None,
        "frr_at_far": {name: _shown(rate) for name, rate in frr.items()},
        "rank1": _round(who.rank1.percent) if who.rank1.trials else None,
        "fnir_at_fpir": {name: _shown(rate) for name, rate in fnir.items()},
        "shipped": {
            "fnir": _round(who.misses.percent) if who.misses.trials else None,
            "fpir": _round(who.false.percent) if who.false.trials else None,
        },
        "ms": {
            "region": _times(evaluation.region),
            "code": _times(evaluation.code),
            "search": _times(evaluation.search),
        },
        "template_bytes": CODE_BYTES,
        "gallery": {"templates": who.templates, "persons": who.persons},
        "operating_point": {
            "threshold": who.point.threshold,
            "margin": who.point.margin,
            "expected_fpir_percent": 100 * who.point.fpir,
        },
        "detail": {
            "genuine_pairs": len(evaluation.verification.mated),
            "impostor_pairs": len(evaluation.verification.strangers),
            "eer": {"misses": _rate(equal.misses), "false": _rate(equal.false)} if equal else None,
            "frr_at_far": {name: _point(rate) for name, rate in frr.items()},
            "rank1": _rate(who.rank1),
            "fnir_at_fpir": {name: _point(rate) for name, rate in fnir.items()},
            "shipped": {
                "fnir": _rate(who.misses),
                "fpir": _rate(who.false),
                "ambiguous": _rate(who.ambiguous),
            },
            "worst_genuine_pairs": [
                {"agreement": _round(agreement), "template": template, "probe": probe}
                for agreement, template, probe in evaluation.verification.worst
            ],
            "likest_impostor_pairs": [
                {"agreement": _round(agreement), "template": template, "probe": probe}
                for agreement, template, probe in evaluation.verification.likest
            ],
            "missed_probes": list(who.missed),
            "failed": list(evaluation.failed),
        },
    }


def _templates(coded_set: _Set) -> Templates:
    """Returns all samples' codes, comparable; rows of samples that were not acquired are empty."""
    blank = (np.zeros(1024, np.uint8), np.zeros(256, np.uint8))
    code_pairs = [(code.fine, code.coarse) if code is not None else blank for code in coded_set.codes]
    if not code_pairs:
        code_pairs = [blank]
    fine, coarse = np.stack([cells for cells, _ in code_pairs]), np.stack([cells for _, cells in code_pairs])
    return unlock(fine, coarse, coded_set.scrambles.fine, coded_set.scrambles.coarse)


def _rows(templates: Templates, rows: list[int]) -> Templates:
    return Templates(templates.fine[rows], templates.signs[rows], templates.seen[rows])


def _quantiles(seconds: list[float]) -> Quantiles | None:
    if not seconds:
        return None
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return Quantiles(float(1000 * p50), float(1000 * p99))


def _times(quantiles: Quantiles | None) -> dict[str, float] | None:
    return {"p50": round(quantiles.p50, 2), "p99": round(quantiles.p99, 2)} if quantiles else None


def _shown(rate: RatePoint | None) -> float | None:
    return _round(rate.misses.percent) if rate is not None and rate.shown else None


def _point(rate: RatePoint | None) -> dict[str, object] | None:
    return (
        {**_rate(rate.misses), "threshold": _round(rate.threshold), "shown": rate.shown} if rate is not None else None
    )


def _rate(rate: Rate) -> dict[str, object]:
    low, high = rate.confidence_interval
    return {
        "percent": _round(rate.percent),
        "events": rate.events,
        "trials": rate.trials,
        "low": _round(low),
        "high": _round(high),
    }


def _round(value: float) -> float:
    return round(value, 4)
