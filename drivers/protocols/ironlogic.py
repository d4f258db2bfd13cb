"""Iron Logic text lines: Z-2 USB, Matrix-III and their like. 9600 baud, 8N1 or 8N2; lines end in CR LF, CR or LF.

    Em-Marine[5500] 126,58404                        40 bits: HHHH | FFF (8) | NNNNN (16); the bracket is part of it
    Mifare[BCD14264] 1K (0004,08) 066,53692          number, type (may be empty), (ATQA,SAK), facility,number
    Mifare[3AAC228004724B]  (0142,20) 004,29259      7 bytes are printed rotated: uid3..6, then uid0..2
    No card | No Card | no card                      the card has left
    00123 Em-Marine[...] ...                         network firmware puts the reader's number before each line
    Em-Marine[5500] 090,48676,                       some firmware ends in a comma
    Em-Marine[A100] 007,42                           some firmware and emulators write no leading zeros,
    Em-Marine[A100] 007, 42                          or spaces behind `]` and `,`
    Em-Marine[A1 00 07 00 2A]                        the whole number in the bracket; bytes may be parted
    :170009593F48                                    other makers, in hex: 5 bytes, and a byte that brings their sum
                                                     to 0

There is no checksum, but the facility,number of a Mifare line is made of the UID's bytes: little-endian of the first
three for 4 bytes, big-endian for 7. The bracket is what counts; facility 004 is the same for every NXP card.

A line of digits alone is not taken: ten decimals and the ten hex digits of another card look the same. Such readers are
for the driver `line`, whose settings say which it is. Fewer digits than a padded field has, behind a leading zero, are
a field that lost some on the way.

The end of a line decides what it is, so that a good line behind a broken one or behind noise is not lost. At most
LINE_BYTES_MAX bytes are kept. Source of the lines: published recordings; vendor's SDK for the names of the types.
"""

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from drivers.protocols.fault import Fault, judge_line
from drivers.readings import FaultCause, Technology

IRONLOGIC_LINE_BYTES_MAX = 128  # the longest line seen has 50
NO_CARD = b"No card\r\n"

_EM_NAMES = frozenset({"EM-MARINE", "EM", "TEMIC"})
_MIFARE_NAMES = frozenset({"MIFARE", "UL", "1K", "4K", "DF", "PLUS", "MINI"})
_OTHER_NAMES = frozenset({"HID", "IC", "PX", "COD433", "DALLAS", "CAME"})

_names = "|".join(map(re.escape, sorted(_EM_NAMES | _MIFARE_NAMES | _OTHER_NAMES, key=len, reverse=True)))
_BYTE = "[0-9A-F]{2}"
_LINE = re.compile(
    r"(?P<reader>\b[0-9A-Z]{5} +)?"
    r"(?:(?P<removed>No card)"
    rf"|(?P<name>{_names}) *\[ *(?P<bracket>{_BYTE}(?:[ :-]?{_BYTE}){{1,9}}) *\]"
    r"(?: *(?P<type>(?=\d*[A-Z])[A-Z0-9]{2,8})(?![A-Z0-9]))??"
    r"(?: *\( *(?P<atqa>[0-9A-F]{4}) *, *(?P<sak>[0-9A-F]{2}) *\))?"
    r"(?: *(?P<facility>\d{3}|[1-9]\d|\d) *, *(?P<number>\d{5}|[1-9]\d{1,3}|\d) *,?)?"
    rf"|: *(?P<colon>{_BYTE}(?: ?{_BYTE}){{5}})"
    r") *$",
    re.IGNORECASE | re.ASCII,
)
_UNPADDED = re.compile(r", *\d{1,4} *$", re.ASCII)
_ONLY_DIGITS = re.compile(r" *[0-9A-F]{8,20} *", re.IGNORECASE | re.ASCII)
_DIGITS_ALONE = (
    "a line of digits alone, as readers of other makers send: use the driver line for this reader, with the form "
    "that its digits have"
)


