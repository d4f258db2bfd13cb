"""Looks at a silhouette: what points show, and how far rays run over it."""

from dataclasses import dataclass, field

import numpy as np

from edge_agent.palm.hand.arrays import Flags, Floats, Mask


@dataclass(frozen=True, slots=True)
class RayReach:
    """How far rays (...,) run over the hand."""

    reach: Floats = field(repr=False)  # (...,), the first step that is no hand
    whole: Flags = field(repr=False)  # (...,), True where every step is hand
    hidden: Flags = field(repr=False)  # (...,), True where the ray leaves the picture before it leaves the hand


def sample_mask(mask: Mask, points: Floats) -> tuple[Flags, Flags]:
    """Returns where points (..., 2) are hand, and where they are in the picture at all, each (...,)."""
    height, width = mask.shape
    x, y = np.rint(points[..., 0]).astype(np.intp), np.rint(points[..., 1]).astype(np.intp)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return (mask[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] > 0) & inside, inside


def follow_rays(mask: Mask, points: Floats, steps: Floats, beyond: float) -> RayReach:
    """Returns how far rays run whose points (..., k, 2) lie at the steps (k,); `beyond` where they do not end."""
    hand, inside = sample_mask(mask, points)
    whole = np.asarray(hand.all(axis=-1))
    end = np.argmax(~hand, axis=-1)
    hidden = ~whole & ~np.take_along_axis(inside, end[..., None], axis=-1)[..., 0]
    return RayReach(np.where(whole, beyond, steps[end]), whole, hidden)
