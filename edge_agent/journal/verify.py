"""Walk the whole chain and name the first row that is not what was kept.

On a read-only connection, in one snapshot: it may run while the journal is being written, in the daemon's background
or from the command line. The chain finds what SQLite's own check does not see: that looks at pages, not at bytes.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge_agent.journal import rows, schema
from edge_agent.journal.errors import STORE_ERRORS, JournalDamaged, damaged, sqlite_name
from edge_agent.journal.rows import EpochRow
from edge_agent.journal.store import connect_read_only
from sync.contract.chain import Head, extend, genesis
from sync.contract.event import Sighting, Unreadable, Void, decode

_INTERRUPT_STEPS = 20_000  # of SQLite's machine, between two looks at `stop`


@dataclass(frozen=True, slots=True)
class Broken:
    """The first thing that does not hold. `seq` 0: the epoch as such; `epoch` empty: the file as such."""

    epoch: str
    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    epochs: int
    rows: int  # walked
    broken: Broken | None
    finished: bool = True  # False: it was stopped, and what was walked till then held

    @property
    def whole(self) -> bool:
        return self.finished and self.broken is None


class _Stopped(Exception):
    pass


class _Found(Exception):
    def __init__(self, broken: Broken) -> None:
        super().__init__(broken)
        self.broken = broken


def verify(path: Path, *, stop: Callable[[], bool] = lambda: False) -> Verdict:
    """The verdict on the journal at `path`, which stays as it is. Raises FileNotFoundError."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no journal here")
    walk = _Walk()
    try:
        with closing(connect_read_only(path)) as connection:
            connection.set_progress_handler(lambda: int(stop()), _INTERRUPT_STEPS)
            connection.execute("BEGIN")
            schema.check(connection)
            for epoch in rows.epochs(connection):
                walk.epoch(connection, epoch, stop)
            walk.file(connection)
    except _Found as found:
        return Verdict(walk.epochs, walk.rows, found.broken)
    except JournalDamaged as damage:
        return Verdict(walk.epochs, walk.rows, Broken("", 0, str(damage)))
    except _Stopped:
        return Verdict(walk.epochs, walk.rows, None, finished=False)
    except STORE_ERRORS as error:
        if sqlite_name(error) == "SQLITE_INTERRUPT":
            return Verdict(walk.epochs, walk.rows, None, finished=False)
        if damaged(error):
            return Verdict(walk.epochs, walk.rows, Broken(walk.id, walk.head.seq + 1 if walk.id else 0, str(error)))
        raise
    return Verdict(walk.epochs, walk.rows, None)


class _Walk:
    """How far the walk has come; what it has found it raises."""

    def __init__(self) -> None:
        self.epochs = 0
        self.rows = 0
        self.id = ""  # epoch under way
        self.head = Head(0, rows.NO_HASH)
        self._ordinals: dict[str, int] = {}
        self._voided: set[tuple[int, int]] = set()

    def epoch(self, connection: sqlite3.Connection, epoch: EpochRow, stop: Callable[[], bool]) -> None:
        self.id, self.head = epoch.id, epoch.anchor
        self._ordinals[epoch.id] = epoch.ordinal
        if genesis(epoch.device, epoch.public_key, epoch.id, epoch.parent_head) != epoch.genesis:
            raise _Found(Broken(epoch.id, 0, "the genesis does not follow from device, key, epoch and parent"))
        if epoch.anchor.seq == 0 and epoch.anchor.hash != epoch.genesis:
            raise _Found(Broken(epoch.id, 0, "the chain does not start at the genesis"))
        marks = _marks(connection, epoch)
        self._meets(marks)
        while found := rows.page(connection, epoch.ordinal, self.head.seq):
            if stop():
                raise _Stopped
            for seq, payload, kept in found:
                self._link(seq, payload, kept)
                self._meets(marks)
                self._is_indexed(connection, epoch.ordinal, payload)
        if self.head != epoch.head:
            raise _Found(Broken(epoch.id, self.head.seq + 1, f"missing: the head row says {epoch.head.seq} rows"))
        self.epochs += 1

    def file(self, connection: sqlite3.Connection) -> None:
        self.id = ""
        for ordinal, seq in connection.execute("SELECT epoch, seq FROM sighting WHERE voided <> 0"):
            if (ordinal, seq) not in self._voided:
                epoch = next((id_ for id_, number in self._ordinals.items() if number == ordinal), "")
                raise _Found(Broken(epoch, seq, "the index has it as voided, and no event voids it"))
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise _Found(Broken("", 0, f"SQLite finds the file damaged: {said}"))

    def _link(self, seq: int, payload: bytes, kept: bytes) -> None:
        expected = self.head.seq + 1
        if seq != expected:
            raise _Found(Broken(self.id, expected, "missing"))
        own = extend(self.head.hash, payload)
        if own != kept:
            raise _Found(Broken(self.id, seq, "its bytes are not those that were hashed"))
        self.head = Head(seq, own)
        self.rows += 1

    def _meets(self, marks: Mapping[int, Sequence[tuple[str, bytes]]]) -> None:
        for what, own in marks.get(self.head.seq, ()):
            if own != self.head.hash:
                raise _Found(Broken(self.id, self.head.seq, f"its hash is not that of the {what}"))

    def _is_indexed(self, connection: sqlite3.Connection, ordinal: int, payload: bytes) -> None:
        try:
            event = decode(payload)
        except Unreadable:
            return  # a later version made it
        if isinstance(event, Void):
            void = (event.person, self._ordinals.get(event.void_epoch), event.void_seq)
            self._has_index(connection, void, "voided", [(1,), None])  # None: nothing was there to be voided
            self._voided.add((void[1] or 0, event.void_seq))
        elif isinstance(event, Sighting) and event.person:
            key = (event.person, ordinal, self.head.seq)
            self._has_index(connection, key, "session, service_date", [(event.session, event.service_date)])

    def _has_index(
        self, connection: sqlite3.Connection, key: tuple[object, ...], columns: str, expected: Sequence[object]
    ) -> None:
        query = f"SELECT {columns} FROM sighting WHERE person = ? AND epoch = ? AND seq = ?"  # noqa: S608
        if connection.execute(query, key).fetchone() not in expected:
            raise _Found(Broken(self.id, self.head.seq, "the index of sightings tells otherwise than the event"))


def _marks(connection: sqlite3.Connection, epoch: EpochRow) -> Mapping[int, Sequence[tuple[str, bytes]]]:
    """Numbers at which the chain must have a hash that was noted elsewhere."""
    marks = {epoch.acked.seq: [("acknowledged head", epoch.acked.hash)]}
    for seq, own in connection.execute("SELECT seq, hash FROM receipt WHERE epoch = ?", (epoch.ordinal,)):
        marks.setdefault(seq, []).append(("receipt", own))
    return marks
