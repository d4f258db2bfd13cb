"""The thread that keeps the newest picture, and how it tells a live camera from a dead one."""

import threading

import numpy as np
import pytest

from drivers.errors import DeviceBusy, DeviceGone
from drivers.protocols.fault import Fault
from drivers.protocols.picture import Image
from drivers.transports.camera import (
    FAILURES_MAX,
    CameraFrame,
    CameraLimits,
    CameraStream,
    Liveness,
    VideoCapture,
    _Pace,
)
from tests.drivers.palm.fake_device import FakeDevice
from tests.drivers.palm.mjpeg_camera import picture

S = 1_000_000_000
HANG_S = 20.0


class Scripted:
    """A source whose camera is a script."""

    name = "the camera"

    def __init__(self, device: FakeDevice) -> None:
        self._device = device
        self.told: list[Fault] = []
        self.away = False

    def start(self) -> VideoCapture:
        return self._device.connect(self.name, 0, ())

    def faults(self) -> list[Fault]:
        return self.told

    def check(self) -> None:
        if self.away:
            raise DeviceGone("the camera is away")


class Clock:
    """Each look at it is a tenth of a second later."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self._now_ns += S // 10
            return self._now_ns


def opened(device: FakeDevice, *, silence_s: float = 1_000.0, frozen_s: float = 0.0) -> CameraStream:
    """Its first frame, which is passed over, has come."""
    camera = CameraStream(Scripted(device), CameraLimits(60, silence_s, frozen_s), clock=Clock())
    camera.open()
    device.give(picture(0))
    wait_for_grabs(device, 2)
    return camera


def wait_for_grabs(device: FakeDevice, count: int) -> None:
    """All but the last of them are done then."""
    for _ in range(count):
        assert device.hungry.acquire(timeout=HANG_S)


def end(device: FakeDevice, camera: CameraStream) -> None:
    device.fail(FAILURES_MAX)
    camera.close()
    assert device.released.is_set()


def why_gone(camera: CameraStream, timeout_s: float = HANG_S) -> str:
    for _ in range(100):
        try:
            camera.read(timeout_s)
        except DeviceGone as error:
            return str(error)
    pytest.fail("the camera does not end")


def images(told: object) -> list[Image]:
    assert isinstance(told, list)
    return [each.image for each in told if isinstance(each, CameraFrame)]


def test_only_the_newest_of_many_pictures_is_given_and_only_once() -> None:
    device = FakeDevice()
    camera = opened(device)
    device.give(*(picture(number) for number in range(1, 62)))
    wait_for_grabs(device, 61)
    (newest,) = images(camera.read(HANG_S))
    assert np.array_equal(newest, picture(61))
    assert not camera.read(0)
    end(device, camera)


def test_the_first_picture_is_passed_over() -> None:
    device = FakeDevice()
    camera = opened(device)
    assert not camera.read(0)
    end(device, camera)


def test_what_the_camera_does_not_do_is_told_with_the_first_read() -> None:
    device = FakeDevice()
    source = Scripted(device)
    source.told = [Fault("no gain")]
    camera = CameraStream(source, CameraLimits(60, 1_000, 0), clock=Clock())
    camera.open()
    assert camera.read(HANG_S) == [Fault("no gain")]
    assert not camera.read(0)
    end(device, camera)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((0, 0), np.uint8), "cannot be decoded"),
        (np.zeros((8, 8, 3), np.uint8), "too small"),
        (np.zeros((6_000, 6_000), np.uint8), "at most"),
        (np.zeros((480, 640, 2), np.uint8), "2 colours"),
    ],
)
def test_a_frame_that_is_none_is_a_fault_and_the_next_is_taken(image: Image, words: str) -> None:
    device = FakeDevice()
    camera = opened(device)
    device.give(image)
    (fault,) = camera.read(HANG_S)
    assert isinstance(fault, Fault)
    assert words in fault.what
    device.give(picture(1))
    assert len(images(camera.read(HANG_S))) == 1
    end(device, camera)


def test_a_failed_grab_is_a_fault_and_too_many_are_the_end() -> None:
    device = FakeDevice()
    camera = opened(device)
    device.fail(FAILURES_MAX - 1)
    device.give(picture(1))
    wait_for_grabs(device, FAILURES_MAX)
    told = camera.read(HANG_S)
    assert [type(each) for each in told] == [Fault, CameraFrame]
    device.fail(FAILURES_MAX)
    assert isinstance(camera.read(HANG_S)[0], Fault)
    assert "stream has ended" in why_gone(camera)
    assert "stream has ended" in why_gone(camera, 0), "and stays gone"
    camera.close()


def test_a_camera_that_the_system_calls_away_is_gone_though_pictures_come() -> None:
    device = FakeDevice()
    source = Scripted(device)
    camera = CameraStream(source, CameraLimits(60, 1_000, 0), clock=Clock())
    camera.open()
    device.give(picture(0), picture(1))
    wait_for_grabs(device, 3)
    source.away = True
    with pytest.raises(DeviceGone, match="is away"):
        camera.read(0)
    end(device, camera)


def test_a_camera_that_hangs_in_its_driver_is_gone_and_is_not_opened_twice() -> None:
    device = FakeDevice()
    camera = CameraStream(Scripted(device), CameraLimits(60, 0.1, 0), clock=Clock())
    camera.open()
    assert "hangs in its driver" in why_gone(camera, 0)
    camera.close()
    assert not device.released.is_set()
    with pytest.raises(DeviceBusy, match="pull its plug"):
        camera.open()
    device.fail()
    assert device.released.wait(HANG_S)
    camera.close()
    camera.open()
    end(device, camera)


def test_it_is_opened_once() -> None:
    device = FakeDevice()
    camera = opened(device)
    with pytest.raises(RuntimeError):
        camera.open()
    end(device, camera)


def test_a_frozen_picture_ends_the_stream() -> None:
    device = FakeDevice()
    camera = opened(device, frozen_s=3)
    device.give(*[picture(1)] * 40)
    assert "picture stands still" in why_gone(camera)
    camera.close()


def verdicts(frames: list[tuple[Image, float]], *, frozen_s: float = 2.0) -> list[str | None]:
    """One frame a second."""
    liveness = Liveness(frozen_s)
    return [liveness.dead(image, position_ms, at * S) for at, (image, position_ms) in enumerate(frames)]


def test_equal_pictures_for_too_long_are_no_live_camera() -> None:
    assert verdicts([(picture(1), 0.0)] * 4) == [None, None, None, "its picture stands still"]
    assert verdicts([(picture(at // 3), 0.0) for at in range(12)]) == [None] * 12, "each change starts anew"


def test_a_time_that_stands_still_is_no_live_camera_and_no_time_is_no_sign() -> None:
    moving = [picture(at) for at in range(5)]
    assert verdicts([(image, 77.0) for image in moving])[3] == "the time of its pictures stands still"
    assert verdicts([(image, 0.0) for image in moving]) == [None] * 5
    assert verdicts([(image, 1_000.0 * at) for at, image in enumerate(moving)]) == [None] * 5


@pytest.mark.parametrize("brightness", [0, 255])
def test_a_covered_or_dazzled_lens_is_no_dead_camera(brightness: int) -> None:
    even = np.full((240, 320, 3), brightness, np.uint8)
    assert verdicts([(even, 0.0)] * 20) == [None] * 20


def test_another_size_is_another_picture() -> None:
    frames = [(picture(1, width=320 + 32 * (at % 2)), 0.0) for at in range(8)]
    assert verdicts(frames) == [None] * 8


def test_without_a_limit_a_picture_may_stand_still() -> None:
    assert verdicts([(picture(1), 5.0)] * 10, frozen_s=0) == [None] * 10


@pytest.mark.parametrize("jitter_ms", [0, 3])
@pytest.mark.parametrize(("camera_fps", "fps_max", "fps"), [(30, 15, 15), (25, 10, 10), (15, 15, 15), (10, 15, 10)])
def test_frames_are_thinned_to_the_asked_pace(camera_fps: int, fps_max: int, fps: int, jitter_ms: int) -> None:
    pace = _Pace(fps_max, 0)
    seconds = 20
    given = 0
    for at in range(camera_fps * seconds):
        now_ns = S * at // camera_fps + (at % 2) * jitter_ms * 1_000_000
        if pace.due(now_ns):
            pace.note_picture(now_ns)
            given += 1
    assert given == pytest.approx(fps * seconds, rel=0.05)
