"""Those who sign: the ledger, with one key for all its schools' logs, and a witness.

A private key is written as Go's note package writes it: `PRIVATE+KEY+name+id+base64`.
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.proof.checkpoints import LogCheckpoint, cosign, sign_checkpoint
from sync.proof.leaves import LogName, origin
from sync.proof.notes import (
    BadNote,
    NoteKey,
    NoteKeyKind,
    NoteSignature,
    SignedNote,
    decode_base64,
    encode_base64,
)

_PREFIX = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class LogSigner:
    """The key that signs checkpoints. `ledger`: the name with which all origins of this ledger begin."""

    ledger: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def ledger_key(self) -> NoteKey:
        """Returns the key under the ledger's own name: a witness learns it once, for all logs."""
        return NoteKey(self.ledger, self.private.public_key().public_bytes_raw())

    def log_key(self, school: str, log: LogName) -> NoteKey:
        """Returns the key of one log, as it stands on slips."""
        return self.ledger_key.rename(origin(self.ledger, school, log))

    def sign(self, school: str, log: LogName, size: int, root: bytes) -> SignedNote:
        """Returns the checkpoint of a log."""
        return sign_checkpoint(LogCheckpoint(origin(self.ledger, school, log), size, root), self.private)


@dataclass(frozen=True, slots=True)
class WitnessSigner:
    """The key that signs below other people's checkpoints, with the time."""

    name: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def key(self) -> NoteKey:
        """Returns the key by which cosignatures are verified, as it stands on slips."""
        return NoteKey(self.name, self.private.public_key().public_bytes_raw(), NoteKeyKind.COSIGNATURE)

    def cosign(self, text: str, seconds: int) -> NoteSignature:
        """Returns the line below a checkpoint of this text. `seconds`: Unix time."""
        return cosign(text, self.name, self.private, seconds)


def format_private_key(key: NoteKey, private: Ed25519PrivateKey) -> str:
    """Returns the private key of `key` as one line of text."""
    return f"{_PREFIX}{key.name}+{key.key_id.hex()}+{encode_base64(bytes([key.kind]) + private.private_bytes_raw())}"


def parse_private_key(text: str, kind: NoteKeyKind) -> tuple[str, Ed25519PrivateKey]:
    """Returns name and private key in `PRIVATE+KEY+name+id+base64`. Raises `BadNote`."""
    parts = text.removeprefix(_PREFIX).split("+", 2)
    if not text.startswith(_PREFIX) or len(parts) != 3:
        raise BadNote("no private key of notes: expected PRIVATE+KEY+name+id+key")
    name, key_id, encoded = parts
    body = decode_base64(encoded)
    if len(body) != 33 or body[0] != kind:
        raise BadNote(f"the private key {name} is not of the kind {kind.name}")
    private = Ed25519PrivateKey.from_private_bytes(body[1:])
    if NoteKey(name, private.public_key().public_bytes_raw(), kind).key_id.hex() != key_id:
        raise BadNote(f"the id of the private key {name} does not fit it")
    return name, private
