"""The steps of the schema as migrations of sqlite-utils.

sqlite-utils runs each step in one transaction together with the note that it ran. It loads NumPy where that is
installed, so the daemon never imports this page: `edge_agent.journal.migrate` does, in a process of its own.
"""

from sqlite_utils import Database, Migrations

from edge_agent.journal.schema import MIGRATION_SET, read_statements

migrations = Migrations(MIGRATION_SET)


@migrations(name="0001_journal")
def create_journal(database: Database) -> None:
    _execute_step(database, "0001_journal")


@migrations(name="0002_template")
def create_templates(database: Database) -> None:
    _execute_step(database, "0002_template")


@migrations(name="0003_palm_relay")
def create_palm_relay(database: Database) -> None:
    _execute_step(database, "0003_palm_relay")


@migrations(name="0040_carried")
def create_carried(database: Database) -> None:
    _execute_step(database, "0040_carried")


@migrations(name="0050_terminal_run")
def create_terminal_runs(database: Database) -> None:
    _execute_step(database, "0050_terminal_run")


@migrations(name="0051_code_use")
def create_code_use(database: Database) -> None:
    _execute_step(database, "0051_code_use")


@migrations(name="0090_overwritten")
def overwrite_what_is_free(database: Database) -> None:
    _execute_step(database, "0090_overwritten")


@migrations(name="0166_replacement_card")
def create_replacement_cards(database: Database) -> None:
    _execute_step(database, "0166_replacement_card")


@migrations(name="0169_enrolment")
def create_enrolment(database: Database) -> None:
    _execute_step(database, "0169_enrolment")


def _execute_step(database: Database, step: str) -> None:
    for statement in read_statements(step):
        database.conn.execute(statement)
