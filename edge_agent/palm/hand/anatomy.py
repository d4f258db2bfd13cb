"""Which three gaps are the ones between the four fingers, and on which side the thumb is.

Every ordered triple of candidate gaps spans a frame: u from the first valley to the third, f towards the
fingertips, L their distance. In that frame a hand looks the same whatever its size and turn, and a triple is
scored by how far it is from a hand: the sum of squared deviations, each in units of what was seen on open hands.
The commonest mistake, taking the thumb's gap for a finger's, shows in four of the terms: the middle valley
stands too high, an unused gap lies where the little finger's should be used, one outer "finger" ends at the
height of the thumb's tip, and the region would reach out of the hand.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.closed import Evidence
from edge_agent.palm.hand.contour import Floats, Gap
from edge_agent.palm.hand.segment import Mask
from edge_agent.palm.types import Hand

CANDIDATES_MAX = 44
# Triples that pass the cheap terms and are worth looking at the mask for.
_LOOKED_AT_MAX = 80
_LOOKED_AT_FIRST = 12
# What a gap costs that was followed between closed fingers, and one that nobody saw.
_CLOSED_COST = 1.0
_FOLD_COST = 16.0
# Sine of the lean that tells a closed hand's thumb side.
_LEANING_MIN = 0.1
_UNSEEN_COST = 18.0
# The region's square in units of L, shared with the cut.
SIDE = 1.25
OFFSET = 0.08


@dataclass(frozen=True, slots=True)
class Valleys:
    """The three valleys between four fingers, left to right with the fingers up, in the silhouette's pixels."""

    points: Floats = field(repr=False)
    # Unit vectors: along the valleys and towards the fingertips.
    along: Floats = field(repr=False)
    up: Floats = field(repr=False)
    length: float
    # 0 a perfect hand; above region.SCORE_MAX not a hand.
    score: float
    # Unit vector: where the three gaps lead on average.
    towards: Floats = field(repr=False)
    # How far the middle gap leans to the right of straight up, in radians; 0 where it is too wide to tell.
    lean: float
    # Of the three, how many are closed: the direction of such a gap is that of the fingers beside it.
    closed: int = 0


