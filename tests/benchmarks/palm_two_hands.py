"""How surely a second hand is seen, and how rarely where there is none: `python -m tests.benchmarks.palm_two_hands`.

Composites of single hands (`tests/edge_agent/palm/composites.py`): pairs that are joined, spread, touching, or coming
in; singles with nothing, a drawn face, a sleeve, and things. A pair counts as missed where a palm is answered that is
not the one clearly presented; a single counts as wrong where two hands are said. A single that is refused for another
reason is counted beside it. Intervals are Clopper and Pearson's 95 %, by composite; composites share hands.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from edge_agent.palm.hand.refusal import UnfitPicture, UnfitReason
from edge_agent.palm.hand.region import FramedPalm, find_region
from tests.edge_agent.palm.composites import BUILT, HELD_OUT, Composite, make_pairs, make_singles, read_hands
from tests.outside import PALMS

SETS: Final = ("full_hands11k", "full_nir_hand", "full_polyu2")


@dataclass(slots=True)
class Tally:
    """The answers to the composites of one kind."""

    pictures: int = 0
    wrong: int = 0  # a pair of which somebody could be named; a single refused as two
    presented: int = 0  # pairs of which the one clearly presented was answered
    refused: Counter[str] = field(default_factory=Counter)
    wrong_at: list[int] = field(default_factory=list)


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.benchmarks.palm_two_hands", description=__doc__)
    asked.add_argument("--half", choices=(BUILT, HELD_OUT), default=BUILT)
    asked.add_argument("--count", type=int, default=200, help="pairs and singles of each set")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--sets", nargs="+", default=SETS)
    wanted = asked.parse_args()
    told = {}
    for name in wanted.sets:
        hands = read_hands(PALMS / name, wanted.half)
        if len(hands) < 2:
            print(f"{PALMS / name}: fewer than two hands of this half", file=sys.stderr)
            return 1
        told[name] = {
            "pairs": judge(make_pairs(hands, wanted.count, wanted.seed)),
            "singles": judge(make_singles(hands, wanted.count, wanted.seed)),
        }
    print(msgspec.json.format(msgspec.json.encode({"half": wanted.half, **told})).decode())
    return 0


def judge(composites: Iterator[Composite]) -> dict[str, Tally]:
    """Returns the tally of each kind."""
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    for number, composite in enumerate(composites):
        tally = tallies[composite.kind]
        tally.pictures += 1
        answer = find_region(composite.picture)
        if isinstance(answer, UnfitPicture):
            tally.refused[answer.reason.value] += 1
            wrong = len(composite.hands) == 1 and answer.reason is UnfitReason.TWO_HANDS
        else:
            shown = composite.presented
            right = len(composite.hands) == 1 or (shown is not None and lies_on(answer, composite, shown))
            tally.presented += right
            wrong = not right
        tally.wrong += wrong
        tally.wrong_at += [number] * wrong
    return dict(tallies)


def lies_on(palm: FramedPalm, composite: Composite, hand: int) -> bool:
    """Returns True where the middle of the region lies on this hand."""
    x, y = np.round(palm.placement.corners.mean(axis=0)).astype(int)
    mask = composite.hands[hand]
    return bool(0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x])


if __name__ == "__main__":
    sys.exit(main())
