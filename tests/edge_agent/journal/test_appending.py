"""A commit whose outcome nobody knows: the row is there once, or the staff's word stands and it does not count."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_agent.journal.appending import Appender
from edge_agent.journal.ballast import Ballast
from edge_agent.journal.epochs import LoadedEpochs
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.own_events import OwnEvents
from edge_agent.journal.store import Store, connect
from edge_agent.journal.verify import verify_journal
from sync.contract.event import Event, PersonId, Void, decode
from tests.edge_agent.journal.samples import DAY, KIOSK, StandingClock, build_entry, open_journal


@dataclass
class FaultyDisk:
    """A disk that fails in the middle of a commit, after or before the rows have reached it."""

    commits_fail: int = 0  # so many of the next commits
    rows_arrive: bool = True  # of a commit that fails
    can_be_opened: bool = True

    def connect(self, path: Path) -> sqlite3.Connection:
        if not self.can_be_opened:
            raise io_error()
        connection = connect(path)
        connection.close()
        faulty = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=FaultyConnection)
        faulty.disk = self
        return faulty


class FaultyConnection(sqlite3.Connection):
    disk: FaultyDisk

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.disk.commits_fail:
            self.disk.commits_fail -= 1
            super().execute("COMMIT" if self.disk.rows_arrive else "ROLLBACK")
            raise io_error()
        return super().execute(sql, parameters)  # type: ignore[arg-type]


def io_error() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    return error


@contextmanager
def appender_on(path: Path, disk: FaultyDisk) -> Iterator[Appender]:
    open_journal(path).close()
    epochs = LoadedEpochs()
    store = Store(path, Ballast(path.with_name("ballast"), 0), reload=epochs.load, connect=disk.connect)
    store.open(prepare=epochs.load)
    try:
        yield Appender(store, epochs, OwnEvents(KIOSK.school, StandingClock()))
    finally:
        store.close()


def events_in(path: Path) -> list[Event]:
    with open_journal(path) as journal:
        return [decode(row.payload) for row in reversed(journal.recent(100))]


def counts(path: Path, person: str) -> bool:
    """Returns if this person has an entry that stands."""
    with open_journal(path) as journal:
        return any(not sighting.voided for sighting in journal.earlier_sightings(PersonId(person), DAY))


def test_a_failed_commit_whose_rows_arrived_is_not_written_twice(tmp_path: Path) -> None:
    path, disk = tmp_path / "j.db", FaultyDisk()
    calls: list[int] = []

    def work(_: sqlite3.Connection) -> int:
        calls.append(1)
        return len(calls)

    with appender_on(path, disk) as appender:
        disk.commits_fail = 1
        result, places = appender.append_with(work, lambda _: [build_entry(1), build_entry(2)])
        assert (result, [place.seq for place in places]) == (1, [1, 2])
        assert appender.append_events([build_entry(3)])[0].seq == 3
    assert events_in(path) == [build_entry(1), build_entry(2), build_entry(3)]
    assert verify_journal(path).whole


def test_a_failed_commit_whose_rows_did_not_arrive_is_written_again(tmp_path: Path) -> None:
    path, disk = tmp_path / "j.db", FaultyDisk(rows_arrive=False)
    with appender_on(path, disk) as appender:
        disk.commits_fail = 1
        assert appender.append_events([build_entry(1)])[0].seq == 1
    assert events_in(path) == [build_entry(1)]


def test_an_append_that_fails_twice_keeps_nothing(tmp_path: Path) -> None:
    path, disk = tmp_path / "j.db", FaultyDisk(rows_arrive=False)
    with appender_on(path, disk) as appender:
        disk.commits_fail = 2
        with pytest.raises(JournalUnwritable):
            appender.append_events([build_entry(1)])
        assert appender.append_events([build_entry(2)])[0].seq == 1
    assert events_in(path) == [build_entry(2)]


@pytest.mark.parametrize("rows_arrive", [True, False])
def test_a_doubted_commit_counts_for_nobody(tmp_path: Path, rows_arrive: bool) -> None:
    """The disk fails in the commit and cannot be read again: "not recorded" is said, and the staff count by hand.

    When the disk comes back with the rows on it, the next append voids them, before its own event.
    """
    path, disk = tmp_path / "j.db", FaultyDisk(rows_arrive=rows_arrive)
    with appender_on(path, disk) as appender:
        disk.commits_fail, disk.can_be_opened = 1, False
        with pytest.raises(JournalUnwritable):
            appender.append_events([build_entry(1, "u1"), build_entry(2, "u2")])
        disk.can_be_opened = True
        (place,) = appender.append_events([build_entry(3, "u3")])
    assert [counts(path, person) for person in ("u1", "u2", "u3")] == [False, False, True]
    voids = [event for event in events_in(path) if isinstance(event, Void)]
    assert [(build_void.person, build_void.void_seq) for build_void in voids] == (
        [("u1", 1), ("u2", 2)] if rows_arrive else []
    )
    assert place.seq == (5 if rows_arrive else 1)
    assert verify_journal(path).whole


def test_doubt_lasts_until_the_disk_takes_an_event_again(tmp_path: Path) -> None:
    path, disk = tmp_path / "j.db", FaultyDisk()
    with appender_on(path, disk) as appender:
        disk.commits_fail, disk.can_be_opened = 1, False
        for event in (build_entry(1, "u1"), build_entry(2, "u2")):
            with pytest.raises(JournalUnwritable):
                appender.append_events([event])
        disk.can_be_opened, disk.rows_arrive, disk.commits_fail = True, False, 2
        with pytest.raises(JournalUnwritable):
            appender.append_events([build_entry(3, "u3")])
        assert appender.append_events([build_entry(4, "u4")])[0].seq == 3
        assert appender.append_events([build_entry(5, "u5")])[0].seq == 4
    assert [counts(path, f"u{number}") for number in range(1, 6)] == [False, False, False, True, True]
    assert [type(event).__name__ for event in events_in(path)] == ["Entry", "Void", "Entry", "Entry"]


def test_an_event_that_is_too_long_takes_the_others_with_it(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    events: list[Event] = [build_entry(1), build_entry(2, note="x" * 5_000)]
    with appender_on(path, FaultyDisk()) as appender, pytest.raises(ValueError, match="can be kept"):
        appender.append_events(events)
    assert events_in(path) == []
