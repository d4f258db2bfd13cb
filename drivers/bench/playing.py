"""Plays bytes to a reader's own driver: the one way from bytes and settings to events, for every command.

The daemon runs the driver on a live line; `devices watch` shows what that run reported; `devices replay` and
`devices decode` run the same class with the same settings on recorded bytes. There is no second reading of the bytes.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import assert_never

from drivers.base import DriverSettings, Reader
from drivers.bench.capture import Chunk
from drivers.readings import CardRead, CardRemoved, CodeRead, DeviceEvent, PalmFrame, PersonMatched, StreamFault
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


def describe_event(event: DeviceEvent) -> dict[str, object]:
    """Returns the event as a JSON object, with whole card numbers; of a palm frame only its size."""
    match event:
        case CardRead(uid=uid, again=again):
            return {
                "event": "read",
                "uid": uid.hex,
                "bits": uid.bits,
                "tech": uid.technology.value,
                "partial": uid.partial,
                "again": again,
            }
        case CodeRead(text=text):
            return {"event": "code", "text": text}
        case PersonMatched(number=number, method=method, score=score):
            return {"event": "match", "number": number, "method": method, "score": score}
        case PalmFrame(image=image, nir=nir):
            return {"event": "frame", "height": image.shape[0], "width": image.shape[1], "nir": nir}
        case CardRemoved():
            return {"event": "removed"}
        case StreamFault(what=what, cause=cause):
            return {"event": "fault", "what": what, "cause": cause.value}
        case _:
            assert_never(event)
