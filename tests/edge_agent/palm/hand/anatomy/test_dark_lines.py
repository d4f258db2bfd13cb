import numpy as np
import pytest

from edge_agent.palm.hand.anatomy.dark_lines import (
    draw_gap_lines,
    score_dark_lines,
    score_gaps_without_line,
    score_lines_along_fingers,
    score_lines_behind_valleys,
)
from tests.edge_agent.palm.hand.anatomy.scenes import Line, draw_evidence, gap, triple

UPRIGHT = (gap(0, 0), gap(0.5, 0.08), gap(1, 0))
IN_GAPS: tuple[Line, ...] = (((0, 0), (0, 0.8)), ((0.5, 0.08), (0.5, 0.9)), ((1, 0), (1, 0.8)))


def test_each_gap_shows_ground_or_a_dark_line_on_its_way_up() -> None:
    triples, gaps = triple(UPRIGHT)
    lines = draw_gap_lines(triples, gaps)
    assert score_gaps_without_line(lines, draw_evidence(*IN_GAPS))[0] < 0.01
    assert score_gaps_without_line(lines, draw_evidence(ground=IN_GAPS))[0] < 0.01
    assert score_gaps_without_line(lines, draw_evidence(*IN_GAPS[:2]))[0] > 8


def test_a_gap_that_nobody_saw_is_looked_for_towards_the_fingertips() -> None:
    triples, gaps = triple((UPRIGHT[0], UPRIGHT[2]))
    middle: Line = ((0.5, 0.0), (0.5, 0.8))
    lines = draw_gap_lines(triples, gaps)
    assert score_gaps_without_line(lines, draw_evidence(IN_GAPS[0], IN_GAPS[2], middle))[0] < 0.01
    assert score_gaps_without_line(lines, draw_evidence(IN_GAPS[0], IN_GAPS[2]))[0] > 8


def test_a_line_ends_at_its_valley() -> None:
    triples, gaps = triple(UPRIGHT)
    lines = draw_gap_lines(triples, gaps)
    crease: Line = ((1, -0.6), (1, 0.8))
    assert score_lines_behind_valleys(lines, draw_evidence(*IN_GAPS))[0] < 0.01
    assert score_lines_behind_valleys(lines, draw_evidence(*IN_GAPS[:2], crease))[0] > 4


def test_behind_a_gap_that_ends_broadly_lies_a_fold_of_the_skin() -> None:
    triples, gaps = triple(UPRIGHT)
    lines = draw_gap_lines(triples, gaps)
    fold: Line = ((1, -0.6), (1, 0.0))
    broad = tuple(((x, 0.1), (x, 0.8)) for x in np.linspace(0.88, 1.12, 9))
    assert score_lines_behind_valleys(lines, draw_evidence(*IN_GAPS, fold, ground=broad))[0] < 0.01
    one_side = tuple(((x, 0.1), (x, 0.8)) for x in np.linspace(1.0, 1.12, 5))
    assert score_lines_behind_valleys(lines, draw_evidence(*IN_GAPS, fold, ground=one_side))[0] > 4


@pytest.mark.parametrize("x", [-0.25, 0.25, 0.75, 1.25])
def test_no_line_runs_along_a_finger(x: float) -> None:
    triples, gaps = triple(UPRIGHT)
    lines = draw_gap_lines(triples, gaps)
    along: Line = ((x, 0.0), (x, 0.9))
    assert score_lines_along_fingers(lines, triples, draw_evidence(*IN_GAPS))[0] < 0.01
    assert score_lines_along_fingers(lines, triples, draw_evidence(*IN_GAPS, along))[0] > 3


def test_all_that_lines_say_is_added() -> None:
    triples, gaps = triple(UPRIGHT)
    lines = draw_gap_lines(triples, gaps)
    evidence = draw_evidence(*IN_GAPS[:1], ((0.5, -0.6), (0.5, 0.9)), ((0.75, 0), (0.75, 0.9)))
    parts = [
        score_gaps_without_line(lines, evidence)[0],
        score_lines_behind_valleys(lines, evidence)[0],
        score_lines_along_fingers(lines, triples, evidence)[0],
    ]
    assert min(parts) > 1
    assert score_dark_lines(triples, gaps, evidence)[0] == pytest.approx(sum(parts))
