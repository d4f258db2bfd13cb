"""Walks the whole chain and names the first row that is not what was appended.

It reads on a connection of its own, in one snapshot: it may run while the journal is being written, in the daemon's
background or from the command line. The chain shows what SQLite's own check does not: SQLite looks at pages, not at
bytes.
"""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge_agent.journal import schema
from edge_agent.journal.epochs import EpochRow, read_epochs
from edge_agent.journal.errors import STORE_ERRORS, JournalDamaged, is_damage, sqlite_name
from edge_agent.journal.rows import NO_HASH, read_page
from edge_agent.journal.sightings import NOBODY, find_place
from edge_agent.journal.store import connect_read_only
from sync.contract.chain import Epoch, Head, extend, genesis
from sync.contract.event import Carried, GuestMeals, Sighting, UnreadableEvent, Void, decode

_INTERRUPT_STEPS = 20_000  # of SQLite's machine, between two calls of `stop`

SELECT_VOIDED_SIGHTINGS = "SELECT epoch, seq FROM sighting WHERE voided <> 0"
SELECT_SIGHTING = "SELECT session, service_date FROM sighting WHERE person = ? AND epoch = ? AND seq = ?"
SELECT_SIGHTING_VOIDED = "SELECT voided FROM sighting WHERE person = ? AND epoch = ? AND seq = ?"
SELECT_RECEIPTS = "SELECT seq, hash FROM receipt WHERE epoch = ?"


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """The first place that does not hold. `--json` shows these names."""

    epoch: str  # empty: the file as such
    seq: int  # 0: the epoch as such
    what: str


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """The outcome of a walk along the whole chain. `--json` shows these names."""

    epochs: int
    rows: int  # walked
    broken: ChainBreak | None
    finished: bool = True  # False: it was stopped, and every row until then held

    @property
    def whole(self) -> bool:
        return self.finished and self.broken is None


class _Stopped(Exception):
    pass


class _ChainBroken(Exception):
    def __init__(self, chain_break: ChainBreak) -> None:
        super().__init__(chain_break)
        self.chain_break = chain_break


