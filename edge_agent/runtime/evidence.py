"""Evidence against a ledger's log, as files in the state folder: a technician copies them, an auditor reads them."""

import os
from pathlib import Path
from typing import Final

EVIDENCE_FILES_MAX: Final = 20  # beyond it more of the same proves nothing new


class EvidenceFolder:
    """Stores evidence as `log-evidence-NN.json`, the oldest first.."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def store_evidence(self, evidence: bytes) -> str:
        """Stores it durably and returns the file's path; when the folder has enough of them, the newest one's."""
        path = self._folder / "log-evidence-01.json"
        for number in range(1, EVIDENCE_FILES_MAX + 1):
            path = self._folder / f"log-evidence-{number:02}.json"
            try:
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            except FileExistsError:
                continue
            try:
                os.write(file, evidence)
                os.fsync(file)
            finally:
                os.close(file)
            break
        return str(path)
