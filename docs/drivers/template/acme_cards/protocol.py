"""Acme's lines: the card's number in hex, LF. Bytes in, numbers and faults out; no device, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.protocols.fault import Fault

LINE_BYTES_MAX = 64


@dataclass(frozen=True, slots=True)
class Number:
    digits: str = field(repr=False)  # a card's number: never in a log


class Decoder:
    def __init__(self) -> None:
        self._line = bytearray()
        self._skipping = False  # the line is too long; the fault has been told

    def feed(self, data: bytes) -> Sequence[Number | Fault]:
        events: list[Number | Fault] = []
        for byte in data:
            if byte == ord("\n"):
                if not self._skipping:
                    events.append(_meaning(bytes(self._line)))
                self._line.clear()
                self._skipping = False
            elif len(self._line) < LINE_BYTES_MAX:
                self._line.append(byte)
            elif not self._skipping:
                self._skipping = True
                events.append(Fault("a line is too long"))
        return events


def _meaning(line: bytes) -> Number | Fault:
    try:
        digits = line.strip().decode("ascii")
        bytes.fromhex(digits)
    except ValueError:
        return Fault("a line that is no number")
    return Number(digits) if digits else Fault("an empty line")
