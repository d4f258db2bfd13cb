"""Reads one card for a calibration: as the reader's settings have it, or, where they make no card of what it sends, as
each other setting would.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import msgspec

from drivers.base import DriverSettings, Monotonic, Reader
from drivers.bench.calibration import SETTING
from drivers.errors import NotSupported
from drivers.readings import CardRead, StreamFault, Uid
from drivers.transports.memory import MemoryTransport
from drivers.uid import UidEncoding

READ_S = 0.5
SILENCE_NS = 60_000_000_000  # longer than any reader waits for the rest of a line


@dataclass(frozen=True, slots=True)
class NoCardReading:
    """The bytes of a reader that its settings make no card of, and the reason. Both are empty when it sent nothing."""

    sent: Sequence[bytes] = field(repr=False)
    why: str


def read_card(
    driver: type[Reader], options: DriverSettings, seconds: float, *, clock: Monotonic = time.monotonic_ns
) -> Uid | NoCardReading:
    """Returns the first card within `seconds`. Raises what the driver's `open` raises."""
    sent: list[bytes] = []
    reader = driver("calibration", options, tap=lambda way, data: sent.append(data) if way == "RECV" else None)
    reader.open()
    why = ""
    until_ns = clock() + int(seconds * 1e9)
    with closing(reader):
        while clock() < until_ns:
            events = reader.read(READ_S)
            for event in events:
                if isinstance(event, CardRead):
                    return event.uid
                if isinstance(event, StreamFault):
                    why = event.what
            if why and not events:  # it has said all, for now
                break
    return NoCardReading(sent if why else (), why)


def read_under_encodings(
    driver: type[Reader], options: DriverSettings, encodings: Sequence[UidEncoding], sent: Sequence[bytes]
) -> Mapping[UidEncoding, Uid]:
    """Returns the card as each setting reads the sent bytes; a setting that makes no card of them is left out."""
    outcomes = {encoding: _read_as(driver, options, encoding, sent) for encoding in encodings}
    return {encoding: uid for encoding, uid in outcomes.items() if uid is not None}


def _read_as(driver: type[Reader], options: DriverSettings, encoding: UidEncoding, sent: Sequence[bytes]) -> Uid | None:
    now_ns = 0
    line = MemoryTransport()
    changed = msgspec.structs.replace(options, **{SETTING: encoding})
    try:
        reader = driver("calibration", changed, clock=lambda: now_ns, transport=line)
    except NotSupported:  # it takes its bytes from elsewhere, and has no wrong setting of this kind
        return None
    reader.open()
    with closing(reader):
        for chunk in (*sent, b""):
            line.put(chunk)
            now_ns += 0 if chunk else SILENCE_NS  # which ends a line that has no end
            for event in reader.read(0.0):
                if isinstance(event, CardRead):
                    return event.uid
    return None
