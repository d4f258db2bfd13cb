"""Who is it, among all: a gallery of protected templates, searched from coarse to fine.

    sieve     one vector of 192 numbers a palm (the sum of its templates' coarse codes, every eighth cell, of length 1)
              against the probe in many poses, by one matrix product; the best hundred and fifty palms go on
    sketch    the same with all 1,536 numbers; the best few palms
    compare   these as in 1:1, in all 2,420 poses, the hopeless ones not to the end

The first look tries the 500 poses that a hand held with some care has, and only palms of the hand that the picture
shows. Where it finds nobody for sure, a second one tries 980, and the other hand as well: a hand held badly, or told
wrongly, costs time, not the lunch. A stranger is looked at twice.

The vectors of sieve and sketch are made when a palm is added and live in memory only: pad off, cells where the key put
them. Templates of a palm are stored in one pose (enrolment sees to it), otherwise their sum would be a blur. A
`Snapshot` never changes: a roster's change makes a new one that shares the palms which stay, and the daemon swaps one
reference while searches go on in the old one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.code import COARSE_CELLS, COARSE_SIDE, Cells
from edge_agent.palm.match import (
    STRANGERS,
    Poses,
    Rough,
    Templates,
    coarse_signs,
    compare_palm,
    find_poses,
    rough_palm,
    settle_palm,
    unlock,
)
from edge_agent.palm.operating_point import OperatingPoint, operating_point
from edge_agent.palm.permutation import ProtectedCode, Scrambles
from edge_agent.palm.probe import Probe, poses_within
from edge_agent.palm.responses import ORIENTATIONS, Floats
from edge_agent.palm.types import Hand

SURE: Final = 0.4  # agreement; strangers stay below it, and most known palms are above
NEAR, FAR, NEAREST = 2, 3, 1  # coarse cells each way: of the first look, the second one, and for the other hand
SIEVED: Final = 150  # palms that pass the sieve, in either look
SIEVED_OTHERS: Final = 40  # of the other hand
SKETCHED_NEAR: Final = 4  # palms that are compared
SKETCHED_FAR: Final = 6
LOOSE_OF_STRANGERS: Final = 0.28  # beside a palm that is sure, who stays below it is not compared to the end
TEMPLATES_MAX: Final = 12  # of one palm
CANDIDATES_MAX: Final = 5
COMPARED_TOGETHER: Final = 32  # palms; bounds the memory of one step
_ORDER: Final = {Hand.LEFT: 0, Hand.UNKNOWN: 1, Hand.RIGHT: 2}


@dataclass(frozen=True, slots=True)
class Candidate:
    person: str
    agreement: float
    hand: Hand = Hand.UNKNOWN  # of the template that agreed best


Ranking = tuple[Candidate, ...]
"""Best first, a person once."""


@dataclass(frozen=True, slots=True)
class Match:
    person: str
    score: float
    margin: float  # to the second person


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """More than one person is alike enough; ask for the other hand, or a card."""

    candidates: Ranking


@dataclass(frozen=True, slots=True)
class NoMatch:
    best: float


Answer = Match | Ambiguous | NoMatch


def decide(ranking: Ranking, point: OperatingPoint) -> Answer:
    """Name somebody, or say honestly why not."""
    if not ranking or ranking[0].agreement < point.threshold:
        return NoMatch(ranking[0].agreement if ranking else 0.0)
    second = ranking[1].agreement if len(ranking) > 1 else 0.0
    margin = ranking[0].agreement - second
    if margin < point.margin:
        near = ranking[0].agreement - point.margin
        return Ambiguous(tuple(candidate for candidate in ranking if candidate.agreement > near))
    return Match(ranking[0].person, ranking[0].agreement, margin)


@dataclass(frozen=True, slots=True)
class Palm:
    """The templates of one hand of one person, as kept."""

    person: str
    hand: Hand
    fine: Cells = field(repr=False)  # (n, 1024)
    coarse: Cells = field(repr=False)  # (n, 256)
    adapted: int = 0  # so many of the templates, the last ones, came from recognitions and not from an enrolment

    @classmethod
    def of(cls, person: str, hand: Hand, templates: Iterable[ProtectedCode], adapted: int = 0) -> "Palm":
        kept = list(templates)[:TEMPLATES_MAX]
        if not kept:
            raise ValueError("a palm without templates")
        fine, coarse = np.stack([code.fine for code in kept]), np.stack([code.coarse for code in kept])
        return cls(person, hand, fine, coarse, adapted)

    def erase(self) -> None:
        """Overwrite with zeros; a search that is under way in an older snapshot then finds nothing here."""
        self.fine[...] = 0
        self.coarse[...] = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A gallery at one moment. Searches change nothing in it, so any number of threads may search."""

    scrambles: Scrambles = field(repr=False)
    palms: tuple[Palm, ...] = field(repr=False)
    sketches: NDArray[np.int8] = field(repr=False)  # (palms, 1536) sums of signs
    sieve: Floats = field(repr=False)  # (palms, 192) the same of every eighth cell, of length 1
    left_to: int  # palms before it are left hands
    right_from: int  # palms from it on are right hands
    places: Mapping[str, tuple[int, ...]] = field(repr=False)  # person → palms
    templates: int

    @property
    def persons(self) -> int:
        return len(self.places)

    @property
    def bytes_held(self) -> int:
        kept = sum(palm.fine.nbytes + palm.coarse.nbytes for palm in self.palms)
        return kept + self.sketches.nbytes + self.sieve.nbytes

    def operating_point(self) -> OperatingPoint:
        return operating_point(self.templates)

    def changed(self, added: Iterable[Palm], removed: Iterable[str] = ()) -> "Snapshot":
        """A new snapshot: without the persons `removed`, with the palms `added` (a palm replaces that hand's old one).

        The old snapshot stays as it is. Erase removed palms once no search can be in it any more.
        """
        gone = set(removed)
        new = {(palm.person, palm.hand): palm for palm in added}
        stay = np.array([p.person not in gone and (p.person, p.hand) not in new for p in self.palms], np.bool_).reshape(
            -1
        )
        fresh = tuple(new.values())
        sketches = [_sketch(palm, self.scrambles) for palm in fresh]
        kept = tuple(palm for palm, stays in zip(self.palms, stay, strict=True) if stays)
        return _snapshot(self.scrambles, kept + fresh, np.vstack([self.sketches[stay], *sketches]))

    def search(self, probe: Probe, without: str | None = None, hand: Hand = Hand.UNKNOWN) -> Ranking:
        """The most alike persons. `without`: as if this person were not in it. `hand`: which one the probe seems to be.

        A hand that is told is looked for among its own kind first, in half the time; only where that names nobody for
        sure, among all. So a hand that was told wrongly is found all the same.
        """
        own, others = self._by(hand)
        gone = self.places.get(without, ()) if without is not None else ()
        near = self._sieve(probe, own, NEAR)
        palms = self._sketched(probe, _most_alike(near, own, gone, SIEVED), NEAR, SKETCHED_NEAR)
        found = self._look_closely(probe, palms, 0.0)
        if (best := _best(found)) < SURE:
            far = np.maximum(near, self._sieve(probe, own, FAR, beyond=NEAR))
            other = _most_alike(self._sieve(probe, others, NEAREST), others, gone, SIEVED_OTHERS)
            sieved = np.concatenate([_most_alike(far, own, gone, SIEVED), other])
            palms = self._sketched(probe, sieved, FAR, SKETCHED_FAR)
            found |= self._look_closely(probe, [at for at in palms if at not in found], best)
        return _ranking(found.values())

    def search_exhaustively(self, probe: Probe, without: str | None = None) -> Ranking:
        """The same without sieve and sketch: every palm is compared. Seconds; for measuring what those lose."""
        palms = [at for at, palm in enumerate(self.palms) if palm.person != without]
        return self._compare(probe, palms)

    def verify(self, person: str, probe: Probe) -> float:
        """1:1: agreement with a person's palms; 0 for a person without any."""
        ranking = self._compare(probe, self.places.get(person, ()))
        return ranking[0].agreement if ranking else 0.0

    def _by(self, hand: Hand) -> tuple[slice, slice]:
        """The palms that may be this hand's, and the others: they lie left, unknown, right."""
        count = len(self.palms)
        match hand:
            case Hand.LEFT:
                return slice(0, self.right_from), slice(self.right_from, count)
            case Hand.RIGHT:
                return slice(self.left_to, count), slice(0, self.left_to)
            case Hand.UNKNOWN:
                return slice(0, count), slice(0, 0)
            case _:
                assert_never(hand)

    def _sieve(self, probe: Probe, among: slice, reach: int, beyond: int = -1) -> Floats:
        """How alike these palms are at a glance, at shifts of up to `reach` coarse cells, but not `beyond` or less."""
        if among.start == among.stop:
            return np.zeros(0, np.float32)
        few = probe.few_cells(_sieve_cells(self.scrambles.coarse.order.tobytes()), reach, beyond)
        return np.asarray((few @ self.sieve[among].T).max(0), np.float32)

    def _sketched(self, probe: Probe, palms: NDArray[np.intp], reach: int, kept: int) -> list[int]:
        if len(palms) > kept:
            variants, poses = probe.coarse(), poses_within(reach)
            sketches = self.sketches[palms].astype(np.float32)
            scores = variants.weights[poses] @ sketches.T
            scores *= variants.factors[poses, None]
            best = scores.max(0) / _lengths(sketches)
            palms = palms[np.argsort(-best, kind="stable")[:kept]]
        return [int(at) for at in palms]

    def _look_closely(self, probe: Probe, palms: Sequence[int], best: float) -> dict[int, Candidate]:
        """The same comparison as 1:1, given up where nobody who matters was ever seen to come back.

        `best`: the agreement of the best one so far. A palm that was given up has what it had reached, or 0.
        """
        if not palms:
            return {}
        templates, rows, poses = self._posed(probe, palms)
        reached = [(rough_palm(poses.of(own)), index) for index, own in enumerate(rows)]
        found: dict[int, Candidate] = {}
        for rough, index in sorted(reached, key=lambda each: -_reached(each[0])):
            agreement = STRANGERS.agreement
            if rough and (best < SURE or _reached(rough) >= LOOSE_OF_STRANGERS):
                agreement = settle_palm(probe, templates.fine[rows[index]], rough).agreement
                best = max(best, agreement)
            palm = self.palms[palms[index]]
            found[palms[index]] = Candidate(palm.person, agreement, palm.hand)
        return found

    def _compare(self, probe: Probe, palms: Sequence[int]) -> Ranking:
        found: list[Candidate] = []
        for first in range(0, len(palms), COMPARED_TOGETHER):
            part = palms[first : first + COMPARED_TOGETHER]
            templates, rows, poses = self._posed(probe, part)
            for at, own in zip(part, rows, strict=True):
                likeness = compare_palm(probe, templates.fine[own], poses.of(own))
                found.append(Candidate(self.palms[at].person, likeness.agreement, self.palms[at].hand))
        return _ranking(found)

    def _posed(self, probe: Probe, palms: Sequence[int]) -> tuple[Templates, list[slice], Poses]:
        """The templates of these palms, comparable; which are whose; and where each may lie."""
        ends = np.cumsum([len(self.palms[at].fine) for at in palms]).tolist()
        rows = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        templates = self._unlock([self.palms[at] for at in palms])
        return templates, rows, find_poses(probe, templates)

    def _unlock(self, palms: Sequence[Palm]) -> Templates:
        fine, coarse = np.concatenate([palm.fine for palm in palms]), np.concatenate([palm.coarse for palm in palms])
        return unlock(fine, coarse, self.scrambles.fine, self.scrambles.coarse)


