"""The folder in which several processes of one ledger count together.

The library that counts chooses when it is loaded, so this is said before.
"""

import os
from pathlib import Path

_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def share_counts(folder: Path) -> None:
    """Lets this process, and those that it starts, count into one folder, which is emptied."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()
    os.environ[_FOLDER_VARIABLE] = str(folder)


def shares_counts() -> bool:
    """Returns if this process counts together with others."""
    return _FOLDER_VARIABLE in os.environ
