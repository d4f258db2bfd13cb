"""Makes one answer from several looks: the frames of a burst.

A person's agreement over frames is the mean of the frames, a frame in which somebody is no candidate counting as
chance. Strangers' agreements scatter independently and fall together when averaged, a known palm's do not, so the
threshold of a single frame holds.
"""

from collections.abc import Sequence

from edge_agent.palm.matching.gallery import Candidate, Ranking
from edge_agent.palm.matching.limits import FRAMES_MAX


def fuse_frames(rankings: Sequence[Ranking]) -> Ranking:
    """Joins the rankings of 1 to 3 frames of one hand. Raises ValueError for more."""
    if len(rankings) > FRAMES_MAX:
        raise ValueError(f"{len(rankings)} frames, {FRAMES_MAX} at most")
    if not rankings:
        return ()
    sums: dict[str, Candidate] = {}
    for ranking in rankings:
        for candidate in ranking:
            former = sums.get(candidate.person)
            agreement = candidate.agreement + (former.agreement if former else 0.0)
            sums[candidate.person] = Candidate(candidate.person, agreement, candidate.hand)
    means = (Candidate(c.person, c.agreement / len(rankings), c.hand) for c in sums.values())
    return tuple(sorted(means, key=lambda candidate: (-candidate.agreement, candidate.person)))
