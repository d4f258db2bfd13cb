import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.palm.hand.liveness import score_flatness, score_gloss, score_raster, score_stillness
from tests.edge_agent.palm.hands import HandPose, draw_hand

Grey = NDArray[np.uint8]
WHOLE = np.ones((256, 256), np.bool_)


def palm(light: float = 0.4, seed: int = 1) -> Grey:
    return np.ascontiguousarray(
        draw_hand(HandPose(scale=240, size=(640, 640), light=light, seed=seed)).picture[300:556, 190:446]
    )


def halftone(grey: Grey, pitch: float, turn: float = np.pi / 4) -> Grey:
    y, x = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]] * (2 * np.pi / pitch)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    dots = np.where(grey > 128 + 90 * np.cos(u) * np.cos(v), 230, 40).astype(np.float32)
    return np.asarray(np.clip(cv2.GaussianBlur(dots, (0, 0), 1.0), 0, 255), np.uint8)


def test_halftone_has_a_raster_and_a_palm_has_none() -> None:
    for seed in range(5):
        assert score_raster(palm(seed=seed)) < 0.3
        assert score_raster(halftone(palm(seed=seed), 5.3)) > 0.7


def test_small_pictures_have_no_raster() -> None:
    assert score_raster(palm()[:40, :40]) == 0


def test_an_evenly_lit_sheet_is_flat() -> None:
    assert score_flatness(palm(light=0.5), WHOLE) < 0.5
    assert score_flatness(np.full((256, 256), 150, np.uint8), WHOLE) == 1


def test_glare_has_a_sharp_rim_and_skin_shine_a_soft_one() -> None:
    y, x = np.mgrid[0:256, 0:256]
    away = np.hypot(x - 128, y - 128)
    sheet = np.where(away < 20, 255, palm()).astype(np.uint8)
    skin = np.clip(palm().astype(np.float64) + 160 * np.exp(-((away / 60) ** 2)), 0, 255).astype(np.uint8)
    assert score_gloss(sheet, WHOLE) > 0.7
    assert score_gloss(skin, WHOLE) < 0.4
    assert score_gloss(palm(), WHOLE) == 0


def test_one_picture_again_and_again_is_still() -> None:
    frames = [palm()] * 3
    assert score_stillness(frames) == 1
    moved = [np.roll(palm(), shift, axis=1) for shift in (0, 3, 6)]
    assert score_stillness(moved) < 0.2
    assert score_stillness(frames[:1]) == 0
