"""The ledger as the signer of all its schools' logs: one key, under each log's origin as its name."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.proof.checkpoints import LogCheckpoint, sign_checkpoint
from sync.proof.leaves import LogName, origin
from sync.proof.notes import BadNote, NoteKey, SignedNote, decode_base64, encode_base64

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


def format_signer(signer: LogSigner) -> str:
    """Returns the private key as Go's note package writes it: `PRIVATE+KEY+name+id+base64`."""
    body = encode_base64(bytes([signer.ledger_key.kind]) + signer.private.private_bytes_raw())
    return f"{_PREFIX}{signer.ledger}+{signer.ledger_key.key_id.hex()}+{body}"


def parse_signer(text: str) -> LogSigner:
    """Returns the private key in `PRIVATE+KEY+name+id+base64`. Raises `BadNote`."""
    parts = text.removeprefix(_PREFIX).split("+", 2)
    if not text.startswith(_PREFIX) or len(parts) != 3:
        raise BadNote("no private key of notes: expected PRIVATE+KEY+name+id+key")
    name, key_id, encoded = parts
    body = decode_base64(encoded)
    if len(body) != 33 or body[0] != 1:
        raise BadNote(f"the private key {name} is not one of Ed25519")
    signer = LogSigner(name, Ed25519PrivateKey.from_private_bytes(body[1:]))
    if signer.ledger_key.key_id.hex() != key_id:
        raise BadNote(f"the id of the private key {name} does not fit it")
    return signer
