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

from edge_agent.palm.contour import Floats, Gap
from edge_agent.palm.segment import Mask
from edge_agent.palm.types import Hand

CANDIDATES_MAX = 24
# Triples that pass the cheap terms and are worth looking at the mask for.
_LOOKED_AT_MAX = 40
# What a gap costs that was followed between closed fingers, and one that nobody saw.
_CLOSED_COST = 3.0
_CONTINUED_COST = 1.0
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
    # How far the middle gap leans to the right of straight up, in radians; 0 where it is too wide to tell.
    lean: float


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
    kept: list[Gap] = []
    for gap in sorted(gaps, key=lambda g: (g.closed, -g.depth)):
        near = (np.hypot(*(gap.point - k.point)) < 0.12 * radius and gap.direction @ k.direction > 0.7 for k in kept)
        if not any(near):
            kept.append(gap)
    return kept[:CANDIDATES_MAX]


def best_valleys(gaps: list[Gap], mask: Mask, radius: float, *, with_unseen: bool = False) -> Valleys | None:
    """Return the most hand-like triple, or None where no triple is even possible.

    `with_unseen` also tries pairs whose middle valley nobody saw: a ring over it, fingers pressed.
    """
    triples = _possible(gaps, radius, with_unseen)
    if triples is None:
        return None
    triples = triples.take(np.argsort(triples.cost)[:_LOOKED_AT_MAX])
    whole = _fingers_whole(triples, mask)
    score = triples.cost + _looks(triples, mask, whole) + 9 * _unused(triples, gaps, mask, whole)
    best = int(np.argmin(score))
    points = np.stack([triples.p1[best], triples.p2[best], triples.p3[best]])
    return Valleys(
        points,
        triples.u[best],
        triples.f[best],
        float(triples.length[best]),
        float(score[best]),
        _lean(triples, gaps, best),
    )


def _lean(triples: _Triples, gaps: list[Gap], row: int) -> float:
    middle = int(triples.middle[row])
    if middle < 0 or gaps[middle].flat:
        return 0.0
    towards = gaps[middle].direction
    return float(np.arctan2(towards @ triples.u[row], towards @ triples.f[row]))


def hand_of(valleys: Valleys, gaps: list[Gap]) -> Hand:
    """Tell the hand by the side its thumb's gap is on, as seen by a camera that does not mirror."""
    deepest = {1: 0.0, -1: 0.0}
    for side, base in ((1, valleys.points[2]), (-1, valleys.points[0])):
        for gap in gaps:
            outward = side * ((gap.point - base) @ valleys.along) / valleys.length
            height = (gap.point - base) @ valleys.up / valleys.length
            opens_up = gap.direction @ valleys.up
            opens_out = side * (gap.direction @ valleys.along)
            spread = 0.05 < outward < 1.1 and -1.8 < height < -0.3 and opens_up > -0.2 and opens_out > -0.6
            # A thumb laid along the palm closes its gap up to the height of the valleys.
            laid = 0.25 < outward < 0.9 and -0.3 <= height < 0.35 and opens_up > 0.5 and gap.depth > 0.6
            if spread or laid:
                deepest[side] = max(deepest[side], gap.depth)
    side = 1 if deepest[1] > deepest[-1] else -1
    # Shallow bays are mostly the folds that palms have at their sides. One is believed when the fingers agree: the
    # valleys descend to the little finger, so that to the line through them the middle finger leans to the thumb.
    enough = 0.2 if side * valleys.lean > 0.05 else 0.3
    if deepest[side] < enough or deepest[side] - deepest[-side] < 0.1:
        return Hand.UNKNOWN
    return Hand.RIGHT if side > 0 else Hand.LEFT


def _beyond(value: Floats, centre: float, free: float, unit: float) -> Floats:
    """Return the squared deviation from a centre, with a free range around it."""
    return np.asarray((np.maximum(0.0, np.abs(value - centre) - free) / unit) ** 2)


def _cost_of(gap: Gap) -> float:
    return (_CONTINUED_COST if gap.continued else _CLOSED_COST) if gap.closed else 0.0


def _possible(gaps: list[Gap], radius: float, with_unseen: bool) -> _Triples | None:
    count = len(gaps)
    if count < 2:
        return None
    points = np.array([g.point for g in gaps])
    # One row more for the gap nobody saw: no direction, no deviation.
    towards = np.vstack([[g.direction for g in gaps], np.zeros((1, 2))])
    closed = np.array([_cost_of(g) for g in gaps] + [_UNSEEN_COST])
    index = np.arange(count)
    i, j, k = (v.ravel() for v in np.meshgrid(index, np.append(index, -1) if with_unseen else index, index))
    keep = (i != j) & (j != k) & (i != k)
    i, j, k = i[keep], j[keep], k[keep]
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
    leans[1] = np.where(unseen, 0.0, leans[1])
    cost = _beyond(t, 0.5, 0.0, 0.06) + _beyond(h, 0.08, 0.07, 0.07) + _beyond(size, 1.2, 0.0, 0.3)
    cost += _beyond(leans[0], -0.15, 0.45, 0.2) + _beyond(leans[1], 0.0, 0.3, 0.2) + _beyond(leans[2], 0.15, 0.45, 0.2)
    cost += closed[i] + closed[j] + closed[k]
    return _Triples(i, j, k, points[i], middle, points[k], u, f, length, t, h, cost).take(keep)


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


