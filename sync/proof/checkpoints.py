"""A log's checkpoint (C2SP tlog-checkpoint) and a witness's word for it (C2SP tlog-cosignature, version 1).

A checkpoint is a signed note of three lines: the log's origin, how many leaves it has, and base64 of the root. The key
has the origin as its name. A cosignature says when a witness saw the checkpoint, and that it continues whatever the
witness saw before. It is an Ed25519 signature over

    cosignature/v1\n
    time 1795322400\n
    <the text of the checkpoint>

and travels as one more line of the note: the key's id, the time as uint64 big-endian, and the signature.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.proof.notes import (
    BadNote,
    NoteKey,
    NoteKeyKind,
    NoteSignature,
    SignedNote,
    decode_base64,
    encode_base64,
    join_lines,
    parse_note,
    sign_note,
    verify_signature,
)
from sync.proof.tree import HASH_BYTES, SIZE_MAX

_TIME_BYTES: Final = 8
_TIME_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LogCheckpoint:
    """A log's size and root at one moment. Extension lines of other logs are kept as they are."""

    origin: str
    size: int
    root: bytes
    extension: tuple[str, ...] = ()

    def text(self) -> str:
        """Returns the text that is signed."""
        return join_lines([self.origin, str(self.size), encode_base64(self.root), *self.extension])


def sign_checkpoint(checkpoint: LogCheckpoint, private: Ed25519PrivateKey) -> SignedNote:
    """Returns the checkpoint as a note, signed by the log's key under the origin as its name."""
    return sign_note(checkpoint.text(), checkpoint.origin, private)


def parse_checkpoint(text: str) -> LogCheckpoint:
    """Returns the checkpoint in a note's text. Raises `BadNote`."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop():
        raise BadNote("a checkpoint is an origin, a size and a root, one a line")
    origin, size, root, *extension = lines
    if not origin or not size.isascii() or not size.isdecimal() or str(int(size)) != size or int(size) > SIZE_MAX:
        raise BadNote(f"{size[:40]!r} is no size of a log")
    hashed = decode_base64(root)
    if len(hashed) != HASH_BYTES or not all(extension):
        raise BadNote(f"the checkpoint of {origin} has no root of {HASH_BYTES} bytes, or an empty line")
    return LogCheckpoint(origin, int(size), hashed, tuple(extension))


def open_checkpoint(note: SignedNote | bytes, log_key: NoteKey) -> LogCheckpoint:
    """Returns the checkpoint in a note, once its log's signature is found good. Raises `BadNote`.

    A log has its origin as its key's name; a checkpoint of another origin is refused, whatever its key.
    """
    opened = parse_note(note) if isinstance(note, bytes) else note
    opened.verify(log_key)
    checkpoint = parse_checkpoint(opened.text)
    if checkpoint.origin != log_key.name:
        raise BadNote(f"a checkpoint of {checkpoint.origin}, signed by {log_key.name}")
    return checkpoint


@dataclass(frozen=True, slots=True)
class WitnessCosignature:
    """A witness's signature, and when it was made: Unix seconds."""

    seconds: int
    signature: bytes


def _cosigned_message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def cosign(text: str, name: str, private: Ed25519PrivateKey, seconds: int) -> NoteSignature:
    """Returns the line that a witness adds to a checkpoint of this text. `seconds`: Unix time."""
    key = NoteKey(name, private.public_key().public_bytes_raw(), NoteKeyKind.COSIGNATURE)
    signature = private.sign(_cosigned_message(text, seconds))
    return NoteSignature(name, key.key_id, seconds.to_bytes(_TIME_BYTES, "big") + signature)


def read_cosignature(note: SignedNote, witness_key: NoteKey) -> WitnessCosignature:
    """Returns the witness's cosignature on the note, once it is found good. Raises `BadNote`."""
    if witness_key.kind is not NoteKeyKind.COSIGNATURE:
        raise BadNote(f"{witness_key.name} is no key of a witness")
    body = note.find_signature(witness_key)
    seconds, signature = int.from_bytes(body[:_TIME_BYTES], "big"), body[_TIME_BYTES:]
    if not 0 < seconds <= _TIME_MAX:
        raise BadNote(f"the cosignature of {witness_key.name} has no time")
    verify_signature(witness_key, signature, _cosigned_message(note.text, seconds))
    return WitnessCosignature(seconds, signature)