def verify_journal(
    path: Path,
    *,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ChainCheck:
    """Returns the verdict on the journal at `path`, which stays as it is. `stop` ends the walk when it returns True.

    `progress` is told, page by page, how many rows were walked and how many there are.

    Raises FileNotFoundError.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no journal here")
    walk = _ChainWalk()
    try:
        with closing(connect_read_only(path)) as connection:
            connection.set_progress_handler(lambda: int(stop()), _INTERRUPT_STEPS)
            connection.execute("BEGIN")
            schema.check(connection)
            epochs = read_epochs(connection)
            total = sum(max(0, epoch.head.seq - epoch.anchor.seq) for epoch in epochs)

            def is_stopped() -> bool:
                progress(walk.rows, total)
                return stop()

            for epoch in epochs:
                walk.check_epoch(connection, epoch, is_stopped)
            progress(walk.rows, total)
            walk.check_file(connection)
    except _ChainBroken as broken:
        return walk.verdict(broken.chain_break)
    except JournalDamaged as damage:
        return walk.verdict(ChainBreak("", 0, str(damage)))
    except _Stopped:
        return walk.verdict(None, finished=False)
    except STORE_ERRORS as error:
        if sqlite_name(error) == "SQLITE_INTERRUPT":
            return walk.verdict(None, finished=False)
        if is_damage(error):
            return walk.verdict(ChainBreak(walk.epoch, walk.head.seq + 1 if walk.epoch else 0, str(error)))
        raise
    return walk.verdict(None)


class _ChainWalk:
    """The place that the walk has reached. It raises `_ChainBroken` at the first place that does not hold."""

    def __init__(self) -> None:
        self.epochs = 0
        self.rows = 0
        self.epoch: Epoch | str = ""  # the one under way
        self.head = Head(0, NO_HASH)
        self._ordinals: dict[Epoch, int] = {}
        self._voided: set[tuple[int, int]] = set()

    def verdict(self, broken: ChainBreak | None, *, finished: bool = True) -> ChainCheck:
        return ChainCheck(self.epochs, self.rows, broken, finished)

    def check_epoch(self, connection: sqlite3.Connection, epoch: EpochRow, stop: Callable[[], bool]) -> None:
        self.epoch, self.head = epoch.id, epoch.anchor
        self._ordinals[epoch.id] = epoch.ordinal
        if genesis(epoch.device, epoch.public_key, epoch.id, epoch.parent_head) != epoch.genesis:
            raise self._break(0, "the genesis does not follow from device, key, epoch and parent")
        if epoch.anchor.seq == 0 and epoch.anchor.hash != epoch.genesis:
            raise self._break(0, "the chain does not start at the genesis")
        noted_hashes = _read_noted_hashes(connection, epoch)
        self._compare_noted_hashes(noted_hashes)
        while page := read_page(connection, epoch.ordinal, self.head.seq):
            if stop():
                raise _Stopped
            for seq, payload, row_hash in page:
                self._check_link(seq, payload, row_hash)
                self._compare_noted_hashes(noted_hashes)
                self._check_index(connection, epoch.ordinal, payload)
        if self.head != epoch.head:
            raise self._break(self.head.seq + 1, f"missing: the head row says {epoch.head.seq} rows")
        self.epochs += 1

    def check_file(self, connection: sqlite3.Connection) -> None:
        self.epoch = ""
        for ordinal, seq in connection.execute(SELECT_VOIDED_SIGHTINGS):
            if (ordinal, seq) not in self._voided:
                epoch = next((epoch for epoch, number in self._ordinals.items() if number == ordinal), "")
                raise _ChainBroken(ChainBreak(epoch, seq, "the index has it as voided, and no event voids it"))
        (report,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if report != "ok":
            raise self._break(0, f"SQLite finds the file damaged: {report}")

    def _break(self, seq: int, what: str) -> _ChainBroken:
        return _ChainBroken(ChainBreak(self.epoch, seq, what))

    def _check_link(self, seq: int, payload: bytes, row_hash: bytes) -> None:
        expected_seq = self.head.seq + 1
        if seq != expected_seq:
            raise self._break(expected_seq, "missing")
        expected_hash = extend(self.head.hash, payload)
        if expected_hash != row_hash:
            raise self._break(seq, "its bytes are not those that were hashed")
        self.head = Head(seq, expected_hash)
        self.rows += 1

    def _compare_noted_hashes(self, noted_hashes: Mapping[int, Sequence[tuple[str, bytes]]]) -> None:
        for name, noted_hash in noted_hashes.get(self.head.seq, ()):
            if noted_hash != self.head.hash:
                raise self._break(self.head.seq, f"its hash is not that of the {name}")

    def _check_index(self, connection: sqlite3.Connection, ordinal: int, payload: bytes) -> None:
        try:
            event = decode(payload)
        except UnreadableEvent:
            return  # a later version made it
        if isinstance(event, Carried) and event.old_epoch not in self._ordinals:
            payload = event.payload.encode()
            if b'"kind":"void"' in payload:
                self._check_index(connection, ordinal, payload)
        elif isinstance(event, Void):
            place = find_place(connection, Epoch(event.void_epoch), event.void_seq, self._ordinals)
            # None: there was no sighting to be voided.
            self._expect_in_index(connection, SELECT_SIGHTING_VOIDED, (event.person, *place), [(1,), None])
            self._voided.add((place[0] or 0, place[1]))
        elif isinstance(event, GuestMeals) or (isinstance(event, Sighting) and event.person):
            person = event.person if isinstance(event, Sighting) else NOBODY
            key = (person, ordinal, self.head.seq)
            self._expect_in_index(connection, SELECT_SIGHTING, key, [(event.session, event.service_date)])

    def _expect_in_index(
        self, connection: sqlite3.Connection, query: str, key: tuple[object, ...], expected: Collection[object]
    ) -> None:
        if connection.execute(query, key).fetchone() not in expected:
            raise self._break(self.head.seq, "the index of sightings tells otherwise than the event")


def _read_noted_hashes(connection: sqlite3.Connection, epoch: EpochRow) -> Mapping[int, Sequence[tuple[str, bytes]]]:
    """Returns the hashes that were noted outside the chain, with the name of each note, by their numbers."""
    noted_hashes = {epoch.acked.seq: [("acknowledged head", epoch.acked.hash)]}
    for seq, receipt_hash in connection.execute(SELECT_RECEIPTS, (epoch.ordinal,)):
        noted_hashes.setdefault(seq, []).append(("receipt", receipt_hash))
    return noted_hashes
