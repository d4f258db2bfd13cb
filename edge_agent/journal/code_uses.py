"""The last step of a changing code that each person has used: noted with the event, or fetched from the ledger."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from edge_agent.journal.marks import MarkTable, write_marks
from edge_agent.journal.store import Store
from sync.contract.dynamic_codes import CodeUse
from sync.contract.event import PersonId

CODE_USES_VERSION: Final = "code_uses_version"  # how far the ledger's order was taken over

SELECT_STEP = "SELECT step FROM code_use WHERE person = ?"
UPSERT_STEP = """
    INSERT INTO code_use (person, step) VALUES (?, ?)
    ON CONFLICT (person) DO UPDATE SET step = max(step, excluded.step)
"""


class CodeUseTable:
    """The steps used in this school, as far as this kiosk knows."""

    def __init__(self, store: Store, marks: MarkTable) -> None:
        self._store = store
        self._marks = marks

    def last_step(self, person: PersonId) -> int:
        """Returns the last step this person has used; -1 where none is known."""
        rows = self._store.read(SELECT_STEP, (person,))
        return int(rows[0][0]) if rows else -1

    def version(self) -> int:
        """Returns the number up to which the ledger's uses are here."""
        return int(self._marks.read(CODE_USES_VERSION) or 0)

    def accept(self, uses: Sequence[CodeUse], version: int) -> None:
        """Takes over uses from the school's other kiosks, all of them or none."""

        def work(connection: sqlite3.Connection) -> None:
            for use in uses:
                note_code_use(connection, use.person, use.step)
            write_marks(connection, {CODE_USES_VERSION: str(version)})

        self._store.write(work)


def note_code_use(connection: sqlite3.Connection, person: str, step: int) -> None:
    """Notes a use inside the caller's transaction; an earlier step changes nothing."""
    connection.execute(UPSERT_STEP, (person, step))
