"""The ledger's schema: numbered SQL files, each applied once, in order, under an advisory lock."""

from importlib.resources import files

import psycopg

from sync.ledger.distribution import distribute_tables, has_citus, prepare_distribution
from sync.ledger.errors import DatabaseUnavailable
from sync.ledger.intake.column_filling import fill_columns
from sync.ledger.intake.event_months import open_months

_LOCK = 0x63_6E_74_31  # `cnt1`: every process of the ledger that starts takes the same lock
COLUMNS_SINCE = 4  # the schema from which events have columns beside their bytes


def steps() -> list[tuple[int, str]]:
    """Returns number and text of every schema file, ascending."""
    sql_files = [file for file in files("sync.ledger").joinpath("schema").iterdir() if file.name.endswith(".sql")]
    return sorted((int(file.name.split("_", 1)[0]), file.read_text(encoding="utf-8")) for file in sql_files)


def migrate(connection: psycopg.Connection) -> int:
    """Brings the schema up to date and returns its number. All or nothing: PostgreSQL's DDL is transactional."""
    newest = steps()[-1][0]
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        distributes = has_citus(connection)
        if distributes:
            prepare_distribution(connection)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (number int PRIMARY KEY, applied_at timestamptz DEFAULT now())"
        )
        applied = {row[0] for row in connection.execute("SELECT number FROM schema_version")}
        if max(applied, default=0) > newest:
            raise DatabaseUnavailable(
                f"the database's schema is {max(applied)}, this program knows {newest}: install the newer program"
            )
        for number, text in steps():
            if number not in applied:
                connection.execute(text.encode())
                connection.execute("INSERT INTO schema_version (number) VALUES (%s)", (number,))
        if applied and COLUMNS_SINCE not in applied:
            fill_columns(connection)
        if distributes:
            distribute_tables(connection)
        open_months(connection)
    return newest
