"""The views of a hand, one a channel, and which of them is to be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edge_agent.palm.hand.anatomy.candidates import drop_doubles
from edge_agent.palm.hand.anatomy.coverage import measure_coverage
from edge_agent.palm.hand.anatomy.valleys import FingerValleys, find_best_valleys
from edge_agent.palm.hand.arrays import Floats, Pixels
from edge_agent.palm.hand.closed import GapEvidence, find_closed_gaps, gather_evidence
from edge_agent.palm.hand.contour import FingerGap, find_open_gaps, trace_outline
from edge_agent.palm.hand.landmarks import LandmarkValleys
from edge_agent.palm.hand.proportions import (
    AGREED_BONUS,
    AGREED_MAX,
    CLOSED_LEAD_MIN,
    FINGER_LEAN,
    LANDMARK_COVERAGE_MIN,
    SCORE_LANDMARKS,
    SCORE_LIKELY_MAX,
    SCORE_SURE_MAX,
)
from edge_agent.palm.hand.segment import Silhouette, find_silhouettes
from edge_agent.palm.types import Hand


@dataclass(frozen=True, slots=True)
class HandView:
    """One channel's silhouette with the valleys that its outline shows."""

    silhouette: Silhouette
    outline: Floats = field(repr=False)  # (n, 2), px of the crop
    gaps: list[FingerGap]
    evidence: GapEvidence
    valleys: FingerValleys | None
    closed: list[FingerGap] = field(default_factory=list)  # where they were looked for and helped

    @property
    def score(self) -> float:
        """The score of its valleys: 0 a perfect hand, infinite where there are none."""
        return self.valleys.score if self.valleys is not None else float("inf")


def view_channels(picture: Pixels, *, follow_closed: bool) -> list[HandView]:
    """Returns what each channel shows, up to the first that is sure; with closed gaps, if they are to be followed."""
    views: list[HandView] = []
    for silhouette in find_silhouettes(picture):
        view = view_outline(silhouette)
        views.append(add_closed_gaps(view) if follow_closed else view)
        if min(_doubt(earlier, views) for earlier in views) < SCORE_SURE_MAX:
            break
    return views


def view_outline(silhouette: Silhouette) -> HandView:
    """Returns what a silhouette's outline shows by its open gaps."""
    outline = trace_outline(silhouette.mask, silhouette.radius)
    gaps = find_open_gaps(outline, silhouette.radius)
    candidates = drop_doubles(gaps, silhouette.radius)
    evidence = gather_evidence(silhouette)
    valleys = find_best_valleys(candidates, silhouette.solid, silhouette.radius, evidence)
    return HandView(silhouette, outline, gaps, evidence, valleys)


def add_closed_gaps(view: HandView) -> HandView:
    """Returns the view with the gaps between closed fingers, where that is clearly better."""
    if view.score < SCORE_SURE_MAX:
        return view
    silhouette = view.silhouette
    closed = find_closed_gaps(view.evidence)
    candidates = drop_doubles(view.gaps + closed, silhouette.radius)
    valleys = find_best_valleys(candidates, silhouette.solid, silhouette.radius, view.evidence, with_unseen=True)
    if valleys is None or not is_better_closed(view.score, valleys.score):
        return view
    return replace(view, valleys=valleys, closed=closed)


def is_better_closed(open_score: float, closed_score: float) -> bool:
    """Returns True where valleys with closed gaps are to be believed, and not those of the open gaps alone.

    Likely open gaps are placed better than closed ones, which have to beat them by a lead.
    """
    lead = CLOSED_LEAD_MIN if open_score < SCORE_LIKELY_MAX else 0.0
    return closed_score + lead < open_score


def correct_valleys(view: HandView, landmarks: LandmarkValleys) -> HandView | None:
    """Returns the view with the landmarks' valleys, or as it is where they agree; None if they mean no palm."""
    silhouette = view.silhouette
    mirrored = landmarks.hand is Hand.RIGHT
    points = silhouette.from_picture(landmarks.valleys[::-1] if mirrored else landmarks.valleys)
    base = points[-1] - points[0]
    length = float(np.hypot(*base))
    if view.valleys is not None and _lie_together(view.valleys.points, points, length):
        return view
    along = base / length
    up = np.array([along[1], -along[0]])
    if measure_coverage(points, along, up, length, silhouette.solid) < LANDMARK_COVERAGE_MIN:
        return None
    thumb = 1.0 if mirrored else -1.0
    towards = np.cos(FINGER_LEAN) * up + thumb * np.sin(FINGER_LEAN) * along
    return replace(view, valleys=FingerValleys(points, along, up, length, SCORE_LANDMARKS, towards, 0.0))


def choose_view(views: Sequence[HandView]) -> HandView | None:
    """Returns the view that is doubted least, or None where there is none."""
    return min(views, key=lambda view: _doubt(view, views), default=None)


def _doubt(view: HandView, views: Sequence[HandView]) -> float:
    """Returns a view's score, less for each channel that sees the same valleys and so vouches for it."""
    return view.score - AGREED_BONUS * sum(_agree(view, witness) for witness in views if witness is not view)


def _agree(view: HandView, witness: HandView) -> bool:
    """Returns True where both views have their outer valleys in the same places."""
    if view.valleys is None or witness.valleys is None:
        return False
    points = view.silhouette.to_picture(view.valleys.points)
    witnessed = witness.silhouette.to_picture(witness.valleys.points)
    return _lie_together(points, witnessed, float(np.hypot(*(points[-1] - points[0]))))


def _lie_together(points: Floats, witnessed: Floats, length: float) -> bool:
    """Returns True where the outer of three valleys (3, 2) lie near each other, in units of their distance."""
    apart = np.hypot(*(points - witnessed)[[0, -1]].T)
    return bool(apart.max() < AGREED_MAX * length)
