"""The record of the last update, as the running agent reads it. Root writes it."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.domain.update_plan import UpdateRecord, UpdateState
from edge_agent.update.errors import UpdateRefused
from edge_agent.update.versions import FOLDER, RECORD_NAME, read_record
from sync.contract.wire import UpdateReport

log = logging.getLogger(__name__)

_REPORTED = {
    UpdateState.TRIAL: "applied",
    UpdateState.FIRST_SESSION: "applied",
    UpdateState.CONFIRMED: "applied",
    UpdateState.ROLLED_BACK: "rolled-back",
    UpdateState.REFUSED: "failed",
}
WHY_CHARS_MAX = 200


@dataclass(slots=True)
class UpdateWatch:
    """Reads the record again only after it was written."""

    folder: Path = FOLDER
    _written_ns: int = -1
    _record: UpdateRecord = field(default_factory=UpdateRecord)

    def read(self) -> UpdateRecord:
        """Returns the record; an empty one where no update was tried here, or where its file is damaged."""
        try:
            written_ns = (self.folder / RECORD_NAME).stat().st_mtime_ns
        except OSError:
            return UpdateRecord()
        if written_ns != self._written_ns:
            self._written_ns = written_ns
            try:
                self._record = read_record(self.folder)
            except UpdateRefused as error:
                log.warning("%s", error)
                self._record = UpdateRecord()
        return self._record

    def report(self) -> UpdateReport | None:
        """Returns what a heartbeat tells the ledger; None where no update was tried here."""
        record = self.read()
        state = _REPORTED.get(record.state)
        return UpdateReport(version=record.version, state=state, why=record.reason[:WHY_CHARS_MAX]) if state else None
