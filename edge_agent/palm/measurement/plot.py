"""Draws a DET curve and score histograms with OpenCV: a plotting library is no dependency for a kiosk."""

from math import log10
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.measurement.evaluation import Evaluation
from edge_agent.palm.measurement.rates import Scores, curve

Picture = NDArray[np.uint8]

PANEL: Final = (520, 520)  # height, width
MARGIN: Final = 70
DECADES_X: Final = (-6, 0)  # false acceptance, powers of ten
DECADES_Y: Final = (-4, 0)
BINS: Final = 100
INK: Final = (40, 40, 40)
GRID: Final = (225, 225, 225)
MATED: Final = (60, 140, 40)  # BGR
STRANGERS: Final = (50, 50, 200)
SEARCHED: Final = (190, 110, 20)
FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


def draw(evaluation: Evaluation, title: str) -> Picture:
    """Draws DET of verification and identification, and histograms of both: (1040, 1040, 3), BGR."""
    check, who = evaluation.verification, evaluation.identification
    det = _det([(check.mated, check.strangers, MATED, "1:1"), (who.mated, who.strangers, SEARCHED, "1:N")], title)
    pairs = _histogram(check.mated, check.strangers, None, "1:1 agreement")
    searches = _histogram(who.mated, who.strangers, who.point.threshold, "1:N agreement of the first")
    return np.vstack([np.hstack([det, _legend(evaluation, title)]), np.hstack([pairs, searches])])


def _det(curves: list[tuple[Scores, Scores, tuple[int, int, int], str]], title: str) -> Picture:
    panel = _panel("false acceptances", f"misses  ({title})")
    for decade in range(DECADES_X[0], DECADES_X[1] + 1):
        _tick(panel, _x((decade - DECADES_X[0]) / (DECADES_X[1] - DECADES_X[0])), f"1e{decade}", vertical=True)
    for decade in range(DECADES_Y[0], DECADES_Y[1] + 1):
        _tick(panel, _y((decade - DECADES_Y[0]) / (DECADES_Y[1] - DECADES_Y[0])), f"1e{decade}", vertical=False)
    for mated, strangers, colour, _ in curves:
        if not len(mated) or not len(strangers):
            continue
        accepted, missed = curve(mated, strangers)
        points = [
            (_x(_share(false, DECADES_X)), _y(_share(miss, DECADES_Y)))
            for false, miss in zip(accepted, missed, strict=True)
        ]
        cv2.polylines(panel, [np.array(points, np.int32)], False, colour, 2, cv2.LINE_AA)
    return panel


def _histogram(mated: Scores, strangers: Scores, threshold: float | None, title: str) -> Picture:
    panel = _panel(title, "share")
    for tenth in range(0, 11, 2):
        _tick(panel, _x(tenth / 10), f"{tenth / 10:.1f}", vertical=True)
    for scores, colour in ((strangers, STRANGERS), (mated, MATED)):
        if not len(scores):
            continue
        counts = np.histogram(np.clip(scores, 0, 1), BINS, (0, 1))[0]
        heights = counts / counts.max()
        points = [(_x(place / BINS), _y(float(height))) for place, height in enumerate(heights)]
        cv2.polylines(panel, [np.array(points, np.int32)], False, colour, 2, cv2.LINE_AA)
    if threshold is not None:
        cv2.line(panel, (_x(threshold), _y(0)), (_x(threshold), _y(1)), INK, 1, cv2.LINE_AA)
    return panel


def _legend(evaluation: Evaluation, title: str) -> Picture:
    panel: Picture = np.full((*PANEL, 3), 255, np.uint8)
    check, who = evaluation.verification, evaluation.identification
    equal = check.equal_error
    lines = [
        (title, INK),
        (
            f"{evaluation.identities} identities, {evaluation.samples} samples, {len(evaluation.failed)} not acquired",
            INK,
        ),
        (f"1:1  {len(check.mated)} genuine pairs, EER {equal.percent:.3f} %" if equal else "1:1  no pairs", MATED),
        (f"     {len(check.strangers)} impostor pairs", STRANGERS),
        (f"1:N  {len(who.mated)} probes, rank 1 {who.rank1.percent:.2f} %", SEARCHED),
        (f"     missed {who.misses.percent:.2f} %, wrongly named {who.false.percent:.2f} %", SEARCHED),
        (f"     at agreement {who.point.threshold:.3f} and margin {who.point.margin:.3f}", INK),
    ]
    for row, (text, colour) in enumerate(lines):
        cv2.putText(panel, text, (20, MARGIN + 30 * row), FONT, 0.5, colour, 1, cv2.LINE_AA)
    return panel


def _panel(below: str, beside: str) -> Picture:
    panel: Picture = np.full((*PANEL, 3), 255, np.uint8)
    cv2.rectangle(panel, (_x(0), _y(1)), (_x(1), _y(0)), INK, 1)
    cv2.putText(panel, below, (_x(0.3), PANEL[0] - 18), FONT, 0.5, INK, 1, cv2.LINE_AA)
    cv2.putText(panel, beside, (_x(0), _y(1) - 12), FONT, 0.5, INK, 1, cv2.LINE_AA)
    return panel


def _tick(panel: Picture, pixel: int, text: str, *, vertical: bool) -> None:
    start, end = ((pixel, _y(0)), (pixel, _y(1))) if vertical else ((_x(0), pixel), (_x(1), pixel))
    cv2.line(panel, start, end, GRID, 1)
    place = (pixel - 14, _y(0) + 20) if vertical else (_x(0) - 48, pixel + 5)
    cv2.putText(panel, text, place, FONT, 0.4, INK, 1, cv2.LINE_AA)


def _share(value: float, decades: tuple[int, int]) -> float:
    low, high = decades
    return (min(max(log10(max(value, 1e-12)), low), high) - low) / (high - low)


def _x(share: float) -> int:
    return round(MARGIN + share * (PANEL[1] - 2 * MARGIN))


def _y(share: float) -> int:
    return round(PANEL[0] - MARGIN - share * (PANEL[0] - 2 * MARGIN))
