import numpy as np
import pytest

from drivers.simulated.palms import DrawnHandView, hand, palm, skin, some_capture


def test_the_same_seeds_give_the_same_bytes() -> None:
    one, two = (palm("a", "left", DrawnHandView(noise=2), np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.shape == (160, 160)


def test_people_and_hands_differ() -> None:
    left, right, other = (skin(*who)[40:280, 40:280] for who in (("a", "left"), ("a", "right"), ("b", "left")))
    for stranger in (right, other):
        assert abs(np.corrcoef(left.ravel(), stranger.ravel())[0, 1]) < 0.5


def test_a_capture_moves_lights_and_disturbs() -> None:
    plain = palm("a", "left", DrawnHandView(), np.random.default_rng(1))
    assert palm("a", "left", DrawnHandView(light=0.5), np.random.default_rng(1)).mean() < 0.6 * plain.mean()
    for capture in (
        DrawnHandView(turn_deg=10),
        DrawnHandView(scale=1.2),
        DrawnHandView(dx=0.1),
        DrawnHandView(noise=5),
        DrawnHandView(blur_px=2),
    ):
        assert not np.array_equal(palm("a", "left", capture, np.random.default_rng(1)), plain)


@pytest.mark.parametrize("which", ["left", "right"])
def test_a_whole_hand_stands_before_a_dark_ground(which: str) -> None:
    picture = hand("a", which, some_capture(np.random.default_rng(2)), np.random.default_rng(3))
    assert picture.shape == (480, 640)
    assert picture[:, :60].mean() < 40
    assert picture[200:280, 280:360].mean() > 80


def test_a_left_hand_is_a_mirrored_right_one_in_outline() -> None:
    shapes = [hand("a", which, DrawnHandView(), np.random.default_rng(1)) > 60 for which in ("left", "right")]
    assert np.mean(shapes[0] == shapes[1][:, ::-1]) > 0.98
