"""The ledger as a process: schema, key, HTTP; started in this order, and stopped in its reverse.

The database is not its business: the server receives the URL of a PostgreSQL that runs.
"""

import logging
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg_pool import ConnectionPool
from starlette.applications import Starlette

from sync.ledger import keys
from sync.ledger.admission import TokenBucket
from sync.ledger.background import BackgroundWork
from sync.ledger.errors import DatabaseUnavailable, LedgerError
from sync.ledger.family.app import mount_family
from sync.ledger.judgement.day_publisher import publish_days
from sync.ledger.listening import HttpServerThread, ListeningAddress
from sync.ledger.migrate import migrate
from sync.ledger.pages.app import mount_pages
from sync.ledger.recovery.acts import WRITE_INTERVAL_S, ActFile, write_acts
from sync.ledger.recovery.restoring import catch_up, open_acts
from sync.ledger.requests import LedgerContext
from sync.ledger.service import Pool, build_application
from sync.ledger.transparency import logs
from sync.ledger.transparency.checkpointer import SEAL_INTERVAL_S, seal_all
from sync.ledger.transparency.cosigner import COSIGN_INTERVAL_S, WitnessPeer, cosign_all
from sync.ledger.transparency.webhooks import WEBHOOK_INTERVAL_S, deliver_due
from sync.proof.signer import LogSigner

logger = logging.getLogger(__name__)

REVIVE_TRIES = 10  # starts of a database that keeps dying, a second apart, before the process ends and says so


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOptions:
    """The settings of a ledger's process.

    Raises NotUnderstood for a certificate without its key, or a key without its certificate.
    """

    folder: Path  # holds the keys of receipts and logs
    log_name: str = "canteen.local"  # with which the origins of all logs begin; used when their key is drawn
    settle_interval_s: float = 120.0  # between two judgements of the marked days, and their statements; 0: none
    webhook_hosts: tuple[str, ...] = ()  # the hosts that may hear of visits; none: nobody is told
    witness: WitnessPeer | None = None  # without one nothing is cosigned, and no proof of a meal can be made
    host: str = "127.0.0.1"
    port: int = 8460  # 0: any free one
    certificate: Path | None = None
    certificate_key: Path | None = None
    rate_per_s: float = 200.0  # requests; a mean one of 500 events is 100,000 events a second: more than one box stores
    burst: int = 400
    connections_max: int = 8

    def __post_init__(self) -> None:
        self.address()  # or it cannot be started

    def address(self) -> ListeningAddress:
        """Returns where to listen, and with which certificate."""
        return ListeningAddress(
            host=self.host, port=self.port, certificate=self.certificate, certificate_key=self.certificate_key
        )


