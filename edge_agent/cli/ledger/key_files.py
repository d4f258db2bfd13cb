"""Ed25519 keys of persons, in PEM files, and the key of the logs; the moments that decisions are signed with."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.errors import AgentError, ExitCode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from sync.proof.signer import LogSigner


class WrongKeyFile(AgentError):
    """A key file cannot be used."""

    exit_code = ExitCode.USAGE


def read_private_key(path: Path) -> "Ed25519PrivateKey":
    """Returns the private key in a PEM file. Raises WrongKeyFile."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise WrongKeyFile(f"{path}: {error}", "name your private key, an unencrypted PEM file") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise WrongKeyFile(f"{path} is no Ed25519 key", "make one: openssl genpkey -algorithm ed25519")
    return key


def read_public_key(path: Path) -> bytes:
    """Returns the 32 bytes of the public key in a PEM file. Raises WrongKeyFile."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise WrongKeyFile(f"{path}: {error}", "make it of the private key: openssl pkey -pubout") from error
    if not isinstance(key, Ed25519PublicKey):
        raise WrongKeyFile(f"{path} is no Ed25519 key", "make one: openssl genpkey -algorithm ed25519")
    return key.public_bytes_raw()


def make_key(path: Path) -> bytes:
    """Makes a key pair, writes the private key into a new file of its owner alone, and returns the public one.

    Raises WrongKeyFile.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    except OSError as error:
        raise WrongKeyFile(f"{path}: {error.strerror}", "name a new file in a folder that is there") from error
    return key.public_key().public_bytes_raw()


def open_log_key(data_dir: Path, log_name: str = "") -> "LogSigner":
    """Returns the key that signs the logs of the ledger in this folder, drawn under `log_name` where there is none.

    Without a name the one is taken under which the service would draw it.
    """
    from sync.ledger.keys import load_or_create_signer

    if not log_name:
        from sync.ledger.server import LedgerOptions

        log_name = LedgerOptions(folder=data_dir).log_name
    return load_or_create_signer(data_dir / "log.key", log_name)


def format_decision_time(moment: datetime) -> str:
    """Returns a moment as the bytes of a signed decision hold it: UTC in whole seconds, `2026-11-22T04:40:00Z`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
