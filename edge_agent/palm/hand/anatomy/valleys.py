"""The most hand-like triple of gaps: the sum of all terms, and what the best triple says."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edge_agent.palm.hand.anatomy.candidates import find_triples
from edge_agent.palm.hand.anatomy.coverage import score_coverage
from edge_agent.palm.hand.anatomy.dark_lines import score_dark_lines
from edge_agent.palm.hand.anatomy.fingers import (
    find_whole_fingers,
    score_missing_fingers,
    score_outer_reaches,
    score_outer_widths,
)
from edge_agent.palm.hand.anatomy.triples import GapColumns, GapTriples, stack_gaps
from edge_agent.palm.hand.anatomy.unused import score_unused_gaps
from edge_agent.palm.hand.arrays import Floats, Mask
from edge_agent.palm.hand.closed import GapEvidence
from edge_agent.palm.hand.contour import FingerGap
from edge_agent.palm.hand.proportions import TRIPLES_FIRST, TRIPLES_MAX


@dataclass(frozen=True, slots=True)
class FingerValleys:
    """The three valleys between four fingers, left to right with the fingers up, in px of the crop."""

    points: Floats = field(repr=False)  # (3, 2)
    along: Floats = field(repr=False)  # (2,), unit vector from the first valley to the third
    up: Floats = field(repr=False)  # (2,), unit vector towards the fingertips
    length: float  # px between the outer valleys: L
    score: float  # 0 a perfect hand; above `SCORE_MAX` no hand
    towards: Floats = field(repr=False)  # (2,), unit vector where the three gaps lead on average
    lean: float  # rad that the middle gap leans to the right of straight up; 0 where it is too wide to tell
    closed: int = 0  # of the three, how many are closed: such a gap's direction is that of the fingers beside it


def find_best_valleys(
    candidates: Sequence[FingerGap], mask: Mask, radius: float, evidence: GapEvidence, *, with_unseen: bool = False
) -> FingerValleys | None:
    """Returns the valleys of the most hand-like triple of candidates, or None where no triple is even possible.

    `mask` is the solid silhouette, `radius` its R in px. `with_unseen` also tries pairs of outer gaps whose middle one
    nobody saw: a ring over it, fingers pressed.
    """
    if len(candidates) < 2:
        return None
    gaps = stack_gaps(candidates)
    triples = find_triples(gaps, radius, with_unseen=with_unseen)
    if triples is None:
        return None
    judged = _judge(triples.select(np.argsort(triples.cost)[:TRIPLES_MAX]), gaps, mask, evidence)
    best = judged.select(np.array([np.argmin(judged.cost)]))
    rows = [best.first[0], best.middle[0], best.third[0]]
    towards = gaps.directions[rows].sum(axis=0)
    return FingerValleys(
        np.stack([best.first_point[0], best.middle_point[0], best.third_point[0]]),
        best.along[0],
        best.up[0],
        float(best.length[0]),
        float(best.cost[0]),
        towards / np.hypot(*towards),
        0.0 if gaps.flat[best.middle[0]] else float(best.lean(gaps.directions[best.middle])[0]),
        int(gaps.closed[rows].sum()),
    )


def _judge(triples: GapTriples, gaps: GapColumns, mask: Mask, evidence: GapEvidence) -> GapTriples:
    """Returns the triples that may be the best, with all that is to be said against them as their cost."""
    cost = triples.cost + score_coverage(triples, mask) + score_missing_fingers(triples, mask)
    likeliest = np.argsort(cost)[:TRIPLES_FIRST]
    final = cost[likeliest] + _score_further(triples.select(likeliest), gaps, mask, evidence)
    # Nothing counts in favour: what already costs more than the best cannot become it.
    rest = np.setdiff1d(np.flatnonzero(cost < final.min()), likeliest)
    if len(rest):
        final = np.append(final, cost[rest] + _score_further(triples.select(rest), gaps, mask, evidence))
    return replace(triples.select(np.append(likeliest, rest)), cost=final)


def _score_further(triples: GapTriples, gaps: GapColumns, mask: Mask, evidence: GapEvidence) -> Floats:
    """Returns the cost (n,) of the terms that take the most work."""
    whole = find_whole_fingers(triples, mask)
    cost = score_outer_widths(triples, gaps, mask) + score_outer_reaches(triples, gaps, mask, whole)
    cost += score_unused_gaps(triples, gaps, mask, whole)
    return cost + score_dark_lines(triples, gaps, evidence)
