"""Where a camera's pictures come from: a V4L2 device of this machine, or the stream of a network camera. By OpenCV.

V4L2: a USB camera has two nodes, and only the one whose stable name ends in -index0 gives pictures. The form of the
pictures (FOURCC) is set before the size, since it decides which sizes there are. Nothing of what is set is sure: a
camera takes the nearest that it can, so all is read back.

OpenCV waits ten seconds, three times, for a frame of a V4L2 camera that has stopped, whatever timeout it is given as a
property (cap_v4l.cpp); only its environment shortens that, and it is read once in a process.
"""

import errno
import math
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import cv2

from drivers.errors import DeviceBusy, DeviceError, DeviceGone, NotSupported
from drivers.protocols.fault import Fault
from drivers.transports.camera import VideoCapture

OPEN_S = 5.0  # to connect and to see the first frame
LOGIN_BYTES_MAX = 512
_QUIET = "-8"  # AV_LOG_QUIET
_V4L2_MANUAL, _V4L2_AUTOMATIC = 1, 3  # enum v4l2_exposure_auto_type: manual; aperture priority, which UVC cameras have
_V4L2_EXPOSURE_US = 100  # one step of V4L2_CID_EXPOSURE_ABSOLUTE


class CaptureDevice(VideoCapture, Protocol):
    """The part of cv2.VideoCapture that is used before its first picture."""

    def isOpened(self) -> bool: ...  # noqa: N802  OpenCV's name

    def set(self, propId: int, value: float) -> bool: ...  # noqa: N803


Connect = Callable[[str, int, Sequence[int]], CaptureDevice]
"""cv2.VideoCapture, or what a test has in its place: name, back end, parameters."""


