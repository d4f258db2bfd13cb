"""Signed notes (C2SP signed-note): a text, and under it one line for each signature.

    canteen.example/sch-0151/events\n
    128\n
    1ZpQ…=\n
    \n
    — canteen.example/sch-0151/events qdJ8…=\n

The text ends with a newline and has no other control character. A signature line is an em dash, the key's name, and
base64 of four bytes of the key's id and the signature. The id is SHA-256(name ‖ newline ‖ kind ‖ key), so that one
key under two names is two keys. Reading is strict: whatever reads has one form only.
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NOTE_BYTES_MAX: Final = 64 * 1024
SIGNATURES_MAX: Final = 64  # a reader must take at least 16, and may stop somewhere
_DASH: Final = "— "


class BadNote(ValueError):
    """A note or key that is not in the one allowed form, or is not signed as it must be."""


class NoteKeyKind(IntEnum):
    """The kind of a note's key, as the first byte of its encoding."""

    ED25519 = 0x01
    COSIGNATURE = 0x04  # Ed25519 with a time: `tlog-cosignature`


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A key that verifies signatures on notes. `public_key`: 32 raw bytes of Ed25519."""

    name: str
    public_key: bytes
    kind: NoteKeyKind = NoteKeyKind.ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public_key) != 32:
            raise BadNote(f"a key of {len(self.public_key)} bytes; Ed25519 has 32")

    @property
    def key_id(self) -> bytes:
        """Returns the four bytes that name the key beside its name."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:4]

    def __str__(self) -> str:
        """Returns the key as it is printed and handed on: name, id and key, joined by `+`."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public_key)}"

    def rename(self, name: str) -> "NoteKey":
        """Returns the same key under another name."""
        return NoteKey(name, self.public_key, self.kind)


def parse_key(text: str) -> NoteKey:
    """Returns the key in `name+id+key`. Raises `BadNote`, also for an id that does not fit: a slip of the pen."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise BadNote(f"{text[:80]!r} is no key: expected name+id+key")
    name, key_id, encoded = parts
    body = decode_base64(encoded)
    if not body or body[0] not in {kind.value for kind in NoteKeyKind}:
        raise BadNote(f"the key of {name} is of an unknown kind")
    key = NoteKey(name, body[1:], NoteKeyKind(body[0]))
    if key_id != key.key_id.hex():
        raise BadNote(f"the id of the key {name} does not fit the key: copy it again, letter by letter")
    return key


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line. `signature` is what stands behind the key's id."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text and its signatures, none of them verified yet."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def find_signature(self, key: NoteKey) -> bytes:
        """Returns what the key's one line holds. Raises `BadNote` where there is none, or more."""
        lines = [line for line in self.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
        if len(lines) != 1:
            raise BadNote(f"{len(lines)} signatures of {key.name}, expected 1")
        return lines[0].signature

    def verify(self, key: NoteKey) -> None:
        """Raises `BadNote` unless the key, of kind ED25519, has signed the text."""
        verify_signature(key, self.find_signature(key), self.text.encode())


def verify_signature(key: NoteKey, signature: bytes, message: bytes) -> None:
    """Raises `BadNote` unless this is the key's Ed25519 signature over these bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise BadNote(f"the signature of {key.name} is not good") from error


def sign_note(text: str, name: str, private: Ed25519PrivateKey) -> SignedNote:
    """Returns the text with one signature of kind ED25519. Raises `BadNote` for a text that a note cannot have."""
    _check_text(text)
    key = NoteKey(name, private.public_key().public_bytes_raw())
    return SignedNote(text, (NoteSignature(name, key.key_id, private.sign(text.encode())),))


def parse_note(body: bytes) -> SignedNote:
    """Returns the note in these bytes, its signatures not verified. Raises `BadNote`."""
    if len(body) > NOTE_BYTES_MAX:
        raise BadNote(f"a note of {len(body)} bytes; at most {NOTE_BYTES_MAX} are read")
    try:
        whole = body.decode()
    except UnicodeDecodeError as error:
        raise BadNote("a note is UTF-8 text") from error
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise BadNote("a note is a text, an empty line, and signatures, each on a line of its own")
    _check_text(f"{text}\n")
    return SignedNote(f"{text}\n", parse_signatures(lines))


def parse_signatures(lines: str) -> tuple[NoteSignature, ...]:
    """Returns the signatures in these lines, each ended by a newline. Raises `BadNote`."""
    *parts, rest = lines.split("\n")
    if rest or not 0 < len(parts) <= SIGNATURES_MAX:
        raise BadNote(f"not between 1 and {SIGNATURES_MAX} signature lines, each ended by a newline")
    return tuple(map(_parse_signature, parts))


def _parse_signature(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise BadNote(f"{line[:80]!r} is no signature line")
    _check_name(name)
    body = decode_base64(encoded)
    if len(body) < 5:
        raise BadNote(f"the signature of {name} is too short")
    return NoteSignature(name, body[:4], body[4:])


def encode_base64(body: bytes) -> str:
    """Returns standard base64 with padding."""
    return b64encode(body).decode()


def decode_base64(text: str) -> bytes:
    """Returns the bytes of standard base64 in its one canonical form. Raises `BadNote`."""
    try:
        body = b64decode(text, validate=True)
    except ValueError as error:
        raise BadNote(f"{text[:80]!r} is no base64") from error
    if encode_base64(body) != text:
        raise BadNote(f"{text[:80]!r} is base64 in a form that nobody writes")
    return body


def join_lines(lines: Sequence[str]) -> str:
    """Returns the text of these lines, each ended by a newline. Raises `BadNote` for a line that would fall apart."""
    if any("\n" in line for line in lines):
        raise BadNote("a line that holds a newline")
    return "".join(f"{line}\n" for line in lines)


def _check_name(name: str) -> None:
    if not name or "+" in name or any(letter.isspace() or ord(letter) < 0x20 for letter in name):
        raise BadNote(f"{name[:80]!r} is no name of a key: neither empty, nor with a space or a +")


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(ord(letter) < 0x20 and letter != "\n" for letter in text):
        raise BadNote("a note's text ends with a newline, and has no other control characters")
