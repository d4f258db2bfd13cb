"""A family's objection to what the ledger has of its child, and the signed answer of a named person.

An answer is signed as a reversal is: a first line, `canteen contest answer 1`, and JSON with sorted keys and no spaces,
by the officer's Ed25519 key, which never reaches the ledger.
"""

from enum import StrEnum

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_FIRST_LINE = b"canteen contest answer 1\n"
ANSWER_CHARS_MAX = 500


class ContestKind(StrEnum):
    """The subject of a family's objection."""

    NOT_RIGHT = "not_right"  # this entry: the child was not there, or not then
    NOT_SHOWN = "not_shown"  # the child was there and no entry says so


class ContestOutcome(StrEnum):
    """The finding of a named person. An entry that is contested with success is not billed."""

    UPHELD = "upheld"  # the family is right
    DECLINED = "declined"  # what the ledger has stands


class BadAnswer(ValueError):
    """An answer that cannot be read, or is not signed by the key that it is said to be."""


class ContestAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision about one contest."""

    school: str
    contest: str
    outcome: ContestOutcome
    reason: str  # for the family to read
    officer: str
    decided_at: str  # UTC: `2026-11-22T04:40:00Z`


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(ContestAnswer)


def encode_answer(answer: ContestAnswer) -> bytes:
    """Returns the bytes to sign. Raises BadAnswer for one without a reason."""
    if not answer.reason.strip() or len(answer.reason) > ANSWER_CHARS_MAX:
        raise BadAnswer(f"give the family a reason of 1 to {ANSWER_CHARS_MAX} characters")
    return _FIRST_LINE + _encoder.encode(answer)


def sign_answer(answer: ContestAnswer, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """Returns the bytes of an answer and their signature. Raises BadAnswer."""
    body = encode_answer(answer)
    return body, key.sign(body)


def verify_answer(body: bytes, signature: bytes, public_key: bytes) -> ContestAnswer:
    """Returns the answer in these bytes. Raises BadAnswer where they are none, or not signed by this key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, body)
    except (InvalidSignature, ValueError) as error:
        raise BadAnswer("the signature is not of this officer's key") from error
    if not body.startswith(_FIRST_LINE):
        raise BadAnswer("these bytes are no answer to a contest: the first line is another one")
    try:
        answer = _decoder.decode(body[len(_FIRST_LINE) :])
    except msgspec.DecodeError as error:
        raise BadAnswer(f"these bytes are no answer to a contest: {error}") from error
    if encode_answer(answer) != body:
        raise BadAnswer("the answer is not written in its one form")
    return answer
