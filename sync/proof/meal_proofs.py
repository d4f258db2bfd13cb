"""The proof of a meal: row → statement → checkpoint, as compact bytes for a QR code.

    "CMP" 0x01
    id of the log's key (4 bytes) ‖ id of the witness's key (4)
    row                   uint16 length ‖ bytes, as `statements` writes them
    salt (16)             ‖ index and number of rows of the statement (uint32 each)
    path in the statement 32 bytes a hash; how many follows from index and number
    day (10)              ‖ number of the statement (uint32) ‖ its time (24)
    index and size of the claims log (uint64 each) ‖ path in the log
    the log's signature (64) ‖ time of the cosignature (uint64) ‖ the witness's signature (64)

All numbers are big-endian. Nothing is written that can be derived: neither a root nor the length of a path. So every
byte is covered by both signatures or compared with the keys, and a changed one proves nothing. The origin is the name
of the log's key, which the reader has on paper: a proof of another school fits no key of this one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sync.proof.base45 import encode_base45
from sync.proof.checkpoints import WitnessCosignature
from sync.proof.notes import NoteKey
from sync.proof.statements import DayStatement

PROOF_BYTES_MAX: Final = 1_500  # a QR code at level M, version 33, holds 1,628 bytes as base45
_MAGIC: Final = b"CMP\x01"
_DAY_BYTES, _TIME_BYTES = 10, 24


class ProofTooLarge(ValueError):
    """A proof of more bytes than a QR code takes."""


@dataclass(frozen=True, slots=True)
class LoggedLeaf:
    """The place of a leaf in a log, under one signed and cosigned checkpoint."""

    index: int
    size: int
    path: Sequence[bytes]
    signature: bytes  # of the log, over the checkpoint
    cosignature: WitnessCosignature


@dataclass(frozen=True, slots=True)
class StatedRow:
    """The place of a row in a statement. `row` and `salt` are the bytes that were hashed."""

    row: bytes
    salt: bytes
    index: int
    path: Sequence[bytes]


def encode_proof(
    stated: StatedRow, statement: DayStatement, logged: LoggedLeaf, log_key: NoteKey, witness_key: NoteKey
) -> bytes:
    """Returns the proof's bytes. Raises `ProofTooLarge` above 1,500."""
    day, time = statement.day.encode(), statement.stated_at.encode()
    if (len(day), len(time)) != (_DAY_BYTES, _TIME_BYTES):
        raise ValueError(f"a statement of {statement.day!r} at {statement.stated_at!r}: not of the wire's form")
    proof = b"".join((
        _MAGIC, log_key.key_id, witness_key.key_id,
        len(stated.row).to_bytes(2, "big"), stated.row, stated.salt,
        stated.index.to_bytes(4, "big"), statement.rows.to_bytes(4, "big"), *stated.path,
        day, statement.number.to_bytes(4, "big"), time,
        logged.index.to_bytes(8, "big"), logged.size.to_bytes(8, "big"), *logged.path,
        logged.signature, logged.cosignature.seconds.to_bytes(8, "big"), logged.cosignature.signature,
    ))  # fmt: skip
    if len(proof) > PROOF_BYTES_MAX:
        raise ProofTooLarge(f"a proof of {len(proof)} bytes; a QR code takes {PROOF_BYTES_MAX}")
    return proof


def to_qr_text(proof: bytes) -> str:
    """Returns the proof as the text of a QR code."""
    return encode_base45(proof)
