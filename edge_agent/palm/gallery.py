"""Who is it, among all: a gallery of protected templates, searched from coarse to fine.

    sieve     one vector of 384 whole numbers a palm (the sum of its templates' coarse codes, every fourth cell) against
              the probe in many poses, by one matrix product; the best few hundred palms go on
    sketch    the same with all 1,536 numbers; the best few palms
    compare   these as in 1:1, in all 2,420 poses

The first look tries the 500 poses that a hand held with some care has. Where it finds nobody for sure, a second one
takes all poses and keeps more: a hand held badly costs time, not the lunch, and a stranger is looked at twice.

The vectors of sieve and sketch are made when a palm is added and live in memory only: pad off, cells where the key put
them. Templates of a palm are stored in one pose (enrolment sees to it), otherwise their sum would be a blur. A
`Snapshot` never changes: a roster's change makes a new one that shares the palms which stay, and the daemon swaps one
reference while searches go on in the old one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.code import COARSE_CELLS, COARSE_SIDE, Cells
from edge_agent.palm.match import Templates, coarse_signs, compare_palm, find_poses, unlock
from edge_agent.palm.operating_point import OperatingPoint, operating_point
from edge_agent.palm.permutation import ProtectedCode, Scrambles
from edge_agent.palm.probe import COARSE_SCALES, COARSE_SHIFT, COARSE_TURNS, CoarseVariants, Probe
from edge_agent.palm.responses import ORIENTATIONS, Floats
from edge_agent.palm.types import Hand

SECOND_LOOK_BELOW: Final = 0.4  # agreement; strangers stay below it, and most known palms are above
TEMPLATES_MAX: Final = 12  # of one palm
CANDIDATES_MAX: Final = 5
COMPARED_TOGETHER: Final = 32  # palms; bounds the memory of one step


@dataclass(frozen=True, slots=True)
class _Look:
    shift: int  # coarse cells each way that sieve and sketch try
    sieved: int  # palms that pass the sieve
    sketched: int  # palms that are compared


_LOOKS: Final = (_Look(2, 300, 6), _Look(COARSE_SHIFT, 900, 16))


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
    sieve: Floats = field(repr=False)  # (palms, 384) the same, every fourth cell
    lengths: Floats = field(repr=False)  # (palms, 2) Euclidean, of sieve and sketch
    hands: NDArray[np.str_] = field(repr=False)  # (palms,)
    places: Mapping[str, tuple[int, ...]] = field(repr=False)  # person → palms
    templates: int

    @property
    def persons(self) -> int:
        return len(self.places)

    @property
    def bytes_held(self) -> int:
        kept = sum(palm.fine.nbytes + palm.coarse.nbytes for palm in self.palms)
        return kept + self.sketches.nbytes + self.sieve.nbytes + self.lengths.nbytes

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
        """The most alike persons. `without`: as if this person were not in it. `hand`: only palms that may be this one.

        A hand that is known for sure halves the strangers and the time.
        """
        allowed = np.ones(len(self.palms), np.bool_) if hand is Hand.UNKNOWN else self.hands != _OTHER[hand]
        allowed[list(self.places.get(without, ()) if without is not None else ())] = False
        among = np.flatnonzero(allowed)
        found: Ranking = ()
        for look in _LOOKS:
            palms = among
            if len(palms) > look.sieved:
                palms = palms[self._sieved(probe.coarse(), palms, look)]
            if len(palms) > look.sketched:
                palms = palms[self._sketched(probe.coarse(), palms, look)]
            found = _ranking((*found, *self._compare(probe, palms.tolist())))
            if len(palms) == len(among) or (found and found[0].agreement >= SECOND_LOOK_BELOW):
                break
        return found

    def search_exhaustively(self, probe: Probe, without: str | None = None) -> Ranking:
        """The same without sieve and sketch: every palm is compared. Seconds; for measuring what those lose."""
        palms = [at for at, palm in enumerate(self.palms) if palm.person != without]
        return self._compare(probe, palms)

    def verify(self, person: str, probe: Probe) -> float:
        """1:1: agreement with a person's palms; 0 for a person without any."""
        ranking = self._compare(probe, self.places.get(person, ()))
        return ranking[0].agreement if ranking else 0.0

    def _sieved(self, variants: CoarseVariants, palms: NDArray[np.intp], look: _Look) -> NDArray[np.intp]:
        rows, columns = _poses_within(look.shift), _sieve_columns(self.scrambles.coarse.order.tobytes())
        sums = self.sieve if len(palms) == len(self.palms) else self.sieve[palms]
        scores = variants.weights[np.ix_(rows, columns)] @ sums.T
        scores *= variants.factors[rows, None]
        best = scores.max(0) / self.lengths[palms, 0]
        return np.argpartition(-best, look.sieved)[: look.sieved]

    def _sketched(self, variants: CoarseVariants, palms: NDArray[np.intp], look: _Look) -> NDArray[np.intp]:
        rows = _poses_within(look.shift)
        scores = variants.weights[rows] @ self.sketches[palms].T.astype(np.float32)
        scores *= variants.factors[rows, None]
        best = scores.max(0) / self.lengths[palms, 1]
        return np.argsort(-best, kind="stable")[: look.sketched]

    def _compare(self, probe: Probe, palms: Sequence[int]) -> Ranking:
        found: list[Candidate] = []
        for first in range(0, len(palms), COMPARED_TOGETHER):
            part = [self.palms[at] for at in palms[first : first + COMPARED_TOGETHER]]
            templates = self._unlock(part)
            poses = find_poses(probe, templates)
            row = 0
            for palm in part:
                rows = slice(row, row + len(palm.fine))
                row = rows.stop
                likeness = compare_palm(probe, templates.fine[rows], poses.of(rows))
                found.append(Candidate(palm.person, likeness.agreement, palm.hand))
        return _ranking(found)

    def _unlock(self, palms: Sequence[Palm]) -> Templates:
        fine, coarse = np.concatenate([palm.fine for palm in palms]), np.concatenate([palm.coarse for palm in palms])
        return unlock(fine, coarse, self.scrambles.fine, self.scrambles.coarse)


