"""A card's number: from what a reader prints to the canonical `Uid`, and from there to every other way of writing it.

A card has one number but readers disagree on how to say it: all bytes or the low ones, in order or reversed, in hex or
in decimal. `to_uid` undoes what one reader does (its `uid_encoding` setting); `aliases` lists how others would say the
same card. Two numbers can be the same card when one's own alias is among the other's aliases (`same_card`); an index
keeps credentials both by `own` and by `aliases` and needs two look-ups a reading:

    candidates = by_alias[own(reading)]  ∪  ⋃ by_own[a] for a in aliases(reading)

Comparing two sets of aliases with each other would be wrong: two different cards may share their low 24 bits. A match
in which one side is partial may fit several cards, and two candidates are an ambiguity that nobody may resolve
silently. A whole number that is found whole is the card; what its aliases also fit does not count against it.

Sources of the byte orders: the vectors of `tests/drivers/test_uid.py`. Iron Logic's rotation of 7-byte numbers is
inferred from published lines (10 of 10 agree in their W26 field), not confirmed on hardware.
"""

import string
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import msgspec

from drivers.readings import FaultCause, Technology, Uid, UidNotation

UID_BYTES_MAX = 10
_CASCADE_TAG = 0x88  # ISO 14443-3: announces that the UID goes on; never its first byte
CASCADED = "begins with the cascade tag 88: the reader passes on only a part; correct its firmware or its settings"
_WITH_CHECK_BYTE = 'four bytes and their check byte: set uid_encoding = "hex-bcc" for this reader'
_RANDOM = 0x08  # ISO 14443-3: a 4-byte UID that starts so is drawn anew each time (phones, passports)


class UidEncoding(StrEnum):
    """The way in which a reader writes a card's number. The last group is partial: it holds the low bits only."""

    HEX = "hex"  # every byte, ISO order
    HEX_REVERSED = "hex-reversed"
    HEX_INVERTED = "hex-inverted"  # every byte complemented and its bits reversed
    HEX_BCC = "hex-bcc"  # ISO order with the check byte of the air protocol left on
    IRONLOGIC = "ironlogic"  # as HEX, but 7 bytes are rotated: uid3..6 and then uid0..2

    DEC10 = "dec10"  # low 32 bits in decimal, as printed on EM cards
    DEC10_REVERSED = "dec10-reversed"  # decimal of the first four bytes in reverse
    W26 = "w26"  # low 24 bits as facility,number
    W34 = "w34"  # 32 bits in 8 hex digits
    W34_REVERSED = "w34-reversed"


@dataclass(frozen=True, slots=True)
class RejectedNumber:
    """This number identifies nobody; `why` says what to do and never holds the number."""

    why: str
    cause: FaultCause = FaultCause.CARD


class Alias(msgspec.Struct, frozen=True, gc=False):  # a school has tens of thousands of them
    """One way to write a card's number. `bits` tells numbers of different length apart."""

    notation: UidNotation
    bits: int
    number: int

    def __repr__(self) -> str:
        return f"Alias({self.notation}, {self.bits} bits)"

    def __str__(self) -> str:
        """Returns the number as people write it: `0006572982`, `100,19382`, `7186A61E`, `1F00644BB6`. Never use it for
        a log.
        """
        match self.notation:
            case UidNotation.DEC10:
                return f"{self.number:010d}"
            case UidNotation.W26:
                return f"{self.number >> 16:03d},{self.number & 0xFFFF:05d}"
            case UidNotation.W34 | UidNotation.FULL:
                return f"{self.number:0{self.bits // 4}X}"
            case _:
                assert_never(self.notation)


def whole(technology: Technology, value: bytes) -> Uid | RejectedNumber:
    """Returns a full number from its bytes in ISO order, or why it is none."""
    if not 2 <= len(value) <= UID_BYTES_MAX:
        return RejectedNumber(f"a number of {len(value)} bytes; cards have 2 to {UID_BYTES_MAX}")
    if not any(value) or set(value) == {0xFF}:
        return RejectedNumber("a number of only zeros or ones: noise, or a blank card", FaultCause.LINE)
    match technology:
        case Technology.EM4100:
            if len(value) != 5:
                return RejectedNumber(f"an EM4100 number has 5 bytes, this one {len(value)}")
        case Technology.ISO14443A:
            if (rejected := _iso14443a_fault(value)) is not None:
                return rejected
        case Technology.UNKNOWN:
            if (rejected := _unnamed_fault(value)) is not None:
                return rejected
        case _:
            assert_never(technology)
    return Uid(technology, value, 8 * len(value))