@dataclass(frozen=True, slots=True)
class IronLogicCard:
    """A card's line. `printed` is the number's bytes in the order in which the reader printed them."""

    technology: Technology
    printed: bytes = field(repr=False)
    type: str = ""  # `1K`, `UL`, … where the reader says it
    reader: str = ""  # the reader's own number, from network firmware


@dataclass(frozen=True, slots=True)
class IronLogicCardRemoved:
    """The card has left the field."""


Event = IronLogicCard | IronLogicCardRemoved | Fault


def encode_em_marine(value: bytes) -> bytes:
    """Returns the line for 5 bytes of an EM4100 tag."""
    if len(value) != 5:
        raise ValueError(f"an EM4100 tag has 5 bytes, not {len(value)}")
    return f"Em-Marine[{value[:2].hex().upper()}] {_w26(value[2:])}\r\n".encode("ascii")


def encode_mifare(uid: bytes, type: str = "1K") -> bytes:  # noqa: A002  the reader's own word
    """Returns the line for a UID of 4 or 7 bytes in ISO order."""
    match len(uid):
        case 4:
            printed, atqa, sak, w26 = uid, "0004", "08", uid[2::-1]
        case 7:
            printed, atqa, sak, w26 = uid[3:] + uid[:3], "0144", "00", uid[:3]
        case size:
            raise ValueError(f"Iron Logic prints UIDs of 4 or 7 bytes, not {size}")
    return f"Mifare[{printed.hex().upper()}] {type} ({atqa},{sak}) {_w26(w26)}\r\n".encode("ascii")


def _w26(value: bytes) -> str:
    return f"{value[0]:03d},{int.from_bytes(value[1:], 'big'):05d}"


def renumber(line: bytes, change: Callable[[Technology, bytes], bytes]) -> bytes | None:
    """Puts another number into a whole line (without its end). Returns None when it is no such line.

    `change` gets technology and bytes in ISO order and gives as many back. Lines without a number stay as they are, and
    the length does: a Mifare line without its leading zeros is given up, since bracket and number must agree.
    """
    text = line.decode("latin-1")
    match = _LINE.fullmatch(text)
    if match is None:
        return None
    card = _meaning(match)
    match card:
        case IronLogicCardRemoved():
            return line
        case Fault():
            return None
        case IronLogicCard(technology=technology, printed=printed):
            rotated = len(printed) == 7
            uid = change(technology, printed[4:] + printed[:4] if rotated else printed)
            printed = uid[3:] + uid[:3] if rotated else uid
        case _:
            assert_never(card)

    if match["colon"]:
        return _put(text, match, "colon", printed + bytes((-sum(printed) & 0xFF,)))
    if not match["facility"]:
        return _put(text, match, "bracket", printed)
    w26 = uid[-3:] if card.technology is not Technology.ISO14443A else uid[:3] if rotated else uid[2::-1]
    facility, number = w26[0], int.from_bytes(w26[1:], "big")
    if len(match["facility"]) < 3 or len(match["number"]) < 5:
        if len(_bytes(match["bracket"])) != 2:
            return None
        facility, number = _wide(facility, len(match["facility"]), 0xFF), _wide(number, len(match["number"]), 0xFFFF)
    start, end = match.start("facility"), match.end("number")
    between = text[match.end("facility") : match.start("number")]
    digits = f"{facility:0{len(match['facility'])}d}{between}{number:0{len(match['number'])}d}"
    short = len(_bytes(match["bracket"])) == 2
    return _put(text[:start] + digits + text[end:], match, "bracket", printed[:2] if short else printed)


def _put(text: str, match: re.Match[str], group: str, value: bytes) -> bytes:
    """Puts these bytes where the group's stand, parted as they are."""
    start, end = match.span(group)
    digits = iter(value.hex().upper())
    parted = "".join(next(digits) if character in string.hexdigits else character for character in match[group])
    return (text[:start] + parted + text[end:]).encode("latin-1")


