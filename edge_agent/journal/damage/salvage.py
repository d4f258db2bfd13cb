"""Reads what still holds out of a journal that was set aside.

What counts are the events that the ledger does not have, and the last ones whether it has them or not: from these the
rules know who has eaten. Events that the ledger has already are at the ledger; damage among them strands nothing.

First the last rows are read through SQLite, around the places that it cannot read: that takes a moment, and a child
may be waiting. Then every page of the file and its log is looked through for rows. In both the hash chain decides.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from edge_agent.journal.damage.carving import ReadPage, carve_deferred, carve_epochs, carve_events
from edge_agent.journal.damage.chain_proof import Candidates, SalvagedRow, SalvagedRows, choose_rows, find_runs
from edge_agent.journal.damage.mark import HeadMark, MarkedHead
from edge_agent.journal.damage.wal import read_pages
from edge_agent.journal.damage.wal_file import page_reader, read_page_bytes
from edge_agent.journal.epochs import EpochRow, read_epochs
from edge_agent.journal.errors import STORE_ERRORS
from edge_agent.journal.rows import PageRow
from edge_agent.journal.store import connect_read_only
from sync.contract.chain import Epoch, Hash, Head
from sync.contract.event import Sighting, UnreadableEvent, Void, decode

RECENT_ROWS_MAX = 5_000  # two full days of a large school
RECENT_DAYS = 2  # the rules look back so far
RECENT_SEARCHES_MAX = 5  # the rest is left to the whole salvage: a child may be waiting
HEAD_GAP_MAX = 100_000  # a head further behind the last row that was found is no head

SELECT_RANGE = """
    SELECT seq, CAST(payload AS BLOB), CAST(hash AS BLOB)
    FROM event WHERE epoch = ? AND seq BETWEEN ? AND ? ORDER BY seq
