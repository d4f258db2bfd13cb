"""The keys that a ledger has signed receipts and answers with, oldest first: each is signed by the one before it.

The signature is Ed25519 by the former key over

    "cnt1-receipt-key" ‖ former key (32 bytes) ‖ next key (32 bytes) ‖ lp(since)

with lp(x) as in `chain`. A kiosk that has pinned any key of the chain can follow it to the newest one. The chain holds
no secret:

    GET /v1/receipt-keys  → 200 ReceiptKeyPage, without a signature on the request
"""

import itertools
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.contract.receipt import fingerprint
from sync.contract.wire import HexHash

RECEIPT_KEYS_PATH: Final = "/v1/receipt-keys"


class ReceiptKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the chain. `signature`: hex, by the key before it; empty for the first."""

    public_key: HexHash
    since: str  # the ledger's clock when it came into force, as `wire.time_text`
    signature: str = ""

    @property
    def raw(self) -> bytes:
        """Returns the 32 raw bytes."""
        return bytes.fromhex(self.public_key)


class ReceiptKeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """The whole chain, oldest first; the last key is in force."""

    time: str
    keys: tuple[ReceiptKey, ...]


class BrokenKeyChain(ValueError):
    """A key of the chain is not signed by the one before it, or the chain does not hold the key to begin from."""


def hand_over(former: Ed25519PrivateKey, public_key: bytes, since: str) -> ReceiptKey:
    """Returns the next key of the chain, signed by the former one. `public_key`: 32 raw bytes."""
    signature = former.sign(_statement(former.public_key().public_bytes_raw(), public_key, since))
    return ReceiptKey(public_key=public_key.hex(), since=since, signature=signature.hex())


def follow_keys(keys: Sequence[ReceiptKey], pinned: bytes) -> tuple[ReceiptKey, ...]:
    """Returns the keys from the pinned one on, itself included. Raises `BrokenKeyChain`.

    `pinned`: 32 raw bytes. What stands before it in the chain is not looked at.
    """
    places = [place for place, key in enumerate(keys) if key.raw == pinned]
    if not places:
        raise BrokenKeyChain(f"the ledger's keys do not hold {fingerprint(pinned)}")
    rest = tuple(keys[places[-1] :])
    for former, following in itertools.pairwise(rest):
        try:
            statement = _statement(former.raw, following.raw, following.since)
            Ed25519PublicKey.from_public_bytes(former.raw).verify(bytes.fromhex(following.signature), statement)
        except (InvalidSignature, ValueError) as error:
            raise BrokenKeyChain(
                f"key {fingerprint(following.raw)} is not signed by {fingerprint(former.raw)}, the one before it"
            ) from error
    return rest


def _statement(former: bytes, following: bytes, since: str) -> bytes:
    text = since.encode()
    return b"cnt1-receipt-key" + former + following + len(text).to_bytes(4, "big") + text
