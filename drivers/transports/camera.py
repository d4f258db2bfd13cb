"""A live camera: a thread takes its pictures and keeps only the newest, so that nobody is judged by an old one.

OpenCV hands out every frame that the system has kept meanwhile: after three seconds without a read it gave 61 old ones
(measured). So somebody reads all the time. That is the one thread a driver has here; it ends with `close`. Every frame
is decoded, also one that nobody will see: which is the last of those that came at once is known only afterwards.

What a camera does when it dies, and what is made of it:
- no frame for `silence_s`, or the end of the stream: DeviceGone
- frames, but all the same picture, or all of the same time (a hung encoder; V4L2 drivers that repeat the last frame
  after the plug was pulled, opencv#14044): DeviceGone after `frozen_s`. A lens that is covered also gives equal
  pictures, evenly dark: that is no fault of the camera and is handed on.
- now and then a frame that is none: a fault, and the next one is taken

No picture is written anywhere or shown to a tap.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from drivers.base import Monotonic
from drivers.errors import DeviceBusy, DeviceGone
from drivers.protocols.fault import Fault
from drivers.protocols.picture import Image, unfit

if TYPE_CHECKING:
    from cv2.typing import MatLike

FAILURES_MAX = 5  # grabs in a row that gave nothing, before the stream counts as ended
CAMERA_FAULTS_MAX = 64  # kept for the next read; the oldest is dropped
EVEN_MAX = 8  # grey levels between the darkest and the brightest pixel of a picture without anything on it
DRAINING_S = 0.1  # after opening, until what was kept while a stream was probed (a second of it, with RTSP) is passed
ENDING_S = 2.0  # on top of `silence_s`: how long a grab that is under way may take to end


class VideoCapture(Protocol):
    """The part of cv2.VideoCapture that is used. It is not safe for two threads."""

    def grab(self) -> bool: ...

    def retrieve(self) -> "tuple[bool, MatLike]": ...

    def get(self, propId: int) -> float: ...  # noqa: N803  OpenCV's name

    def release(self) -> None: ...


class CameraSource(Protocol):
    """The place of a camera, and the way to start it. `name` holds no password."""

    name: str

    def start(self) -> VideoCapture:
        """Starts the camera. Raises DeviceGone, DeviceBusy or NotSupported."""

    def faults(self) -> Sequence[Fault]:
        """Returns the requests of the start that the camera does not follow."""

    def check(self) -> None:
        """Raises DeviceGone when the system says that the camera is away."""


@dataclass(frozen=True, slots=True)
class CameraFrame:
    image: Image = field(repr=False)
    monotonic_ns: int


@dataclass(frozen=True, slots=True)
class CameraLimits:
    fps_max: float
    silence_s: float
    frozen_s: float  # 0: a picture that stands still is none of our business


class Liveness:
    """Finds out if a camera's pictures are live. With `frozen_s` 0 it accepts every picture."""

    def __init__(self, frozen_s: float) -> None:
        self._frozen_ns = round(frozen_s * 1e9)
        self._image: Image | None = None
        self._position_ms = 0.0
        self._changed_ns = self._moved_ns = 0

    def dead(self, image: Image, position_ms: float, now_ns: int) -> str | None:
        """Returns why this frame shows that the camera hangs, or None. `position_ms` is its own time; 0 where it has
        none.
        """
        if not self._frozen_ns:
            return None
        before, self._image = self._image, image
        if before is None or before.shape != image.shape or not np.array_equal(before, image):
            self._changed_ns = now_ns
        if before is None or position_ms <= 0 or position_ms != self._position_ms:
            self._position_ms, self._moved_ns = position_ms, now_ns
        if now_ns - self._moved_ns > self._frozen_ns:
            return "the time of its pictures stands still"
        if now_ns - self._changed_ns > self._frozen_ns:
            self._changed_ns = now_ns
            if int(image.max()) - int(image.min()) >= EVEN_MAX:
                return "its picture stands still"
        return None