@dataclass(frozen=True, slots=True)
class _Triples:
    """Candidates as columns: one row a triple."""

    first: NDArray[np.intp]
    middle: NDArray[np.intp]
    third: NDArray[np.intp]
    p1: Floats
    p2: Floats
    p3: Floats
    u: Floats
    f: Floats
    length: Floats
    # Middle valley in the frame: along and above.
    t: Floats
    h: Floats
    cost: Floats

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "_Triples":
        return _Triples(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def distinct(gaps: list[Gap], radius: float) -> list[Gap]:
    """Drop the weaker of two candidates for one gap; what the outline shows counts more than what was followed."""
    ordered = sorted(gaps, key=lambda g: (g.closed, -g.depth))
    if not ordered:
        return []
    points, ways = np.array([g.point for g in ordered]), np.array([g.direction for g in ordered])
    kept: list[Gap] = []
    left = np.arange(len(ordered))
    while len(left) and len(kept) < CANDIDATES_MAX:
        best = left[0]
        kept.append(ordered[best])
        near = np.hypot(*(points[left] - points[best]).T) < 0.12 * radius
        left = left[~(near & (ways[left] @ ways[best] > 0.7))]
    return kept


def best_valleys(
    gaps: list[Gap], mask: Mask, radius: float, evidence: Evidence, *, with_unseen: bool = False
) -> Valleys | None:
    """Return the most hand-like triple, or None where no triple is even possible.

    `with_unseen` also tries pairs whose middle valley nobody saw: a ring over it, fingers pressed.
    """
    triples = _possible(gaps, radius, with_unseen)
    if triples is None:
        return None
    triples, score = _judged(triples.take(np.argsort(triples.cost)[:_LOOKED_AT_MAX]), gaps, mask, evidence)
    best = int(np.argmin(score))
    points = np.stack([triples.p1[best], triples.p2[best], triples.p3[best]])
    return Valleys(
        points,
        triples.u[best],
        triples.f[best],
        float(triples.length[best]),
        float(score[best]),
        _towards(triples, gaps, best),
        _lean(triples, gaps, best),
        sum(gaps[int(i[best])].closed for i in (triples.first, triples.middle, triples.third) if i[best] >= 0),
    )


def _judged(triples: _Triples, gaps: list[Gap], mask: Mask, evidence: Evidence) -> tuple[_Triples, Floats]:
    """Return the triples that may be the best with all that is to be said against them."""
    cost = triples.cost + _coverage_cost(triples, mask) + _fingers_missing(triples, mask)
    likeliest = np.argsort(cost)[:_LOOKED_AT_FIRST]
    first = triples.take(likeliest)
    score = cost[likeliest] + _further(first, gaps, mask, evidence)
    # Nothing counts in favour: what already costs more than the best cannot become it.
    rest = np.setdiff1d(np.flatnonzero(cost < score.min()), likeliest)
    if not len(rest):
        return first, score
    others = triples.take(rest)
    every = np.concatenate([likeliest, rest])
    return triples.take(every), np.concatenate([score, cost[rest] + _further(others, gaps, mask, evidence)])


def _further(triples: _Triples, gaps: list[Gap], mask: Mask, evidence: Evidence) -> Floats:
    whole = _fingers_whole(triples, mask)
    cost = _outer_widths(triples, gaps, mask) + _outer_reaches(triples, gaps, mask, whole)
    cost += 9 * _unused(triples, gaps, mask, whole)
    return np.asarray(cost + _lines(triples, gaps, evidence), np.float64)


def _towards(triples: _Triples, gaps: list[Gap], row: int) -> Floats:
    rows = (int(triples.first[row]), int(triples.middle[row]), int(triples.third[row]))
    mean = np.sum([gaps[i].direction for i in rows if i >= 0], axis=0)
    return np.asarray(mean / np.hypot(*mean), np.float64)


def _lean(triples: _Triples, gaps: list[Gap], row: int) -> float:
    middle = int(triples.middle[row])
    if middle < 0 or gaps[middle].flat:
        return 0.0
    towards = gaps[middle].direction
    return float(np.arctan2(towards @ triples.u[row], towards @ triples.f[row]))


def hand_of(valleys: Valleys, gaps: list[Gap]) -> Hand:
    """Tell the hand by the side its thumb is on, as seen by a camera that does not mirror."""
    side = _open_side(valleys, gaps) or _leaning_side(valleys) or _pressed_side(valleys, gaps)
    return {1: Hand.RIGHT, -1: Hand.LEFT, 0: Hand.UNKNOWN}[side]


def _beside(valleys: Valleys, gap: Gap, side: int) -> tuple[float, float, float, float]:
    """Return how far a gap lies out from the outer valley and above it, and how it opens upwards and outwards."""
    base = valleys.points[2] if side > 0 else valleys.points[0]
    outward = side * ((gap.point - base) @ valleys.along) / valleys.length
    height = (gap.point - base) @ valleys.up / valleys.length
    return float(outward), float(height), float(gap.direction @ valleys.up), side * float(gap.direction @ valleys.along)


def _open_side(valleys: Valleys, gaps: list[Gap]) -> int:
    """Return the side of the thumb's gap in the outline, 0 where it shows none."""
    deepest = {1: 0.0, -1: 0.0}
    for side in (1, -1):
        for gap in gaps:
            outward, height, opens_up, opens_out = _beside(valleys, gap, side)
            spread = 0.05 < outward < 1.1 and -1.8 < height < -0.3 and opens_up > -0.2 and opens_out > -0.6
            # A thumb laid along the palm closes its gap up to the height of the valleys.
            laid = 0.25 < outward < 0.9 and -0.3 <= height < 0.35 and opens_up > 0.5 and gap.depth > 0.6
            if not gap.closed and (spread or laid):
                deepest[side] = max(deepest[side], gap.depth)
    side = 1 if deepest[1] > deepest[-1] else -1
    # Shallow bays are mostly the folds that palms have at their sides. One is believed when the fingers agree: the
    # valleys descend to the little finger, so that to the line through them the middle finger leans to the thumb.
    enough = 0.2 if side * valleys.lean > 0.05 else 0.3
    return side if deepest[side] >= enough and deepest[side] - deepest[-side] >= 0.1 else 0


def _pressed_side(valleys: Valleys, gaps: list[Gap]) -> int:
    """Return the side where a thumb is pressed to the palm, its gap a dark line; 0 where none is, or on both."""
    sides = set()
    for side in (1, -1):
        for gap in gaps:
            outward, height, opens_up, _ = _beside(valleys, gap, side)
            if gap.closed and 0.3 < outward < 0.9 and -1.2 < height < 0.1 and opens_up > 0.85 and gap.depth > 0.75:
                sides.add(side)
    return sides.pop() if len(sides) == 1 else 0


def _leaning_side(valleys: Valleys) -> int:
    """Return the side to which closed fingers lean: the thumb's, also where it hides behind the palm."""
    leaning = float(valleys.towards @ valleys.along)
    if valleys.closed < 3 or abs(leaning) < _LEANING_MIN:
        return 0
    return 1 if leaning > 0 else -1


def _beyond(value: Floats, centre: float, free: float, unit: float) -> Floats:
    """Return the squared deviation from a centre, with a free range around it."""
    return np.asarray((np.maximum(0.0, np.abs(value - centre) - free) / unit) ** 2)


def _costs(gaps: list[Gap], radius: float) -> Floats:
    """Return what each gap costs: nothing where it is open, little where it is clearly closed."""
    opened = [g for g in gaps if not g.closed]
    costs = np.zeros(len(gaps))
    for row, gap in enumerate(gaps):
        if not gap.closed:
            continue
        costs[row] = _CLOSED_COST + (max(0.0, 0.9 - gap.depth) / 0.1) ** 2
        across = np.array([-gap.direction[1], gap.direction[0]])
        for other in opened:
            ahead, aside = (
                (other.point - gap.point) @ gap.direction / radius,
                (other.point - gap.point) @ across / radius,
            )
            # A fold of the skin where an open gap ends.
            if ahead > 0 and abs(aside) < 0.2:
                costs[row] = max(costs[row], _FOLD_COST * (1 - ahead / 0.4))
    return costs


def _possible(gaps: list[Gap], radius: float, with_unseen: bool) -> _Triples | None:
    count = len(gaps)
    if count < 2:
        return None
    points = np.array([g.point for g in gaps])
    # One row more for the gap nobody saw: no direction, no deviation.
    towards = np.vstack([[g.direction for g in gaps], np.zeros((1, 2))])
    closed = np.append(_costs(gaps, radius), _UNSEEN_COST)
    i, j, k = _rows(points, towards[:-1], radius, with_unseen)
    if not len(i):
        return None
    across = points[k] - points[i]
    length = np.hypot(across[:, 0], across[:, 1]) + 1e-9
    u = across / length[:, None]
    f = np.stack([u[:, 1], -u[:, 0]], axis=1)
    unseen = j < 0
    middle = np.where(unseen[:, None], points[i] + 0.5 * across + 0.1 * length[:, None] * f, points[j])
    t = np.einsum("nd,nd->n", middle - points[i], u) / length
    h = np.einsum("nd,nd->n", middle - points[i], f) / length
    rises = np.stack([np.einsum("nd,nd->n", towards[v], f) for v in (i, j, k)])
    rises[1, unseen] = 1.0
    size = length / radius
    keep = (t > 0.27) & (t < 0.73) & (h > -0.2) & (h < 0.4)
    keep &= np.where(unseen, (size > 0.8) & (size < 1.7), (size > 0.6) & (size < 2.0))
    keep &= rises.min(axis=0) > np.where(unseen, 0.6, 0.35)
    if not keep.any():
        return None
    leans = [np.arctan2(np.einsum("nd,nd->n", towards[v], u), np.einsum("nd,nd->n", towards[v], f)) for v in (i, j, k)]
    leans[1] = np.where(unseen, 0.5 * (leans[0] + leans[2]), leans[1])
    cost = _beyond(h, 0.08, 0.07, 0.07) + _beyond(size, 1.2, 0.1, 0.25)
    cost += np.minimum(*(_posture(side, t, *leans) for side in (1.0, -1.0)))
    cost += closed[i] + closed[j] + closed[k]
    return _Triples(i, j, k, points[i], middle, points[k], u, f, length, t, h, cost).take(keep)


def _posture(side: float, t: Floats, left: Floats, middle: Floats, right: Floats) -> Floats:
    """Return how unlike a hand the gaps lean (radians) whose thumb is to the left (1) or to the right (-1).

    To the line through the valleys all fingers of a closed hand lean to the thumb; spreading moves the outer ones.
    """
    thumb, little = (left, right) if side > 0 else (-right, -left)
    cost = _beyond(t, 0.5, 0.02, 0.06) + _beyond(side * middle, -0.12, 0.2, 0.12)
    return np.asarray(cost + _beyond(thumb, -0.35, 0.35, 0.16) + _beyond(little, 0.08, 0.42, 0.16), np.float64)


def _rows(
    points: Floats, towards: Floats, radius: float, with_unseen: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the triples whose neighbours lie side by side, left to right; -1 for a middle that nobody saw."""
    way = towards[:, None] + towards[None]
    way = way / (np.hypot(way[..., 0], way[..., 1])[..., None] + 1e-9)
    offset = (points[None] - points[:, None]) / radius
    rise = np.einsum("ijd,ijd->ij", offset, way)
    aside = np.einsum("ijd,ijd->ij", offset, np.stack([-way[..., 1], way[..., 0]], axis=-1))
    alike = np.einsum("id,jd->ij", towards, towards)
    beside = (aside > 0.15) & (aside < 1.4) & (np.abs(rise) < 0.2 + aside) & (alike > 0.2)
    i, j, k = np.nonzero(beside[:, :, None] & beside[None, :, :])
    if with_unseen:
        first, third = np.nonzero((aside > 0.6) & (aside < 1.8) & (np.abs(rise) < aside) & (alike > 0.5))
        i, j, k = np.append(i, first), np.append(j, np.full(len(first), -1)), np.append(k, third)
    return i, j, k


def _placed(triples: _Triples, base: Floats, along: Floats, above: Floats) -> Floats:
    """Return points (n, ...) given in the frames' units from a base (n, 2), in pixels (n, ..., 2)."""
    shape = (len(base),) + (1,) * (along.ndim - 1) + (2,)
    u, f, origin = (v.reshape(shape) for v in (triples.u, triples.f, base))
    unit = triples.length.reshape((*shape[:-1], 1))
    return np.asarray(origin + unit * (along[..., None] * u + above[..., None] * f))


def _sample(mask: Mask, points: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where the points are hand, and where they are in the picture at all."""
    height, width = mask.shape
    x, y = np.rint(points[..., 0]).astype(np.intp), np.rint(points[..., 1]).astype(np.intp)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return (mask[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] > 0) & inside, inside


def _first_out(stop: NDArray[np.bool_], at: Floats, none: float) -> tuple[Floats, NDArray[np.intp]]:
    """Return how far each ray runs until it stops, and at which of its points."""
    index = np.argmax(stop, axis=-1)
    return np.where(stop.any(axis=-1), at[index], none), index


def _coverage_cost(triples: _Triples, mask: Mask) -> Floats:
    coverage, in_picture = _coverage(triples, mask)
    return np.asarray(_beyond(coverage, 1.0, 0.0, 0.04) + (np.maximum(0, 0.7 - in_picture) / 0.15) ** 2, np.float64)


def _lines(triples: _Triples, gaps: list[Gap], evidence: Evidence) -> Floats:
    """Return what the dark lines say: each belongs into a gap, ends at the valley, and runs along no finger."""
    a, b, c = _line_terms(triples, gaps, evidence)
    return a + b + c


def _line_terms(triples: _Triples, gaps: list[Gap], evidence: Evidence) -> tuple[Floats, Floats, Floats]:
    rows = len(triples.cost)
    towards = np.vstack([[g.direction for g in gaps], np.zeros((1, 2))])
    middle = np.where((triples.middle < 0)[:, None], triples.f, towards[triples.middle])
    ways = [towards[triples.first], middle, towards[triples.third]]
    unit = triples.length[:, None, None, None]
    above, below = np.linspace(0.15, 0.6, 5), -np.linspace(0.15, 0.4, 4)
    low, beside = np.array([0.15, 0.25]), np.linspace(-0.06, 0.06, 5)
    unled, unended = np.zeros(rows), np.zeros(rows)
    for base, way in zip((triples.p1, triples.p2, triples.p3), ways, strict=True):
        across = np.stack([-way[:, 1], way[:, 0]], axis=1)
        led = _seen(evidence, evidence.gaps, base, way, across, unit, above, beside)
        goes_on = _seen(evidence, evidence.about, base, way, across, unit, below, 2 * beside)
        unled += np.minimum(9.0, (np.maximum(0, 0.8 - led) / 0.25) ** 2)
        # Where an open gap ends broadly, what goes on is a fold of the skin.
        sides = [_seen(evidence, evidence.gaps, base, way, across, unit, low, np.array([s])) for s in (-0.1, 0.1)]
        broad = np.minimum(*sides)
        unended += np.where(broad > 0.8, 0.0, np.minimum(5.0, (np.maximum(0, goes_on - 0.45) / 0.2) ** 2))
    heights, aside = np.linspace(0.2, 0.7, 5), np.linspace(0.36, 0.64, 4)
    inside = np.zeros(rows)
    p1, p2, p3 = triples.p1, triples.p2, triples.p3
    out = 0.5 * triples.length[:, None] * triples.u
    for left, right, lw, rw in (
        (p1, p2, ways[0], ways[1]),
        (p2, p3, ways[1], ways[2]),
        (p1 - out, p1, ways[0], ways[0]),
        (p3, p3 + out, ways[2], ways[2]),
    ):
        share = aside[None, None, :, None]
        base = left[:, None, None, :] * (1 - share) + right[:, None, None, :] * share
        way = lw[:, None, None, :] * (1 - share) + rw[:, None, None, :] * share
        level = evidence.along(evidence.lines, base + unit * heights[None, :, None, None] * way, way)
        inside += np.minimum(4.0, (np.maximum(0, level.max(axis=2).mean(axis=1) - 0.5) / 0.15) ** 2)
    return unled, unended, inside


def _seen(
    evidence: Evidence,
    levels: NDArray[np.uint8],
    base: Floats,
    way: Floats,
    across: Floats,
    unit: Floats,
    heights: Floats,
    beside: Floats,
) -> Floats:
    steps = heights[:, None, None] * way[:, None, None, :] + beside[None, :, None] * across[:, None, None, :]
    points = base[:, None, None, :] + unit * steps
    return np.asarray(evidence.along(levels, points, way[:, None, None, :]).max(axis=2).mean(axis=1), np.float64)


def covered(points: Floats, along: Floats, up: Floats, length: float, mask: Mask) -> float:
    """Return the share of the palm's square under three valleys that is hand, of what of it is in the picture."""
    cells = (np.arange(10) + 0.5) / 10
    x, y = np.meshgrid(cells - 0.5, cells)
    offsets = x[..., None] * SIDE * along - (y[..., None] * SIDE + OFFSET) * up
    hand, inside = _sample(mask, 0.5 * (points[0] + points[2]) + length * offsets)
    return float(hand.sum() / max(1, int(inside.sum())))


def _coverage(triples: _Triples, mask: Mask) -> tuple[Floats, Floats]:
    cells = (np.arange(10) + 0.5) / 10
    x, y = (v.ravel()[None] for v in np.meshgrid(cells - 0.5, cells))
    rows = np.ones((len(triples.cost), 1))
    base = 0.5 * (triples.p1 + triples.p3)
    hand, inside = _sample(mask, _placed(triples, base, rows * x * SIDE, -rows * (y * SIDE + OFFSET)))
    return hand.sum(axis=1) / np.maximum(1, inside.sum(axis=1)), inside.mean(axis=1)


def _fingers_missing(triples: _Triples, mask: Mask) -> Floats:
    """Between two valleys stands a finger: at least over two fifths of the way."""
    across, above = np.linspace(0.14, 0.86, 9), np.linspace(0.05, 0.35, 4)
    cost = np.zeros(len(triples.cost))
    for left, right in ((triples.p1, triples.p2), (triples.p2, triples.p3)):
        columns = left[:, None, :] + (right - left)[:, None, :] * across[:, None]
        points = columns[:, :, None, :] + above[:, None] * (triples.length[:, None] * triples.f)[:, None, None, :]
        hand, inside = _sample(mask, points)
        filled = np.sort(np.where(inside, hand, True).mean(axis=2), axis=1)[:, -2:].mean(axis=1)
        cost += np.minimum(9.0, ((1 - filled) / 0.2) ** 2)
    return cost


def _outer_widths(triples: _Triples, gaps: list[Gap], mask: Mask) -> Floats:
    """From an outer valley to the hand's side it is a finger's width: less is no finger, more is two.

    Beside a closed finger a thumb may lie, and does not reach so far up: there, the finger's middle is looked at too.
    """
    outward = np.linspace(0.05, 1.2, 47)
    tilts = np.array([0.0, 0.35])[:, None]
    rows = np.ones((len(triples.cost), 1, 1))
    cost = np.zeros(len(triples.cost))
    closed, towards = np.array([g.closed for g in gaps]), np.array([g.direction for g in gaps])
    for gap, base, side in ((triples.first, triples.p1, -1.0), (triples.third, triples.p3, 1.0)):
        along = rows * (side * np.cos(tilts) * outward)[None]
        above = rows * (-0.06 - np.sin(tilts) * outward)[None]
        runs = _runs(triples, mask, base, along, above, outward)
        width = np.where(runs[:, 0] < 0.3, np.minimum(runs.max(axis=1), 0.8), runs[:, 0])
        middle = base + 0.45 * triples.length[:, None] * towards[gap]
        higher = _runs(triples, mask, middle, along[:, :1], 0 * along[:, :1], outward)[:, 0]
        least = np.where(closed[gap] & (higher > 0.3), np.minimum(width, higher), width)
        cost += np.minimum(12.0, (np.maximum(0, 0.32 - width) / 0.08) ** 2)
        cost += np.minimum(16.0, (np.maximum(0, least - 0.64) / 0.08) ** 2)
    return cost


def _runs(triples: _Triples, mask: Mask, base: Floats, along: Floats, above: Floats, outward: Floats) -> Floats:
    """Return how far the hand reaches along each ray, (triples, rays)."""
    hand, inside = _sample(mask, _placed(triples, base, along, above))
    runs, index = _first_out(~hand, outward, 1.25)
    left_picture = ~hand.all(axis=-1) & ~np.take_along_axis(inside, index[..., None], axis=-1)[..., 0]
    # The picture's edge hides the rest of a finger.
    return np.where(left_picture, np.clip(runs, 0.45, 0.68), runs)


def _fingers_whole(triples: _Triples, mask: Mask) -> NDArray[np.bool_]:
    """Return where both middle fingers are seen in their length: not cut by the picture, not stubs behind a stop."""
    rows = len(triples.cost)
    up = np.linspace(0.1, 1.6, 25)
    tilts = np.array([-0.2, 0.0, 0.2])[:, None]
    longest, cut = np.zeros(rows), np.zeros(rows, np.bool_)
    for left, right in ((triples.p1, triples.p2), (triples.p2, triples.p3)):
        ones = np.ones((rows, 1, 1))
        along, above = ones * (np.sin(tilts) * up)[None], ones * (np.cos(tilts) * up)[None]
        hand, inside = _sample(mask, _placed(triples, 0.5 * (left + right), along, above))
        reach, index = _first_out(~hand, up, 1.6)
        ended_inside = np.take_along_axis(inside, index[..., None], axis=-1)[..., 0]
        cut |= (~hand.all(axis=-1) & ~ended_inside).any(axis=1)
        longest = np.maximum(longest, reach.max(axis=1))
    return np.asarray(~cut & (longest > 1.2))


def _outer_reaches(triples: _Triples, gaps: list[Gap], mask: Mask, whole: NDArray[np.bool_]) -> Floats:
    """An outer finger is nearly as long as the others; a thumb laid against the palm ends at their base."""
    rows = len(triples.cost)
    up = np.linspace(-0.05, 1.0, 22)
    outward, tilts = (v.ravel()[:, None] for v in np.meshgrid((0.15, 0.25, 0.35), (-0.25, 0.0, 0.25, 0.5)))
    inwards = tilts[:, 0] < 0
    closed, towards = np.array([g.closed for g in gaps]), np.array([g.direction for g in gaps])
    cost = np.zeros(rows)
    for gap, base, side in ((triples.first, triples.p1, -1.0), (triples.third, triples.p3, 1.0)):
        # A closed finger lies along its gap, and a ray that leans inwards would run in its neighbour.
        lean = np.arctan2(
            np.einsum("nd,nd->n", towards[gap], triples.u), np.einsum("nd,nd->n", towards[gap], triples.f)
        )
        lean = np.where(closed[gap], lean, 0.0)[:, None, None]
        angles = lean + side * tilts
        hand, inside = _sample(mask, _placed(triples, base, side * outward + np.sin(angles) * up, np.cos(angles) * up))
        reach, index = _first_out(~hand, up, 1.0)
        ended_inside = np.take_along_axis(inside, index[..., None], axis=-1)[..., 0]
        reach = np.where(hand.all(axis=-1) | ~ended_inside, 1.0, reach)
        longest = np.where(closed[gap][:, None] & inwards, 0.0, reach).max(axis=1)
        strict = np.minimum(16.0, (np.maximum(0, 0.85 - longest) / 0.1) ** 2)
        lenient = np.minimum(6.0, (np.maximum(0, 0.5 - longest) / 0.2) ** 2)
        cost += np.where(whole, strict, lenient)
    return cost


def _unused(triples: _Triples, gaps: list[Gap], mask: Mask, whole: NDArray[np.bool_]) -> Floats:
    """Return 0 to 1: how surely a gap was left out that belongs between or beside the chosen ones."""
    # What was followed between closed fingers counts in `_lines`.
    shown = np.array([i for i, g in enumerate(gaps) if not g.closed], np.intp)
    if not len(shown):
        return np.zeros(len(triples.cost))
    points, towards = np.array([gaps[i].point for i in shown]), np.array([gaps[i].direction for i in shown])
    index = shown
    used = (index == triples.first[:, None]) | (index == triples.middle[:, None]) | (index == triples.third[:, None])
    rise = triples.f @ towards.T
    offset = points[None] - triples.p1[:, None]
    x = np.einsum("ngd,nd->ng", offset, triples.u) / triples.length[:, None]
    y = np.einsum("ngd,nd->ng", offset, triples.f) / triples.length[:, None]
    apart = np.minimum(np.minimum(np.abs(x), np.abs(x - 1)), np.abs(x - triples.t[:, None]) - 0.1)
    between = (apart > 0.13) & (x > 0) & (x < 1) & (y > -0.15) & (y < 0.3) & (rise > 0.85)
    between &= (triples.middle >= 0)[:, None]
    worst = np.where(between & ~used, 0.8, 0.0)
    for base, side in ((triples.p3, 1.0), (triples.p1, -1.0)):
        step = base - triples.p2
        width = np.hypot(step[:, 0], step[:, 1])[:, None] + 1e-9
        step = step / width
        up = side * np.stack([step[:, 1], -step[:, 0]], axis=1)
        offset = points[None] - base[:, None]
        out = np.einsum("ngd,nd->ng", offset, step) / width
        drop = -np.einsum("ngd,nd->ng", offset, up) / width
        beside = (out > 0.45) & (out < 1.5) & (drop > -0.6) & ~used
        # Behind a finger's gap stands a finger; behind the gap of a thumb laid along the palm, only its tip. Where
        # fingers are cut that cannot be seen, and only a gap in line with the others counts.
        sure = (drop < 0.75) & (rise > 0.6) & (_reach_beside(triples, points, side, mask) > 0.7)
        likely = (drop < 0.45) & (rise > 0.75)
        weight = np.where(whole[:, None], 1 - np.maximum(0, drop - 0.3) / 0.6, 1 - np.maximum(0, drop) / 0.6)
        worst = np.maximum(worst, np.where(beside & np.where(whole[:, None], sure, likely), weight, 0.0))
    return np.asarray(worst.max(axis=1))


def _reach_beside(triples: _Triples, points: Floats, side: float, mask: Mask) -> Floats:
    """Return how far the hand reaches towards the fingertips just outside each gap, (triples, gaps)."""
    rows, count = len(triples.cost), len(points)
    up = np.linspace(0.0, 1.0, 21)
    outward = np.array([0.15, 0.25, 0.35])[:, None]
    ones = np.ones((rows, 1, 1, 1))
    along, above = ones * (side * outward + 0 * up), ones * (up + 0 * outward)
    placed = _placed(triples, np.zeros((rows, 2)), along, above)
    hand, inside = _sample(mask, placed + points[:, None, None, :])
    reach, stop = _first_out(~hand, up, 1.0)
    ended_inside = np.take_along_axis(inside, stop[..., None], axis=-1)[..., 0]
    reach = np.where(hand.all(axis=-1) | ~ended_inside, 1.0, reach)
    return np.asarray(reach.max(axis=-1).reshape(rows, count), np.float64)
