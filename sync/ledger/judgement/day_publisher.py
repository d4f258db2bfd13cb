"""Judges the marked days of all schools and states them, so that families and auditors need not ask first."""

import logging
from collections.abc import Callable
from datetime import datetime

import psycopg

from sync.ledger.background import IsStopping
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement.contests import forget_notes
from sync.ledger.judgement.days import settle_days
from sync.ledger.transparency.statements import state_days
from sync.ledger.transparency.webhooks import enqueue_news

logger = logging.getLogger(__name__)


def list_due_schools(connection: psycopg.Connection) -> list[str]:
    """Returns the schools with days to be judged or stated.

    A report or a sheet judges days, too: what it has judged is still to be stated.
    """
    # Of the city: whichever school has such days.
    rows = connection.execute(
        "SELECT school FROM dirty_day d"
        " WHERE NOT EXISTS (SELECT 1 FROM detached_day a WHERE a.school = d.school AND a.day = d.day)"
        " UNION SELECT school FROM settled_day WHERE version <> stated_version ORDER BY 1"
    )
    return [row[0] for row in rows]


def publish_days(connection: psycopg.Connection, clock: Callable[[], datetime], is_stopping: IsStopping) -> None:
    """Settles and states the days that are due, and queues the news of them, one school after the other."""
    for school in list_due_schools(connection):
        if is_stopping():
            return
        try:
            settled = settle_days(connection, school, now=clock())
            state_days(connection, school, now=clock())
            enqueue_news(connection, school, settled, clock())
            forget_notes(connection, school, clock())
        except NotUnderstood as error:
            logger.error("%s: its days are not judged: %s", school, error)  # noqa: TRY400  # its message says all
