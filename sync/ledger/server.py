"""The ledger as a process: schema, key, HTTP; started in this order, and stopped in its reverse.

The database is not its business: the server receives the URL of a PostgreSQL that runs.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette

from sync.ledger import keys
from sync.ledger.background import BackgroundWork
from sync.ledger.database import Pool, connect_ledger, open_pool, prepare_database
from sync.ledger.door.limits import DoorLimits
from sync.ledger.door.listening import HttpServerThread, ListeningAddress
from sync.ledger.errors import DatabaseUnavailable, LedgerError
from sync.ledger.family.app import mount_family
from sync.ledger.intake.event_months import MONTH_UPKEEP_S, open_months
from sync.ledger.judgement.day_publisher import publish_days
from sync.ledger.pages.app import mount_pages
from sync.ledger.pages.overview import VIEW_UPKEEP_S, forget_views
from sync.ledger.receipt_keys import FOLLOW_INTERVAL_S, ReceiptSigner, claim_receipt_key
from sync.ledger.recovery.acts import WRITE_INTERVAL_S, ActFile
from sync.ledger.recovery.restoring import catch_up, follow_acts, open_acts
from sync.ledger.requests import LedgerContext
from sync.ledger.service import build_application
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
    proxies: str = "127.0.0.1"  # the reverse proxies that say for whom they ask, with commas between
    limits: DoorLimits = field(default_factory=DoorLimits)
    connections_max: int = 8  # of the kiosks' requests to the database, a process
    acts_are_lost: bool = False  # an operator has said that no newer copy of the file of acts is left
    page_connections_max: int = 4  # those of pages: a flood of readers leaves the kiosks' alone

    def __post_init__(self) -> None:
        self.address()  # or it cannot be started

    def address(self, *, port: int | None = None, is_shared: bool = False) -> ListeningAddress:
        """Returns where to listen, and with which certificate. `port`: instead of the one that stands here."""
        return ListeningAddress(
            host=self.host, port=self.port if port is None else port, certificate=self.certificate,
            certificate_key=self.certificate_key, is_shared=is_shared, proxies=self.proxies,
        )  # fmt: skip


def utc_now() -> datetime:
    """Returns the wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """The keys of a ledger's folder, and the file of acts beside them."""

    folder: Path
    receipts: ReceiptSigner
    logs: LogSigner

    @property
    def acts(self) -> ActFile:
        """Returns the file of acts, whose next line the key in force signs. Raises NotUnderstood."""
        return open_acts(self.folder, self.receipts.key)


def prepare(database_url: str, options: LedgerOptions) -> LedgerKeys:
    """Brings folder, schema, acts and checkpoints up to date, before anybody is served. Raises LedgerError."""
    options.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    prepare_database(database_url)
    witness_key = options.witness.key if options.witness else None
    with connect_ledger(database_url) as connection:
        held = load_keys(connection, options)
        catch_up(connection, held.acts, acts_are_lost=options.acts_are_lost)
        if renewed := logs.renew_checkpoints(connection, held.logs, witness_key):
            logger.warning("%d logs begin as %s: tell the witness, and print new slips", renewed, held.logs.ledger)
    return held


def load_keys(connection: psycopg.Connection, options: LedgerOptions) -> LedgerKeys:
    """Returns the keys in the ledger's folder, drawn where there are none.

    Raises KeyNotInForce where the database's receipts are signed with another one, NotUnderstood.
    """
    return compose_keys(options, claim_receipt_key(connection, options.folder, utc_now()))


def compose_keys(options: LedgerOptions, receipts: Ed25519PrivateKey) -> LedgerKeys:
    """Returns the folder's other keys with this one for receipts. Raises NotUnderstood."""
    signer = keys.load_or_create_signer(options.folder / "log.key", options.log_name)
    return LedgerKeys(options.folder, ReceiptSigner(receipts), signer)


def open_caught_up_pool(database_url: str, connections_max: int, held: LedgerKeys) -> Pool:
    """Returns a pool whose connections are used once their database is up to the file of acts.

    A late standby that is promoted, and a backup that is put back, end all connections: nobody is served from a former
    state, not for a second.
    """
    return open_pool(database_url, connections_max, lambda new: follow_acts(new, held.acts))


def follow_receipt_key(pool: Pool, held: LedgerKeys) -> BackgroundWork:
    """Returns the work that lets these keys follow a rotation."""
    return BackgroundWork(
        "receipt key", pool, FOLLOW_INTERVAL_S, lambda db, _: held.receipts.follow(db, held.folder, utc_now())
    )


