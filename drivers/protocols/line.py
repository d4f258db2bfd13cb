"""Lines of text from scanners on USB-CDC and from converters on a serial port, and what such a line may mean.

    0000123478 CR LF          a number; ends in CR, LF or both
    https://… <silence>       no end at all: the caller says when the line has been silent long enough
    ]C10123456789             a bar code with its AIM id (] letter modifier) before the text
    STX digits ETX LRC        a block; LRC is the XOR of every byte from STX to ETX, so it can be any byte, CR too

The end decides: noise before a line does not hide a number whose form is known (see `line_forms`). Kept: one line of
at most LINE_BYTES_MAX bytes; what is longer is a fault and is passed over to its end.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from drivers.protocols.fault import Fault
from drivers.readings import FaultCause

LINE_BYTES_MAX = 4096
STX, ETX = 0x02, 0x03
_ENDS = re.compile(rb"[\r\n]")
AIM_ID = re.compile(rb"\][A-Za-z][0-9A-Za-z]")  # before the text of a code: ] letter modifier


@dataclass(frozen=True, slots=True)
class LineText:
    """The content between two ends. `block`: it came between STX and ETX and its LRC holds."""

    content: bytes = field(repr=False)
    block: bool = False
    ended: bool = True  # False: nothing but silence came behind it


Event = LineText | Fault


@dataclass(frozen=True, slots=True)
class Code:
    """The text of a bar code or QR code, without its AIM id; with `keypad` a number and a PIN that somebody typed."""

    text: str = field(repr=False)
    keypad: bool = False


def encode_block(content: bytes) -> bytes:
    block = bytes((STX,)) + content + bytes((ETX,))
    return block + bytes((_xor(block),))


def code(content: bytes) -> Code | Fault:
    """Returns the text of a code in a line, or a fault."""
    try:
        text = content.decode("utf-8-sig").strip(" \t\x02\x03")  # some makers of codes put a byte order mark first
    except UnicodeDecodeError:
        return _other_encoding(content)
    text = text[3:] if AIM_ID.match(text.encode()) else text
    if not text:
        return Fault("a code without text", FaultCause.CARD)
    if _is_utf16(content):
        return _utf16_fault()
    # GS parts the fields of GS1 codes
    if any(not character.isprintable() and character not in "\x1d\t" for character in text):
        return Fault("a code with control characters: noise, or a code of binary data")
    return Code(text)


def _other_encoding(content: bytes) -> Fault:
    """Returns the fault of a code that is not UTF-8, with the encoding that it seems to have."""
    if _is_utf16(content.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")):
        return _utf16_fault()
    if name := cyrillic_encoding(content):
        return Fault(f"a code in {name}: set the scanner to UTF-8", FaultCause.SETTINGS)
    return Fault("a code that is not UTF-8: set the scanner to UTF-8")


def _utf16_fault() -> Fault:
    return Fault("a code in UTF-16: set the scanner to UTF-8", FaultCause.SETTINGS)


def _is_utf16(content: bytes) -> bool:
    """Tells if every second byte is the upper half of a Latin or Cyrillic letter, digit or sign."""
    halves = (content[::2], content[1::2])
    return len(content) >= _UTF16_MIN and any(all(byte in (0, 4) for byte in half) for half in halves)


def cyrillic_encoding(content: bytes) -> str:
    """Returns the name of the encoding in which these bytes are Cyrillic text; empty where they are none.

    The same bytes are letters in several: the one with the most frequent letters counts.
    """
    high = sum(byte >= 0x80 for byte in content)
    scores = {}
    for encoding, name in _ENCODINGS.items():
        text = re.sub(r"[\r\n\t]", " ", content.decode(encoding, "replace"))
        letters = sum(character.isalpha() and not character.isascii() for character in text)
        frequent = sum(character in _FREQUENT_LETTERS for character in text.lower())
        if text.isprintable() and letters >= high * 0.9 and frequent >= high * 0.4 and high >= _LETTERS_MIN:
            scores[name] = frequent
    return max(scores, key=scores.__getitem__, default="")


_ENCODINGS = {  # of scanners and labels in Kazakhstan; the first counts where two fit alike
    "cp1251": "Windows-1251", "cp866": "code page 866", "koi8-r": "KOI8-R", "iso8859-5": "ISO 8859-5",
}  # fmt: skip
_FREQUENT_LETTERS = frozenset("оеаинтсрвлк")  # three quarters of a Russian text
_LETTERS_MIN = 3
_UTF16_MIN = 6  # bytes; fewer are noise


class Decoder:
    """Turns bytes into lines and faults, however the bytes are cut. With `blocks`, STX begins a block."""

    def __init__(self, *, blocks: bool = False, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._blocks, self._max = blocks, line_bytes_max
        self._line = bytearray()
        self._skipping = False  # the line is too long
        self._block: bytearray | None = None  # since STX; ends in ETX while only the LRC is missing

    @property
    def pending(self) -> bool:
        """Tells if something has begun and not ended."""
        return bool(self._line) or self._skipping or self._block is not None

    def feed(self, data: bytes) -> Sequence[Event]:
        if self._block is None and not (self._blocks and STX in data):
            return self._lines(data)
        return [event for byte in data for event in self._step(byte)]

    def flush(self) -> Sequence[Event]:
        """Ends the stream, also after a silence: an unfinished line counts, an unfinished block does not."""
        if self._block is not None:
            self._block = None
            return [Fault("a block broke off")]
        line, skipping = bytes(self._line), self._skipping
        self._line.clear()
        self._skipping = False
        return [LineText(line, ended=False)] if line.strip() and not skipping else []

    def _lines(self, data: bytes) -> Sequence[Event]:
        """Cuts lines quickly, where no block begins. The result equals `_step` for each byte."""
        events: list[Event] = []
        *ended, rest = _ENDS.split(data)
        for part in ended:
            events += self._append(part)
            events += self._end()
        events += self._append(rest)
        return events

    def _append(self, part: bytes) -> Sequence[Event]:
        if self._skipping:
            return ()
        self._line += part
        if len(self._line) <= self._max:
            return ()
        self._line.clear()
        self._skipping = True
        return (Fault("a line is too long"),)

    def _end(self) -> Sequence[Event]:
        line, skipping = bytes(self._line), self._skipping
        self._line.clear()
        self._skipping = False
        return (LineText(line),) if line.strip() and not skipping else ()

    def _step(self, byte: int) -> Iterator[Event]:
        if self._block is not None:
            yield from self._in_block(self._block, byte)
        elif byte in b"\r\n":
            yield from self._end()
        elif self._blocks and byte == STX:
            if self._line or self._skipping:
                self._line.clear()
                self._skipping = False
                yield Fault("bytes before a block")
            self._block = bytearray((STX,))
        else:
            yield from self._append(bytes((byte,)))

    def _in_block(self, block: bytearray, byte: int) -> Iterator[Event]:
        if block[-1] == ETX:
            self._block = None
            if byte == _xor(block):
                yield LineText(bytes(block[1:-1]), block=True)
                return
            yield Fault("a checksum is wrong")
            yield from self._step(byte)
            return
        if byte == ETX or byte >= ord(" "):
            block.append(byte)
            if len(block) <= self._max:
                return
            self._block, self._skipping = None, True
            yield Fault("a block is too long")
            return
        self._block = None
        self._line[:] = block[1:]  # the STX was noise, perhaps, and this a line behind it
        yield Fault("a block broke off")
        yield from self._step(byte)


def _xor(data: bytes | bytearray) -> int:
    check = 0
    for byte in data:
        check ^= byte
    return check
