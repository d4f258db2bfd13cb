"""Hashes of PINs: memory-hard, and keyed by a secret that does not stand beside them.

Whoever copies the operators' file alone cannot try the million PINs. The key is the school's sealing key where there is
one, since that may be sealed to the machine; else a secret of this kiosk, made once in the state folder.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.journal.store import sync_folder
from edge_agent.runtime.school_secret import derive_school_secret

KIOSK_SECRET_NAME: Final = "operators.key"  # noqa: S105  the name of a file
KIOSK_SECRET_BYTES: Final = 32
SCRYPT_N: Final = 2**13
SCRYPT_R: Final = 8  # 128 * N * R bytes: 8 MiB
SCRYPT_BYTES_MAX: Final = 16 * 1024 * 1024
SEALING, KIOSK = "sealing", "kiosk"
_KEY_USE: Final = b"canteen operator pins 1"


class PinHash(msgspec.Struct, frozen=True):
    """The hash of one PIN. `key` names the secret that it was made with."""

    key: str
    salt: str
    digest: str
    once: bool = False  # given for one sign-in


class PinHashes:
    """Makes and compares hashes under this kiosk's secrets. One hash takes 8 MiB for some tens of milliseconds."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    def make(self, pin: str, *, once: bool) -> PinHash:
        """Returns the hash of a PIN under the best key there is. Raises OSError when a new secret cannot be stored."""
        sealing = derive_school_secret(self._state_dir, _KEY_USE)
        key, secret = (SEALING, sealing) if sealing is not None else (KIOSK, self._load_or_make_secret())
        salt = secrets.token_bytes(16)
        return PinHash(key, salt.hex(), _digest(secret, salt, pin).hex(), once)

    def fits(self, pin_hash: PinHash, pin: str) -> bool:
        """Returns True for the PIN that the hash was made of. With another key than then, no PIN fits."""
        is_sealing = pin_hash.key == SEALING
        secret = derive_school_secret(self._state_dir, _KEY_USE) if is_sealing else self._read_secret()
        if secret is None:
            return False
        return hmac.compare_digest(_digest(secret, bytes.fromhex(pin_hash.salt), pin), bytes.fromhex(pin_hash.digest))

    def _read_secret(self) -> bytes | None:
        try:
            return (self._state_dir / KIOSK_SECRET_NAME).read_bytes()
        except FileNotFoundError:
            return None

    def _load_or_make_secret(self) -> bytes:
        secret = self._read_secret()
        if secret is None:
            secret = secrets.token_bytes(KIOSK_SECRET_BYTES)
            write_secret_file(self._state_dir / KIOSK_SECRET_NAME, secret)
        return secret


def write_secret_file(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all, for its owner only. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    anew = path.with_name(path.name + ".new")
    descriptor = os.open(anew, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    anew.replace(path)
    sync_folder(path.parent)


def _digest(secret: bytes, salt: bytes, pin: str) -> bytes:
    keyed = hmac.digest(secret, pin.encode(), "sha256")
    return hashlib.scrypt(keyed, salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=1, maxmem=SCRYPT_BYTES_MAX, dklen=32)
