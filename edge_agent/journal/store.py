"""The one read-write connection to a journal's file: its process lock, its transactions, and what follows a failure.

SQLite before 3.51.3 can corrupt a WAL that two connections write or checkpoint at once, and kiosks have older ones.
So one process holds the lock file, and in that process one connection writes, under one thread lock. Others may read.

A write is tried twice. Between the two tries:
- disk full: the ballast is given up and the WAL folded into the file;
- anything else, an I/O error above all: the connection is closed and opened again, since after a failed write or
  fsync only the file says what it holds. `reload` then reads anew what the owner had in memory.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar
from urllib.parse import quote

from edge_agent.journal.ballast import Ballast
from edge_agent.journal.damage.wal_file import mend_wal
from edge_agent.journal.errors import (
    STORE_ERRORS,
    JournalBusy,
    JournalError,
    JournalUnwritable,
    is_damage,
    sqlite_name,
    translate_store_error,
)

T = TypeVar("T")

BUSY_MS = 5_000  # only a reader that recovers the WAL after a crash can make us wait
CACHE_KIB = 1024  # an append and the rules' questions touch a few pages; half of SQLite's own size is plenty
WAL_BYTES_MAX = 8 * 1024 * 1024  # what a folded WAL file may keep on disk


class ProcessLock:
    """The lock on `<journal>.lock`, held as long as this process lives; the file names its pid.

    The file is never removed: another process may have opened it just before, and would then lock a file without name.

    A child process may inherit it: the lock is free when both have released it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.write_pid()

    @classmethod
    def take(cls, journal: Path) -> Self:
        """Takes the lock of the journal at this path.

        Raises `JournalBusy`, and `JournalUnwritable` where the file cannot be made.
        """
        path = journal.with_name(journal.name + ".lock")
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalUnwritable(
                f"{path}: {error.strerror}; run as the agent's user, and see that its state folder is there"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise JournalBusy(
                f"{path}: the journal is in use by process {pid}; ask that one over its control socket, or stop it"
            ) from error
        return cls(descriptor)

    def write_pid(self) -> None:
        """Names this process in the file, for the message of whoever finds the journal busy."""
        with suppress(OSError):  # a full disk has no room for it; the lock holds without a name
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self.descriptor)


def connect(path: Path) -> sqlite3.Connection:
    """Returns the read-write connection, whose every commit is on the disk when it returns.

    Makes the file if there is none. Raises sqlite3.Error.
    """
    if not path.exists():
        # SQLite would make it readable to everybody, and it will hold card numbers.
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        sync_folder(path.parent)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    try:
        set_pragmas(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def set_pragmas(connection: sqlite3.Connection, path: Path) -> None:
    """Sets up a read-write connection to the journal at `path`. Raises sqlite3.Error, `JournalError` without a WAL."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise JournalError(f"{path}: no WAL on this file system ({mode}); keep the journal on a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Returns a connection that only reads, beside the writer or without one.

    Never `immutable`: such a connection would not see the WAL. Raises sqlite3.Error, also for an empty file with a
    WAL, which SQLite would delete.
    """
    if path.exists() and path.stat().st_size == 0 and path.with_name(path.name + "-wal").exists():
        raise sqlite3.DatabaseError(f"{path} is empty")
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_MS / 1000,
    )


def _is_full(error: Exception) -> bool:
    return sqlite_name(error) == "SQLITE_FULL"


def sync_folder(folder: Path) -> None:
    """Puts the folder's list of files on the disk: a new file's name is lost with the power before that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fold(connection: sqlite3.Connection) -> bool:
    """Folds the WAL into the file without waiting for readers; returns False when one was in the way.

    A reader that walks the whole chain takes seconds, and a child may be at the kiosk.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return not busy


