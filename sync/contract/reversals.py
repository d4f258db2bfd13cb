"""Reversals: a named person's signed decision about the claim of one entry.

The bytes that are signed are a first line, `canteen reversal 1`, and the decision as JSON with sorted keys and no
spaces. Anyone who has them, the signature and the officer's public key can check who decided what, and when. The
private key is a file of that person and never reaches the ledger.
"""

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.contract.event import Claim
from sync.contract.visit import EventId

_FIRST_LINE = b"canteen reversal 1\n"
REASON_CHARS_MAX = 500
DECIDABLE_CLAIMS = frozenset({Claim.CLAIMABLE, Claim.NONE, Claim.HELD, Claim.PENDING})


class BadReversal(ValueError):
    """A decision that cannot be read, may not be taken, or is not signed by the key that it is said to be."""


class Reversal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A decision: this entry's claim is this, for this reason."""

    school: str
    device: str
    epoch: str
    seq: int
    claim: Claim
    reason: str
    officer: str  # who decided
    decided_at: str  # UTC: `2026-11-22T04:40:00Z`
    programme: str = ""  # who pays, where the roster does not say it

    @property
    def event(self) -> EventId:
        """Returns the entry that it is about."""
        return EventId(self.device, self.epoch, self.seq)


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Reversal)


def encode_reversal(reversal: Reversal) -> bytes:
    """Returns the bytes to sign. Raises BadReversal for a decision that may not be taken."""
    if reversal.claim not in DECIDABLE_CLAIMS:
        raise BadReversal(f"no person decides {reversal.claim.value!r}: choose claimable, none, held or pending")
    if not reversal.reason.strip() or len(reversal.reason) > REASON_CHARS_MAX:
        raise BadReversal(f"give a reason of 1 to {REASON_CHARS_MAX} characters")
    return _FIRST_LINE + _encoder.encode(reversal)


def sign_reversal(reversal: Reversal, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """Returns the bytes of a decision and their signature. Raises BadReversal."""
    body = encode_reversal(reversal)
    return body, key.sign(body)


def verify_reversal(body: bytes, signature: bytes, public_key: bytes) -> Reversal:
    """Returns the decision in these bytes. Raises BadReversal where they are none, or not signed by this key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, body)
    except (InvalidSignature, ValueError) as error:
        raise BadReversal("the signature is not of this officer's key") from error
    if not body.startswith(_FIRST_LINE):
        raise BadReversal("these bytes are no reversal: the first line is another one")
    try:
        reversal = _decoder.decode(body[len(_FIRST_LINE) :])
    except msgspec.DecodeError as error:
        raise BadReversal(f"these bytes are no reversal: {error}") from error
    if encode_reversal(reversal) != body:
        raise BadReversal("the decision is not written in its one form")
    return reversal
