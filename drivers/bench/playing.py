"""Plays bytes to a reader's own driver: the one way from bytes and settings to events, for every command.

The daemon runs the driver on a live line; `devices watch` shows what that run reported; `devices replay` and
`devices decode` run the same class with the same settings on recorded bytes. There is no second reading of the bytes.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing

from drivers.base import DriverSettings, Reader
from drivers.bench.capture import Chunk
from drivers.readings import DeviceEvent
from drivers.transports.recorded import RecordedTransport
from drivers.unread import PlayedUnreadStore, UnreadSource

READ_S = 0.5


def play(
    driver: type[Reader], settings: DriverSettings, chunks: Iterable[Chunk], *, gaps: bool = False
) -> Iterator[DeviceEvent]:
    """Yields what the driver reports for these bytes under these settings, at the times that the chunks have."""
    recorded = RecordedTransport(chunks, gaps=gaps)
    reader = driver("replay", settings, clock=recorded.clock, transport=recorded)
    if isinstance(reader, UnreadSource):
        reader.unread = PlayedUnreadStore()
    reader.open()
    with closing(reader):
        while not recorded.ended:
            yield from reader.read(READ_S)


def as_chunks(data: Iterable[bytes]) -> Iterator[Chunk]:
    """Yields bytes as they come, with the times of their arrival."""
    for part in data:
        yield Chunk(t_ns=time.monotonic_ns(), dir="RECV", hex=part.hex())
