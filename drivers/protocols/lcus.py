"""LCUS USB relay boards (CH340), 9600 8N1: they take commands and never answer.

    A0 | relay, from 1 | 0 off, 1 on | sum of the three

A relay stays as it was switched, also when the cable is pulled while the board has other power.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.protocols.fault import Fault

START = 0xA0
RELAYS_MAX = 8
FRAME_BYTES = 4


@dataclass(frozen=True, slots=True)
class Switched:
    relay: int
    on: bool


def encode(relay: int, *, on: bool) -> bytes:
    if not 1 <= relay <= RELAYS_MAX:
        raise ValueError(f"relays are numbered from 1 to {RELAYS_MAX}, not {relay}")
    head = bytes((START, relay, int(on)))
    return head + bytes((sum(head) & 0xFF,))


class Decoder:
    """Turns bytes into commands as a board does, for the peer in the tests and for captures."""

    def __init__(self) -> None:
        self._frame = bytearray()

    def feed(self, data: bytes) -> Sequence[Switched | Fault]:
        events: list[Switched | Fault] = []
        for byte in data:
            if not self._frame and byte != START:
                events.append(Fault("bytes outside a frame"))
                continue
            self._frame.append(byte)
            if len(self._frame) == FRAME_BYTES:
                _, relay, state, check = self._frame
                good = sum(self._frame[:-1]) & 0xFF == check and 1 <= relay <= RELAYS_MAX and state in (0, 1)
                events.append(Switched(relay, bool(state)) if good else Fault("a checksum or a relay is wrong"))
                self._frame.clear()
        return events
