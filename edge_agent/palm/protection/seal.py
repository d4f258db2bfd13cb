"""A palm at rest and on its way: sealed with the school's key, so that neither a stolen card nor the relay reads it.

    byte 0-3     "PSL" and version 1
    byte 4-15    nonce, 12 random bytes
    byte 16-     AES-256-GCM; authenticated with it: bytes 0-3, school, purpose and, on its way, when it was made

    inside       hand, in its upper half how many of the templates were adapted (1) ‖ templates n (1)
                 ‖ length of the person's id (2, big-endian) ‖ id in UTF-8
                 ‖ n × (1,024 fine cells ‖ 256 coarse cells), permuted and padded ‖ zeros to the next 4,096

The cells of a right hand are those of the mirrored picture: regions of right hands were cut mirrored when this version
was made. They are mirrored on the way in and out, so that a kiosk's old palms match, also beside one that is not
renewed yet.

The id is inside: an export does not tell whose palms it carries, and its length tells only roughly how many templates.
A random nonce is safe up to some 2³² seals under one key; a school makes a few thousand a year.
"""

from enum import StrEnum
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidTag

from edge_agent.palm.matching.code import COARSE_CELLS, FINE_CELLS, Cells
from edge_agent.palm.matching.gallery import Palm
from edge_agent.palm.matching.limits import TEMPLATES_MAX
from edge_agent.palm.protection.school_key import NONCE_BYTES, Dice, SchoolKey
from edge_agent.palm.types import Hand

MAGIC: Final = b"PSL\x01"
PADDED_TO: Final = 4096
PERSON_BYTES_MAX: Final = 256
SEALED_BYTES_MAX: Final = 64 * 1024
_HANDS: Final = (Hand.UNKNOWN, Hand.LEFT, Hand.RIGHT)
_TAG_BYTES: Final = 16


class Purpose(StrEnum):
    """The purpose of a sealed palm. One made for the disk cannot be passed off as an export, nor the other way
    round.
    """

    AT_REST = "at-rest"
    EXPORT = "export"  # to the school's other kiosks through a relay


class Unsealable(ValueError):
    """The bytes are sealed by another school, changed, for another purpose, or no sealed palm at all."""


def seal(palm: Palm, key: SchoolKey, school: str, purpose: Purpose, dice: Dice, made_at: str = "") -> bytes:
    person = palm.person.encode()
    if not 0 < len(person) <= PERSON_BYTES_MAX:
        raise ValueError(f"a person's id of {len(person)} bytes; 1 to {PERSON_BYTES_MAX} fit")
    head = (
        bytes((_HANDS.index(palm.hand) | palm.adapted << 4, len(palm.fine))) + len(person).to_bytes(2, "big") + person
    )
    body = head + np.concatenate(_laid(palm.hand, palm.fine, palm.coarse, key), axis=1).tobytes()
    body += bytes(-len(body) % PADDED_TO)
    nonce = dice(NONCE_BYTES)
    return MAGIC + nonce + key.sealing().encrypt(nonce, body, _bound(school, purpose, made_at))


def unseal(sealed: bytes, key: SchoolKey, school: str, purpose: Purpose, made_at: str = "") -> Palm:
    """Returns the palm that was sealed. Raises `Unsealable`."""
    if len(sealed) > SEALED_BYTES_MAX or len(sealed) < len(MAGIC) + NONCE_BYTES + _TAG_BYTES:
        raise Unsealable(f"{len(sealed)} bytes are no sealed palm")
    if sealed[: len(MAGIC)] != MAGIC:
        raise Unsealable("no sealed palm of this version")
    nonce, body = sealed[len(MAGIC) : len(MAGIC) + NONCE_BYTES], sealed[len(MAGIC) + NONCE_BYTES :]
    try:
        opened = key.sealing().decrypt(nonce, body, _bound(school, purpose, made_at))
    except InvalidTag:
        raise Unsealable("sealed with another key, for another school or purpose, or changed since") from None
    return _read(opened, key)


def _read(body: bytes, key: SchoolKey) -> Palm:
    # Authenticated, so a fault here is a maker's, not a thief's; it is refused all the same.
    if len(body) < 4 or body[0] & 15 >= len(_HANDS) or body[0] >> 4 >= body[1]:
        raise Unsealable("a sealed palm without a head")
    templates, end = body[1], 4 + int.from_bytes(body[2:4], "big")
    length = templates * (FINE_CELLS + COARSE_CELLS)
    if not 0 < templates <= TEMPLATES_MAX or len(body) < end + length or any(body[end + length :]):
        raise Unsealable("a sealed palm of another length than it says")
    try:
        person = body[4:end].decode()
    except UnicodeDecodeError:
        raise Unsealable("a sealed palm of nobody") from None
    cells = np.frombuffer(body, np.uint8, length, end).reshape(templates, -1)
    hand = _HANDS[body[0] & 15]
    fine, coarse = _laid(hand, cells[:, :FINE_CELLS].copy(), cells[:, FINE_CELLS:].copy(), key)
    return Palm(person, hand, fine, coarse, body[0] >> 4)


def _laid(hand: Hand, fine: Cells, coarse: Cells, key: SchoolKey) -> tuple[Cells, Cells]:
    """Returns a palm's cells as they are sealed, or sealed cells as a palm has them: a right hand's are mirrored."""
    if hand is not Hand.RIGHT:
        return fine, coarse
    scrambles = key.scrambles()
    return scrambles.fine.mirror(fine), scrambles.coarse.mirror(coarse)


def _bound(school: str, purpose: Purpose, made_at: str) -> bytes:
    name = school.encode()
    return MAGIC + len(name).to_bytes(2, "big") + name + purpose.encode() + made_at.encode()
