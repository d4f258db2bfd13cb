"""Seals the logs: what was committed is under a signed checkpoint a moment later."""

from datetime import datetime
from typing import Final

import psycopg

from sync.ledger.transparency import logs
from sync.proof.signer import LogSigner

SEAL_INTERVAL_S: Final = 0.5  # half of the second within which a commit must be under a checkpoint


def seal_all(connection: psycopg.Connection, signer: LogSigner, now: datetime) -> int:
    """Seals every log that has leaves waiting, each in a transaction of its own, and returns how many leaves.

    Several processes may do so at once.
    """
    return sum(logs.seal_log(connection, school, log, signer, now) for school, log in logs.list_waiting(connection))