def _reached(rough: list[Rough]) -> float:
    return rough[0].likeness.agreement if rough else STRANGERS.agreement


def _ranking(found: Iterable[Candidate]) -> Ranking:
    """A person once, by the better hand or look."""
    best: dict[str, Candidate] = {}
    for candidate in found:
        known = best.get(candidate.person)
        if known is None or candidate.agreement > known.agreement:
            best[candidate.person] = candidate
    order = sorted(best.values(), key=lambda candidate: (-candidate.agreement, candidate.person))
    return tuple(order[:CANDIDATES_MAX])


def empty(scrambles: Scrambles) -> Snapshot:
    """A gallery with nobody in it, under one school's key."""
    return _snapshot(scrambles, (), np.zeros((0, COARSE_CELLS * ORIENTATIONS), np.int8))


def _most_alike(alike: Floats, among: slice, gone: Sequence[int], kept: int) -> NDArray[np.intp]:
    """The palms that the sieve lets pass."""
    palms = np.setdiff1d(np.arange(among.start, among.stop), gone, assume_unique=True)
    if len(palms) <= kept:
        return palms
    return palms[np.argpartition(-alike[palms - among.start], kept)[:kept]]


def _best(found: Mapping[int, Candidate]) -> float:
    return max((candidate.agreement for candidate in found.values()), default=0.0)