class _Pace:
    """Spaces the pictures that are given out: at most `fps_max` a second in the long run."""

    def __init__(self, fps_max: float, now_ns: int) -> None:
        self._between_ns = round(1e9 / fps_max)
        self._due_ns = now_ns

    def left_s(self, now_ns: int) -> float:
        """Returns the seconds until the next picture may be given out; a little less, since a camera is never quite
        regular.
        """
        return max(self._due_ns - self._between_ns // 4 - now_ns, 0) / 1e9

    def due(self, now_ns: int) -> bool:
        return self.left_s(now_ns) == 0

    def note_picture(self, now_ns: int) -> None:
        self._due_ns = max(self._due_ns + self._between_ns, now_ns)


class CameraStream:
    def __init__(self, source: CameraSource, limits: CameraLimits, *, clock: Monotonic) -> None:
        self._source, self._limits, self._clock = source, limits, clock
        self._opening = threading.Lock()  # held by `open` and `close`
        self._changed = threading.Condition()  # guards all below
        self._thread: threading.Thread | None = None
        self._is_open = False
        self._newest: CameraFrame | None = None
        self._faults: deque[Fault] = deque(maxlen=CAMERA_FAULTS_MAX)
        self._pace = _Pace(limits.fps_max, 0)
        self._ended = ""  # why there will be no more
        self._alive_ns = 0  # when there last was a frame

    def open(self) -> None:
        with self._opening:
            if self._is_open:
                raise RuntimeError(f"{self._source.name} is already open: close it first")
            if self._thread is not None and self._thread.is_alive():
                raise DeviceBusy(f"{self._source.name} hangs in its driver since it was closed: pull its plug")
            capture = self._source.start()
            with self._changed:
                self._is_open, self._ended, self._newest = True, "", None
                self._faults.clear()
                self._faults.extend(self._source.faults())
                self._alive_ns = self._clock()
                self._pace = _Pace(self._limits.fps_max, self._alive_ns + round(DRAINING_S * 1e9))
            self._thread = threading.Thread(
                target=self._take_pictures, args=(capture,), name=f"camera {self._source.name}", daemon=True
            )
            self._thread.start()

    def read(self, timeout_s: float) -> Sequence[CameraFrame | Fault]:
        """Returns the newest picture, if it was not given out yet and is due, and the faults before it."""
        with self._changed:
            self._need_open()
            self._source.check()
            until_ns = self._clock() + round(timeout_s * 1e9)
            self._changed.wait_for(lambda: self._newest is not None or self._has_news(), timeout_s)
            if self._newest is not None:
                now_ns = self._clock()
                left_s = min(self._pace.left_s(now_ns), (until_ns - now_ns) / 1e9)
                self._changed.wait_for(self._has_news, max(left_s, 0.0))
            if not self._is_open:
                return ()
            frames: list[CameraFrame | Fault] = list(self._faults)
            self._faults.clear()
            now_ns = self._clock()
            if self._newest is not None and self._pace.due(now_ns):
                self._pace.note_picture(now_ns)
                frames.append(self._newest)
                self._newest = None
            if frames:
                return frames
            self._need_life()
            return ()

    def close(self) -> None:
        with self._changed:
            self._is_open = False
            self._newest = None
            self._changed.notify_all()
        with self._opening:
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join(self._limits.silence_s + ENDING_S)

    def _has_news(self) -> bool:
        """Tells if there is something other than a picture to report."""
        return bool(self._faults) or bool(self._ended) or not self._is_open

    def _need_open(self) -> None:
        if not self._is_open:
            raise DeviceGone(f"{self._source.name} is not open")

    def _need_life(self) -> None:
        if self._ended:
            raise DeviceGone(f"{self._source.name}: {self._ended}; check its cable, its power and its network")
        if self._silent_s() > self._limits.silence_s + ENDING_S:
            raise DeviceGone(f"{self._source.name} hangs in its driver; check its cable and its power")

    def _silent_s(self) -> float:
        return (self._clock() - self._alive_ns) / 1e9

    # the thread's side

    def _take_pictures(self, capture: VideoCapture) -> None:
        why = "it stopped"
        try:
            why = self._until_the_end(capture)
        finally:
            capture.release()
            with self._changed:
                self._ended = why
                self._changed.notify_all()

    def _until_the_end(self, capture: VideoCapture) -> str:
        """Takes pictures until the stream ends, and returns why it ended. The first frame is passed over: it waited in
        a buffer, or is from before exposure settled.
        """
        liveness = Liveness(self._limits.frozen_s)
        failures = 0
        first = True
        while self._is_open:
            if not capture.grab():
                failures += 1
                if failures == 1:
                    self._came(None, Fault("no frame, or one that is no picture"))
                if self._silent_s() > self._limits.silence_s:
                    return f"it gave no picture for {self._silent_s():.1f} s"
                if failures == FAILURES_MAX:
                    return "its stream has ended"
                continue
            now_ns = self._clock()
            picture = _picture(capture)
            if not isinstance(picture, Fault):
                dead = liveness.dead(picture, capture.get(cv2.CAP_PROP_POS_MSEC), now_ns)
                if dead is not None:
                    return dead
            self._came(now_ns, None if first else picture)
            first, failures = False, 0
        return "it was closed"

    def _came(self, now_ns: int | None, picture: Image | Fault | None = None) -> None:
        """Notes a frame at `now_ns`, or a try without one. A frame without its `picture` was passed over."""
        with self._changed:
            self._alive_ns = now_ns or self._alive_ns
            if isinstance(picture, Fault):
                self._faults.append(picture)
            elif picture is not None and now_ns is not None:
                self._newest = CameraFrame(picture, now_ns)
            self._changed.notify_all()


def _picture(capture: VideoCapture) -> Image | Fault:
    try:
        fine, image = capture.retrieve()
    except cv2.error:
        return Fault("a frame that cannot be decoded")
    if not fine or image is None or image.dtype != np.uint8 or image.ndim not in (2, 3):
        return Fault("a frame that cannot be decoded")
    if image.ndim == 3 and image.shape[2] not in (1, 3):
        return Fault(f"a frame of {image.shape[2]} colours")
    return unfit(image.shape[1], image.shape[0]) or np.asarray(image, np.uint8)