def _looks(triples: _Triples, mask: Mask, whole: NDArray[np.bool_]) -> Floats:
    """Return the sum of what the mask says against each triple."""
    coverage, in_picture = _coverage(triples, mask)
    cost = _beyond(coverage, 1.0, 0.0, 0.04) + (np.maximum(0, 0.7 - in_picture) / 0.15) ** 2
    cost += _fingers_missing(triples, mask) + _outer_widths(triples, mask) + _outer_reaches(triples, mask, whole)
    return np.asarray(cost, np.float64)


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
    across, above = np.linspace(0.18, 0.82, 5), np.linspace(0.05, 0.35, 4)
    cost = np.zeros(len(triples.cost))
    for left, right in ((triples.p1, triples.p2), (triples.p2, triples.p3)):
        columns = left[:, None, :] + (right - left)[:, None, :] * across[:, None]
        points = columns[:, :, None, :] + above[:, None] * (triples.length[:, None] * triples.f)[:, None, None, :]
        hand, inside = _sample(mask, points)
        filled = np.sort(np.where(inside, hand, True).mean(axis=2), axis=1)[:, -2:].mean(axis=1)
        cost += np.minimum(9.0, ((1 - filled) / 0.2) ** 2)
    return cost


def _outer_widths(triples: _Triples, mask: Mask) -> Floats:
    """From an outer valley to the hand's side it is a finger's width: less is no finger, more is two."""
    outward = np.linspace(0.05, 1.2, 47)
    tilts = np.array([0.0, 0.35])[:, None]
    rows = np.ones((len(triples.cost), 1, 1))
    cost = np.zeros(len(triples.cost))
    for base, side in ((triples.p1, -1.0), (triples.p3, 1.0)):
        along = rows * (side * np.cos(tilts) * outward)[None]
        above = rows * (-0.06 - np.sin(tilts) * outward)[None]
        hand, inside = _sample(mask, _placed(triples, base, along, above))
        runs, index = _first_out(~hand, outward, 1.25)
        left_picture = ~hand.all(axis=-1) & ~np.take_along_axis(inside, index[..., None], axis=-1)[..., 0]
        # The picture's edge hides the rest of a finger.
        runs = np.where(left_picture, np.clip(runs, 0.45, 0.68), runs)
        width = np.where(runs[:, 0] < 0.3, np.minimum(runs.max(axis=1), 0.8), runs[:, 0])
        cost += np.minimum(12.0, (np.maximum(0, 0.32 - width) / 0.08) ** 2)
        cost += np.minimum(16.0, (np.maximum(0, width - 0.64) / 0.08) ** 2)
    return cost


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


def _outer_reaches(triples: _Triples, mask: Mask, whole: NDArray[np.bool_]) -> Floats:
    """An outer finger is nearly as long as the others; a thumb laid against the palm ends at their base."""
    rows = len(triples.cost)
    up = np.linspace(-0.05, 1.0, 22)
    outward, tilts = (v.ravel()[:, None] for v in np.meshgrid((0.15, 0.25, 0.35), (-0.25, 0.0, 0.25, 0.5)))
    cost = np.zeros(rows)
    for base, side in ((triples.p1, -1.0), (triples.p3, 1.0)):
        ones = np.ones((rows, 1, 1))
        along, above = ones * (side * (outward + np.sin(tilts) * up))[None], ones * (np.cos(tilts) * up)[None]
        hand, inside = _sample(mask, _placed(triples, base, along, above))
        reach, index = _first_out(~hand, up, 1.0)
        ended_inside = np.take_along_axis(inside, index[..., None], axis=-1)[..., 0]
        longest = np.where(hand.all(axis=-1) | ~ended_inside, 1.0, reach).max(axis=1)
        strict = np.minimum(16.0, (np.maximum(0, 0.85 - longest) / 0.1) ** 2)
        lenient = np.minimum(6.0, (np.maximum(0, 0.5 - longest) / 0.2) ** 2)
        cost += np.where(whole, strict, lenient)
    return cost


def _unused(triples: _Triples, gaps: list[Gap], mask: Mask, whole: NDArray[np.bool_]) -> Floats:
    """Return 0 to 1: how surely a gap was left out that belongs between or beside the chosen ones."""
    points, towards = np.array([g.point for g in gaps]), np.array([g.direction for g in gaps])
    index = np.arange(len(gaps))
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
