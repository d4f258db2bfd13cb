"""Finds a card's number in the bits of an OSDP reader: a whole number, or the low part of one behind parity bits.

    26 bits   even parity over the first half, 24 bits, odd parity over the second half: the low part of a number
    34 bits   the same around 32 bits
    58 bits   the same around 56 bits: the seven bytes of a whole number
    32, 40, 56, 80 bits   the whole number of the card, as readers send it that are set to the card's own number (CSN)

Readers differ in the order of bytes: `uid_encoding`. Any other length is a format of its maker, and is refused: the
reader has a setting for the whole number.
"""

from typing import assert_never

from drivers.protocols import wiegand
from drivers.protocols.osdp import Characters, OsdpCard
from drivers.readings import FaultCause, Technology, Uid
from drivers.uid import RejectedNumber, UidEncoding, to_uid

WHOLE_BITS = (32, 40, 56, 80)


def card_uid(
    card: OsdpCard | Characters, encoding: UidEncoding = UidEncoding.HEX, technology: Technology = Technology.UNKNOWN
) -> Uid | RejectedNumber:
    """Returns the canonical number of a card. The encoding is that of whole numbers."""
    match card:
        case Characters(text=text):
            return to_uid(text, UidEncoding.DEC10, technology)
        case OsdpCard(bits=26 | 34 | 58):
            return _value(card, technology, encoding)
        case OsdpCard(bits=bits) if bits in WHOLE_BITS:
            return to_uid(card.data.hex(), encoding, technology)
        case OsdpCard(bits=bits):
            return RejectedNumber(
                f"a card of {bits} bits: set the reader to send the card's whole number (CSN, UID)", FaultCause.SETTINGS
            )
        case _:
            assert_never(card)


def between_parities(value: bytes) -> OsdpCard:
    """Returns the bits of 3, 4 or 7 bytes as a reader sends them: parity, value, parity, from the left."""
    half, bits = 4 * len(value), 8 * len(value) + 2
    number = int.from_bytes(value, "big")
    even = (number >> half).bit_count() % 2
    odd = 1 - (number & (1 << half) - 1).bit_count() % 2
    pad = -bits % 8
    return OsdpCard(0, 1, bits, ((even << bits - 1 | number << 1 | odd) << pad).to_bytes((bits + pad) // 8, "big"))


def _value(card: OsdpCard, technology: Technology, encoding: UidEncoding) -> Uid | RejectedNumber:
    half = card.bits // 2
    number = card.number
    if (number >> half).bit_count() % 2 != 0 or (number & (1 << half) - 1).bit_count() % 2 != 1:
        return RejectedNumber(
            f"{card.bits} bits whose parity is wrong: the reader's format is another, or it is disturbed"
        )
    size = (card.bits - 2) // 8
    value = (number >> 1 & (1 << 8 * size) - 1).to_bytes(size, "big")
    if size == 3 or (size == 4 and encoding is not UidEncoding.W34_REVERSED):
        encoding = UidEncoding.W34  # the order of whole numbers says nothing of a part's
    return wiegand.to_uid(value, encoding, technology)