def connect(name: str, backend: int, parameters: Sequence[int]) -> CaptureDevice:
    """Opens a camera by OpenCV, and keeps FFmpeg from writing to standard error: its words may hold an address with its
    password.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _QUIET)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    return cv2.VideoCapture(name, backend, parameters)


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """The settings that a V4L2 camera is asked for."""

    width: int = 640
    height: int = 480
    fps: float = 15.0
    fourcc: str = "MJPG"
    exposure_us: int = 0  # 0: automatic
    gain: int = -1  # in the camera's own steps; -1: its own choice


class Video4Linux:
    def __init__(self, device: str, request: CameraRequest, *, silence_s: float, connect: Connect = connect) -> None:
        self.name = device
        self._request, self._silence_s, self._connect = request, silence_s, connect
        self._number = 0  # of the node that was opened
        self._faults: tuple[Fault, ...] = ()

    def start(self) -> VideoCapture:
        self._number = self._node()
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(math.ceil(self._silence_s)))
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_READ_ATTEMPTS", "1")
        capture = self._connect(self.name, cv2.CAP_V4L2, ())
        if not capture.isOpened():
            capture.release()
            raise DeviceBusy(
                f"{self.name} gives no pictures: another program may hold it (`fuser -v {self.name}` says which), or "
                "the node is for metadata: name the one that ends in -index0"
            )
        self._faults = tuple(Fault(f"{self.name}: {what}") for what in _set_up(capture, self._request))
        return capture

    def faults(self) -> Sequence[Fault]:
        return self._faults

    def check(self) -> None:
        """Checks that the node that was opened is still there, under the same name: a camera put back gets a new
        one.
        """
        if self._node() != self._number:
            raise DeviceGone(f"{self.name} was pulled and put back: it is opened anew")

    def _node(self) -> int:
        if self.name.endswith("-index1"):
            raise NotSupported(f"source: {self.name} is the camera's metadata: name the one that ends in -index0")
        try:
            node = Path(self.name).stat()
        except OSError as error:
            raise _translated(self.name, error) from error
        if not stat.S_ISCHR(node.st_mode):
            raise NotSupported(f"source: {self.name} is no device: name one under /dev/v4l/by-id")
        if not os.access(self.name, os.R_OK | os.W_OK):
            raise DeviceGone(
                f"{self.name}: no permission; install the udev rules or add the agent's user to the group video"
            )
        return node.st_rdev


class NetworkCamera:
    """A network camera: RTSP (over TCP), or MJPEG over HTTP. Both are in clear: the camera belongs on its own cable."""

    def __init__(self, url: str, *, login_file: str, silence_s: float, connect: Connect = connect) -> None:
        self.name = url
        self._login_file, self._silence_s, self._connect = login_file, silence_s, connect

    def start(self) -> VideoCapture:
        parameters = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(OPEN_S * 1_000)),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(self._silence_s * 1_000)),
            *(cv2.CAP_PROP_N_THREADS, 1),  # each thread more holds one frame back
        ]
        capture = self._connect(self._address(), cv2.CAP_FFMPEG, parameters)
        if not capture.isOpened():
            capture.release()
            raise DeviceGone(
                f"{self.name} gives no pictures: check its power, its network, the path of the address, and the login"
            )
        return capture

    def faults(self) -> Sequence[Fault]:
        return ()

    def check(self) -> None:
        """Does nothing: the system knows nothing of a network camera, and its silence shows that it is away."""

    def _address(self) -> str:
        parts = urlsplit(self.name)
        if "@" in parts.netloc:
            raise NotSupported("source: an address with a password in it; put name:password into a file, as login_file")
        if not self._login_file:
            return self.name
        name, _, password = load_login(self._login_file).partition(":")
        login = f"{quote(name, safe='')}:{quote(password, safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))


def load_login(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """Returns `name:password` of a camera. A plain file name stands in the credentials folder that systemd gives."""
    path = Path(environ.get("CREDENTIALS_DIRECTORY", "")) / name
    if not path.is_absolute():
        raise NotSupported(f"login_file: {name} is no absolute path, and there is no credentials folder: name the path")
    try:
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            raise NotSupported(f"login_file: everybody can read {path}: chmod 600, and give the camera a new password")
        with path.open("rb") as file:
            login = file.read(LOGIN_BYTES_MAX).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotSupported(f"login_file: cannot read {path}: make it, one line name:password") from error
    if ":" not in login:
        raise NotSupported(f"login_file: {path} does not hold one line name:password")
    return login


def _set_up(camera: CaptureDevice, request: CameraRequest) -> list[str]:
    """Asks the camera for all of it. Returns what the camera does otherwise, in words for the technician."""
    camera.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*request.fourcc))
    camera.set(cv2.CAP_PROP_FRAME_WIDTH, request.width)
    camera.set(cv2.CAP_PROP_FRAME_HEIGHT, request.height)
    camera.set(cv2.CAP_PROP_FPS, request.fps)
    wrong = []
    form = round(camera.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).decode("ascii", "replace")
    if form != request.fourcc:
        wrong.append(f"gives {form}, not {request.fourcc}; `v4l2-ctl --list-formats-ext` lists what it can")
    size = round(camera.get(cv2.CAP_PROP_FRAME_WIDTH)), round(camera.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if size != (request.width, request.height):
        wrong.append(f"gives {size[0]} × {size[1]} pixels, not {request.width} × {request.height}")
    if request.exposure_us == 0:
        camera.set(cv2.CAP_PROP_AUTO_EXPOSURE, _V4L2_AUTOMATIC)  # not offered: it has only that, or none at all
    elif not (
        camera.set(cv2.CAP_PROP_AUTO_EXPOSURE, _V4L2_MANUAL)
        and camera.set(cv2.CAP_PROP_EXPOSURE, request.exposure_us / _V4L2_EXPOSURE_US)
    ):
        wrong.append("its exposure cannot be set: remove exposure_us")
    if request.gain >= 0 and not camera.set(cv2.CAP_PROP_GAIN, request.gain):
        wrong.append("its gain cannot be set: remove gain")
    return wrong


def _translated(device: str, error: OSError) -> DeviceError:
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return DeviceGone(f"{device}: no permission; install the udev rules")
    return DeviceGone(f"{device} is not there: check that the camera is plugged in")