def _iso14443a_fault(value: bytes) -> RejectedNumber | None:
    if value[0] == _CASCADE_TAG:
        return RejectedNumber(CASCADED, FaultCause.SETTINGS)
    if len(value) == 4 and value[0] == _RANDOM:
        return RejectedNumber("a random number (08…), as phones give: use a card", FaultCause.PHONE)
    if _checked(value):
        return RejectedNumber(_WITH_CHECK_BYTE, FaultCause.SETTINGS)
    if len(value) not in (4, 7, 10):
        return RejectedNumber(f"an ISO 14443 number has 4, 7 or 10 bytes, this one {len(value)}")
    return None


def _unnamed_fault(value: bytes) -> RejectedNumber | None:
    """Returns what is wrong with a number of which nobody has said the technology.

    A number of 4, 7 or 10 bytes is of an ISO 14443 card. One of 5 bytes is an EM4100 tag, of which one in 256 looks by
    chance like four bytes and their check byte.
    """
    if value[0] == _CASCADE_TAG and (len(value) in (4, 7, 10) or _checked(value)):
        return RejectedNumber(CASCADED, FaultCause.SETTINGS)
    if _checked(value):
        why = f'{_WITH_CHECK_BYTE}, or technology = "em4100" where its cards are of 125 kHz'
        return RejectedNumber(why, FaultCause.SETTINGS)
    return None


def _checked(value: bytes) -> bool:
    """Tells if these are four bytes and their check byte."""
    return len(value) == 5 and _bcc(value[:4]) == value[4]


def _bcc(value: bytes) -> int:
    check = 0
    for byte in value:
        check ^= byte
    return check


def to_uid(raw: str, encoding: UidEncoding, technology: Technology = Technology.UNKNOWN) -> Uid | RejectedNumber:
    """Returns the canonical number behind the text that a reader with this setting printed."""
    match encoding:
        case UidEncoding.DEC10 | UidEncoding.DEC10_REVERSED:
            return _dec10(raw, technology, backwards=encoding is UidEncoding.DEC10_REVERSED)
        case UidEncoding.W26:
            return _w26(raw, technology)
        case _:
            value = _unhex(raw)
            if value is None:
                return RejectedNumber("not pairs of hex digits: check uid_encoding of this reader", FaultCause.SETTINGS)
            return from_bytes(value, encoding, technology)


def from_bytes(value: bytes, encoding: UidEncoding, technology: Technology) -> Uid | RejectedNumber:
    """Returns the canonical number behind the bytes of a reader that sends no text."""
    match encoding:
        case UidEncoding.HEX:
            return whole(technology, value)
        case UidEncoding.HEX_REVERSED:
            return whole(technology, value[::-1])
        case UidEncoding.HEX_INVERTED:
            return whole(technology, bytes(int(f"{byte ^ 0xFF:08b}"[::-1], 2) for byte in value))
        case UidEncoding.HEX_BCC:
            if len(value) != 5 or _bcc(value[:4]) != value[4]:
                return RejectedNumber(
                    "no check byte behind four bytes: damaged, or uid_encoding of this reader is wrong",
                    FaultCause.SETTINGS,
                )
            return whole(technology, value[:4])
        case UidEncoding.IRONLOGIC:
            return whole(technology, value[4:] + value[:4] if len(value) == 7 else value)
        case UidEncoding.W34 | UidEncoding.W34_REVERSED:
            if len(value) != 4:
                return RejectedNumber(f"W34 has 4 bytes, this one {len(value)}", FaultCause.SETTINGS)
            value = value[::-1] if encoding is UidEncoding.W34_REVERSED else value
            if value[0] == _CASCADE_TAG and technology is not Technology.EM4100:
                return RejectedNumber(CASCADED, FaultCause.SETTINGS)
            return _part(technology, value, UidNotation.W34)
        case _:
            return RejectedNumber(
                f"{encoding} is not written in hex: check uid_encoding of this reader", FaultCause.SETTINGS
            )


