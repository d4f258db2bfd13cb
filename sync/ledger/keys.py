"""The ledger's own key, with which it signs receipts: one for all its processes. Kiosks learn it when they register.

It lives in a file, not in the database: those who can write the tables must not be able to sign for them.
"""

import contextlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.ledger.errors import NotUnderstood


def load_or_create(path: Path) -> Ed25519PrivateKey:
    """Returns the key in `path` (64 hex digits, mode 0600), drawn and written there when the file is missing.

    Raises `NotUnderstood` for a file that holds no key.
    """
    with contextlib.suppress(FileExistsError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, Ed25519PrivateKey.generate().private_bytes_raw().hex().encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except ValueError as error:
        raise NotUnderstood(
            f"{path} holds no ledger key (64 hex digits): restore it from the backup; with a new one every kiosk "
            "must be registered again"
        ) from error
