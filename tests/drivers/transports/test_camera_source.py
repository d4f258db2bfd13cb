"""V4L2 devices are pseudo-terminals here: nodes that really come and go. The pictures are a script."""

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from drivers.errors import DeviceBusy, DeviceGone, NotSupported
from drivers.transports.camera_source import CameraRequest, NetworkCamera, Video4Linux, load_login
from tests.drivers.palm.fake_device import FakeDevice


class Node:
    def __init__(self) -> None:
        self._ends = os.openpty()
        self.path = os.ttyname(self._ends[1])

    def pull(self) -> None:
        for end in self._ends:
            os.close(end)
        self._ends = (-1, -1)

    @property
    def there(self) -> bool:
        return self._ends[0] >= 0


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    nodes = [Node(), Node()]
    yield nodes
    for node in nodes:
        if node.there:
            node.pull()


def source(name: str, device: FakeDevice, asked: CameraRequest | None = None) -> Video4Linux:
    return Video4Linux(name, asked or CameraRequest(), silence_s=1, connect=device.connect)


def test_the_form_of_pictures_is_asked_for_before_their_size(nodes: list[Node]) -> None:
    device = FakeDevice()
    camera = source(nodes[0].path, device)
    camera.start()
    assert device.opened == [(nodes[0].path, cv2.CAP_V4L2)]
    assert [prop for prop, _ in device.asked][:3] == [
        cv2.CAP_PROP_FOURCC,
        cv2.CAP_PROP_FRAME_WIDTH,
        cv2.CAP_PROP_FRAME_HEIGHT,
    ]
    assert not camera.faults()


def test_what_the_camera_does_otherwise_is_said_and_the_pictures_are_taken_all_the_same(nodes: list[Node]) -> None:
    device = FakeDevice({cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"YUYV")), cv2.CAP_PROP_FRAME_WIDTH: 800.0})
    camera = source(nodes[0].path, device, CameraRequest(fourcc="GREY"))
    camera.start()
    told = [fault.what for fault in camera.faults()]
    assert ["gives YUYV, not GREY" in told[0], "gives 800 × 480 pixels, not 640 × 480" in told[1]] == [True, True]


def test_exposure_and_gain_are_set_in_the_units_of_v4l2(nodes: list[Node]) -> None:
    device = FakeDevice()
    camera = source(nodes[0].path, device, CameraRequest(exposure_us=2_500, gain=12))
    camera.start()
    assert {(cv2.CAP_PROP_AUTO_EXPOSURE, 1), (cv2.CAP_PROP_EXPOSURE, 25.0), (cv2.CAP_PROP_GAIN, 12)} <= set(
        device.asked
    )
    assert not camera.faults()


def test_a_camera_without_exposure_and_gain_says_which_setting_to_remove(nodes: list[Node]) -> None:
    device = FakeDevice({cv2.CAP_PROP_AUTO_EXPOSURE: -1.0, cv2.CAP_PROP_GAIN: -1.0})
    camera = source(nodes[0].path, device, CameraRequest(exposure_us=2_500, gain=12))
    camera.start()
    assert [fault.what.rpartition("remove ")[2] for fault in camera.faults()] == ["exposure_us", "gain"]
    automatic = source(nodes[0].path, device)
    automatic.start()
    assert not automatic.faults(), "nothing was asked for"


def test_a_camera_that_gives_nothing_is_held_by_somebody(nodes: list[Node]) -> None:
    device = FakeDevice(opens=False)
    with pytest.raises(DeviceBusy, match="fuser"):
        source(nodes[0].path, device).start()
    assert device.released.is_set()


def test_a_node_that_is_away_or_wrong_is_refused_saying_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DeviceGone, match="plugged in"):
        source("/dev/v4l/by-id/usb-none-video-index0", FakeDevice()).start()
    with pytest.raises(NotSupported, match="no device"):
        source(str(tmp_path / "file"), FakeDevice()).start()
    with pytest.raises(NotSupported, match="index0"):
        source("/dev/v4l/by-id/usb-none-video-index1", FakeDevice()).start()


def test_real_opencv_refuses_what_is_no_camera(nodes: list[Node]) -> None:
    with pytest.raises(DeviceBusy, match="index0"):
        Video4Linux(nodes[0].path, CameraRequest(), silence_s=1).start()


def test_a_pulled_node_is_gone(nodes: list[Node]) -> None:
    camera = source(nodes[0].path, FakeDevice())
    camera.start()
    camera.check()
    nodes[0].pull()
    with pytest.raises(DeviceGone, match="plugged in"):
        camera.check()


def test_a_camera_that_was_put_back_under_its_stable_name_is_opened_anew(nodes: list[Node], tmp_path: Path) -> None:
    stable = tmp_path / "usb-camera-video-index0"
    stable.symlink_to(nodes[0].path)
    camera = source(str(stable), FakeDevice())
    camera.start()
    camera.check()
    stable.unlink()
    stable.symlink_to(nodes[1].path)
    for _ in range(2):
        with pytest.raises(DeviceGone, match="opened anew"):
            camera.check()
    camera.start()
    camera.check()


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    stream = NetworkCamera("rtsp://admin:s3cret@camera/live", login_file="", silence_s=1, connect=FakeDevice().connect)
    with pytest.raises(NotSupported, match="login_file") as refused:
        stream.start()
    assert "s3cret" not in str(refused.value)


def test_a_login_reaches_opencv_and_no_message(tmp_path: Path) -> None:
    login = tmp_path / "login"
    login.write_text("admin:p@ss:/w\n")
    login.chmod(0o600)
    device = FakeDevice(opens=False)
    stream = NetworkCamera(
        "rtsp://camera:554/live?channel=1", login_file=str(login), silence_s=1, connect=device.connect
    )
    with pytest.raises(DeviceGone, match="login") as gone:
        stream.start()
    assert device.opened == [("rtsp://admin:p%40ss%3A%2Fw@camera:554/live?channel=1", cv2.CAP_FFMPEG)]
    assert "admin" not in str(gone.value) + stream.name


def test_a_login_file_is_ours_alone_and_one_line(tmp_path: Path) -> None:
    login = tmp_path / "camera-login"
    with pytest.raises(NotSupported, match="make it"):
        load_login(str(login))
    login.write_text("admin")
    with pytest.raises(NotSupported, match="chmod 600"):
        load_login(str(login))
    login.chmod(0o600)
    with pytest.raises(NotSupported, match="name:password"):
        load_login(str(login))
    login.write_bytes(b"\xff:\xff")
    with pytest.raises(NotSupported, match="cannot read"):
        load_login(str(login))
    login.write_text("admin:geheim")
    assert load_login("camera-login", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "admin:geheim"
    with pytest.raises(NotSupported, match="credentials folder"):
        load_login("camera-login", {})