class LedgerFront:
    """The part that answers: one process's HTTP server, with its connections to the database.

    The constructor returns once it answers. Raises LedgerError.
    """

    def __init__(self, database_url: str, options: LedgerOptions, held: LedgerKeys, address: ListeningAddress) -> None:
        self._pool = open_caught_up_pool(database_url, options.connections_max, held)
        self._page_pool = open_caught_up_pool(database_url, options.page_connections_max, held)
        witness_key = options.witness.key if options.witness else None
        try:
            pages = [
                mount_pages(self._page_pool, utc_now, options.folder / "authority.pem"),
                mount_family(self._page_pool, utc_now, held.logs, witness_key),
            ]
            context = LedgerContext(held.receipts, utc_now, held.logs)
            self.app = build_application(context, self._pool, options.limits, pages)
            self.http = HttpServerThread(self.app, address, "ledger-http", options.limits)
        except BaseException:
            self._close_pools()
            raise
        self._key_work = follow_receipt_key(self._pool, held)
        self._key_work.start()

    def stop(self) -> None:
        """Stops it; the requests under way finish."""
        self.http.stop()
        self._key_work.stop()
        self._close_pools()

    def _close_pools(self) -> None:
        self._page_pool.close(timeout=10)
        self._pool.close(timeout=10)


class LedgerBack:
    """The part that works beside the requests, in one process of a ledger."""

    def __init__(self, database_url: str, options: LedgerOptions, held: LedgerKeys) -> None:
        self._options = options
        self._pool = open_caught_up_pool(database_url, options.page_connections_max, held)
        self._works = list(self._compose(held))
        for work in self._works:
            work.start()

    def _compose(self, held: LedgerKeys) -> Iterator[BackgroundWork]:
        pool, witness, interval_s = self._pool, self._options.witness, self._options.settle_interval_s
        yield follow_receipt_key(pool, held)
        yield BackgroundWork("acts", pool, WRITE_INTERVAL_S, lambda db, _: follow_acts(db, held.acts))
        yield BackgroundWork("months", pool, MONTH_UPKEEP_S, lambda db, _: open_months(db))
        yield BackgroundWork("views", pool, VIEW_UPKEEP_S, lambda db, _: forget_views(db, utc_now()))
        yield BackgroundWork("seals", pool, SEAL_INTERVAL_S, lambda db, _: seal_all(db, held.logs, utc_now()))
        if witness is not None:
            yield BackgroundWork(
                "cosignatures", pool, COSIGN_INTERVAL_S, lambda db, stop: cosign_all(db, witness, stop)
            )
        hosts = self._options.webhook_hosts
        if hosts:
            yield BackgroundWork(
                "webhooks", pool, WEBHOOK_INTERVAL_S,
                lambda db, stop: deliver_due(db, held.receipts.key, hosts, utc_now(), stop),
            )  # fmt: skip
        if interval_s > 0:
            yield BackgroundWork("days", pool, interval_s, lambda db, stop: publish_days(db, utc_now, stop))

    def stop(self) -> None:
        """Stops the works in reverse order; what is under way is finished."""
        while self._works:
            self._works.pop().stop()
        self._pool.close(timeout=10)


class LedgerServer:
    """A running ledger on the database of this URL, in this process.

    `start` returns once it answers; `stop` lets the requests under way finish.
    """

    def __init__(self, database_url: str, options: LedgerOptions) -> None:
        self.database_url = database_url  # holds a password: for tests and benches, not for a log
        self._options = options
        self._front: LedgerFront | None = None
        self._back: LedgerBack | None = None

    @property
    def _running(self) -> LedgerFront:
        assert self._front is not None, "start it first"
        return self._front

    @property
    def app(self) -> Starlette:
        return self._running.app

    @property
    def port(self) -> int:
        return self._running.http.port

    @property
    def url(self) -> str:
        return self._running.http.url

    @property
    def alive(self) -> bool:
        return self._front is not None and self._front.http.alive

    def start(self) -> None:
        """Starts the parts in order. Raises LedgerError; the parts that were started before it are stopped again."""
        held = prepare(self.database_url, self._options)
        self._back = LedgerBack(self.database_url, self._options, held)
        try:
            self._front = LedgerFront(self.database_url, self._options, held, self._options.address())
        except BaseException:
            self.stop()
            raise

    def watch(self) -> None:
        """Looks after what runs; to be called about once a second. Raises LedgerError when it has ended by itself."""
        if not self.alive:
            raise LedgerError("the HTTP server ended by itself: see the log above")
        self._running.http.renew_certificate()

    def stop(self) -> None:
        """Stops the parts in reverse order; the requests under way finish."""
        if self._front is not None:
            self._front.stop()
            self._front = None
        if self._back is not None:
            self._back.stop()
            self._back = None

    def __enter__(self) -> "LedgerServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class RunningLedger(Protocol):
    """A ledger in one process, or in several."""

    @property
    def url(self) -> str: ...

    def watch(self) -> None: ...


def serve_until(
    stopped: Callable[[float], bool],
    running: AbstractContextManager[RunningLedger],
    ready: Callable[[str], None],
    revive: Callable[[], object] = lambda: None,
) -> None:
    """Runs a ledger until `stopped`, which waits so many seconds, returns True.

    `ready` receives the URL of the ledger. `revive` is called once a second, and starts a database of our own again if
    it has died. Raises LedgerError.
    """
    with running as server:
        ready(server.url)
        failures = 0
        while not stopped(1.0):
            server.watch()
            try:
                revive()
                failures = 0
            except DatabaseUnavailable as error:
                failures += 1
                logger.error("%s; trying again", error)  # noqa: TRY400  # its message says all; no trace for operators
                if failures >= REVIVE_TRIES:
                    raise
