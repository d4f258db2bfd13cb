"""Work that the ledger does beside its requests, again and again, each kind in a thread of its own."""

import logging
import threading
from collections.abc import Callable

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests

from sync.ledger.database import Pool

logger = logging.getLogger(__name__)

IsStopping = Callable[[], bool]


class BackgroundWork:
    """Does `work` every `interval_s` seconds until it is stopped, whatever becomes of it in between.

    `work` receives a connection and a question that it should ask between two schools: has it been stopped? Without the
    database it waits for the next time. An error that nobody expects is logged with its traceback and has a pause of
    `pause_s` at least, since it may come again at once.
    """

    def __init__(
        self, name: str, pool: Pool, interval_s: float, work: Callable[[psycopg.Connection, IsStopping], object],
        *, pause_s: float = 10.0,
    ) -> None:  # fmt: skip
        self._name = name
        self._pool = pool
        self._interval_s = interval_s
        self._work = work
        self._pause_s = max(interval_s, pause_s)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"ledger-{name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread; the school under way is finished."""
        self._stopping.set()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        wait_s = self._interval_s
        while not self._stopping.wait(wait_s):
            wait_s = self._interval_s
            try:
                with self._pool.connection() as connection:
                    self._work(connection, self._stopping.is_set)
            except (psycopg.OperationalError, PoolTimeout, TooManyRequests) as error:
                logger.warning("%s: not now: %s; tried again", self._name, error)
            except Exception:
                wait_s = self._pause_s
                logger.exception("%s: failed; tried again in %.0f s", self._name, wait_s)
