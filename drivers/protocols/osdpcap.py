"""OSDPCAP, the capture format of the Security Industry Association's test tool: JSON lines of what passed on the bus.

    {"timeSec":"1580342115","timeNano":"984691851","io":"trace","data":"ff 53 80 08 00 01 4b 01 d8",
     "osdpTraceVersion":"1","osdpSource":"libosdp-conformance 0.91-5"}

One line each; `io` is input, output or trace, seen from the panel (trace: somebody who only listened). Others write
the bytes with hyphens or without a gap, and the times as numbers. A line need not be one frame.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from drivers.protocols import osdp
from drivers.protocols.fault import Fault
from drivers.protocols.osdp_secure import Opened, SecureSession

OSDPCAP_LINE_BYTES_MAX = 64 * 1024
SOURCE = "edge-agent"
_BEFORE_TEXT = b" \t\r\n\xef\xbb\xbf"  # blanks, and the mark that editors put first; none begins a frame

Direction = Literal["RECV", "SEND", ""]  # empty: not known

_IO: dict[str, Direction] = {"input": "RECV", "output": "SEND", "trace": ""}


@dataclass(frozen=True, slots=True)
class PassedBytes:
    """Bytes that passed at once. `t_ns` counts from 1970, or from any other moment."""

    t_ns: int
    direction: Direction
    data: bytes = field(repr=False)


class _CaptureLine(msgspec.Struct, frozen=True, rename="camel"):
    time_sec: str | int
    time_nano: str | int
    data: str
    io: str = "trace"
    osdp_trace_version: str | int = "1"
    osdp_source: str = SOURCE


_line: msgspec.json.Decoder[_CaptureLine] = msgspec.json.Decoder(_CaptureLine)


def encode(record: PassedBytes) -> bytes:
    """Returns the line of a record, with its end."""
    io = {direction: name for name, direction in _IO.items()}[record.direction]
    seconds, nanos = divmod(record.t_ns, 1_000_000_000)
    return msgspec.json.encode(_CaptureLine(str(seconds), f"{nanos:09d}", record.data.hex(" "), io)) + b"\n"


def parse(line: bytes) -> PassedBytes | Fault:
    try:
        fields = _line.decode(line)
        data = bytes.fromhex(fields.data.replace("-", " "))
        t_ns = int(fields.time_sec) * 1_000_000_000 + int(fields.time_nano)
    except (msgspec.DecodeError, ValueError):
        return Fault("a line that is no OSDPCAP")
    if str(fields.osdp_trace_version) != "1" or fields.io not in _IO:
        return Fault("a line of another version of OSDPCAP")
    return PassedBytes(t_ns, _IO[fields.io], data)


def replay(lines: Iterable[bytes], scbk: bytes | None = None) -> Iterator[tuple[int, Opened | Fault]]:
    """Yields the recorded packets in order, with their times, opened with the reader's key where it is given."""
    session = SecureSession(scbk)
    decoders = {direction: osdp.Decoder() for direction in _IO.values()}
    t_ns = 0
    for line in lines:
        record = parse(line) if len(line) <= OSDPCAP_LINE_BYTES_MAX else Fault("a line is too long")
        if isinstance(record, Fault):
            yield t_ns, record
            continue
        t_ns = record.t_ns
        for event in decoders[record.direction].feed(record.data):
            opened = event if isinstance(event, Fault) else session.open(event)
            if opened is not None:
                yield t_ns, opened


class OsdpStream:
    """Decodes bytes of both directions as they pass, or the text of an OSDPCAP file; the first byte tells which. The
    result does not depend on the cuts. At most one line or one frame is kept.
    """

    def __init__(self, scbk: bytes | None = None) -> None:
        self._session = SecureSession(scbk)
        self._decoders = {direction: osdp.Decoder() for direction in _IO.values()}
        self._is_text: bool | None = None  # None: nothing but blanks has come
        self._line = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Sequence[Opened | Fault]:
        if self._is_text is None:
            data = data.lstrip(_BEFORE_TEXT)
            self._is_text = data.startswith(b"{") if data else None
        return self._lines(data) if self._is_text else self._opened("", data)

    def flush(self) -> Sequence[Opened | Fault]:
        events = list(self._lines(b"\n")) if self._line else []
        for decoder in self._decoders.values():
            events += [opened for event in decoder.flush() if (opened := self._open(event))]
        return events

    def _lines(self, data: bytes) -> Sequence[Opened | Fault]:
        events: list[Opened | Fault] = []
        *ended, rest = data.split(b"\n")
        for part in ended:
            events += self._append(part)
            record = parse(bytes(self._line)) if self._line else None
            self._line.clear()
            self._skipping = False
            match record:
                case PassedBytes(direction=direction, data=said):
                    events += self._opened(direction, said)
                case Fault():
                    events.append(record)
        return events + list(self._append(rest))

    def _append(self, part: bytes) -> Sequence[Fault]:
        if self._skipping:
            return ()
        self._line += part
        if len(self._line) <= OSDPCAP_LINE_BYTES_MAX:
            return ()
        self._line.clear()
        self._skipping = True
        return (Fault("a line is too long"),)

    def _opened(self, direction: Direction, data: bytes) -> Sequence[Opened | Fault]:
        return [opened for event in self._decoders[direction].feed(data) if (opened := self._open(event))]

    def _open(self, event: osdp.Event) -> Opened | Fault | None:
        return event if isinstance(event, Fault) else self._session.open(event)