"""


@dataclass(frozen=True, slots=True)
class SalvagedJournal:
    """The part of a damaged journal's last epoch that still holds.

    `epoch` None: not even that can be read; `lost` is then what the mark beside it tells of.
    """

    path: Path
    epoch: EpochRow | None = None
    lost: MarkedHead | None = None
    acked: Head | None = None  # as far as its own rows bear it out; None: nothing is known to be acknowledged
    rows: tuple[SalvagedRow, ...] = ()  # not acknowledged, or recent
    holes: tuple[tuple[int, int], ...] = ()  # first and last number of those that are missing and not acknowledged
    deferred: tuple[tuple[Epoch, SalvagedRow], ...] = ()  # of any epoch: the ledger has only their hashes


def read_recent(path: Path, utc: datetime | None) -> SalvagedJournal:
    """Returns the last rows of the journal at `path` that the rules ask about, without its holes.

    `utc` None: the clock is not trusted, and the last rows count as recent whatever their date.
    """
    try:
        with closing(connect_read_only(path)) as connection:
            epoch = read_epochs(connection)[-1]
            candidates = Candidates()
            first = max(epoch.anchor.seq + 1, epoch.head.seq - RECENT_ROWS_MAX)
            for seq, payload, row_hash in read_around_damage(connection, epoch.ordinal, first, epoch.head.seq):
                candidates.add(seq, payload, row_hash)
    except (*STORE_ERRORS, IndexError):
        return read_journal(path, utc)
    if not candidates.by_seq and epoch.head.seq > epoch.anchor.seq:
        return read_journal(path, utc)
    start = epoch.anchor if first == epoch.anchor.seq + 1 else Head(first - 1, Hash(b""))
    found = choose_rows(candidates, start, epoch.head.seq, searches_max=RECENT_SEARCHES_MAX)
    return SalvagedJournal(path, epoch, rows=_pick(found, epoch.head, utc))


def read_journal(path: Path, utc: datetime | None, *, beat: Callable[[], None] = lambda: None) -> SalvagedJournal:
    """Returns every row of the last epoch that is not acknowledged, and the recent ones.

    Each page of the file and of its WAL is looked through; `beat` is called now and then. Raises OSError.
    """
    pages = _Pages(path)
    pages.carve(beat)
    marked = HeadMark(path).read()  # it lies beside the journal, and may tell of rows that are not even missed there
    epoch = pages.current
    if epoch is None:
        return SalvagedJournal(path, lost=marked)
    whole = _read_epoch(pages, epoch, marked)
    start = (whole.acked or epoch.anchor).seq
    last_seq = max([*(row.seq for row in whole.rows), *(last for _, last in whole.holes)], default=epoch.anchor.seq)
    found = SalvagedRows(whole.rows, whole.holes)
    recent = {row.seq: row for row in _pick(found, Head(last_seq, epoch.head.hash), utc)}
    unsent = {row.seq: row for row in whole.rows if row.seq > start}
    rows = tuple(sorted((recent | unsent).values(), key=lambda row: row.seq))
    return replace(whole, rows=rows, deferred=tuple(pages.choose_deferred()))


def read_all_epochs(path: Path) -> list[SalvagedJournal]:
    """Returns every row of every epoch, the last epoch first: for a ledger that may lack any. Raises OSError."""
    pages = _Pages(path)
    pages.carve(lambda: None)
    marked = HeadMark(path).read()
    return [_read_epoch(pages, pages.epochs[ordinal], marked) for ordinal in sorted(pages.epochs, reverse=True)]


def _read_epoch(pages: "_Pages", epoch: EpochRow, marked: MarkedHead | None) -> SalvagedJournal:
    """Returns every row of an epoch, and what is missing behind its acknowledged head."""
    candidates = pages.events.get(epoch.ordinal, Candidates())
    acked = _find_acked(epoch, candidates)
    last_seq = candidates.last_seq
    if last_seq <= epoch.head.seq <= last_seq + HEAD_GAP_MAX:
        last_seq = epoch.head.seq
    if marked is not None and marked.epoch == epoch.id and marked.head.seq <= last_seq + HEAD_GAP_MAX:
        last_seq = max(last_seq, marked.head.seq)
    whole = choose_rows(candidates, epoch.anchor, last_seq)
    start = (acked or epoch.anchor).seq
    missing = (seq for first, last in whole.holes for seq in range(max(first, start + 1), last + 1))
    return SalvagedJournal(pages.path, epoch, None, acked, whole.rows, tuple(find_runs(missing)))


def read_around_damage(connection: sqlite3.Connection, ordinal: int, first: int, last: int) -> Iterator[PageRow]:
    """Yields the rows of these numbers that SQLite can read; a range that it cannot is halved, down to one row."""
    if first > last:
        return
    try:
        rows = connection.execute(SELECT_RANGE, (ordinal, first, last)).fetchall()
    except STORE_ERRORS:
        if first < last:
            middle = (first + last) // 2
            yield from read_around_damage(connection, ordinal, first, middle)
            yield from read_around_damage(connection, ordinal, middle + 1, last)
        return
    yield from rows


def _pick(found: SalvagedRows, head: Head, utc: datetime | None) -> tuple[SalvagedRow, ...]:
    """Returns the proven rows that the rules may ask about."""
    since = "" if utc is None else (utc - timedelta(days=RECENT_DAYS)).date().isoformat()
    return tuple(
        row
        for row in found.rows
        if row.proven and row.seq > head.seq - RECENT_ROWS_MAX and _is_recent(row.payload, since)
    )


def _is_recent(payload: bytes, since: str) -> bool:
    try:
        event = decode(payload)
    except UnreadableEvent:
        return False
    match event:
        case Sighting():
            return event.person != "" and event.service_date >= since
        case Void():
            return event.at[:10] >= since
        case _:
            return False


def _find_acked(epoch: EpochRow, candidates: Candidates) -> Head | None:
    """Returns the acknowledged head where a row, the anchor or the genesis bears it out; else None.

    To send an event again is harmless; to take one for sent because a bit was flipped is not.
    """
    acked = epoch.acked
    if acked in (epoch.anchor, Head(0, epoch.genesis)):
        return acked
    known = candidates.by_seq.get(acked.seq, [])
    return acked if any(row_hash == acked.hash for _, row_hash in known) else None


@dataclass(slots=True)
class _Pages:
    """Every page of a journal's file and of its log."""

    path: Path
    epochs: dict[int, EpochRow] = field(default_factory=dict)  # by ordinal
    deferred: set[tuple[int, int]] = field(default_factory=set)  # ordinal and number
    events: dict[int, Candidates] = field(default_factory=dict)  # by the epoch's ordinal

    @property
    def current(self) -> EpochRow | None:
        """Returns the last epoch; None where none can be read."""
        return self.epochs[max(self.epochs)] if self.epochs else None

    def choose_deferred(self) -> Iterator[tuple[Epoch, SalvagedRow]]:
        """Yields the proven rows of deferred events, each with its epoch."""
        for ordinal, seq in sorted(self.deferred):
            epoch, candidates = self.epochs.get(ordinal), self.events.get(ordinal, Candidates())
            if epoch is None or seq not in candidates.by_seq:
                continue
            start = epoch.anchor if seq - 1 == epoch.anchor.seq else Head(seq - 2, Hash(b""))
            yield from ((epoch.id, row) for row in choose_rows(candidates, start, seq).rows if row.seq == seq)

    def carve(self, beat: Callable[[], None]) -> None:
        wal = self.path.with_name(self.path.name + "-wal")
        log = wal.read_bytes() if wal.exists() else b""
        with self.path.open("rb") as file:
            page_bytes = read_page_bytes(file.read(18))
            from_file = page_reader(file.fileno(), page_bytes)
            number = 0
            while page := from_file(number := number + 1):
                self._take_rows(page, from_file)
                if number % 256 == 0:
                    beat()
            newest: dict[int, bytes] = {}
            for number, page in read_pages(log, page_bytes):
                newest[number] = page
                self._take_rows(page, lambda wanted: newest.get(wanted) or from_file(wanted))

    def _take_rows(self, page: bytes, read_page: ReadPage) -> None:
        self.epochs.update((epoch.ordinal, epoch) for epoch in carve_epochs(page, read_page))
        self.deferred.update(carve_deferred(page, read_page))
        for row in carve_events(page, read_page):
            self.events.setdefault(row.ordinal, Candidates()).add(row.seq, row.payload, row.hash)
