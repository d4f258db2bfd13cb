"""How far a terminal's rows were taken, in a file of the state folder."""

import logging
import os
from pathlib import Path

from edge_agent.journal.store import sync_folder

log = logging.getLogger(__name__)

ROW_MARKS_FOLDER = "row-marks"
ROW_MARK_CHARS_MAX = 200


class RowMarkFile:
    """The mark of one reader. A mark that is lost or cannot be written costs rows that come again, and none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """Returns the mark; empty where there is none that can be read."""
        try:
            return self._path.read_text("ascii")[:ROW_MARK_CHARS_MAX]
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            log.warning("%s: rows are read again: %s", self._path, error)
            return ""

    def write(self, mark: str) -> None:
        """Puts the mark on the disk. One that cannot be written is logged: the one before stands."""
        anew = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            with anew.open("w", encoding="ascii") as file:
                file.write(mark)
                file.flush()
                os.fsync(file.fileno())
            anew.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            log.warning("%s: rows will be read again: %s", self._path, error)