def _wide(number: int, width: int, number_max: int) -> int:
    """Returns a number of this many digits that depends on `number`."""
    lowest = int("1" + "0" * (width - 1)) if width > 1 else 0
    highest = min(int("9" * width), number_max)
    return lowest + number % (highest - lowest + 1)


class Decoder:
    """Turns bytes into cards, removals and faults, however the bytes are cut."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._overlong = False  # reported once a line; its last LINE_BYTES_MAX bytes are still looked at

    def feed(self, data: bytes) -> Sequence[Event]:
        events: list[Event] = []
        for byte in data:
            if byte in b"\r\n":
                events.extend(self._end())
                continue
            self._line.append(byte)
            if len(self._line) > IRONLOGIC_LINE_BYTES_MAX:
                del self._line[0]
                if not self._overlong:
                    self._overlong = True
                    events.append(Fault("a line is too long"))
        return events

    def flush(self) -> Sequence[Event]:
        """Ends the stream: a last line that is whole counts without its end, and another one broke off."""
        shortened = _UNPADDED.search(self._line.decode("latin-1")) is not None  # its last digits may be missing
        events = self._end()
        return (
            events
            if all(isinstance(event, IronLogicCard | IronLogicCardRemoved) for event in events) and not shortened
            else [Fault("a line broke off")]
        )

    def _end(self) -> Sequence[Event]:
        line, overlong = self._line.decode("latin-1"), self._overlong
        self._line.clear()
        self._overlong = False
        if not line.strip():
            return ()
        match = _LINE.search(line)
        if match is None:
            if overlong:
                return ()
            if _ONLY_DIGITS.fullmatch(line):
                return (Fault(_DIGITS_ALONE, FaultCause.SETTINGS),)
            return (Fault("a line of unknown form: send us a capture of it", judge_line(line.encode("latin-1"))),)
        event = _meaning(match)
        if line[: match.start()].strip() and not overlong:
            return Fault("bytes before a line"), event
        return (event,)


def _meaning(line: re.Match[str]) -> Event:
    if line["removed"]:
        return IronLogicCardRemoved()
    reader = (line["reader"] or "").strip()
    if line["colon"]:
        value = _bytes(line["colon"])
        return (
            Fault("a checksum is wrong")
            if sum(value) & 0xFF
            else IronLogicCard(Technology.EM4100, value[:5], "", reader)
        )

    printed, w26 = _bytes(line["bracket"]), b""
    if line["facility"]:
        facility, number = int(line["facility"]), int(line["number"])
        if facility > 0xFF or number > 0xFFFF:
            return Fault("facility or number out of range", FaultCause.CARD)
        w26 = bytes((facility, *number.to_bytes(2, "big")))
    if len(printed) == 2:  # as on Em-Marine lines, the bracket is the upper part of the number only
        if not w26:
            return Fault("a line without the lower part of its number", FaultCause.CARD)
        printed += w26
    elif w26 and len(printed) == 5 and printed[2:] != w26:
        return Fault("bracket and facility,number disagree", FaultCause.CARD)

    name = line["name"].upper()
    if name in _EM_NAMES:
        return IronLogicCard(Technology.EM4100, printed, line["type"] or "", reader)
    if name in _MIFARE_NAMES:
        if w26 and not _fits(printed, w26):
            return Fault("bracket and facility,number disagree", FaultCause.CARD)
        return IronLogicCard(Technology.ISO14443A, printed, line["type"] or "", reader)
    return IronLogicCard(Technology.UNKNOWN, printed, line["type"] or "", reader)


def _bytes(digits: str) -> bytes:
    """Returns the bytes of hex digits that may be parted."""
    return bytes.fromhex(re.sub("[ :-]", "", digits))


def _fits(printed: bytes, w26: bytes) -> bool:
    """Tells if the two numbers may be of one card, in any known order. There is no checksum, but lost or damaged digits
    show.
    """
    uid = printed[4:] + printed[:4] if len(printed) == 7 else printed
    return w26 in (uid[:3], uid[2::-1], uid[-3:])
