"""Finds who it is, among all: a gallery of protected templates, searched from coarse to fine.

    sieve     one vector of 192 numbers a palm (the sum of its templates' coarse codes, every fourth cell and in short)
              against the probe in many poses, by one matrix product; the best few hundred palms go on
    sketch    the same with all cells, 768 numbers; the best dozen palms, and the poses in which they may lie
    compare   from these poses on as in 1:1, the hopeless ones not to the end: one of their templates tells

The first look tries the 625 poses that a hand held with some care has, and only palms of the hand that the picture
shows. Where it finds nobody for sure, a second one tries 400 that lie between those, the 2,400 of a hand that lies far
beside, by half of the sieve first, and the other hand: a hand held badly, or told wrongly, costs time, not the lunch. A
stranger is looked at twice, and who is nearly known then is compared as in 1:1.

Where these name nobody, a third one takes its time: it sketches several times as many palms of either hand, far beside
as well, asks the fine code, which alone knows skin without creases, and compares the most alike as in 1:1.

The vectors of sieve and sketch are made when a palm is added and live in memory only: pad off, cells where the key put
them. Templates of a palm are stored in one pose (enrolment sees to it); those that are not have vectors of their own,
since the sum would be a blur. A `Snapshot` never changes: a roster's change makes a new one that shares the palms which
stay, and the daemon swaps one reference while searches go on in the old one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.matching.code import COARSE_CELLS, COARSE_SIDE, FINE_CELLS, Cells
from edge_agent.palm.matching.limits import (
    CANDIDATES_MAX,
    COARSE_SHIFT,
    COMPARED_TOGETHER,
    COMPARED_WIDE,
    GLANCED,
    LOOSE_PALM_MIN,
    LOOSE_STRANGER_AGAIN_MAX,
    LOOSE_STRANGER_MAX,
    NEAR_SHIFT,
    NEARLY_SURE_MIN,
    ONE_POSE_MIN,
    ROUGH_CELLS,
    ROUGHLY_FAR,
    ROUGHLY_FAR_WIDE,
    SEARCH_BENT_MIN,
    SIEVED,
    SIEVED_AGAIN,
    SIEVED_FAR,
    SIEVED_OTHER_HAND,
    SIEVED_WIDE,
    SKETCHED,
    SKETCHED_AGAIN,
    SKETCHED_FAR_WIDE,
    SKETCHED_WIDE,
    STARTS_AGAIN,
    SURE_MIN,
    TEMPLATES_MAX,
    TEXTURES_WIDE,
)
from edge_agent.palm.matching.match import (
    STRANGERS,
    Starts,
    best_starts,
    coarse_signs,
    compare_palm,
    find_poses,
    refine_poses,
    starts_around,
    unlock,
)
from edge_agent.palm.matching.operating_point import OperatingPoint, operating_point
from edge_agent.palm.matching.permutation import ProtectedCode, Scrambles
from edge_agent.palm.matching.probe import TERMS, Probe, fine_shifts, in_short, normalised, texture, thin_cells
from edge_agent.palm.matching.responses import ORIENTATIONS, Floats
from edge_agent.palm.types import Hand

_ORDER: Final = {Hand.LEFT: 0, Hand.UNKNOWN: 1, Hand.RIGHT: 2}


@dataclass(frozen=True, slots=True)
class Candidate:
    person: str
    agreement: float
    hand: Hand = Hand.UNKNOWN  # of the template that agreed best


Ranking = tuple[Candidate, ...]
"""Best first, a person once."""


@dataclass(frozen=True, slots=True)
class PalmMatch:
    person: str
    score: float
    margin: float  # to the second person


@dataclass(frozen=True, slots=True)
class AmbiguousPalm:
    """More than one person is alike enough. Ask for the other hand, or a card."""

    candidates: Ranking


@dataclass(frozen=True, slots=True)
class NoPalmMatch:
    best: float


GalleryDecision = PalmMatch | AmbiguousPalm | NoPalmMatch


def decide(ranking: Ranking, point: OperatingPoint) -> GalleryDecision:
    """Names somebody, or says why not."""
    if not ranking or ranking[0].agreement < point.threshold:
        return NoPalmMatch(ranking[0].agreement if ranking else 0.0)
    second = ranking[1].agreement if len(ranking) > 1 else 0.0
    margin = ranking[0].agreement - second
    if margin < point.margin:
        near = ranking[0].agreement - point.margin
        return AmbiguousPalm(tuple(candidate for candidate in ranking if candidate.agreement > near))
    return PalmMatch(ranking[0].person, ranking[0].agreement, margin)


@dataclass(frozen=True, slots=True)
class Palm:
    """The templates of one hand of one person, as they are kept."""

    person: str
    hand: Hand
    fine: Cells = field(repr=False)  # (n, 1024)
    coarse: Cells = field(repr=False)  # (n, 256)
    adapted: int = 0  # so many of the templates, the last ones, came from recognitions and not from an enrolment

    @classmethod
    def of(cls, person: str, hand: Hand, templates: Iterable[ProtectedCode], adapted: int = 0) -> "Palm":
        protected = list(templates)[:TEMPLATES_MAX]
        if not protected:
            raise ValueError("a palm without templates")
        fine, coarse = np.stack([code.fine for code in protected]), np.stack([code.coarse for code in protected])
        return cls(person, hand, fine, coarse, adapted)

    def erase(self) -> None:
        """Overwrites the codes with zeros. A search that is under way in an older snapshot then finds nothing here."""
        self.fine[...] = 0
        self.coarse[...] = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A gallery at one moment. Searches change nothing in it, so any number of threads may search."""

    scrambles: Scrambles = field(repr=False)
    palms: tuple[Palm, ...] = field(repr=False)
    sketches: Floats = field(repr=False)  # (rows, 768) sums of signs, in short and of length 1
    sieve: Floats = field(repr=False)  # (rows, 192) the same of every fourth cell
    textures: Floats = field(repr=False)  # (rows, 768) the same of every fourth cell of the fine codes
    owner: NDArray[np.intp] = field(repr=False)  # (rows,) whose they are, ascending
    first: NDArray[np.intp] = field(repr=False)  # (rows,) the first of the palm's templates that are in it
    left_to: int  # rows before it are left hands
    right_from: int  # rows from it on are right hands
    places: Mapping[str, tuple[int, ...]] = field(repr=False)  # person → palms
    templates: int

    @property
    def persons(self) -> int:
        return len(self.places)

    @property
    def bytes_held(self) -> int:
        palm_bytes = sum(palm.fine.nbytes + palm.coarse.nbytes for palm in self.palms)
        return (
            palm_bytes
            + self.sketches.nbytes
            + self.sieve.nbytes
            + self.textures.nbytes
            + self.owner.nbytes
            + self.first.nbytes
        )

    def operating_point(self) -> OperatingPoint:
        return operating_point(self.templates)

    def _sure(self) -> float:
        """Returns the agreement at which the search ends. It is never below the threshold, so that a person found so is
        named.
        """
        return max(SURE_MIN, self.operating_point().threshold)

    def changed(self, added: Iterable[Palm], removed: Iterable[str] = ()) -> "Snapshot":
        """Returns a new snapshot without the persons `removed` and with the palms `added`; one replaces that hand's old
        palm.

        The old snapshot stays as it is. Erase removed palms once no search can be in it any more.
        """
        removed_people = set(removed)
        new = {(palm.person, palm.hand): palm for palm in added}
        stay = np.array(
            [p.person not in removed_people and (p.person, p.hand) not in new for p in self.palms], np.bool_
        ).reshape(-1)
        fresh = tuple(new.values())
        unchanged = tuple(palm for palm, stays in zip(self.palms, stay, strict=True) if stays)
        fresh_sketches = [_sketches(palm, self.scrambles) for palm in fresh]
        rows = stay[self.owner]
        sketches = np.vstack([self.sketches[rows], *(sketch for sketch, _, _ in fresh_sketches)])
        textures = np.vstack([self.textures[rows], *(each for _, each, _ in fresh_sketches)])
        owner = [
            (np.cumsum(stay) - 1)[self.owner[rows]],
            *(np.full(len(sketch[2]), len(unchanged) + n) for n, sketch in enumerate(fresh_sketches)),
        ]
        first = [self.first[rows], *(firsts for _, _, firsts in fresh_sketches)]
        return _snapshot(
            self.scrambles, unchanged + fresh, sketches, textures, np.concatenate(owner), np.concatenate(first)
        )

    def search(self, probe: Probe, without: str | None = None, hand: Hand = Hand.UNKNOWN) -> Ranking:
        """Returns the most alike persons, as if the person `without` were not there. `hand` is which one the probe
        seems to be.

        A given hand is looked for among its own kind first, which takes half the time. Where that names nobody for
        sure, all are looked at, so that a hand with the wrong label is still found.
        """
        own, others = self._by(hand)
        excluded = np.isin(self.owner, self.places.get(without, ()) if without is not None else ())
        hands = 2 if hand is Hand.UNKNOWN else 1
        near = self._sieve(probe, own, NEAR_SHIFT)
        rows, starts = self._sketched(probe, _most_alike(near, own, excluded, SIEVED * hands), SKETCHED)
        candidates = self._look_closely(probe, rows, starts, LOOSE_STRANGER_MAX, 0.0)
        if (best := _best(candidates)) >= self._sure():
            return _ranking(candidates.values())
        between = self._sieve(probe, own, NEAR_SHIFT, between=True)
        further_rows = self._sieve(probe, others, NEAR_SHIFT)
        passed = [_most_alike(alike, own, excluded, SIEVED_AGAIN * hands) for alike in (near, between)]
        rows = np.unique(np.concatenate([*passed, _most_alike(further_rows, others, excluded, SIEVED_OTHER_HAND)]))
        near_by, near_starts = self._sketched(probe, rows, SKETCHED_AGAIN, between=True)
        far, far_starts = self._far(probe, own, excluded)
        rows, starts = np.concatenate([near_by, far]), np.concatenate([near_starts, far_starts])
        new = [owner not in candidates or not candidates[owner].agreement for owner in self.owner[rows].tolist()]
        candidates |= self._look_closely(probe, rows[new], starts[new], LOOSE_STRANGER_AGAIN_MAX, best)
        nearly = [owner for owner in candidates if NEARLY_SURE_MIN <= candidates[owner].agreement < self._sure()]
        ranking = _ranking([*candidates.values(), *self._compare(probe, nearly)])
        if ranking and ranking[0].agreement >= self.operating_point().threshold:
            return ranking
        glances = [
            *self._glance(probe, far, far_starts),
            *self._glance_widely(probe, excluded),
        ]
        loose = dict(sorted(glances, key=itemgetter(1)))  # of several glances at a palm the best
        most = sorted(loose.keys() - nearly, key=lambda owner: (-loose[owner], owner))
        return _ranking([*ranking, *self._compare(probe, most[:COMPARED_WIDE])])

    def _glance_widely(self, probe: Probe, excluded: NDArray[np.bool_]) -> Iterator[tuple[int, float]]:
        """Glances at many more palms of either hand, by their sketches and by the texture of their skin."""
        everybody = slice(0, len(self.owner))
        for between in (False, True):
            alike = self._sieve(probe, everybody, NEAR_SHIFT, between=between)
            passed = _most_alike(alike, everybody, excluded, SIEVED_WIDE)
            yield from self._glance(probe, *self._sketched(probe, passed, SKETCHED_WIDE, between=between))
        yield from self._glance(probe, *self._far(probe, everybody, excluded, widely=True))
        passed = _most_alike((probe.texture() @ self.textures.T).max(0), everybody, excluded, TEXTURES_WIDE)
        yield from self._glance(probe, passed, np.zeros((len(passed), 0, 3), np.int16))

    def _glance(self, probe: Probe, rows: NDArray[np.intp], starts: Starts) -> Iterator[tuple[int, float]]:
        """Yields whose these rows are, and how well their first template agrees."""
        return zip(self.owner[rows].tolist(), self._glance_at(probe, rows, starts).tolist(), strict=True)

    def _glance_at(self, probe: Probe, rows: NDArray[np.intp], starts: Starts) -> NDArray[np.float64]:
        """Returns how well the first templates of these rows agree block by block, from these starts or upright."""
        firsts = [
            self.palms[owner].fine[first]
            for owner, first in zip(self.owner[rows].tolist(), self.first[rows].tolist(), strict=True)
        ]
        fine = np.array(firsts, np.uint8).reshape(-1, FINE_CELLS)
        return refine_poses(probe, self.scrambles.fine.unpad(fine), starts).loose

    def search_exhaustively(self, probe: Probe, without: str | None = None) -> Ranking:
        """Compares every palm, without sieve and sketch. It takes seconds, and measures what those two lose."""
        palms = [index for index, palm in enumerate(self.palms) if palm.person != without]
        return self._compare(probe, palms)

    def verify(self, person: str, probe: Probe) -> float:
        """Returns the agreement with one person's palms, 1:1; 0 for a person without any."""
        ranking = self._compare(probe, self.places.get(person, ()))
        return ranking[0].agreement if ranking else 0.0

    def _by(self, hand: Hand) -> tuple[slice, slice]:
        """Returns the sketches that may be this hand's, and the others: they lie left, unknown, right."""
        count = len(self.owner)
        match hand:
            case Hand.LEFT:
                return slice(0, self.right_from), slice(self.right_from, count)
            case Hand.RIGHT:
                return slice(self.left_to, count), slice(0, self.left_to)
            case Hand.UNKNOWN:
                return slice(0, count), slice(0, 0)
            case _:
                assert_never(hand)

    def _sieve(self, probe: Probe, among: slice, reach: int, *, between: bool = False) -> Floats:
        """Returns how alike these palms are at a glance, at shifts of up to `reach` coarse cells."""
        if among.start == among.stop:
            return np.zeros(0, np.float32)
        terms = probe.in_short(_sieve_cells(self.scrambles.coarse.order.tobytes()), reach, between=between)
        return np.asarray((terms @ self.sieve[among].T).max(0), np.float32)

    def _sketched(
        self, probe: Probe, rows: NDArray[np.intp], count_max: int, *, between: bool = False
    ) -> tuple[NDArray[np.intp], Starts]:
        """Returns the most alike of these sketches, one of a palm, and where they may lie."""
        alike = probe.in_short(np.arange(COARSE_CELLS), NEAR_SHIFT, between=between) @ self.sketches[rows].T
        best = self._best_of_palms(rows, alike.max(0), count_max)
        starts = starts_around if between else best_starts
        return rows[best], starts(alike[:, best].T, fine_shifts(NEAR_SHIFT))

    def _far(
        self, probe: Probe, among: slice, excluded: NDArray[np.bool_], *, widely: bool = False
    ) -> tuple[NDArray[np.intp], Starts]:
        """Returns the most alike sketches of palms that lie far beside, and where they may lie. Half of the sieve goes
        first, then all of it, or `widely` all of the sketch.
        """
        cells = _sieve_cells(self.scrambles.coarse.order.tobytes())
        terms = probe.in_short(cells[: ROUGH_CELLS if widely else None], COARSE_SHIFT, NEAR_SHIFT)
        rough = (terms[:, : ROUGH_CELLS * TERMS] @ self.sieve[among, : ROUGH_CELLS * TERMS].T).max(0)
        rows = _most_alike(rough, among, excluded, ROUGHLY_FAR_WIDE if widely else ROUGHLY_FAR)
        if widely:
            alike = probe.in_short(np.arange(COARSE_CELLS), COARSE_SHIFT, NEAR_SHIFT) @ self.sketches[rows].T
        else:
            alike = terms @ self.sieve[rows].T
        best = self._best_of_palms(rows, alike.max(0), SKETCHED_FAR_WIDE if widely else SIEVED_FAR)
        return rows[best], best_starts(alike[:, best].T, fine_shifts(COARSE_SHIFT, NEAR_SHIFT))[:, :STARTS_AGAIN]

    def _best_of_palms(self, rows: NDArray[np.intp], alike: NDArray[np.floating], count_max: int) -> NDArray[np.intp]:
        """Returns the most alike of these rows, one of a palm and at most `count_max`, the best first."""
        order = np.argsort(-alike, kind="stable")
        return order[np.sort(np.unique(self.owner[rows[order]], return_index=True)[1])[:count_max]]

    def _look_closely(
        self, probe: Probe, rows: NDArray[np.intp], starts: Starts, least: float, best: float
    ) -> dict[int, Candidate]:
        """Compares as in 1:1, and gives up where no real pair was ever seen to come back.

        `starts` are the poses in which the palms of the rows may lie. `least` is the loose agreement that a palm must
        reach at a glance. `best` is the agreement of the best palm so far. A palm that was given up has 0.
        """
        owners = self.owner[rows].tolist()
        candidates = {
            owner: Candidate(self.palms[owner].person, STRANGERS.agreement, self.palms[owner].hand) for owner in owners
        }
        if not candidates:
            return candidates
        glance = self._glance_at(probe, rows, starts)
        promising = np.union1d(self._best_of_palms(rows, glance, GLANCED), [0])
        # One template out of pose must not hide the others of the palm whose sketch is the best.
        promising = promising[(glance[promising] >= least) | (glance[promising] == glance.max()) | (promising == 0)]
        palms = [owners[index] for index in promising]
        fine, parts = _joined([self.palms[owner].fine for owner in palms])
        fine = self.scrambles.fine.unpad(fine)
        poses = refine_poses(probe, fine, starts[np.repeat(promising, [part.stop - part.start for part in parts])])
        reached = [float(poses.loose[part].max()) for part in parts]
        sure = self._sure()
        for index in np.argsort([-each for each in reached], kind="stable").tolist():
            if best < sure or reached[index] >= LOOSE_STRANGER_MAX:
                owner, own = palms[index], parts[index]
                agreement = compare_palm(probe, fine[own], poses.of(own), LOOSE_PALM_MIN, SEARCH_BENT_MIN).agreement
                best = max(best, agreement)
                candidates[owner] = Candidate(self.palms[owner].person, agreement, self.palms[owner].hand)
        return candidates

    def _compare(self, probe: Probe, palms: Sequence[int]) -> Ranking:
        candidates: list[Candidate] = []
        for first in range(0, len(palms), COMPARED_TOGETHER):
            part = palms[first : first + COMPARED_TOGETHER]
            fine, rows = _joined([self.palms[index].fine for index in part])
            coarse, _ = _joined([self.palms[index].coarse for index in part])
            templates = unlock(fine, coarse, self.scrambles.fine, self.scrambles.coarse)
            poses = find_poses(probe, templates)
            for index, own in zip(part, rows, strict=True):
                likeness = compare_palm(probe, templates.fine[own], poses.of(own))
                candidates.append(Candidate(self.palms[index].person, likeness.agreement, self.palms[index].hand))
        return _ranking(candidates)