def from_roster(notation: UidNotation, value: str, technology: Technology = Technology.UNKNOWN) -> Uid | RejectedNumber:
    """Returns the number of a credential as the roster holds it."""
    match notation:
        case UidNotation.FULL:
            number = _unhex(value)
            if technology is Technology.UNKNOWN and number is not None and _checked(number) and any(number):
                return Uid(technology, number, 40)  # an EM4100 tag, by chance so: a reader that knows it may tell it
            return to_uid(value, UidEncoding.HEX, technology)
        case UidNotation.DEC10:
            return to_uid(value, UidEncoding.DEC10, technology)
        case UidNotation.W26:
            return to_uid(value, UidEncoding.W26, technology)
        case UidNotation.W34:
            number = _unhex(value)
            if technology is Technology.UNKNOWN and number is not None and len(number) == 4:
                return _part(technology, number, UidNotation.W34)  # of an EM4100 tag, perhaps: those may begin with 88
            return to_uid(value, UidEncoding.W34, technology)
        case _:
            assert_never(notation)


def own(uid: Uid) -> Alias:
    """Returns the alias that says exactly what is known of this card."""
    return Alias(uid.notation, uid.bits, int.from_bytes(uid.value, "big"))


def aliases(uid: Uid) -> frozenset[Alias]:
    """Returns every way in which another reader or a list may write this card, its own included."""
    return frozenset((own(uid), *_derived(uid)))


def same_card(first: Uid, second: Uid) -> bool:
    """Tells if the two may be the same card; that is certain only when neither is partial."""
    return own(first) in aliases(second) or own(second) in aliases(first)


def _derived(uid: Uid) -> Iterator[Alias]:
    for part in _parts(uid, 4):
        number = int.from_bytes(part, "big")
        yield Alias(UidNotation.DEC10, 32, number)
        yield Alias(UidNotation.W34, 32, number)
    for part in _parts(uid, 3):
        yield Alias(UidNotation.W26, 24, int.from_bytes(part, "big"))


def _parts(uid: Uid, size: int) -> tuple[bytes, ...]:
    """Returns every `size` bytes, big-endian, that some reader makes of this number; none where it is shorter."""
    value = uid.value
    if len(value) < size:
        return ()
    if uid.partial:
        return (value[-size:],)
    low, first = value[-size:], value[:size]
    if uid.technology is Technology.EM4100 or len(value) == 5:  # no other card has five bytes
        # The version byte is dropped first. Some readers reverse the four others; nobody was seen to reverse three.
        return (low, low[::-1]) if size == 4 else (low,)
    return low, first[::-1], first


def _part(technology: Technology, value: bytes, notation: UidNotation) -> Uid | RejectedNumber:
    if not any(value):  # all ones are allowed: the low bits of a real card may be
        return RejectedNumber("a number of only zeros: noise, or a blank card", FaultCause.LINE)
    return Uid(technology, value, 8 * len(value), notation)


def _dec10(raw: str, technology: Technology, *, backwards: bool) -> Uid | RejectedNumber:
    if not _digits(raw, 10) or int(raw) > 0xFFFFFFFF:
        return RejectedNumber("not a decimal number of 32 bits: check uid_encoding of this reader", FaultCause.SETTINGS)
    return _part(technology, int(raw).to_bytes(4, "little" if backwards else "big"), UidNotation.DEC10)


def _w26(raw: str, technology: Technology) -> Uid | RejectedNumber:
    # Without the comma `12345678` could be 123,45678 as well as a plain number of 24 bits, so the comma is demanded.
    facility, _, number = raw.partition(",")
    if not (_digits(facility, 3) and _digits(number, 5) and int(facility) <= 0xFF and int(number) <= 0xFFFF):
        return RejectedNumber(
            "not facility,number as in 100,19382: check uid_encoding of this reader", FaultCause.SETTINGS
        )
    return _part(technology, bytes((int(facility),)) + int(number).to_bytes(2, "big"), UidNotation.W26)


def _digits(text: str, count_max: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= count_max


def _unhex(text: str) -> bytes | None:
    if not text or len(text) % 2 or not set(text) <= set(string.hexdigits):
        return None
    return bytes.fromhex(text)
