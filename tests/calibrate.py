"""Finds the tail of strangers on one part of the palm sets, and shows what came of it on the other.

    python -m tests.calibrate [--pictures N] [--sets NAME …]

Strangers' agreements fall as a straight line in the logarithm of their share. The line is laid, set by set, through the
pictures of those people whom numbers are chosen on (`benchmarks.parts`), between one comparison in a hundred and the
tenth greatest; the worst set gives `TAIL_AGREEMENT` and `TAIL_PER_DECADE`. Then, without any further choice:

    other part        how many strangers of the people shown reach the agreement that one in 10,000 was to reach
    one set left out  the same for all people of a set, by the line that the other sets give

No other number of `limits` is found here.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np

from edge_agent.palm.matching.code import encode
from edge_agent.palm.matching.limits import TAIL_AGREEMENT, TAIL_DECADES, TAIL_PER_DECADE
from edge_agent.palm.matching.match import compare, unlock
from edge_agent.palm.matching.permutation import identity, protect
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import respond
from edge_agent.palm.measurement.evaluation import Sample
from edge_agent.palm.measurement.rates import Rate, Scores
from tests.benchmarks.palm_baseline import read
from tests.benchmarks.parts import Part, part_of
from tests.outside import PALMS

SETS: Final = ("tongji", "iitd", "unknown99", "casia_WHT", "casia_850", "casia_940")
PICTURES: Final = 160  # of a set and part: some 25,000 comparisons of strangers
DOUBLE: Final = {"iitd/036_L", "iitd/030_L"}  # hold pictures of another palm, which is no stranger (docs/palm.md)
LINE_FROM: Final = 0.01  # share of strangers above which they do not lie on the line yet
LINE_TO: Final = 10  # comparisons; of fewer the place on the line is chance


@dataclass(frozen=True, slots=True)
class Line:
    """The agreement that one stranger's comparison in 10,000 reaches, and how much more one ten times rarer does."""

    agreement: float
    per_decade: float

    def at(self, decades: float) -> float:
        """Returns the agreement that one comparison in 10 ** `decades` reaches."""
        return self.agreement + self.per_decade * (decades - TAIL_DECADES)


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.calibrate", description=__doc__)
    asked.add_argument("--pictures", type=int, default=PICTURES, help="of each set and part")
    asked.add_argument("--sets", nargs="+", default=SETS, help="folders beside one another")
    wanted = asked.parse_args()
    names = [name for name in wanted.sets if (PALMS / name).is_dir()]
    if not names:
        print(f"{PALMS}: none of {', '.join(wanted.sets)} is in it", file=sys.stderr)
        return 1
    scores: dict[tuple[str, Part], Scores] = {}
    for name, part in product(names, Part):
        scores[name, part] = strangers(some(PALMS / name, part, wanted.pictures))
        print(f"{name}, {part}: {len(scores[name, part])} comparisons", file=sys.stderr, flush=True)
    print("\n".join(told(names, scores)))
    return 0


def told(names: Sequence[str], scores: Mapping[tuple[str, Part], Scores]) -> list[str]:
    """Returns the lines of the answer."""
    lines = {name: fitted(scores[name, Part.TUNED]) for name in names}
    worst = worst_of(lines)
    answer = [
        f"TAIL_AGREEMENT {worst.agreement:.3f}, in the table {TAIL_AGREEMENT}",
        f"TAIL_PER_DECADE {worst.per_decade:.3f}, in the table {TAIL_PER_DECADE}",
        "",
        "| set | its own line: 1 in 10,000, per decade | other part: beyond the table's | one set left out: beyond |",
        "|---|---|---|---|",
    ]
    shipped = Line(TAIL_AGREEMENT, TAIL_PER_DECADE)
    for name in names:
        rest = {each: line for each, line in lines.items() if each != name}
        everybody = np.concatenate([scores[name, part] for part in Part])
        answer.append(
            f"| {name} | {lines[name].agreement:.3f}, {lines[name].per_decade:.3f} "
            f"| {_beyond(scores[name, Part.SHOWN], shipped)} "
            f"| {_beyond(everybody, worst_of(rest)) if rest else '–'} |"
        )
    return answer


def worst_of(lines: Mapping[str, Line]) -> Line:
    """Returns the line that asks the most."""
    return max(lines.values(), key=lambda line: line.agreement)


def fitted(scores: Scores) -> Line:
    """Lays a straight line through the greatest agreements, by least squares of agreements over decades."""
    greatest = np.sort(scores)[::-1]
    ranks = np.arange(LINE_TO, max(LINE_TO + 2, int(LINE_FROM * len(scores))))
    decades = -np.log10(ranks / len(scores))
    slope, start = np.polyfit(decades, greatest[ranks - 1], 1)
    return Line(float(start + slope * TAIL_DECADES), float(slope))


def some(folder: Path, part: Part, pictures: int) -> list[Sample]:
    """Returns so many pictures of a part, spread over its people."""
    found = [
        sample
        for sample in read(folder)
        if part_of(name := f"{folder.name}/{sample.identity}") is part and name not in DOUBLE and sample.region
    ]
    spread = np.linspace(0, len(found) - 1, min(pictures, len(found))).round().astype(int)
    return [found[at] for at in spread.tolist()]


def strangers(samples: Sequence[Sample]) -> Scores:
    """Returns the agreement of every two pictures of different palms, the later one as the probe."""
    key = identity()
    regions = [sample.region for sample in samples if sample.region is not None]
    codes = [protect(encode(respond(region), region.hand), key) for region in regions]
    found: list[float] = []
    for at, region in enumerate(regions):
        others = [codes[of] for of in range(at) if samples[of].identity != samples[at].identity]
        if others:
            fine, coarse = np.stack([code.fine for code in others]), np.stack([code.coarse for code in others])
            likenesses = compare(Probe(respond(region), key), unlock(fine, coarse, key.fine, key.coarse))
            found += [likeness.agreement for likeness in likenesses]
    return np.array(found)


def _beyond(scores: Scores, line: Line) -> str:
    """Says how many of these comparisons reach what one in 10,000 was to reach."""
    rate = Rate(int(np.count_nonzero(scores >= line.agreement)), len(scores))
    low, high = (100 * bound for bound in rate.confidence_interval)
    return f"{rate.events} of {rate.trials}: {low:.1f} to {high:.1f} in 10,000"


if __name__ == "__main__":
    sys.exit(main())
