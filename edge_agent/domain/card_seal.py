"""The seal on the numbers of replacement cards: the journal's file, the ledger and its backups hold them sealed.

    byte 0-3     "RCD" and version 1
    byte 4-15    nonce, 12 random bytes
    byte 16-     AES-256-GCM of the numbers as JSON, padded with spaces to the next 256 bytes

Authenticated with it: bytes 0-3, the school, the credential's id and the person, so that nobody can give one child the
card of another.
"""

import hmac
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from drivers.readings import Uid
from edge_agent.domain.replacement_cards import CardNumber

CARD_NONCE_BYTES: Final = 12
CARD_DIGEST_DIGITS: Final = 32
_MAGIC: Final = b"RCD\x01"
_PADDED_TO: Final = 256
_SEAL_USE, _DIGEST_USE = b"canteen replacement card seal 1", b"canteen replacement card digest 1"


class SealedNumbers(msgspec.Struct, frozen=True):
    """The part of a replacement that is sealed: the new card's number, and those of the former cards."""

    number: CardNumber
    replaced: tuple[CardNumber, ...] = ()


def seal_numbers(numbers: SealedNumbers, key: bytes, bound: tuple[str, str, str], nonce: bytes) -> bytes:
    """Returns the numbers sealed under the secret `key`, bound to (school, credential, person).

    Raises ValueError for a nonce of another size.
    """
    if len(nonce) != CARD_NONCE_BYTES:
        raise ValueError(f"a nonce of {len(nonce)} bytes; {CARD_NONCE_BYTES} are needed")
    text = msgspec.json.encode(numbers)
    text += b" " * (-len(text) % _PADDED_TO)
    return _MAGIC + nonce + _cipher(key).encrypt(nonce, text, _bind(bound))


def open_numbers(sealed: bytes, key: bytes, bound: tuple[str, str, str]) -> SealedNumbers | None:
    """Returns the numbers; None where they were sealed under another key or for another card, or are damaged."""
    head = len(_MAGIC) + CARD_NONCE_BYTES
    if sealed[: len(_MAGIC)] != _MAGIC or len(sealed) <= head:
        return None
    try:
        text = _cipher(key).decrypt(sealed[len(_MAGIC) : head], sealed[head:], _bind(bound))
        return msgspec.json.decode(text, type=SealedNumbers)
    except (InvalidTag, msgspec.DecodeError, UnicodeDecodeError):
        return None


def digest_card(uid: Uid, key: bytes) -> str:
    """Returns the keyed digest of a card's number, by which an event names it: without the key it tells nothing."""
    number = f"{uid.notation}:{uid.bits}:{uid.hex}".encode()
    return hmac.digest(hmac.digest(key, _DIGEST_USE, "sha256"), number, "sha256").hex()[:CARD_DIGEST_DIGITS]


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(hmac.digest(key, _SEAL_USE, "sha256"))


def _bind(bound: tuple[str, str, str]) -> bytes:
    return _MAGIC + b"\0".join(part.encode() for part in bound)
