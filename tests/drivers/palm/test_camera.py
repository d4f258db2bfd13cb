"""The `camera` driver on real OpenCV and real cameras on loopback, which stall, freeze, hang up and come back.

MJPEG over HTTP, and RTSP with JPEG. V4L2 is tried with nodes that come and go and a script for
OpenCV's part: tests/drivers/transports.
"""

import io
import resource
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.base import DriverSettings
from drivers.bench.capture import CaptureTap
from drivers.errors import DeviceGone, NotSupported
from drivers.palm.camera import CameraReader, CameraSettings
from drivers.palm.folder import FolderSettings
from drivers.readings import DeviceEvent, PalmFrame, StreamFault
from drivers.registry import entry
from drivers.settings import WrongSetting, parse
from drivers.transports.memory import MemoryTransport
from tests.drivers.building import build_reader
from tests.drivers.palm.mjpeg_camera import MjpegCamera, jpeg, picture
from tests.drivers.palm.rtsp_camera import RtspCamera

HANG_S = 20.0


@pytest.fixture
def rtsp() -> Iterator[RtspCamera]:
    """It shows twenty pictures a second: FFmpeg looks at a stream for a while before it is open."""
    peer = RtspCamera()
    stop = threading.Event()

    def show() -> None:
        while not stop.wait(0.05):
            peer.show()

    thread = threading.Thread(target=show)
    thread.start()
    yield peer
    stop.set()
    thread.join()
    peer.pull()


@pytest.fixture
def peer() -> Iterator[MjpegCamera]:
    peer = MjpegCamera()
    yield peer
    peer.pull()


def opened(peer: MjpegCamera | RtspCamera, **options: float | bool | str) -> CameraReader:
    camera = build_reader("camera", "palm", {"source": peer.url, "silence_s": 1.0, "fps_max": 60} | options)
    assert isinstance(camera, CameraReader)
    camera.open()
    return camera


def close(peer: MjpegCamera | RtspCamera, camera: CameraReader) -> None:
    """Without waiting for the silence to be over."""
    peer.hang_up()
    camera.close()


def frame_of(camera: CameraReader) -> PalmFrame:
    until = time.monotonic() + HANG_S
    while time.monotonic() < until:
        for event in camera.read(0.2):
            if isinstance(event, PalmFrame):
                return event
    pytest.fail("no picture comes")


def read_until_gone(camera: CameraReader) -> tuple[list[DeviceEvent], str]:
    told: list[DeviceEvent] = []
    until = time.monotonic() + HANG_S
    while time.monotonic() < until:
        try:
            told += camera.read(0.2)
        except DeviceGone as error:
            return told, str(error)
    pytest.fail("the camera does not end")


def looks_like(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], number: int) -> bool:
    """But for what JPEG makes of it."""
    return float(np.abs(image.astype(int) - picture(number)).mean()) < 8


def test_a_picture_comes_as_it_was_taken(peer: MjpegCamera) -> None:
    camera = opened(peer)
    before_ns = time.monotonic_ns()
    peer.show()
    frame = frame_of(camera)
    assert frame.reader == "palm"
    assert frame.image.dtype == np.uint8
    assert looks_like(frame.image, 1)
    assert before_ns < frame.monotonic_ns <= time.monotonic_ns()
    assert not frame.nir
    close(peer, camera)


def test_near_infrared_frames_are_grey(peer: MjpegCamera) -> None:
    camera = opened(peer, nir=True)
    peer.show()
    frame = frame_of(camera)
    assert frame.nir
    assert frame.image.shape == (240, 320)
    close(peer, camera)


def test_nobody_is_judged_by_an_old_picture(peer: MjpegCamera) -> None:
    """Ninety pictures come while nobody reads. OpenCV alone would now give them all, one after the other."""
    camera = opened(peer, frozen_s=0)
    for _ in range(90):
        peer.show()
    seen = [frame_of(camera)]
    while not looks_like(seen[-1].image, 90):
        seen.append(frame_of(camera))
    assert looks_like(seen[-1].image, 90)
    assert len(seen) < 45
    close(peer, camera)


