"""A file that only takes up room, to be given up when the disk is full.

On a full disk SQLite can neither checkpoint its WAL nor delete a row, so room cannot be made from inside. Removing
this file makes it.
"""

import errno
import os
import shutil
from pathlib import Path


class Ballast:
    """The file at `path`, of so many bytes; 0: none is wanted."""

    def __init__(self, path: Path, bytes_wanted: int) -> None:
        self._path = path
        self._bytes = bytes_wanted

    @property
    def present(self) -> bool:
        return self._path.exists()

    def restore(self) -> bool:
        """Makes the file if it is missing and the disk has room for four of it; returns if the file is in place."""
        if self._bytes == 0 or self.present:
            return self.present
        if shutil.disk_usage(self._path.parent).free < 4 * self._bytes:
            return False
        descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._bytes)
        except OSError as error:
            self._path.unlink()
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}:
                raise
        finally:
            os.close(descriptor)
        return self.present

    def give_up(self) -> bool:
        """Removes the file; returns False when there was none."""
        was_present = self.present
        self._path.unlink(missing_ok=True)
        return was_present
