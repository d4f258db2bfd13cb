"""The roster in force: whole or not at all. What it no longer has is overwritten, in the file and in the WAL.

A whole roster is compared with the one in force and only the differences are written, because a scan that comes
meanwhile waits for the same connection.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from edge_agent.journal.errors import STORE_ERRORS, JournalUnwritable, RosterMismatch
from edge_agent.journal.marks import (
    ROSTER_CONFIRMED,
    ROSTER_KNOWS,
    ROSTER_VERSION,
    MarkTable,
    read_all_marks,
    write_marks,
)
from edge_agent.journal.palm_table import SealedPalmTable
from edge_agent.journal.sealed_palms import delete_palms_without_consent, overwriting_deletions
from edge_agent.journal.store import Store, connect_read_only
from edge_agent.journal.strangers import forget_strangers
from sync.contract.event import PersonId
from sync.contract.roster import LATER_TYPES, DeletedRecord, Record, RosterPage, from_json, record_type, to_json
from sync.contract.wire import read_time, time_text

# In the order of the key, so that a roster is always read in the same order.
SELECT_RECORDS = "SELECT record FROM roster ORDER BY type, id"
# A whole roster is compared with these.
SELECT_RECORDS_BY_KEY = "SELECT type, id, record FROM roster"
UPSERT_RECORD = """
    INSERT INTO roster (type, id, record) VALUES (?, ?, ?) ON CONFLICT (type, id) DO UPDATE SET record = excluded.record
