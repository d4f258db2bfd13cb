"""The line through strangers' agreements, on agreements whose line is known."""

import numpy as np
import pytest

from tests.benchmarks.parts import Part
from tests.calibrate import Line, fitted, told, worst_of


def scores(agreement: float, per_decade: float, count: int = 20_000) -> np.ndarray:
    """Agreements that lie on a line: of `count`, the n-th greatest is where a share of n / count is."""
    return np.array([Line(agreement, per_decade).at(-np.log10(n / count)) for n in range(1, count + 1)])


def test_the_line_is_found_and_goes_on_as_it_began() -> None:
    line = fitted(scores(0.3, 0.03))
    assert line.agreement == pytest.approx(0.3)
    assert line.per_decade == pytest.approx(0.03)
    assert line.at(6) == pytest.approx(0.36)


def test_the_worst_set_gives_the_line_and_a_set_left_out_does_not() -> None:
    lines = {"calm": Line(0.25, 0.05), "wild": Line(0.3, 0.02)}
    assert worst_of(lines) == lines["wild"]
    given = {(name, part): scores(line.agreement, line.per_decade) for name, line in lines.items() for part in Part}
    answer = told(list(lines), given)
    assert answer[0].startswith("TAIL_AGREEMENT 0.300,")
    assert answer[1].startswith("TAIL_PER_DECADE 0.020,")
    left_out = answer[-1].split("|")[-2]  # of the wild one, judged by the calm one's line
    assert int(left_out.split(" of ")[0]) > 10 * 4
    assert left_out.split(" of ")[1].startswith("40000")
