"""Says in which way the number that a reader gave differs from the number that stands on the card.

Each known way of writing a number is undone on the one that was read, and what comes out is compared with what is
known: the same, a part of it, the same with a check byte behind, or all but a digit or two.
"""

from collections.abc import Iterator

from drivers.readings import Uid, UidNotation
from drivers.uid import aliases

_PART_BYTES_MIN = 2
_DIGITS_WRONG_MAX = 2
_DECIMAL_BYTES = (3, 4, 5, 7, 8)


def describe_number(uid: Uid) -> str:
    """Returns a number whole, in every way in which it may stand on a card. Never use it for a log."""
    ways = sorted({str(alias) for alias in aliases(uid) if alias.notation in (UidNotation.DEC10, UidNotation.W26)})
    shown = f", which may be printed as {' or '.join(ways)}" if ways else ""
    return f"{uid.hex} ({len(uid.value)} bytes{', a part of a number' if uid.partial else ''}){shown}"


def describe_difference(known: str, uid: Uid) -> str:
    """Returns how the number that was read differs from the known one; empty where no known way leads from one to the
    other.
    """
    digits = "".join(character for character in known if character not in " :.-")
    if digits.isdigit() and uid.hex.lstrip("0") == digits.lstrip("0"):
        return "the reader writes it in decimal, and its settings take that for hex"
    if not digits.isdigit() and _is_decimal_of(uid, digits):
        return "the reader writes it in hex, and its settings take that for decimal"
    wanted = list(_meanings(digits, known))
    for way, value in _ways(uid.value):
        for meaning, what in wanted:
            relation = _relation(value, meaning)
            if relation:
                return "; ".join(filter(None, (what, way, relation)))
    for meaning, what in wanted:
        wrong = sum(one != other for one, other in zip(meaning.hex(), uid.value.hex(), strict=False))
        if len(meaning) == len(uid.value) and wrong <= _DIGITS_WRONG_MAX:
            return f"{what}: {wrong} hex digits of {len(meaning) * 2} differ: compare the card's number digit by digit"
    return ""


def _is_decimal_of(uid: Uid, hex_digits: str) -> bool:
    decimal = str(int.from_bytes(uid.value, "big"))
    return len(decimal) >= 2 * _PART_BYTES_MIN and decimal == hex_digits.lstrip("0")


def _meanings(digits: str, known: str) -> Iterator[tuple[bytes, str]]:
    """Yields the bytes that a printed number may mean, and how it was taken for them."""
    facility, comma, number = known.strip().partition(",")
    if comma and facility.isdigit() and number.isdigit() and int(facility) < 1 << 8 and int(number) < 1 << 16:
        yield bytes((int(facility),)) + int(number).to_bytes(2, "big"), "facility and number"
        return
    if digits.isdigit():
        for size in _DECIMAL_BYTES:
            if int(digits) < 1 << 8 * size:
                yield int(digits).to_bytes(size, "big"), "decimal"
    if len(digits) % 2 == 0 and digits and all(character in "0123456789abcdefABCDEF" for character in digits):
        yield bytes.fromhex(digits), "hex"


def _ways(value: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields what a number is under each way of writing it, the plain one first."""
    inverted = bytes(byte ^ 0xFF for byte in value)
    yield "", value
    yield "its bytes are in reverse order", value[::-1]
    yield "all its bits are inverted (swapped wires?)", inverted
    yield "all its bits are inverted and its bytes are in reverse order", inverted[::-1]
    yield "the bits of each byte are in reverse order", bytes(int(f"{byte:08b}"[::-1], 2) for byte in value)
    yield "the digits of each byte are swapped", bytes(byte >> 4 | (byte & 0x0F) << 4 for byte in value)
    if len(value) == 7:
        yield "it is rotated, as Iron Logic prints 7 bytes", value[4:] + value[:4]
        yield "it is rotated, as Iron Logic prints 7 bytes", value[3:] + value[:3]


def _relation(value: bytes, meaning: bytes) -> str:
    """Returns what of the known number was read; empty where neither is a part of the other."""
    if value == meaning:
        return "otherwise it is the same number"
    check = 0
    for byte in meaning:
        check ^= byte
    if value[:-1] == meaning and value[-1] in (check, sum(meaning) & 0xFF, -sum(meaning) & 0xFF):
        return "a check byte stands behind it"
    longer, shorter = (value, meaning) if len(value) > len(meaning) else (meaning, value)
    if len(shorter) < _PART_BYTES_MIN or len(longer) == len(shorter) or not any(shorter):
        return ""
    whose = "the number on the card" if shorter == meaning else "what the reader passes on"
    if longer.endswith(shorter):
        return f"{whose} is only the last {len(shorter)} bytes of {len(longer)}"
    return f"{whose} is only the first {len(shorter)} bytes of {len(longer)}" if longer.startswith(shorter) else ""
