"""Connections to the ledger's database, which may be several machines of which one is the primary.

Under synchronous replication a commit waits until another machine has it, too. Somebody may cancel that wait; then
PostgreSQL returns as if all were well, and only a warning says that the transaction is on one machine alone. On a
`PrimaryConnection` that is a failure, whatever was running, so that no receipt goes out for what the next failover
takes away. The kiosk sends again, finds its events stored, and that answer waits in its turn.
"""

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import Diagnostic
from psycopg_pool import ConnectionPool

from sync.ledger.errors import DatabaseUnavailable
from sync.ledger.migrate import migrate

Pool = ConnectionPool[psycopg.Connection]

# A machine that vanishes without a word is noticed by these, where the URL does not say otherwise. Only the primary
# takes writes, and the ledger has no use for another.
_DEFAULTS: dict[str, Any] = {
    "target_session_attrs": "read-write",
    "connect_timeout": 3,  # seconds, for each of the machines
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
}
# The pool doubles its pauses between tries up to this, then begins anew with the next request: a new primary is met
# within some 2 s, however long there was none.
_RECONNECT_S = 4.0
_WAIT_INTERVAL_S = 0.1  # psycopg's: how soon Ctrl-C is noticed
_REPLICATION_WAIT = "SyncRepWaitForLSN"  # the function of PostgreSQL that warns; its words depend on the language


class NotReplicated(psycopg.OperationalError):
    """A transaction is committed here, and perhaps on no other machine."""


class PrimaryConnection(psycopg.Connection):
    """A connection on which a commit that was not replicated raises NotReplicated."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # psycopg's own, handed through
        self._is_unreplicated = False
        self.add_notice_handler(self._note_warning)

    def wait(self, gen: PQGen[RV], interval: float = _WAIT_INTERVAL_S, timeout: float | None = None) -> RV:
        """Returns what psycopg's own returns: everything that goes to the database passes here."""
        self._is_unreplicated = False
        result = super().wait(gen, interval, timeout)
        if self._is_unreplicated:
            raise NotReplicated("the wait for the standby was cancelled: committed on one machine alone")
        return result

    def _note_warning(self, diagnostic: Diagnostic) -> None:
        # An exception here would only be logged.
        self._is_unreplicated |= diagnostic.source_function == _REPLICATION_WAIT


def complete_url(database_url: str) -> str:
    """Returns the connection string with the ledger's defaults, where it says nothing else."""
    return make_conninfo("", **{**_DEFAULTS, **conninfo_to_dict(database_url)})


def connect_ledger(database_url: str) -> PrimaryConnection:
    """Returns an autocommit connection to the primary. Raises psycopg.OperationalError."""
    return PrimaryConnection.connect(complete_url(database_url), autocommit=True)


def prepare_database(url: str) -> None:
    """Brings the schema up to date. Raises DatabaseUnavailable when no database answers."""
    try:
        with connect_ledger(url) as connection:
            migrate(connection)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"no database: {error}") from error


@contextmanager
def connected(database_url: str) -> Iterator[psycopg.Connection]:
    """Yields one autocommit connection to a database whose schema is up to date, for the operator's commands.

    Raises DatabaseUnavailable.
    """
    prepare_database(database_url)
    try:
        with connect_ledger(database_url) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"the database went away: {error}; see in `ledger log` if it was done, then give the command again"
        ) from error


def open_pool(database_url: str, connections_max: int, bring_up: Callable[[psycopg.Connection], object]) -> Pool:
    """Returns an open pool of at most so many autocommit connections to the primary.

    `bring_up` receives each new one before anybody uses it, and raises where nobody may.
    """

    def configure(connection: psycopg.Connection) -> None:
        try:
            bring_up(connection)
        except BaseException:
            connection.close()  # the pool forgets it, and tries again
            raise

    return ConnectionPool(
        complete_url(database_url), connection_class=PrimaryConnection, min_size=1, max_size=connections_max,
        kwargs={"autocommit": True}, check=_still_open, configure=configure,
        timeout=5, max_waiting=200, reconnect_timeout=_RECONNECT_S, open=True,
    )  # fmt: skip


def _still_open(connection: psycopg.Connection) -> None:
    """Closes a connection that the database has ended while it was idle: its socket has something to read. Raises then.

    To ask the database instead would cost every request a round trip. A host that vanished without a word is not
    noticed here; a question to it would wait, too.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        connection.close()  # or the pool would take it for a good one and offer it again
        raise psycopg.OperationalError("the database has ended this connection")
