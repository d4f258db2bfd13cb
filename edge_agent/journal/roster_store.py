"""The roster in force: whole or not at all.

A whole roster is compared with the one that is here and only the differences are written, because a scan that
happens meanwhile waits for the same connection.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from edge_agent.journal.errors import STORE_ERRORS, RosterMismatch
from edge_agent.journal.store import Store, connect_read_only
from sync.contract.event import PersonId
from sync.contract.roster import Deleted, Page, Record, from_json, record_type, to_json
from sync.contract.wire import read_time, time_text

VERSION = "roster_version"
CONFIRMED_AT = "roster_confirmed_at"

_Key = tuple[str, str]  # type, id


@dataclass(frozen=True, slots=True)
class RosterChange:
    """What a newer roster brought. `people` and `credentials`: how many are in force now."""

    version: int
    records_written: int
    records_deleted: int
    people: int
    credentials: int
    forgotten: Mapping[PersonId, int] = field(default_factory=dict)  # whose palms were deleted, and how many samples


@dataclass(frozen=True, slots=True)
class _Difference:
    written: dict[_Key, bytes]
    deleted: set[_Key]
    whole: bool


def joined(pages: Sequence[Page], school: str, version: int) -> _Difference:
    """What these pages say together. Raises `RosterMismatch` unless they are one complete answer to `version`."""
    if not pages:
        raise RosterMismatch("a roster of no pages; ask for it again")
    first, last = pages[0], pages[-1]
    same = {(page.school, page.since, page.version, page.whole) for page in pages}
    if len(same) != 1 or last.more or not all(page.more for page in pages[:-1]):
        raise RosterMismatch("these pages are not one roster from first to last; ask for it again")
    if first.school != school:
        raise RosterMismatch(f"a roster of school {first.school}, this kiosk stands in {school}; register it anew")
    if not first.whole and first.since != version:
        raise RosterMismatch(
            f"changes since version {first.since}, version {version} is here; ask for the whole roster"
        )
    written: dict[_Key, bytes] = {}
    deleted: set[_Key] = set()
    for page in pages:
        for change in page.changes:
            if isinstance(change, Deleted):
                written.pop((change.of, change.id), None)
                deleted.add((change.of, change.id))
            else:
                key = (record_type(change), change.id)
                deleted.discard(key)
                written[key] = to_json(change)
    return _Difference(written, deleted, first.whole)


def replace(
    connection: sqlite3.Connection, pages: Sequence[Page], change: _Difference, confirmed_at: datetime
) -> RosterChange:
    """Bring the difference into force, inside the caller's transaction."""
    written, deleted = change.written, change.deleted
    if change.whole:
        here = {
            (type_, id_): record for type_, id_, record in connection.execute("SELECT type, id, record FROM roster")
        }
        deleted = here.keys() - written.keys()
        written = {key: record for key, record in written.items() if here.get(key) != record}
    gone = connection.executemany("DELETE FROM roster WHERE type = ? AND id = ?", deleted).rowcount
    connection.executemany(
        "INSERT INTO roster (type, id, record) VALUES (?, ?, ?)"
        " ON CONFLICT (type, id) DO UPDATE SET record = excluded.record",
        ((type_, id_, record) for (type_, id_), record in written.items()),
    )
    version = pages[0].version
    set_state(connection, {VERSION: str(version), CONFIRMED_AT: time_text(confirmed_at)})
    counts = dict(connection.execute("SELECT type, count(*) FROM roster GROUP BY type"))
    return RosterChange(
        version=version,
        records_written=len(written),
        records_deleted=max(gone, 0),
        people=counts.get("person", 0),
        credentials=counts.get("credential", 0),
    )


def records(store: Store) -> list[Record]:
    """Every record. Raises `RosterMismatch` when one cannot be read: only a whole roster helps then."""
    try:
        return [from_json(bytes(record)) for (record,) in store.read("SELECT record FROM roster ORDER BY type, id")]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RosterMismatch(
            f"a record of the roster here cannot be read ({error}); ask for the whole roster"
        ) from error


def rescue(path: Path, school: str) -> tuple[Page, datetime] | None:
    """The roster of a journal that was set aside, as one whole page, and when it was confirmed; None if any is unread.

    The chain does not vouch for it, but SQLite and JSON do, and the children of a damaged kiosk eat, too.
    """
    try:
        with closing(connect_read_only(path)) as connection:
            found = connection.execute("SELECT record FROM roster ORDER BY type, id").fetchall()
            marks = dict(connection.execute("SELECT key, value FROM state").fetchall())
        page = Page(
            school=school,
            since=0,
            version=int(marks[VERSION]),
            changes=tuple(from_json(bytes(record)) for (record,) in found),
            whole=True,
        )
        return page, read_time(marks[CONFIRMED_AT])
    except (*STORE_ERRORS, msgspec.DecodeError, ValueError, KeyError):
        return None


def version(store: Store) -> int:
    return int(state(store, VERSION) or 0)


def confirmed_at(store: Store) -> datetime | None:
    text = state(store, CONFIRMED_AT)
    return read_time(text) if text else None


def state(store: Store, key: str) -> str | None:
    found = store.read("SELECT value FROM state WHERE key = ?", (key,))
    return str(found[0][0]) if found else None


def set_state(connection: sqlite3.Connection, values: dict[str, str]) -> None:
    rows: Iterable[tuple[str, str]] = values.items()
    connection.executemany(
        "INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", rows
    )
