"""`folder`: plays the pictures of a folder as a camera would give them. For trials, training and tests.

    folder = "/srv/palms"     `01.png` is a presentation of one frame, `02/` with pictures in it a burst of frames
    fps = 15                  frames of a burst, and presentations when there is no pause
    pause_s = 2               after each presentation, the hand is away
    repeat = true             begin again at the end; otherwise wait for pictures whose names come after the last

Names decide the order. A picture that cannot be read is a fault, and the next one is shown. No frame is left out:
a slow caller sees them later, unlike with a camera.

Does not imitate: exposure, blur, a hand that comes and goes, the picture without a hand between two children.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.errors import DeviceGone, NotSupported
from drivers.protocols.fault import Fault
from drivers.protocols.picture import Image, decode
from drivers.readings import DeviceEvent, PalmFrame, StreamFault
from drivers.transports.folder import PictureFolder

LOOK_AGAIN_S = 0.2  # for new pictures, once all were shown


class FolderSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    folder: str
    fps: Annotated[float, Meta(ge=0.1, le=60)] = 15.0
    pause_s: Annotated[float, Meta(ge=0, le=3_600)] = 0.0
    repeat: bool = False
    nir: bool = False  # the pictures were taken in near-infrared light


class Folder:
    Settings: ClassVar[type[DriverSettings]] = FolderSettings

    def __init__(
        self,
        name: str,
        settings: FolderSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,  # sees nothing: pictures of people are never recorded
        transport: Transport | None = None,
    ) -> None:
        if transport is not None:
            raise NotSupported(f"{name}: pictures are never captured, so there is nothing to replay: use its folder")
        self.name = name
        self._settings, self._clock = settings, clock
        self._folder = PictureFolder(Path(settings.folder))
        self._changed = threading.Condition()
        self._is_open = False
        self._start_anew()

    def open(self) -> None:
        with self._changed:
            if self._is_open:
                raise RuntimeError(f"{self._folder.path} is already open: close it first")
            self._folder.check()
            self._start_anew()
            self._is_open = True

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        with self._changed:
            if not self._is_open:
                raise DeviceGone(f"{self._folder.path} is not open")
            self._folder.check()
            remaining_s = (self._due_ns - self._clock()) / 1e9
            self._changed.wait_for(lambda: not self._is_open, min(max(remaining_s, 0.0), timeout_s))
            if not self._is_open or self._clock() < self._due_ns:
                return ()
            return self._show_next()

    def close(self) -> None:
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    def _start_anew(self) -> None:
        self._waiting: deque[Path] = deque()  # presentations
        self._burst: deque[Path] = deque()  # what is left of the one that is on
        self._last = ""  # name of the newest presentation that was listed
        self._due_ns = self._clock()

    def _show_next(self) -> Sequence[DeviceEvent]:
        if not self._burst and not self._lay_on():
            return ()
        path = self._burst.popleft()
        between_s = 1 / self._settings.fps
        self._wait(between_s if self._burst else max(between_s, self._settings.pause_s))
        picture = self._picture(path)
        if isinstance(picture, Fault):
            return [StreamFault(self.name, f"{path.name}: {picture.what}", self._clock())]
        return [PalmFrame(self.name, picture, self._clock(), self._settings.nir)]

    def _lay_on(self) -> bool:
        """Loads the frames of the next presentation into `_burst`. False when there is none."""
        if not self._waiting:
            self._list()
        while self._waiting:
            self._burst.extend(self._folder.frames(self._waiting.popleft()))
            if self._burst:
                return True
        self._wait(LOOK_AGAIN_S)
        return False

    def _list(self) -> None:
        presentations = self._folder.presentations()
        new = [path for path in presentations if path.name > self._last]
        self._waiting.extend(new or (presentations if self._settings.repeat else ()))
        if presentations:
            self._last = max(self._last, presentations[-1].name)

    def _picture(self, path: Path) -> Image | Fault:
        data = self._folder.load(path)
        return data if isinstance(data, Fault) else decode(data)

    def _wait(self, seconds: float) -> None:
        self._due_ns = self._clock() + round(seconds * 1e9)
