"""The ledger's own keys: one signs receipts, and kiosks learn it when they register; the other signs its logs.

They live in files, not in the database: those who can write the tables must not be able to sign for them.
"""

import contextlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.ledger.errors import NotUnderstood
from sync.proof.notes import BadNote, NoteKey, NoteKeyKind
from sync.proof.signer import LogSigner, WitnessSigner, format_private_key, parse_private_key


def load_or_create(path: Path) -> Ed25519PrivateKey:
    """Returns the key in `path` (64 hex digits, mode 0600), drawn and written there when the file is missing.

    Raises `NotUnderstood` for a file that holds no key.
    """
    _write_once(path, Ed25519PrivateKey.generate().private_bytes_raw().hex())
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except ValueError as error:
        raise NotUnderstood(
            f"{path} holds no ledger key (64 hex digits): restore it from the backup; with a new one every kiosk "
            "must be registered again"
        ) from error


def load_or_create_signer(path: Path, ledger: str) -> LogSigner:
    """Returns the logs' key in `path`, drawn under the name `ledger` and written there when the file is missing.

    Raises `NotUnderstood` for a name that cannot be, or a file that holds no such key.
    """
    return LogSigner(*_load_note_key(path, ledger, NoteKeyKind.ED25519))


def load_or_create_witness(path: Path, name: str) -> WitnessSigner:
    """Returns the witness's key in `path`, drawn under `name` and written there when the file is missing.

    Raises `NotUnderstood` for a name that cannot be, or a file that holds no such key.
    """
    return WitnessSigner(*_load_note_key(path, name, NoteKeyKind.COSIGNATURE))


def _load_note_key(path: Path, name: str, kind: NoteKeyKind) -> tuple[str, Ed25519PrivateKey]:
    private = Ed25519PrivateKey.generate()
    try:
        drawn = format_private_key(NoteKey(name, private.public_key().public_bytes_raw(), kind), private)
    except BadNote as error:
        raise NotUnderstood(f"{error}; choose another name") from error
    _write_once(path, drawn)
    try:
        return parse_private_key(path.read_text(encoding="utf-8").strip(), kind)
    except ValueError as error:
        raise NotUnderstood(
            f"{path}: {error}; restore it from the backup: what was printed on slips fits no other key"
        ) from error


def _write_once(path: Path, secret: str) -> None:
    """Writes a secret with mode 0600, unless the file is there."""
    with contextlib.suppress(FileExistsError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, f"{secret}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)
