"""Overwrites what PostgreSQL's files still hold of rows that were deleted or changed. All of it is the city's.

A deleted row stays in its table's file until its place is used again, in samples that the planner took, and in the WAL,
whose files are kept under other names to be written again. So the tables are written anew, then the WAL is moved on
past every file that is there, and none of them is kept. Copies elsewhere (backups, an archive of the WAL, standbys) are
out of reach from here. On a cluster the tables are written anew on every machine, but the WAL of one machine only.
"""

import time
from dataclasses import dataclass
from typing import Final, LiteralString

import psycopg

from sync.ledger.distribution import has_citus
from sync.ledger.errors import NotUnderstood

# Where names, source's ids, cards, codes, palms and words of families are, or were in an unwritten act.
_PERSONAL_TABLES: Final = (
    "person_surrogate", "roster_record", "roster_source", "palm", "code_use", "desk_word", "replacement_card",
    "payer_number", "payer_number_former", "payer_name", "payer_name_act", "other_count", "contest", "family_code",
    "family_session", "act",
)  # fmt: skip
_SEGMENTS_MAX: Final = 4_096  # of 16 MiB: no server keeps so many; else something writes faster than this moves on
_TRIES_MAX: Final = 5
_COUNT_FORMER: Final = "SELECT count(*) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' AND name <= %s"


@dataclass(frozen=True, slots=True)
class PurgedFiles:
    """How many tables were written anew, and how many files of the WAL from before are still there.

    `kept_by`: what keeps those, and copies of them.
    """

    tables: int
    segments_left: int
    kept_by: tuple[str, ...]


def purge_files(connection: psycopg.Connection) -> PurgedFiles:
    """Writes the tables with personal data anew and removes the WAL from before. `connection`: outside a transaction.

    Each table is locked while it is written; kiosks that need it wait so long. Raises NotUnderstood without the rights
    of a superuser.
    """
    for table in _PERSONAL_TABLES:
        connection.execute(f"VACUUM (FULL, ANALYZE) {table}".encode())
    try:
        connection.execute("VACUUM FULL pg_catalog.pg_statistic")
        left = _renew_wal(connection)
        return PurgedFiles(len(_PERSONAL_TABLES), left, _list_keepers(connection))
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotUnderstood(
            f"the tables are written anew, but the WAL is not: {error}",
            "call `ledger purge` with a superuser's URL; else its files go when the server has written them again",
        ) from error


def _renew_wal(connection: psycopg.Connection) -> int:
    """Returns how many files of the WAL from before are still there."""
    connection.execute("ALTER SYSTEM SET wal_recycle = off")
    try:
        _reload(connection, "off")
        connection.execute("CHECKPOINT")
        last = _read_text(connection, "SELECT max(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'")
        for _ in range(_SEGMENTS_MAX):
            if _read_text(connection, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())") > last:
                break
            connection.execute("SELECT pg_logical_emit_message(false, 'purge', '')")  # an empty file is not left
            connection.execute("SELECT pg_switch_wal()")
        for _ in range(_TRIES_MAX):
            connection.execute("CHECKPOINT")
            left = int(_read_text(connection, _COUNT_FORMER, last))
            if left == 0:
                break
        return left
    finally:
        connection.execute("ALTER SYSTEM RESET wal_recycle")
        connection.execute("SELECT pg_reload_conf()")


def _reload(connection: psycopg.Connection, expected: str) -> None:
    """Has the server read its settings, and waits until this connection's process knows of it."""
    connection.execute("SELECT pg_reload_conf()")
    until = time.monotonic() + 10
    while _read_text(connection, "SHOW wal_recycle") != expected:
        if time.monotonic() > until:
            raise NotUnderstood("the server does not take a new setting", "see its log, and call `ledger purge` again")
        time.sleep(0.02)


def _list_keepers(connection: psycopg.Connection) -> tuple[str, ...]:
    """Returns what keeps files of the WAL, or copies of them."""
    slots = connection.execute("SELECT slot_name::text FROM pg_replication_slots ORDER BY 1").fetchall()
    archive = _read_text(connection, "SHOW archive_mode")
    keep = _read_text(connection, "SHOW wal_keep_size")
    return (
        *(f"replication slot {name}" for (name,) in slots),
        *((f"archive_mode = {archive}",) if archive != "off" else ()),
        *((f"wal_keep_size = {keep}",) if keep != "0" else ()),
        *(_list_workers(connection) if has_citus(connection) else ()),
    )


def _list_workers(connection: psycopg.Connection) -> list[str]:
    """Returns the cluster's other machines on its coordinator, and nothing on a worker, which comes after it."""
    workers = connection.execute(
        "SELECT nodename, nodeport FROM pg_dist_node, pg_dist_local_group AS here"
        " WHERE here.groupid = 0 AND pg_dist_node.groupid <> 0 ORDER BY 1, 2"
    ).fetchall()
    return [f"{host}:{port} of the cluster, until `ledger purge` has its URL" for host, port in workers]


def _read_text(connection: psycopg.Connection, query: LiteralString, *values: str) -> str:
    row = connection.execute(query, values or None).fetchone()
    assert row is not None
    return str(row[0])