def _joined(parts: Sequence[Cells]) -> tuple[Cells, list[slice]]:
    """Joins the codes of several palms, and returns which rows are whose."""
    ends = np.cumsum([len(part) for part in parts]).tolist()
    return np.concatenate(parts), [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def _ranking(candidates: Iterable[Candidate]) -> Ranking:
    """Ranks the candidates. A person stands in it once, by the better hand or look."""
    best: dict[str, Candidate] = {}
    for candidate in candidates:
        former = best.get(candidate.person)
        if former is None or candidate.agreement > former.agreement:
            best[candidate.person] = candidate
    order = sorted(best.values(), key=lambda candidate: (-candidate.agreement, candidate.person))
    return tuple(order[:CANDIDATES_MAX])


def empty(scrambles: Scrambles) -> Snapshot:
    """Returns a gallery with nobody in it, under one school's key."""
    nobody = np.zeros(0, np.intp)
    blank = np.zeros((0, COARSE_CELLS * TERMS), np.float32)
    return _snapshot(scrambles, (), blank, blank, nobody, nobody)


def _most_alike(alike: Floats, among: slice, excluded: NDArray[np.bool_], count_max: int) -> NDArray[np.intp]:
    """Returns the sketches that the sieve lets pass."""
    stay = np.flatnonzero(~excluded[among])
    if len(stay) > count_max:
        stay = stay[np.argpartition(-alike[stay], count_max)[:count_max]]
    return np.asarray(stay + among.start, np.intp)


def _best(candidates: Mapping[int, Candidate]) -> float:
    return max((candidate.agreement for candidate in candidates.values()), default=0.0)


def _snapshot(
    scrambles: Scrambles,
    palms: tuple[Palm, ...],
    sketches: Floats,
    textures: Floats,
    owner: NDArray[np.intp],
    first: NDArray[np.intp],
) -> Snapshot:
    hands = np.array([_ORDER[palm.hand] for palm in palms], np.intp)
    order = np.argsort(hands, kind="stable")
    palms = tuple(palms[index] for index in order)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    rows = np.argsort(place[owner], kind="stable")
    sketches, textures = sketches[rows], textures[rows]
    owner, first = place[owner][rows], first[rows]
    cells = _sieve_cells(scrambles.coarse.order.tobytes())
    sieve = normalised(sketches[:, (cells[:, None] * TERMS + np.arange(TERMS)).reshape(-1)])
    places: dict[str, tuple[int, ...]] = {}
    for index, palm in enumerate(palms):
        places[palm.person] = (*places.get(palm.person, ()), index)
    left_to, right_from = np.searchsorted(hands[order][owner], [_ORDER[Hand.UNKNOWN], _ORDER[Hand.RIGHT]]).tolist()
    templates = sum(len(palm.fine) for palm in palms)
    return Snapshot(scrambles, palms, sketches, sieve, textures, owner, first, left_to, right_from, places, templates)


def _sketches(palm: Palm, scrambles: Scrambles) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Returns sketches (rows, 768), textures (rows, 768), and the first template of each. A sketch counts how many
    templates say line less how many say none, in short; templates that lie in one pose share a row. A texture does the
    same with every fourth fine cell.
    """
    rows: list[Floats] = []
    textures: list[Floats] = []
    firsts: list[int] = []
    thin, _ = thin_cells(scrambles.fine.order.tobytes())
    fine = texture(scrambles.fine.unpad(palm.fine)[:, thin])
    for index, template in enumerate(coarse_signs(palm.coarse, scrambles.coarse)[0]):
        alike = [float(row @ template) / max(1.0, float(np.sqrt((row @ row) * (template @ template)))) for row in rows]
        if alike and max(alike) >= ONE_POSE_MIN:
            rows[best := int(np.argmax(alike))] += template
            textures[best] += fine[index]
        else:
            rows.append(template.copy())
            textures.append(fine[index].copy())
            firsts.append(index)
    lines = np.stack(rows).reshape(len(rows), COARSE_CELLS, ORIENTATIONS)
    sketches = normalised(in_short(lines).reshape(len(rows), -1))
    return sketches, normalised(np.stack(textures)), np.array(firsts, np.intp)


@cache
def _sieve_cells(order: bytes) -> NDArray[np.intp]:
    """Returns where the key has put every second cell of every second row of the coarse code, (64,). Half of them, as
    the black squares of a board, come first.
    """
    row, column = np.divmod(np.frombuffer(order, np.intp), COARSE_SIDE)
    odd_cells = np.flatnonzero((row % 2 == 1) & (column % 2 == 1))
    black = (row[odd_cells] // 2 + column[odd_cells] // 2) % 2 == 1
    return np.concatenate([odd_cells[black], odd_cells[~black]])
