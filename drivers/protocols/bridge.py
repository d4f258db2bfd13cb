"""Messages between us and a vendor's process beside us: one line of JSON, and perhaps bytes behind it.

    {"type":"match","data":{…},"payload_length":0}\\n<payload>

After Wyoming (OHF-Voice/wyoming), so that its libraries can be used: `data` may also come behind the line, as
`data_length` bytes of JSON. Bounds: the line LINE_BYTES_MAX, data DATA_BYTES_MAX, the payload PAYLOAD_BYTES_MAX. Of a
payload only its length is kept: nothing that a palm is made of has a place on our side.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from msgspec import Meta

from drivers.protocols.fault import Fault

HEAD_LINE_BYTES_MAX = 8 * 1024
DATA_BYTES_MAX = 64 * 1024
BRIDGE_PAYLOAD_BYTES_MAX = 4 * 1024 * 1024

_Length = Annotated[int, Meta(ge=0)]


class _MessageHead(msgspec.Struct, frozen=True, kw_only=True):
    type: Annotated[str, Meta(min_length=1, max_length=32)]
    data: dict[str, object] = {}
    data_length: _Length | None = None
    payload_length: _Length | None = None


_head: msgspec.json.Decoder[_MessageHead] = msgspec.json.Decoder(_MessageHead)
_data: msgspec.json.Decoder[dict[str, object]] = msgspec.json.Decoder(dict[str, object])


@dataclass(frozen=True, slots=True)
class Message:
    """A message without its payload. `data` is foreign JSON: check it against a type before you use it."""

    type: str
    data: Mapping[str, object] = field(default_factory=dict, repr=False)
    payload_bytes: int = 0


Event = Message | Fault


def encode(type: str, data: Mapping[str, object] | None = None, payload: bytes = b"") -> bytes:  # noqa: A002
    head: dict[str, object] = {"type": type, "data": dict(data or {})}
    if payload:
        head["payload_length"] = len(payload)
    return msgspec.json.encode(head) + b"\n" + payload


class Decoder:
    """Turns bytes into messages and faults, however the bytes are cut."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._skipping = False  # a line that is too long, to its end
        self._head: _MessageHead | None = None  # of the message whose data or payload is still to come
        self._data = bytearray()
        self._data_remaining = 0
        self._payload_remaining = 0

    def feed(self, data: bytes) -> Sequence[Event]:
        events: list[Event] = []
        rest = data
        while rest:
            if self._head is None:
                line, end, rest = rest.partition(b"\n")
                events.extend(self._append(line))
                if end:
                    events.extend(self._line_ended())
            else:
                part, rest = rest[: self._data_remaining], rest[self._data_remaining :]
                self._data += part
                self._data_remaining -= len(part)
                passed = min(self._payload_remaining, len(rest))
                rest = rest[passed:]
                self._payload_remaining -= passed
            if self._head is not None and not self._data_remaining and not self._payload_remaining:
                events.append(self._whole(self._head))
        return events

    def _append(self, part: bytes) -> Iterator[Fault]:
        if not self._skipping:
            self._line += part
            if len(self._line) > HEAD_LINE_BYTES_MAX:
                self._line.clear()
                self._skipping = True
                yield Fault("a line is too long")

    def _line_ended(self) -> Iterator[Fault]:
        line = bytes(self._line).strip()
        self._line.clear()
        self._skipping = False
        if not line:
            return
        try:
            head = _head.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            yield Fault("a line that is no message")
            return
        data_bytes, payload_bytes = head.data_length or 0, head.payload_length or 0
        if data_bytes > DATA_BYTES_MAX or payload_bytes > BRIDGE_PAYLOAD_BYTES_MAX:
            yield Fault("a message that is too large")
            return
        self._head, self._data_remaining, self._payload_remaining = head, data_bytes, payload_bytes

    def _whole(self, head: _MessageHead) -> Event:
        data, self._head = bytes(self._data), None
        self._data.clear()
        try:
            more = _data.decode(data) if data else {}
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Fault("data of a message that is no JSON object")
        return Message(head.type, {**head.data, **more}, head.payload_length or 0)