"""
DELETE_RECORD = "DELETE FROM roster WHERE type = ? AND id = ?"
SELECT_COUNTS = "SELECT type, count(*) FROM roster GROUP BY type"

_RecordKey = tuple[str, str]  # type, id


@dataclass(frozen=True, slots=True)
class RosterChange:
    """The effect of a newer roster."""

    version: int
    records_written: int
    records_deleted: int
    people: int  # in force from now on
    credentials: int  # in force from now on
    forgotten: Mapping[PersonId, int] = field(default_factory=dict)  # samples deleted, by person


@dataclass(frozen=True, slots=True)
class RosterDifference:
    """The records that the pages of one roster version set and delete."""

    written: dict[_RecordKey, bytes]
    deleted: set[_RecordKey]
    whole: bool  # every record in force that is not among `written` is to be deleted, too


class RosterTable:
    """The roster in force, and how a newer one replaces it."""

    def __init__(self, store: Store, marks: MarkTable, palms: SealedPalmTable, school: str) -> None:
        self._store = store
        self._marks = marks
        self._palms = palms
        self._school = school

    def version(self) -> int:
        """Returns the version in force; 0: none yet."""
        return self._marks.roster_version()

    def pulled_version(self) -> int:
        """Returns the version to ask for changes to; 0 where it was fetched by an agent that knew fewer record types,
        so that all of it is fetched once more.
        """
        return self.version() if self._marks.read(ROSTER_KNOWS) == ",".join(LATER_TYPES) else 0

    def confirmed_at(self) -> datetime | None:
        """Returns when the ledger last said that there is nothing newer; None: never."""
        text = self._marks.read(ROSTER_CONFIRMED)
        return read_time(text) if text else None

    def records(self) -> list[Record]:
        """Returns every record. Raises `RosterMismatch` when one cannot be read: only a whole roster helps then."""
        texts = [bytes(text) for (text,) in self._store.read(SELECT_RECORDS)]
        texts.reverse()
        records = []
        try:
            while texts:
                records.append(from_json(texts.pop()))  # each text is let go at once: a large school has megabytes
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RosterMismatch(
                f"a record of the roster here cannot be read ({error}); ask for the whole roster"
            ) from error
        return records

    def apply(self, pages: Sequence[RosterPage], confirmed_at: datetime) -> RosterChange:
        """Brings all pages of one version into force, or nothing of them.

        In the same transaction the palms of people who left, or whose consent ended, are deleted, and a receipt for
        each person is appended. Raises `RosterMismatch`; then the old roster stays in force.
        """
        with self._store.lock:
            difference = join_pages(pages, self._school, self.version())

            def work(connection: sqlite3.Connection) -> tuple[RosterChange, Mapping[PersonId, int]]:
                change = write_difference(connection, pages[0].version, difference, confirmed_at)
                return change, delete_palms_without_consent(connection)

            change, forgotten = self._palms.write_deletion(work, pages[0].version)
            if change.records_deleted and not forgotten:  # with palms it was done
                with suppress(JournalUnwritable):  # or a reader is in the way: then upkeep does it at its next round
                    self._store.fold()
            return replace(change, forgotten=forgotten)

    def confirm(self, confirmed_at: datetime) -> None:
        """Notes that the ledger has nothing newer."""
        self._marks.write({ROSTER_CONFIRMED: time_text(confirmed_at)})


def join_pages(pages: Sequence[RosterPage], school: str, version: int) -> RosterDifference:
    """Returns the records that these pages set and delete together.

    Raises `RosterMismatch` unless they are one complete answer for this school to a kiosk that has `version`.
    """
    if not pages:
        raise RosterMismatch("a roster of no pages; ask for it again")
    first, last = pages[0], pages[-1]
    heads = {(page.school, page.since, page.version, page.whole) for page in pages}
    if len(heads) != 1 or last.more or not all(page.more for page in pages[:-1]):
        raise RosterMismatch("these pages are not one roster from first to last; ask for it again")
    if first.school != school:
        raise RosterMismatch(f"a roster of school {first.school}, this kiosk stands in {school}; register it anew")
    if not first.whole and first.since != version:
        raise RosterMismatch(
            f"changes since version {first.since}, version {version} is here; ask for the whole roster"
        )
    written: dict[_RecordKey, bytes] = {}
    deleted: set[_RecordKey] = set()
    for page in pages:
        for change in page.changes:
            if isinstance(change, DeletedRecord):
                written.pop((change.deleted_type, change.id), None)
                deleted.add((change.deleted_type, change.id))
            else:
                key = (record_type(change), change.id)
                deleted.discard(key)
                written[key] = to_json(change)
    return RosterDifference(written, deleted, first.whole)


def write_difference(
    connection: sqlite3.Connection, version: int, difference: RosterDifference, confirmed_at: datetime
) -> RosterChange:
    """Brings the difference into force, inside the caller's transaction."""
    written, deleted = difference.written, difference.deleted
    if difference.whole:
        in_force = {(type_, id_): record for type_, id_, record in connection.execute(SELECT_RECORDS_BY_KEY).fetchall()}
        deleted = in_force.keys() - written.keys()
        written = {key: record for key, record in written.items() if in_force.get(key) != record}
    with overwriting_deletions(connection):  # names and cards: a former state of a record, too
        deleted_count = connection.executemany(DELETE_RECORD, deleted).rowcount
        connection.executemany(UPSERT_RECORD, ((type_, id_, record) for (type_, id_), record in written.items()))
        forget_strangers(connection)
    write_marks(connection, {
        ROSTER_VERSION: str(version), ROSTER_CONFIRMED: time_text(confirmed_at), ROSTER_KNOWS: ",".join(LATER_TYPES),
    })  # fmt: skip
    counts = dict(connection.execute(SELECT_COUNTS).fetchall())
    return RosterChange(
        version=version,
        records_written=len(written),
        records_deleted=max(deleted_count, 0),
        people=counts.get("person", 0),
        credentials=counts.get("credential", 0),
    )


def rescue_roster(path: Path, school: str) -> tuple[RosterPage, datetime] | None:
    """Reads the roster of a journal that was set aside: one whole page, and when it was confirmed.

    Returns None if any of it cannot be read. The chain does not vouch for it, but SQLite and JSON do, and the children
    of a damaged kiosk eat, too.
    """
    try:
        with closing(connect_read_only(path)) as connection:
            records = connection.execute(SELECT_RECORDS).fetchall()
            marks = read_all_marks(connection)
        page = RosterPage(
            school=school,
            since=0,
            version=int(marks[ROSTER_VERSION]),
            changes=tuple(from_json(bytes(record)) for (record,) in records),
            whole=True,
        )
        return page, read_time(marks[ROSTER_CONFIRMED])
    except (*STORE_ERRORS, msgspec.DecodeError, ValueError, KeyError):
        return None
