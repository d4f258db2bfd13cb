"""The thread that seals the logs: what was committed is under a signed checkpoint a moment later."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests

from sync.ledger import logs
from sync.ledger.service import Pool
from sync.proof.signer import LogSigner

logger = logging.getLogger(__name__)

SEAL_INTERVAL_S = 0.5  # half of the second within which a commit must be under a checkpoint


def seal_all(connection: psycopg.Connection, signer: LogSigner, now: datetime) -> int:
    """Seals every log that has leaves waiting, each in a transaction of its own, and returns how many leaves."""
    return sum(logs.seal_log(connection, school, log, signer, now) for school, log in logs.list_waiting(connection))


class Checkpointer:
    """Seals all logs again and again, until it is stopped. Several processes may do so at once."""

    def __init__(self, pool: Pool, signer: LogSigner, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._signer = signer
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-checkpointer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread; a log that is being sealed is finished."""
        self._stopping.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stopping.wait(SEAL_INTERVAL_S):
            try:
                with self._pool.connection() as connection:
                    seal_all(connection, self._signer, self._clock())
            except (psycopg.OperationalError, PoolTimeout, TooManyRequests) as error:
                logger.warning("no checkpoint now: %s; tried again", error)  # ingest goes on, and so do the leaves
