"""A signed release: one file that holds a version of the program.

    {"format":1,"version":…,"sha256":…}\\n     the manifest, one line
    <128 hex digits>\\n                        Ed25519 over the context and the manifest's bytes
    tar, compressed by zstd                   `size` bytes whose hash is in the manifest

Nothing behind the signature is looked into before its hash has been compared. The release key is the builder's; no
ledger holds it.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from edge_agent.update.errors import UpdateRefused

CONTEXT = b"canteen release 1\n"
MANIFEST_BYTES_MAX = 4_096
RELEASE_BYTES_MAX = 512 * 1024 * 1024
UNPACKED_BYTES_MAX = 2 * 1024 * 1024 * 1024
COPY_BYTES = 1024 * 1024
_SIGNATURE = re.compile(rb"[0-9a-f]{128}\n")


class ReleaseManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed words about a release. `serial` grows from release to release, and a kiosk takes no smaller one."""

    format: Annotated[int, Meta(ge=1, le=1)] = 1
    version: Annotated[str, Meta(pattern=r"^[0-9][0-9A-Za-z.+~]{0,63}$")]  # the name of its folder, too
    serial: Annotated[int, Meta(ge=1)]
    python: str  # such as 3.11: compiled libraries fit one only
    machine: str  # such as x86_64
    size: Annotated[int, Meta(ge=1, le=RELEASE_BYTES_MAX)]
    unpacked: Annotated[int, Meta(ge=1, le=UNPACKED_BYTES_MAX)]  # bytes of all files
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


def sign_manifest(manifest: ReleaseManifest, key: Ed25519PrivateKey) -> bytes:
    """Returns the two lines that stand before the payload."""
    line = msgspec.json.encode(manifest) + b"\n"
    return line + key.sign(CONTEXT + line).hex().encode() + b"\n"


def read_manifest(release: BinaryIO, keys: Iterable[bytes]) -> ReleaseManifest:
    """Returns the manifest, signed by one of these raw public keys; the payload begins where the file then stands.

    Raises `UpdateRefused`.
    """
    line, signature = release.readline(MANIFEST_BYTES_MAX), release.readline(130)
    if not line.endswith(b"\n") or not _SIGNATURE.fullmatch(signature):
        raise UpdateRefused("this is no signed release", "name the file that `edge-agent update pack` made")
    if not any(_has_signed(key, CONTEXT + line, bytes.fromhex(signature.decode())) for key in keys):
        raise UpdateRefused(
            "the release is not signed by a release key of this kiosk",
            "get it anew from whoever builds your releases; their key is in /etc/edge-agent/release-keys",
        )
    try:
        return msgspec.json.decode(line, type=ReleaseManifest)
    except msgspec.DecodeError as error:
        raise UpdateRefused(f"the release's manifest cannot be read: {error}", "install its Debian package") from error


def _has_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def copy_payload(release: BinaryIO, manifest: ReleaseManifest, target: Path) -> None:
    """Copies the payload into a new file while its hash is made, and compares it. Raises `UpdateRefused`, OSError."""
    digest, left = hashlib.sha256(), manifest.size
    with target.open("xb") as file:
        while left and (chunk := release.read(min(COPY_BYTES, left))):
            digest.update(chunk)
            file.write(chunk)
            left -= len(chunk)
    if left or release.read(1) or digest.hexdigest() != manifest.sha256:
        raise UpdateRefused("the release is damaged: its hash is another one", "copy or fetch it again")


def read_release_keys(folder: Path) -> list[bytes]:
    """Returns the raw public keys in this folder's PEM files. Raises `UpdateRefused` where there is none."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    keys = []
    for path in sorted(folder.glob("*.pem")):
        key = load_pem_public_key(path.read_bytes())
        if isinstance(key, Ed25519PublicKey):
            keys.append(key.public_bytes_raw())
    if not keys:
        raise UpdateRefused(
            f"no release key is in {folder}, so that no update can be trusted",
            "put the public key of whoever builds your releases there, as a .pem file",
        )
    return keys
