"""Cuts a stream into lines of JSON, for programs that feed us: one object a line, LF, at most `line_bytes_max`.

What the objects mean is the driver's. A line that is too long is a fault and is skipped to its end.
"""

from collections.abc import Sequence

from drivers.protocols.fault import Fault

JSON_LINE_BYTES_MAX = 4096


class Decoder:
    def __init__(self, line_bytes_max: int = JSON_LINE_BYTES_MAX) -> None:
        self._max = line_bytes_max
        self._line = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Sequence[bytes | Fault]:
        """Returns whole lines without their end; empty ones are passed over."""
        events: list[bytes | Fault] = []
        *ended, rest = data.split(b"\n")
        for part in ended:
            events.extend(self._append(part))
            line = bytes(self._line).strip()
            self._line.clear()
            self._skipping = False
            if line:
                events.append(line)
        events.extend(self._append(rest))
        return events

    def _append(self, part: bytes) -> Sequence[Fault]:
        if self._skipping:
            return ()
        self._line += part
        if len(self._line) <= self._max:
            return ()
        self._line.clear()
        self._skipping = True
        return (Fault("a line is too long"),)