def test_a_camera_that_falls_silent_is_gone_and_is_back_when_it_is_opened_again(peer: MjpegCamera) -> None:
    camera = opened(peer)
    peer.show()
    frame_of(camera)
    began = time.monotonic()
    _, why = read_until_gone(camera)
    assert "no picture for" in why
    assert time.monotonic() - began < 5
    camera.close()
    camera.open()
    peer.show()
    assert looks_like(frame_of(camera).image, 2)
    close(peer, camera)


def test_a_camera_that_hangs_up_is_gone_at_once(peer: MjpegCamera) -> None:
    camera = opened(peer, silence_s=10.0)
    peer.hang_up()
    began = time.monotonic()
    _, why = read_until_gone(camera)
    assert "stream has ended" in why
    assert time.monotonic() - began < 5
    camera.close()


def test_a_frozen_camera_is_gone_and_a_covered_one_is_not(peer: MjpegCamera) -> None:
    camera = opened(peer, frozen_s=0.3)
    covered = jpeg(np.zeros((240, 320, 3), np.uint8))
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        peer.send(covered)
        camera.read(0.02)
    same = jpeg(picture(1))

    def look_for_long() -> None:
        while time.monotonic() < until + HANG_S:
            peer.send(same)
            camera.read(0.02)

    with pytest.raises(DeviceGone, match="stands still"):
        look_for_long()
    camera.close()


def test_a_camera_that_is_off_is_gone_and_says_what_to_check(peer: MjpegCamera) -> None:
    peer.pull()
    with pytest.raises(DeviceGone, match="check its power"):
        opened(peer)


def test_a_login_opens_a_camera_that_asks_for_one(tmp_path: Path) -> None:
    peer = MjpegCamera(login="admin:p@ss:/w?rd")
    with pytest.raises(DeviceGone, match="login"):
        opened(peer)
    login = tmp_path / "login"
    login.write_text("admin:p@ss:/w?rd")
    login.chmod(0o600)
    camera = opened(peer, login_file=str(login))
    peer.show()
    frame_of(camera)
    _, why = read_until_gone(camera)
    assert "p@ss" not in why
    camera.close()
    peer.pull()


def test_pictures_faster_than_asked_are_left_out(peer: MjpegCamera) -> None:
    camera = opened(peer, fps_max=5)
    seen: list[DeviceEvent] = []
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        peer.show()
        seen += camera.read(0.01)
    assert 2 <= len(seen) <= 7
    close(peer, camera)


def test_an_rtsp_camera_gives_new_pictures_and_is_gone_when_it_hangs_up(rtsp: RtspCamera) -> None:
    camera = opened(rtsp)
    shown = rtsp.shown
    frame = frame_of(camera)
    number = min(range(rtsp.shown + 1), key=lambda at: float(np.abs(frame.image.astype(int) - picture(at)).mean()))
    assert looks_like(frame.image, number)
    assert number >= shown - 2, "what came while the stream was probed is passed over"
    rtsp.hang_up()
    read_until_gone(camera)
    camera.close()
    camera.open()
    frame_of(camera)
    close(rtsp, camera)
    assert rtsp.asked[:4] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]


def test_an_rtsp_port_that_is_shut_is_gone() -> None:
    camera = build_reader("camera", "palm", {"source": "rtsp://127.0.0.1:1/live"})
    with pytest.raises(DeviceGone, match="check its power"):
        camera.open()
    camera.close()


def test_a_picture_that_came_too_soon_is_given_when_it_is_due(peer: MjpegCamera) -> None:
    camera = opened(peer, fps_max=5, silence_s=10.0)
    peer.show()
    frame_of(camera)
    peer.show()
    began = time.monotonic()
    seen = camera.read(5)
    assert len(seen) == 1
    assert time.monotonic() - began < 2.5, "it did not wait for the next picture"
    close(peer, camera)


