"""`camera`: a USB camera by V4L2, or a network camera by RTSP or MJPEG over HTTP. See docs/drivers/camera.md.

    source = "/dev/v4l/by-id/usb-…-video-index0"     or "rtsp://192.168.5.2/live", "http://192.168.5.2/video.mjpg"
    nir = true                                       near-infrared light and filter: frames are grey

Gives the newest picture at each read, at most `fps_max` a second. Is never captured, writes no picture, and shows none
to a tap. Width, height, format, exposure and gain are for V4L2; a network camera has pages of its own for them.
"""

import time
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.errors import NotSupported
from drivers.protocols.fault import Fault
from drivers.protocols.picture import Image
from drivers.readings import DeviceEvent, PalmFrame, StreamFault
from drivers.transports import camera
from drivers.transports.camera_source import CameraRequest, NetworkCamera, Video4Linux


class CameraSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: Annotated[str, Meta(pattern=r"^(/dev/|rtsp://|http://)[^\s]+$", max_length=512)]
    login_file: str = ""  # one line name:password; a plain name stands in the credentials folder
    nir: bool = False
    fps_max: Annotated[float, Meta(ge=1, le=60)] = 15.0
    silence_s: Annotated[float, Meta(ge=0.5, le=10)] = (
        3.0  # without a picture, until it is gone; `close` may take as long
    )
    frozen_s: Annotated[float, Meta(ge=0, le=3_600)] = 10.0  # with one and the same picture; 0: however long
    width: Annotated[int, Meta(ge=160, le=4_096)] = 640
    height: Annotated[int, Meta(ge=120, le=4_096)] = 480
    format: Literal["MJPG", "YUYV", "GREY", "NV12"] = "MJPG"  # as the camera sends it
    exposure_us: Annotated[int, Meta(ge=0, le=1_000_000)] = 0  # 0: automatic
    gain: Annotated[int, Meta(ge=-1, le=65_535)] = -1  # in the camera's own steps; -1: its own choice


class CameraReader:
    Settings: ClassVar[type[DriverSettings]] = CameraSettings

    def __init__(
        self,
        name: str,
        settings: CameraSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,  # sees nothing: pictures of people are never recorded
        transport: Transport | None = None,
        source: camera.CameraSource | None = None,  # instead of OpenCV's
    ) -> None:
        if transport is not None:
            raise NotSupported(f"{name}: a camera is never captured, so there is nothing to replay: use driver folder")
        self.name = name
        self._settings, self._clock = settings, clock
        limits = camera.CameraLimits(settings.fps_max, settings.silence_s, settings.frozen_s)
        self._camera = camera.CameraStream(source or _source(settings), limits, clock=clock)

    def open(self) -> None:
        self._camera.open()

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        return [self._to_event(frame) for frame in self._camera.read(timeout_s)]

    def close(self) -> None:
        self._camera.close()

    def _to_event(self, frame: camera.CameraFrame | Fault) -> DeviceEvent:
        match frame:
            case Fault(what=what):
                return StreamFault(self.name, what, self._clock())
            case camera.CameraFrame(image=image, monotonic_ns=monotonic_ns):
                return PalmFrame(
                    self.name, _grey(image) if self._settings.nir else image, monotonic_ns, self._settings.nir
                )


def _source(settings: CameraSettings) -> camera.CameraSource:
    if not settings.source.startswith("/"):
        return NetworkCamera(settings.source, login_file=settings.login_file, silence_s=settings.silence_s)
    request = CameraRequest(
        width=settings.width,
        height=settings.height,
        fps=settings.fps_max,
        fourcc=settings.format,
        exposure_us=settings.exposure_us,
        gain=settings.gain,
    )
    return Video4Linux(settings.source, request, silence_s=settings.silence_s)


def _grey(image: Image) -> Image:
    """Returns one channel of a grey camera's picture: OpenCV gives three equal ones."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
