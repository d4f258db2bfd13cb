"""Judges the marked days of all schools and states them, so that families and auditors need not ask first."""

import logging
from collections.abc import Callable
from datetime import datetime

import psycopg

from sync.ledger.background import IsStopping
from sync.ledger.days import settle_days
from sync.ledger.errors import NotUnderstood
from sync.ledger.statements import state_days
from sync.ledger.webhooks import enqueue_news

logger = logging.getLogger(__name__)


def list_marked_schools(connection: psycopg.Connection) -> list[str]:
    """Returns the schools with days that must be judged. The city's: it looks at all schools at once."""
    return [row[0] for row in connection.execute("SELECT DISTINCT school FROM dirty_day ORDER BY school")]


def publish_days(connection: psycopg.Connection, clock: Callable[[], datetime], is_stopping: IsStopping) -> None:
    """Settles and states the marked days, and queues the news of them, one school after the other."""
    for school in list_marked_schools(connection):
        if is_stopping():
            return
        try:
            settled = settle_days(connection, school, now=clock())
            state_days(connection, school, now=clock())
            enqueue_news(connection, school, settled, clock())
        except NotUnderstood as error:
            logger.error("%s: its days are not judged: %s", school, error)  # noqa: TRY400  # its message says all