def bomb() -> bytes:
    """A JPEG that says that it is four gigapixels."""
    whole = jpeg(picture(1))
    at = whole.index(b"\xff\xc0") + 5
    return whole[:at] + struct.pack(">HH", 65_500, 65_500) + whole[at + 4 :]


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"\xff\xd8", jpeg(picture(1))[:700], bytes(100_000), bomb(), b"--frame\r\n" * 50],
    ids=["nothing", "start", "cut", "zeros", "bomb", "boundaries"],
)
def test_rubbish_never_raises_and_the_camera_is_of_use_after_it(peer: MjpegCamera, rubbish: bytes) -> None:
    camera = opened(peer)
    for _ in range(3):
        peer.send(rubbish)
        peer.show()
    try:
        assert isinstance(frame_of(camera), PalmFrame)
    except DeviceGone:  # it was too much: as after a pulled cable, it is opened again
        camera.close()
        camera.open()
        peer.show()
        assert isinstance(frame_of(camera), PalmFrame)
    close(peer, camera)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1_500_000  # KiB: no bomb went off


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=40)), max_size=6), st.data())
def test_damaged_pictures_are_faults_or_pictures_and_never_an_exception(
    peer: MjpegCamera, changes: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    body = bytearray(jpeg(picture(1)))
    for place, new in changes:
        at = place % len(body)
        body[at : at + len(new)] = new
    camera = opened(peer)
    peer.send(bytes(body[: data.draw(st.integers(0, len(body)))]))
    peer.hang_up()
    told, _ = read_until_gone(camera)
    assert all(isinstance(each, PalmFrame | StreamFault) for each in told)
    camera.close()


def test_no_picture_is_written_anywhere(
    peer: MjpegCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    camera = opened(peer)
    peer.show()
    frame_of(camera)
    peer.send(b"no picture")
    read_until_gone(camera)
    camera.close()
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", ""), "OpenCV and FFmpeg keep quiet"


@pytest.mark.parametrize(
    ("driver", "chosen"),
    [("camera", CameraSettings(source="/dev/video0")), ("folder", FolderSettings(folder="/srv/palms"))],
)
def test_it_is_never_captured(driver: str, chosen: DriverSettings) -> None:
    out = io.BytesIO()
    with pytest.raises(NotSupported, match="never captured"):
        CaptureTap(out, driver, chosen, clock=time.monotonic_ns, redact_key=None)
    assert entry(driver).camera
    assert not out.getvalue()


def test_a_forged_recording_is_not_replayed() -> None:
    with pytest.raises(NotSupported, match="never captured"):
        CameraReader("palm", CameraSettings(source="/dev/video0"), transport=MemoryTransport())


@pytest.mark.parametrize(
    "source",
    ["", "0", "video0", "file:///etc/passwd", "https://camera/", "rtsps://camera/", "/srv/film.mp4", "http://a b"],
)
def test_only_devices_and_streams_are_sources(source: str) -> None:
    with pytest.raises(WrongSetting):
        parse(CameraSettings, {"source": source})


def test_a_usb_camera_that_is_not_there_is_gone() -> None:
    camera = build_reader("camera", "palm", {"source": "/dev/v4l/by-id/usb-none-video-index0"})
    with pytest.raises(DeviceGone, match="plugged in"):
        camera.open()
    camera.close()


def test_events_are_told_in_the_order_faults_then_picture(peer: MjpegCamera) -> None:
    camera = opened(peer)
    peer.send(b"no picture")
    peer.show()
    told: Sequence[DeviceEvent] = ()
    until = time.monotonic() + HANG_S
    while not any(isinstance(each, PalmFrame) for each in told) and time.monotonic() < until:
        told = [*told, *camera.read(0.2)]
    assert [type(each) for each in told] == [StreamFault, PalmFrame]
    close(peer, camera)
