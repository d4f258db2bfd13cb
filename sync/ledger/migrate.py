"""The ledger's schema: numbered SQL files, each applied once, in order, under an advisory lock."""

from collections.abc import Iterator
from importlib.resources import files

import psycopg

from sync.ledger.distribution import carry_sample_limits, distribute_tables, has_citus, prepare_distribution
from sync.ledger.errors import DatabaseUnavailable
from sync.ledger.intake.column_filling import fill_columns
from sync.ledger.intake.event_months import open_months

_LOCK = 0x63_6E_74_31  # `cnt1`: every process of the ledger that starts takes the same lock
COLUMNS_SINCE = 4  # the schema from which events have columns beside their bytes


def steps() -> list[tuple[int, str]]:
    """Returns number and text of every schema file, ascending."""
    sql_files = [file for file in files("sync.ledger").joinpath("schema").iterdir() if file.name.endswith(".sql")]
    return sorted((int(file.name.split("_", 1)[0]), file.read_text(encoding="utf-8")) for file in sql_files)


def split_statements(text: str) -> Iterator[str]:
    """Yields the statements of a schema file, each up to the `;` at the end of its last line.

    Citus sends its shards the whole text in which an ALTER TABLE came.
    """
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if line.split("--")[0].rstrip().endswith(";") and statement.count("$$") % 2 == 0:
            yield statement
            statement = ""


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
                for statement in split_statements(text):
                    connection.execute(statement.encode())
                connection.execute("INSERT INTO schema_version (number) VALUES (%s)", (number,))
        if applied and COLUMNS_SINCE not in applied:
            fill_columns(connection)
        if distributes:
            distribute_tables(connection)
        open_months(connection)
    if distributes:
        carry_sample_limits(connection)
    return newest
