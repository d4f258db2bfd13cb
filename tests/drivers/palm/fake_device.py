"""What OpenCV gives for a V4L2 camera, as a script: no camera and no kernel module for one can be had in a test.

Does not imitate: any real camera. What OpenCV does with one is in its source, cap_v4l.cpp, and was not tried.
"""

import queue
import threading
from collections.abc import Sequence

import cv2

from drivers.protocols.picture import Image

OFFERED = {
    cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"MJPG")),
    cv2.CAP_PROP_FRAME_WIDTH: 640.0,
    cv2.CAP_PROP_FRAME_HEIGHT: 480.0,
}


class FakeDevice:
    """`offered`: what it can be set to, None standing for anything. `give` makes a frame; None is a failed grab."""

    def __init__(self, offered: dict[int, float | None] | None = None, *, opens: bool = True) -> None:
        self._offered = dict.fromkeys((cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_GAIN))
        self._offered |= OFFERED | (offered or {})
        self._opens = opens
        self._frames: queue.Queue[tuple[Image, float] | None] = queue.Queue()
        self._image: Image | None = None
        self._position_ms = 0.0
        self.asked: list[tuple[int, float]] = []
        self.opened: list[tuple[str, int]] = []
        self.released = threading.Event()
        self.hungry = threading.Semaphore(0)  # one for each grab that has begun

    def connect(self, name: str, backend: int, _: Sequence[int]) -> "FakeDevice":
        self.opened.append((name, backend))
        self.released.clear()
        return self

    def give(self, *images: Image, position_ms: float = 0.0) -> None:
        for image in images:
            self._frames.put((image, position_ms))

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self._frames.put(None)

    def grab(self) -> bool:
        self.hungry.release()
        given = self._frames.get()
        if given is None:
            return False
        self._image, self._position_ms = given
        return True

    def retrieve(self) -> tuple[bool, Image]:
        assert self._image is not None
        return self._image.size > 0, self._image

    def get(self, propId: int) -> float:  # noqa: N803  OpenCV's name
        if propId == cv2.CAP_PROP_POS_MSEC:
            return self._position_ms
        return self._offered.get(propId) or 0.0

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        self.asked.append((propId, value))
        return propId in self._offered and self._offered[propId] in (None, value)

    def isOpened(self) -> bool:  # noqa: N802
        return self._opens

    def release(self) -> None:
        self.released.set()
