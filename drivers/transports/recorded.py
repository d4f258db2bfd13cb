"""Plays a capture to a driver, as if the device were there, with the recorded gaps or without any wait.

`clock` tells the time at which the last chunk was recorded: a driver that is given it sees the same times on every
replay, however fast. A silence follows the last chunk, so that a line without an end is over. What the driver writes
is thrown away. Does not imitate: a device that reacts to what is written.
"""

import threading
from collections.abc import Iterable, Iterator

from drivers.bench.capture import Chunk
from drivers.errors import DeviceGone

SILENCE_NS = 60_000_000_000  # longer than any reader waits for the rest of a line


class RecordedTransport:
    """Reads raise DeviceGone once the capture has ended; `ended` tells that from other reasons. A reopen goes on.

    A chunk is taken when it is read, the first one at `open`: so they may come from a live line.
    """

    def __init__(self, chunks: Iterable[Chunk], *, gaps: bool = True) -> None:
        self._chunks: Iterator[Chunk] = (chunk for chunk in chunks if chunk.dir == "RECV")
        self._gaps = gaps
        self._next: Chunk | None = None
        self._was_silent = False
        self._now_ns = 0
        self._waited_s = 0.0  # of the gap before the next chunk
        self._closed = threading.Event()
        self._closed.set()

    def clock(self) -> int:
        return self._now_ns

    @property
    def ended(self) -> bool:
        return self._was_silent

    def open(self) -> None:
        if self._next is None and not self._now_ns:
            self._next = next(self._chunks, None)
            self._now_ns = self._next.t_ns if self._next else 0
        self._closed.clear()

    def read(self, timeout_s: float) -> bytes:
        if self._closed.is_set():
            raise DeviceGone("the recording is not open")
        if self.ended:
            raise DeviceGone("the recording has ended")
        chunk = self._next = self._next or next(self._chunks, None)
        if chunk is None:
            self._was_silent = True
            self._now_ns += SILENCE_NS
            return b""
        if self._gaps and not self._wait(chunk, timeout_s):
            return b""
        self._next = None
        self._now_ns, self._waited_s = chunk.t_ns, 0.0
        return bytes.fromhex(chunk.hex)

    def write(self, data: bytes) -> None:
        if self._closed.is_set():
            raise DeviceGone("the recording is not open")

    def close(self) -> None:
        self._closed.set()

    def _wait(self, chunk: Chunk, timeout_s: float) -> bool:
        """Waits for the rest of the gap, at most `timeout_s`. True when the chunk is due."""
        remaining_s = max(0.0, (chunk.t_ns - self._now_ns) / 1e9 - self._waited_s)
        if self._closed.wait(min(remaining_s, timeout_s)):
            return False
        self._waited_s += min(remaining_s, timeout_s)
        return remaining_s <= timeout_s
