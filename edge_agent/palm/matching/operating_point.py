"""Chooses the agreement that is enough, from how often a stranger may be taken for somebody.

A stranger searched among n templates has n chances to be taken for one. The share of single comparisons of strangers
at or above an agreement falls as a straight line in its logarithm; the line below was laid through the strangers of
public sets of contactless palms of adults, through the worst of them: IITD reaches 0.289 and 0.321 once in 1,000 and in
10,000 comparisons, and half of the latter are one palm that the set has under two names.
Beyond the last comparison that was measured it is an extrapolation, so a school should look at its own margin.
"""

from dataclasses import dataclass
from math import log10

from edge_agent.palm.matching.limits import (
    FPIR_DEFAULT,
    MARGIN_DEFAULT,
    TAIL_AGREEMENT,
    TAIL_DECADES,
    TAIL_PER_DECADE,
    THRESHOLD_MIN,
)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    threshold: float  # agreement at or above which a person is named
    margin: float  # agreement by which the second person must stay behind
    fpir: float  # expected share of strangers who are named, 0…1
    templates: int  # that it was chosen for

    def __str__(self) -> str:
        return (
            f"agreement ≥ {self.threshold:.3f}, margin ≥ {self.margin:.3f}: {100 * self.fpir:g} % of strangers expected"
            f" to be named among {self.templates} templates"
        )


def operating_point(templates: int, fpir: float = FPIR_DEFAULT, margin: float = MARGIN_DEFAULT) -> OperatingPoint:
    """Returns the threshold for a gallery of this size. `fpir` is a share, 0 to 1; raises ValueError outside."""
    if not 0 < fpir < 1:
        raise ValueError(f"fpir {fpir}: a share between 0 and 1")
    comparison = fpir / max(templates, 1)
    threshold = TAIL_AGREEMENT + TAIL_PER_DECADE * (-TAIL_DECADES - log10(comparison))
    return OperatingPoint(round(max(threshold, THRESHOLD_MIN), 3), margin, fpir, templates)