class Store:
    """The journal's way to its file, for reading and writing.

    `reload` is called whenever the file was opened again after a failure.
    """

    def __init__(
        self,
        path: Path,
        ballast: Ballast,
        reload: Callable[[sqlite3.Connection], None],
        connect: Callable[[Path], sqlite3.Connection] = connect,
    ) -> None:
        self.path = path
        self._connect_to = connect
        self.ballast = ballast
        self._reload = reload
        self.lock = threading.RLock()
        self._process_lock = ProcessLock.take(path)
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    def open(
        self,
        prepare: Callable[[sqlite3.Connection], None],
        migrate: Callable[[Path, ProcessLock], None] = lambda _path, _lock: None,
    ) -> None:
        """Mends the WAL, calls `migrate`, connects and calls `prepare`.

        `migrate` comes first because it may write, and only one connection may. Even to open a journal takes room, for
        the WAL's index: on a full disk the ballast makes it, and everything is tried once more.

        Raises `JournalDamaged`, `JournalUnwritable` when the disk does not let us, and what the two raise.
        """
        try:
            self._connect(prepare, migrate)
        except (*STORE_ERRORS, OSError, JournalUnwritable) as error:
            self._abandon()
            if is_damage(error) or not self.ballast.give_up():
                self._raise_translated(error)
        else:
            return
        try:
            self._connect(prepare, migrate)
        except (*STORE_ERRORS, OSError) as error:
            self._abandon()
            self._raise_translated(error)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does `work` in one transaction that is on the disk when this returns; returns its result.

        `work` may be called twice. Raises `JournalUnwritable` when nothing of it was kept, `JournalDamaged`, and what
        `work` raises.
        """
        return self._try_twice(lambda: self._attempt(work))

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does `work`, which only reads, and returns its result.

        `work` must leave no cursor open: that would keep the WAL from being folded.
        """
        return self._try_twice(lambda: work(self._connected()))

    def read(self, sql: str, arguments: Sequence[object] = ()) -> list[Any]:
        """Returns all rows of one query."""
        return self.run(lambda connection: connection.execute(sql, arguments).fetchall())

    def fold(self) -> bool:
        """Folds the WAL into the file and cuts it to nothing; returns False when a reader was in the way."""
        return self.run(_fold)

    def close(self) -> None:
        with self.lock:
            self._abandon()
            if not self._closed:
                self._closed = True
                self._process_lock.release()

    def _try_twice(self, action: Callable[[], T]) -> T:
        with self.lock:
            try:
                return action()
            except STORE_ERRORS as error:
                if is_damage(error):
                    self._raise_translated(error)
                self._mend(error)
            try:
                return action()
            except STORE_ERRORS as error:
                self._give_up_on(error)
                self._raise_translated(error)

    def _connect(
        self, prepare: Callable[[sqlite3.Connection], None], migrate: Callable[[Path, ProcessLock], None]
    ) -> None:
        mend_wal(self.path)
        migrate(self.path, self._process_lock)
        self._connection = self._connect_to(self.path)
        prepare(self._connection)

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connected()
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()  # does nothing where SQLite has already done it
            raise
        return result

    def _connected(self) -> sqlite3.Connection:
        if self._closed:
            raise JournalUnwritable(f"{self.path}: the journal was closed; start the agent again")
        if self._connection is None:
            self._reopen()
        assert self._connection is not None
        return self._connection

    def _reopen(self) -> None:
        def prepare(connection: sqlite3.Connection) -> None:
            # A commit whose fsync failed may be found in the WAL after all. Folding it syncs WAL and file, so that
            # what `reload` reads is on the disk and not only in the page cache.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._reload(connection)

        self._abandon()
        self.open(prepare)

    def _mend(self, error: Exception) -> None:
        try:
            if _is_full(error) and self._connection is not None:
                self.ballast.give_up()
                _fold(self._connection)
            else:
                self._reopen()
        except STORE_ERRORS as worse:
            self._give_up_on(worse)
            raise translate_store_error(self.path, worse) from error

    def _give_up_on(self, error: Exception) -> None:
        """Closes the connection, except on a full disk: that harms nothing, and what is there can still be read."""
        if not _is_full(error):
            self._abandon()

    def _abandon(self) -> None:
        """Closes the connection. Whatever SQLite did not report by then, the next opening finds out."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _raise_translated(self, error: Exception) -> NoReturn:
        if isinstance(error, JournalError):
            raise error
        raise translate_store_error(self.path, error) from error
