from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_agent.palm.hand.quality import PalmQuality, judge_quality, measure_quality
from edge_agent.palm.hand.refusal import UnfitReason
from edge_agent.palm.types import Hand, Region
from tests.edge_agent.palm.hands import HandPose, draw_hand

WHOLE = np.ones((128, 128), np.bool_)


def region(blur: float = 0.0, gain: float = 1.0, offset: float = 0.0) -> Region:
    grey = draw_hand(HandPose(scale=150, size=(640, 560))).picture[240:368, 256:384].astype(np.float64)
    if blur:
        grey = cv2.GaussianBlur(grey, (0, 0), blur).astype(np.float64)
    return Region(np.clip(grey * gain + offset, 0, 255).astype(np.uint8), WHOLE, Hand.LEFT)


def test_focus_falls_with_blur() -> None:
    focus = [measure_quality(region(blur), 1.0).focus for blur in (0, 1, 2, 3, 5)]
    assert focus == sorted(focus, reverse=True)
    assert focus[0] > 2 * focus[-1]


@pytest.mark.parametrize("gain", [0.6, 1.3])
def test_focus_does_not_depend_on_the_light(gain: float) -> None:
    assert measure_quality(region(gain=gain), 1.0).focus == pytest.approx(measure_quality(region(), 1.0).focus, rel=0.3)


def test_each_fault_is_named() -> None:
    good = measure_quality(region(), 1.0)
    assert judge_quality(good) is None
    reasons = []
    for worse in (region(blur=6), region(gain=3), region(gain=0.05)):
        refused = judge_quality(measure_quality(worse, 1.0))
        assert refused is not None
        reasons.append(refused.reason)
    assert reasons == [UnfitReason.BLURRED, UnfitReason.OVER_EXPOSED, UnfitReason.UNDER_EXPOSED]


def test_nothing_shown_is_no_quality() -> None:
    quality = measure_quality(Region(region().grey, ~WHOLE, Hand.UNKNOWN), 1.0)
    assert quality.score == 0
    assert judge_quality(quality) is not None


def test_a_region_that_shows_little_palm_is_turned() -> None:
    half = WHOLE.copy()
    half[:, :64] = False
    refused = judge_quality(measure_quality(Region(region().grey, half, Hand.LEFT), 1.0))
    assert refused is not None
    assert refused.reason is UnfitReason.TURNED


def test_the_score_falls_with_each_fault() -> None:
    good = PalmQuality(focus=0.3, mean=120, saturated=0, coverage=1, pose=1)
    assert good.score == 1
    for worse in ({"focus": 0.15}, {"mean": 30}, {"saturated": 0.5}, {"coverage": 0.5}, {"pose": 0}):
        assert replace(good, **worse).score == pytest.approx(0.5)


def test_webs_and_shadows_at_the_regions_rim_are_no_lines() -> None:
    grey = region().grey
    framed = grey.copy()
    framed[0] = 0
    assert measure_quality(Region(framed, WHOLE, Hand.LEFT), 1.0).focus == pytest.approx(
        measure_quality(Region(grey, WHOLE, Hand.LEFT), 1.0).focus, rel=0.1
    )
