"""Files that are written whole or not at all."""

import contextlib
import os
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Puts a file in the place of another: a power cut leaves the old one or the new one. Raises OSError.

    The new one belongs to whom the old one belonged: the service may run as another user than its operator.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if path.exists() and (path.stat().st_uid, path.stat().st_gid) != (fresh.stat().st_uid, fresh.stat().st_gid):
        os.chown(fresh, path.stat().st_uid, path.stat().st_gid)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
