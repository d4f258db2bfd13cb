"""A ledger in several processes behind one port.

The first one prepares the database, does the work beside the requests and starts the others, which answer. All of them
hold the same keys, and none holds a state: a kiosk may talk to any. The kernel deals out the connections.
"""

import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Semaphore

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.ledger.door.listening import ListeningAddress
from sync.ledger.errors import LedgerError
from sync.ledger.server import LedgerBack, LedgerFront, LedgerKeys, LedgerOptions, compose_keys, prepare

logger = logging.getLogger(__name__)

WORKERS_START_S = 60.0  # for all processes, from their start to their first answer
RESTART_PAUSE_S = 1.0
WORKERS_STOP_S = 50.0

_ENDING = (signal.SIGTERM, signal.SIGINT)


def set_up_plain_logging() -> None:
    """Sends all logging to standard error."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


@contextmanager
def run_workers(
    database_url: str, options: LedgerOptions, count: int, set_up_logging: Callable[[], None] = set_up_plain_logging
) -> Iterator["LedgerWorkers"]:
    """Yields a ledger of `count` answering processes, once all of them answer. Raises LedgerError.

    `set_up_logging` is called in each of these processes, before anything else.
    """
    held = prepare(database_url, options)
    with _reserve(options) as port:
        workers = LedgerWorkers(
            database_url, options, options.address(port=port, is_shared=True), count, held, set_up_logging
        )
        back = None
        try:
            workers.await_all()
            back = LedgerBack(database_url, options, held)
            yield workers
        finally:
            workers.stop()
            if back is not None:
                back.stop()


@contextmanager
def _reserve(options: LedgerOptions) -> Iterator[int]:
    """Yields a port that this ledger's processes share, and that nobody else can take meanwhile."""
    address = options.address(is_shared=True)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with address.listen() as listening, socket.socket(family, socket.SOCK_STREAM) as reserved:
        port: int = listening.getsockname()[1]
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((options.host, port))
        listening.close()  # what listens is given connections; what is only bound holds the port
        yield port


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    restart_at_s: float = 0.0


class LedgerWorkers:
    """The answering processes. One that ends by itself is started again."""

    def __init__(
        self, database_url: str, options: LedgerOptions, address: ListeningAddress, count: int,
        held: LedgerKeys, set_up_logging: Callable[[], None],
    ) -> None:  # fmt: skip
        limits = options.limits
        shared = replace(limits, rate_per_s=limits.rate_per_s / count, burst=max(1, limits.burst // count))
        self._call = (set_up_logging, database_url, replace(options, limits=shared), address)
        self._held = held
        self._spawning = get_context("spawn")
        self._ready = self._spawning.Semaphore(0)
        self._starting = 0  # processes that do not answer yet
        self.url = address.url(address.port)
        self._workers = [_Worker(self._start()) for _ in range(count)]

    def _start(self) -> SpawnProcess:
        # The key is handed on: whatever lies in the folder by now, a process started anew signs like the others.
        secret = self._held.receipts.key.private_bytes_raw()
        process = self._spawning.Process(target=_answer, args=(*self._call, secret, self._ready), name="ledger-worker")
        process.start()
        self._starting += 1
        return process

    def await_all(self) -> None:
        """Waits until every process that was started answers. Raises LedgerError when one cannot."""
        until = time.monotonic() + WORKERS_START_S
        while self._starting:
            while not self._ready.acquire(timeout=0.1):
                if time.monotonic() > until or not all(worker.process.is_alive() for worker in self._workers):
                    raise LedgerError("a process of the ledger did not start: see the log above")
            self._starting -= 1

    def watch(self) -> None:
        """Starts again what has ended by itself, after a pause."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.process.is_alive():
                continue
            if not worker.restart_at_s:
                logger.error("a process ended with %s; it is started again", worker.process.exitcode)
                worker.restart_at_s = now + RESTART_PAUSE_S
            elif now >= worker.restart_at_s:
                worker.process.close()
                worker.process, worker.restart_at_s = self._start(), 0.0

    def list_pids(self) -> list[int]:
        """Returns the process ids of those that run."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def stop(self) -> None:
        """Stops the processes; the requests under way finish."""
        for worker in self._workers:
            worker.process.terminate()
        until = time.monotonic() + WORKERS_STOP_S
        for worker in self._workers:
            worker.process.join(timeout=max(0.0, until - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _answer(
    set_up_logging: Callable[[], None],
    database_url: str,
    options: LedgerOptions,
    address: ListeningAddress,
    receipts_secret: bytes,
    ready: Semaphore,
) -> None:
    """The main function of an answering process: until SIGTERM, or until the first process is gone."""
    set_up_logging()
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # waited for below; the threads to come inherit it
    held = compose_keys(options, Ed25519PrivateKey.from_private_bytes(receipts_secret))
    front = LedgerFront(database_url, options, held, address)
    ready.release()
    first = parent_process()
    try:
        while front.http.alive and first is not None and first.is_alive():
            if signal.sigtimedwait(_ENDING, 1.0) is not None:
                break
            front.http.renew_certificate()
    finally:
        front.stop()
