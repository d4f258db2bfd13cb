"""Captures: what a device said, with times, as JSON lines that can be played again.

    {"capture":1,"driver":"em4100","settings":{"port":"…","baud":9600},"redacted":true}
    {"t_ns":123456789,"dir":"RECV","hex":"0231463030…"}

`t_ns` is monotonic: only differences mean something. A camera is never captured.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, Literal, TypeVar

import msgspec

from drivers.base import DriverSettings, Monotonic
from drivers.bench.redaction import Piece, Redactor
from drivers.errors import NotSupported, ProtocolError
from drivers.registry import DRIVERS, DriverEntry, entry

CAPTURE_BYTES_MAX = 64 * 1024 * 1024
CAPTURE_LINE_BYTES_MAX = 64 * 1024

T = TypeVar("T")


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that passed at once. The repr leaves them out, since they hold card numbers."""

    t_ns: int
    dir: Literal["RECV", "SEND"]
    hex: str

    def __repr__(self) -> str:
        return f"Chunk(t_ns={self.t_ns}, dir={self.dir!r}, {len(self.hex) // 2} bytes)"


class CaptureHeader(msgspec.Struct, frozen=True, kw_only=True):
    capture: Literal[1] = 1
    driver: str
    settings: Mapping[str, str | int | float | bool | list[str]]
    redacted: bool = True


class CaptureTap:
    """A tap that writes the bytes that pass. `redact_key` is any secret bytes; cards get pseudonyms that hold within
    one key.
    """

    def __init__(
        self,
        out: BinaryIO,
        driver: str,
        settings: DriverSettings,
        *,
        clock: Monotonic,
        redact_key: bytes | None,
        bytes_max: int = CAPTURE_BYTES_MAX,
        drivers: Mapping[str, DriverEntry] = DRIVERS,
    ) -> None:
        driver_entry = entry(driver, drivers)
        if driver_entry.camera:
            raise NotSupported(f"{driver} is a camera: pictures of people are never captured")
        self._redactor = None if redact_key is None else Redactor(driver_entry.protocol, redact_key)
        self._out, self._clock, self._bytes_remaining = out, clock, bytes_max
        header = CaptureHeader(driver=driver, settings=msgspec.to_builtins(settings), redacted=redact_key is not None)
        self._write(msgspec.json.encode(header))

    @property
    def full(self) -> bool:
        """Tells if the limit is reached; what passes after it is not written."""
        return self._bytes_remaining == 0

    def __call__(self, direction: str, data: bytes) -> None:
        self._write_pieces(
            [(self._clock(), direction, data)]
            if self._redactor is None
            else self._redactor.push(self._clock(), direction, data)
        )

    def finish(self) -> None:
        """Writes what redaction still held back. The file stays open: it is the caller's."""
        if self._redactor is not None:
            self._write_pieces(self._redactor.end())
        self._out.flush()

    def _write_pieces(self, pieces: Iterable[Piece]) -> None:
        for t_ns, direction, data in pieces:
            chunk = {"t_ns": t_ns, "dir": direction, "hex": data.hex()}
            self._write(msgspec.json.encode(chunk))

    def _write(self, line: bytes) -> None:
        if len(line) + 1 > self._bytes_remaining:
            self._bytes_remaining = 0
            return
        self._bytes_remaining -= self._out.write(line + b"\n")


def read_capture(file: BinaryIO) -> tuple[CaptureHeader, Iterator[Chunk]]:
    """Returns the header, and the chunks one by one. Raises ProtocolError naming the first line that is wrong."""
    header = _parsed(file.readline(CAPTURE_LINE_BYTES_MAX), 1, CaptureHeader)
    return header, _chunks(file)


def _chunks(file: BinaryIO) -> Iterator[Chunk]:
    number = 1
    while line := file.readline(CAPTURE_LINE_BYTES_MAX):
        number += 1
        chunk = _parsed(line, number, Chunk)
        try:
            bytes.fromhex(chunk.hex)
        except ValueError as error:
            raise ProtocolError(f"line {number} of the capture: hex is not in pairs of digits") from error
        yield chunk


def _parsed(line: bytes, number: int, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"line {number} of the capture is none: {error}") from error
