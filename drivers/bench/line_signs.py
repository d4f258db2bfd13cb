"""Names what is wrong with a serial line by the bytes that arrive and make no reading.

    another reader's frames      the driver in the settings is another's
    seven bits and a parity      every byte is text once its high bit is taken as the parity of the rest
    long runs of equal bits      the port is faster than the reader: it samples each bit several times
    bytes of any kind            the port is slower than the reader, or the levels are inverted
    only 00, only FF             no signal, but a level: or a port that is very much faster
    text                         the line is sound, and its form is not the one of the settings

Measured on simulated ports (tests/drivers/uart.py): text at the right speed is text to the last byte; at any other
speed at most 0.78 of it looks like text. Bits in a byte change at most 3.4 times on the average where the port is
faster, and 4 times and more on sound text.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from drivers.protocols.line import cyrillic_encoding

BYTES_MIN = 24  # fewer prove nothing: a frame that broke off, a click on the line
BYTES_KEPT = 512
_TEXT_SHARE = 0.85
_CHANGES_OF_A_FASTER_PORT = 3.4
_SEVEN_BITS_SHARE = 0.95
_LEVEL_SHARE = 0.95
_FRAME_SIGNS = b"\x02\x03\r\n\t"

PROTOCOLS = ("em4100", "ironlogic", "line")
"""The protocols that this can judge: text on a serial line."""


class LineSigns:
    """The bytes of one line since its last reading, and the judgement on them."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self._bytes = bytearray()

    def hear(self, data: bytes) -> None:
        """Keeps bytes that arrived; the newest BYTES_KEPT count."""
        self._bytes += data[-BYTES_KEPT:]
        del self._bytes[:-BYTES_KEPT]

    def clear(self) -> None:
        """Forgets everything, because a reading has shown that the line is sound."""
        self._bytes.clear()

    def judge(self) -> str:
        """Returns what is wrong and what to do; empty while nothing is certain."""
        heard = bytes(self._bytes)
        if len(heard) < BYTES_MIN:
            return ""
        if driver := _other_driver(self.protocol, heard):
            return f'these are frames of another reader: set driver = "{driver}" for this one'
        if _share(byte in (0x00, 0xFF) for byte in heard) >= _LEVEL_SHARE:
            return (
                "only 00 and FF come: the baud is much too high, or the wire carries no signal: check the common "
                "ground, and that the levels fit (TTL or RS-232)"
            )
        if _share(map(_is_text, heard)) >= _TEXT_SHARE or _is_utf8(heard) or _is_cyrillic(heard):
            return ""  # the line is sound; the driver's own sentence says what is wrong with the text
        if parity := _seven_bits(heard):
            return f"the reader sends 7 bits and an {parity} parity: set it to 8 bits without parity (8N1)"
        if sum(map(_changes, heard)) / len(heard) <= _CHANGES_OF_A_FASTER_PORT:
            return "the speed is wrong, the port is faster than the reader: set a lower baud (most have 9600)"
        return (
            "the speed is wrong, the port is slower than the reader: set a higher baud (19200, 38400, 115200); if none "
            "helps, the levels are inverted: RS-232 needs a converter on a TTL port"
        )


def _other_driver(protocol: str, heard: bytes) -> str:
    """Returns the driver that makes cards of these bytes although the one of the settings made none."""
    from drivers.protocols import em4100, ironlogic

    if protocol != "em4100" and any(isinstance(event, em4100.Tag) for event in em4100.Decoder().feed(heard)):
        return "em4100"
    if protocol != "ironlogic":
        cards = (isinstance(event, ironlogic.IronLogicCard) for event in ironlogic.Decoder().feed(heard))
        return "ironlogic" if any(cards) else ""
    return ""


def _share(votes: Iterator[bool]) -> float:
    counted = list(votes)
    return sum(counted) / len(counted)


def _is_text(byte: int) -> bool:
    return 0x20 <= byte < 0x7F or byte in _FRAME_SIGNS


def _is_utf8(heard: bytes) -> bool:
    """Tells if a long text is UTF-8, cut at both ends or not. Noise of this length never is."""
    try:
        heard.lstrip(bytes(range(0x80, 0xC0))).decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start > len(heard) - 4
    return any(byte >= 0x80 for byte in heard)


def _is_cyrillic(heard: bytes) -> bool:
    """Tells if this is lines of Cyrillic text in another encoding. A wrong speed leaves no line ends."""
    return (b"\r" in heard or b"\n" in heard) and bool(cyrillic_encoding(heard))


def _seven_bits(heard: bytes) -> str:
    """Returns `even` or `odd` where the high bit of every byte is the parity of a text; empty otherwise."""
    text = [byte for byte in heard if _is_text(byte & 0x7F)]
    if len(text) < _SEVEN_BITS_SHARE * len(heard) or not any(byte & 0x80 for byte in text):
        return ""
    ones: Sequence[int] = [byte.bit_count() % 2 for byte in text]
    if sum(ones) <= (1 - _SEVEN_BITS_SHARE) * len(ones):
        return "even"
    return "odd" if sum(ones) >= _SEVEN_BITS_SHARE * len(ones) else ""


def _changes(byte: int) -> int:
    """Returns how often the line changed within a byte, its start bit and stop bit with it."""
    levels = [0, *(byte >> position & 1 for position in range(8)), 1]
    return sum(before != now for before, now in pairwise(levels))
