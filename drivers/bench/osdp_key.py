"""The key that a kiosk and its OSDP reader share (SCBK): 16 bytes in a file of 32 hex digits that only we can read.

The key stands for the reader: a program that knows it can play one. So it is drawn by `secrets`, is never in the
settings file, and a file that others can read is refused.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from drivers.credential_file import credential_path, read_credential
from drivers.errors import NotSupported
from drivers.protocols.osdp_secure import INSTALL_KEY, OSDP_KEY_BYTES


def key_path(name: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the path of a key, as `credential_path` finds it."""
    return credential_path("key_file", name, environ)


def load(path: Path) -> bytes:
    """Returns the key in this file. Raises NotSupported, which says what to do and never what the file holds."""
    text = read_credential("key_file", path, "commission the reader to make it")
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != OSDP_KEY_BYTES:
        raise NotSupported(f"key_file: {path} does not hold 32 hex digits", "commission the reader anew")
    if key == INSTALL_KEY or len(set(key)) == 1:
        raise NotSupported(f"key_file: {path} holds a key that everybody knows", "commission the reader")
    return key


def create(path: Path) -> bytes:
    """Makes a key in a new file. The file is on disk before this returns: a reader must never get a key that is then
    lost.
    """
    key = secrets.token_bytes(OSDP_KEY_BYTES)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.hex().encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except FileExistsError as error:
        raise NotSupported(f"{path} exists", "a reader may have this key, so keep it or move it away") from error
    except OSError as error:
        raise NotSupported(f"cannot write {path}: {error.strerror}; choose a folder of this user") from error
    return key


def sync_folder(folder: Path) -> None:
    """Brings a folder's names to the disk. A new name in a folder is safe only then."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