def prepare_database(url: str) -> None:
    """Brings the schema up to date. Raises DatabaseUnavailable when no database answers."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            migrate(connection)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"no database: {error}") from error


@contextmanager
def connected(database_url: str) -> Iterator[psycopg.Connection]:
    """Yields one autocommit connection to a database whose schema is up to date, for the operator's commands.

    Raises DatabaseUnavailable.
    """
    prepare_database(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def utc_now() -> datetime:
    """Returns the wall clock."""
    return datetime.now(UTC)


class LedgerServer:
    """A running ledger on the database of this URL.

    `start` returns once it answers; `stop` lets the requests under way finish.
    """

    def __init__(self, database_url: str, options: LedgerOptions) -> None:
        self.database_url = database_url  # holds a password: for tests and benches, not for a log
        self._options = options
        self._pool: Pool | None = None
        self._background: list[BackgroundWork] = []
        self._http: HttpServerThread | None = None
        self.app: Starlette | None = None

    @property
    def _running(self) -> HttpServerThread:
        assert self._http is not None, "start it first"
        return self._http

    @property
    def port(self) -> int:
        return self._running.port

    @property
    def url(self) -> str:
        return self._running.url

    @property
    def alive(self) -> bool:
        return self._http is not None and self._http.alive

    def start(self) -> None:
        """Starts the parts in order. Raises LedgerError; the parts that were started before it are stopped again."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        options = self._options
        if not options.folder.exists():
            options.folder.mkdir(mode=0o755, parents=True)
        prepare_database(self.database_url)
        key = keys.load_or_create(options.folder / "receipt.key")
        acts = open_acts(options.folder, key)
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            catch_up(connection, acts)
        self._pool = ConnectionPool(
            self.database_url, connection_class=psycopg.Connection, min_size=2, max_size=options.connections_max,
            kwargs={"autocommit": True}, check=_still_open,
            timeout=5, max_waiting=200, reconnect_timeout=600, open=True,
        )  # fmt: skip
        signer = keys.load_or_create_signer(options.folder / "log.key", options.log_name)
        witness_key = options.witness.key if options.witness else None
        with self._pool.connection() as connection:
            if renewed := logs.renew_checkpoints(connection, signer, witness_key):
                logger.warning("%d logs begin as %s: tell the witness, and print new slips", renewed, signer.ledger)
        self._background = list(self._compose_background(self._pool, signer, key, acts))
        for part in self._background:
            part.start()
        bucket = TokenBucket(options.rate_per_s, options.burst, time.monotonic)
        pages = [
            mount_pages(self._pool, utc_now, options.folder / "authority.pem"),
            mount_family(self._pool, utc_now, signer, witness_key),
        ]
        self.app = build_application(LedgerContext(key, utc_now, signer), self._pool, bucket, pages)
        self._http = HttpServerThread(self.app, options.address(), "ledger-http")

    def _compose_background(
        self, pool: Pool, signer: LogSigner, key: Ed25519PrivateKey, acts: ActFile
    ) -> Iterator[BackgroundWork]:
        yield BackgroundWork("acts", pool, WRITE_INTERVAL_S, lambda db, _: write_acts(db, acts))
        yield BackgroundWork("seals", pool, SEAL_INTERVAL_S, lambda db, _: seal_all(db, signer, utc_now()))
        witness, interval_s = self._options.witness, self._options.settle_interval_s
        if witness is not None:
            yield BackgroundWork(
                "cosignatures", pool, COSIGN_INTERVAL_S, lambda db, stop: cosign_all(db, witness, stop)
            )
        hosts = self._options.webhook_hosts
        if hosts:
            yield BackgroundWork(
                "webhooks", pool, WEBHOOK_INTERVAL_S, lambda db, stop: deliver_due(db, key, hosts, utc_now(), stop)
            )
        if interval_s > 0:
            yield BackgroundWork("days", pool, interval_s, lambda db, stop: publish_days(db, utc_now, stop))

    def stop(self) -> None:
        """Stops the parts in reverse order; the requests under way finish."""
        if self._http is not None:
            self._http.stop()
            self._http = None
        while self._background:
            self._background.pop().stop()
        if self._pool is not None:
            self._pool.close(timeout=10)
            self._pool = None

    def __enter__(self) -> "LedgerServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve_until(
    stopped: Callable[[float], bool],
    database_url: str,
    options: LedgerOptions,
    ready: Callable[[str], None],
    revive: Callable[[], object] = lambda: None,
) -> None:
    """Runs a ledger until `stopped`, which waits so many seconds, returns True.

    `ready` receives the URL of the ledger. `revive` is called once a second, and starts a database of our own again if
    it has died. Raises LedgerError.
    """
    with LedgerServer(database_url, options) as server:
        ready(server.url)
        failures = 0
        while not stopped(1.0):
            if not server.alive:
                raise LedgerError("the HTTP server ended by itself: see the log above")
            try:
                revive()
                failures = 0
            except DatabaseUnavailable as error:
                failures += 1
                logger.error("%s; trying again", error)  # noqa: TRY400  # its message says all; no trace for operators
                if failures >= REVIVE_TRIES:
                    raise


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