def _ranking(found: Iterable[Candidate]) -> Ranking:
    """A person once, by the better hand or look."""
    best: dict[str, Candidate] = {}
    for candidate in found:
        known = best.get(candidate.person)
        if known is None or candidate.agreement > known.agreement:
            best[candidate.person] = candidate
    order = sorted(best.values(), key=lambda candidate: (-candidate.agreement, candidate.person))
    return tuple(order[:CANDIDATES_MAX])


_OTHER: Final = {Hand.LEFT: str(Hand.RIGHT), Hand.RIGHT: str(Hand.LEFT)}


def empty(scrambles: Scrambles) -> Snapshot:
    """A gallery with nobody in it, under one school's key."""
    return _snapshot(scrambles, (), np.zeros((0, COARSE_CELLS * ORIENTATIONS), np.int8))


def _snapshot(scrambles: Scrambles, palms: tuple[Palm, ...], sketches: NDArray[np.int8]) -> Snapshot:
    sieve = sketches[:, _sieve_columns(scrambles.coarse.order.tobytes())].astype(np.float32)
    lengths = np.stack([np.linalg.norm(sieve, axis=1), np.linalg.norm(sketches.astype(np.float32), axis=1)], axis=1)
    places: dict[str, tuple[int, ...]] = {}
    for at, palm in enumerate(palms):
        places[palm.person] = (*places.get(palm.person, ()), at)
    templates = sum(len(palm.fine) for palm in palms)
    hands = np.array([str(palm.hand) for palm in palms], np.str_)
    lengths = np.maximum(lengths, 1).astype(np.float32)
    return Snapshot(scrambles, palms, sketches, sieve, lengths, hands, places, templates)


def _sketch(palm: Palm, scrambles: Scrambles) -> NDArray[np.int8]:
    """(1536,): how many templates say line less how many say none."""
    return np.asarray(coarse_signs(palm.coarse, scrambles.coarse)[0].sum(0), np.int8)


@cache
def _poses_within(reach: int) -> NDArray[np.intp]:
    """Which of the coarse poses are shifted by so many coarse cells at most."""
    near = np.abs(np.arange(2 * COARSE_SHIFT + 1) - COARSE_SHIFT) <= reach
    shifts = (near[:, None] & near[None, :]).reshape(-1)
    return np.flatnonzero(np.tile(shifts, len(COARSE_TURNS) * len(COARSE_SCALES)))


@cache
def _sieve_columns(order: bytes) -> NDArray[np.intp]:
    """(384,): where the key has put every second cell of every second row of the coarse code."""
    row, column = np.divmod(np.frombuffer(order, np.intp), COARSE_SIDE)
    cells = np.flatnonzero((row % 2 == 1) & (column % 2 == 1))
    return (cells[:, None] * ORIENTATIONS + np.arange(ORIENTATIONS)).reshape(-1)