def _snapshot(scrambles: Scrambles, palms: tuple[Palm, ...], sketches: NDArray[np.int8]) -> Snapshot:
    order = sorted(range(len(palms)), key=lambda at: _ORDER[palms[at].hand])
    palms, sketches = tuple(palms[at] for at in order), sketches[order]
    cells = _sieve_cells(scrambles.coarse.order.tobytes())
    columns = (cells[:, None] * ORIENTATIONS + np.arange(ORIENTATIONS)).reshape(-1)
    sieve = sketches[:, columns].astype(np.float32)
    sieve /= _lengths(sieve)[:, None]
    places: dict[str, tuple[int, ...]] = {}
    for at, palm in enumerate(palms):
        places[palm.person] = (*places.get(palm.person, ()), at)
    hands = Counter(palm.hand for palm in palms)
    left_to, right_from = hands[Hand.LEFT], len(palms) - hands[Hand.RIGHT]
    templates = sum(len(palm.fine) for palm in palms)
    return Snapshot(scrambles, palms, sketches, sieve, left_to, right_from, places, templates)


def _lengths(rows: Floats) -> Floats:
    return np.asarray(np.maximum(np.linalg.norm(rows, axis=1), 1), np.float32)


def _sketch(palm: Palm, scrambles: Scrambles) -> NDArray[np.int8]:
    """(1536,): how many templates say line less how many say none."""
    return np.asarray(coarse_signs(palm.coarse, scrambles.coarse)[0].sum(0), np.int8)


@cache
def _sieve_cells(order: bytes) -> NDArray[np.intp]:
    """(32,): where the key has put every eighth coarse cell, as black squares on a board of every second one."""
    row, column = np.divmod(np.frombuffer(order, np.intp), COARSE_SIDE)
    return np.flatnonzero((row % 2 == 1) & (column % 2 == 1) & ((row // 2 + column // 2) % 2 == 1))
