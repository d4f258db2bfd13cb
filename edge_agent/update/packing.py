"""Makes a release of a version's folder, as the Debian package holds it in /usr/lib/edge-agent."""

import hashlib
import platform
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import zstandard

from edge_agent.update.release import COPY_BYTES, ReleaseManifest, sign_manifest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def pack_release(
    tree: Path,
    target: Path,
    key: "Ed25519PrivateKey",
    *,
    version: str,
    serial: int,
    python: str = "",
) -> ReleaseManifest:
    """Writes a signed release of the folder `tree` into a new file, and returns its manifest.

    `python` is the release's, such as 3.11; empty: the one that runs this. The same folder gives the same bytes.
    """
    with tempfile.TemporaryFile() as payload:
        unpacked = _write_tar(tree, payload)
        size = payload.tell()
        payload.seek(0)
        digest = hashlib.file_digest(payload, "sha256")
        manifest = ReleaseManifest(
            version=version,
            serial=serial,
            python=python or f"{sys.version_info.major}.{sys.version_info.minor}",
            machine=platform.machine(),
            size=size,
            unpacked=unpacked,
            sha256=digest.hexdigest(),
        )
        payload.seek(0)
        with target.open("xb") as file:
            file.write(sign_manifest(manifest, key))
            while chunk := payload.read(COPY_BYTES):
                file.write(chunk)
    return manifest


def _write_tar(tree: Path, payload: BinaryIO) -> int:
    """Writes files and folders in the order of their names. Returns the bytes of all files."""
    unpacked = 0
    compressor = zstandard.ZstdCompressor(level=12)
    with compressor.stream_writer(payload, closefd=False) as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        for path in sorted(tree.rglob("*")):
            if path.is_symlink() or "__pycache__" in path.parts:
                continue
            member = tarfile.TarInfo(str(path.relative_to(tree)))
            if path.is_dir():
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(member)
                continue
            member.size, member.mode = path.stat().st_size, 0o755 if path.stat().st_mode & 0o100 else 0o644
            unpacked += member.size
            with path.open("rb") as file:
                tar.addfile(member, file)
    return unpacked
