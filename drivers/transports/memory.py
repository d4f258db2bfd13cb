"""The in-memory twin of a transport: a test or a simulation puts bytes in and sees what was written.

Does not imitate: baud rates, buffers that overrun, permissions.
"""

import threading
from collections import deque

from drivers.errors import DeviceBusy, DeviceGone

CHUNKS_MAX = 10_000


class MemoryTransport:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque(maxlen=CHUNKS_MAX)
        self._is_open = False
        self._plugged = True
        self.busy = False  # as if another program held it
        self.written: deque[bytes] = deque(maxlen=CHUNKS_MAX)

    # the device's side

    def put(self, data: bytes) -> None:
        """Plays the device's part and sends bytes; each chunk is one read of the driver. They are lost when nobody has
        it open.
        """
        with self._changed:
            if data and self._is_open:
                self._chunks.append(data)
                self._changed.notify_all()

    def unplug(self) -> None:
        with self._changed:
            self._plugged = False
            self._chunks.clear()
            self._changed.notify_all()

    def replug(self) -> None:
        with self._changed:
            self._plugged = True

    # the driver's side

    def open(self) -> None:
        with self._changed:
            if self._is_open:
                raise RuntimeError("already open: close it first")
            if not self._plugged:
                raise DeviceGone("the device in memory is unplugged")
            if self.busy:
                raise DeviceBusy("the device in memory is held by another")
            self._chunks.clear()
            self._is_open = True

    def read(self, timeout_s: float) -> bytes:
        with self._changed:
            self._need_open()
            self._changed.wait_for(lambda: self._chunks or not self._is_open or not self._plugged, timeout_s)
            if not self._is_open:
                return b""
            self._need_open()
            return self._chunks.popleft() if self._chunks else b""

    def write(self, data: bytes) -> None:
        with self._changed:
            self._need_open()
            self.written.append(data)

    def close(self) -> None:
        with self._changed:
            self._is_open = False
            self._chunks.clear()
            self._changed.notify_all()

    def _need_open(self) -> None:
        if not self._is_open:
            raise DeviceGone("the device in memory is not open")
        if not self._plugged:
            raise DeviceGone("the device in memory was unplugged")
