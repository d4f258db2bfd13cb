"""The kiosk's own key: Ed25519, in one file that only the agent's user can read."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sync.contract.receipt import fingerprint
from sync.errors import KeyUnusable


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """The private key of a kiosk."""

    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public_bytes(self) -> bytes:
        """Returns the public key's 32 raw bytes, as they go into the genesis and the registration."""
        return self.private.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """Returns sixteen hex digits that name the key."""
        return fingerprint(self.public_bytes)

    @classmethod
    def make(cls) -> "DeviceKey":
        """Returns a fresh random key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> "DeviceKey":
        """Returns the key in this PEM file. Raises `KeyUnusable`, also when others than its owner may read it."""
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read(4096)
        except OSError as error:
            step = "run as the agent's user, or register this kiosk anew"
            raise KeyUnusable(f"{path}: {error.strerror}", step) from error
        if stat.S_IMODE(mode) & 0o077:
            raise KeyUnusable(f"{path}: others may read this key (mode {stat.S_IMODE(mode):04o})", "chmod 600 it")
        try:
            key = load_pem_private_key(text, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyUnusable(f"{path}: holds no readable key", "restore it, or register this kiosk anew") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnusable(f"{path}: holds another kind of key than Ed25519", "register this kiosk anew")
        return cls(key)

    @classmethod
    def load_or_make(cls, path: Path) -> "DeviceKey":
        """Returns the key in this file, made at the first call. A power cut leaves a whole file or none."""
        if path.exists():
            return cls.load(path)
        key = cls.make()
        try:
            key.write(path)
        except FileExistsError:  # another process was quicker: its key is the kiosk's
            return cls.load(path)
        except OSError as error:
            raise KeyUnusable(f"{path}: {error.strerror}", "the agent's user must be able to write there") from error
        return key

    def write(self, path: Path) -> None:
        """Writes the key to a PEM file. Raises FileExistsError rather than replace a key."""
        pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            os.link(fresh, path)  # unlike a rename, never replaces a key that is there
        finally:
            fresh.unlink()
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
