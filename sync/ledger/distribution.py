"""The ledger's tables over many machines, where the database has Citus: each school's rows lie together on one of them.

Every table with a column `school` is distributed by it, and all alike, so that what one transaction does for a school
is done on one machine. Tables without it are the city's: a few rows, copied to every machine.
"""

import psycopg

from sync.ledger.errors import DatabaseUnavailable

_DISTRIBUTED_BY = "school"


def has_citus(connection: psycopg.Connection) -> bool:
    """Returns True where the database has the extension Citus."""
    row = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'").fetchone()
    return row is not None


def prepare_distribution(connection: psycopg.Connection) -> None:
    """Sets what a change of distributed tables needs, until the end of the caller's transaction."""
    # One transaction changes tables, and rows of the city's tables: Citus allows that over one connection a machine.
    connection.execute("SET LOCAL citus.multi_shard_modify_mode TO 'sequential'")
    # Our one trigger refuses a change and does nothing else.
    connection.execute("SET LOCAL citus.enable_unsafe_triggers TO on")


def distribute_tables(connection: psycopg.Connection) -> tuple[str, ...]:
    """Distributes the tables that are not yet, in the caller's transaction, and returns their names."""
    waiting = connection.execute(_UNDISTRIBUTED, {"column": _DISTRIBUTED_BY}).fetchall()
    for table, of_school in _order_by_references(connection, waiting):
        if not of_school:
            connection.execute("SELECT create_reference_table(%s)", (table,))
        elif table == "school":
            connection.execute(
                "SELECT create_distributed_table(%s, %s, colocate_with => 'none')", (table, _DISTRIBUTED_BY)
            )
        else:
            connection.execute(
                "SELECT create_distributed_table(%s, %s, colocate_with => 'school')", (table, _DISTRIBUTED_BY)
            )
    names = tuple(table for table, _ in waiting)
    for table in names:
        connection.execute("SELECT truncate_local_data_after_distributing_table(%s)", (table,))
    return names


def carry_sample_limits(connection: psycopg.Connection) -> None:
    """Lets PostgreSQL sample no more of a column on a shard than its table allows, and deletes former samples there.

    Outside of a transaction: each shard is changed over a connection of its own. What a crash leaves undone, the next
    start does. Raises DatabaseUnavailable.
    """
    for table, limits, change in connection.execute(_SAMPLE_LIMITS).fetchall():
        shards = connection.execute(_ON_SHARDS, (table, _SHARD_LIMITS)).fetchall()
        if all(shard == (True, limits) for shard in shards):
            continue
        for done, reply in connection.execute(_ON_SHARDS, (table, f"ALTER TABLE %s {change}")).fetchall():
            if not done:
                raise DatabaseUnavailable(f"a shard of {table} takes samples of what must not lie in them: {reply}")


_SAMPLE_LIMITS = """
    SELECT c.relname::text, string_agg(a.attname || ' ' || a.attstattarget, ', ' ORDER BY a.attname),
           string_agg(format('ALTER %1$I TYPE %2$s, ALTER %1$I SET STATISTICS %3$s',
                             a.attname, format_type(a.atttypid, a.atttypmod), a.attstattarget), ', ')
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_dist_partition d ON d.logicalrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND a.attstattarget >= 0
    GROUP BY c.relname ORDER BY c.relname
"""
_SHARD_LIMITS = """
    SELECT string_agg(attname || ' ' || attstattarget, ', ' ORDER BY attname)
    FROM pg_attribute WHERE attrelid = '%s'::regclass AND attnum > 0 AND attstattarget >= 0
"""
_ON_SHARDS = "SELECT success, result FROM run_command_on_shards(%s, %s)"  # `%s` in the command: the shard


# Of a partitioned table only the whole: its parts follow it.
_UNDISTRIBUTED = """
    SELECT c.relname::text, EXISTS (
        SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = %(column)s AND NOT a.attisdropped
    )
    FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND NOT EXISTS (
          SELECT 1 FROM pg_dist_partition d
          WHERE d.logicalrelid = c.oid AND (d.partmethod <> 'n' OR d.repmodel = 't') -- 't': copied to every machine
      )
      AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.objid = c.oid AND e.deptype = 'e')
    ORDER BY c.relname <> 'school', c.relname
"""


def _order_by_references(connection: psycopg.Connection, tables: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Returns the tables so that each stands behind those that its foreign keys refer to."""
    references: dict[str, set[str]] = {}
    for table, target in connection.execute(_REFERENCES):
        references.setdefault(table, set()).add(target)
    ordered: list[tuple[str, bool]] = []
    waiting = dict(tables)
    while waiting:
        ready = [table for table in waiting if not (references.get(table, set()) - {table}) & waiting.keys()]
        ordered += [(table, waiting.pop(table)) for table in ready]
    return ordered


_REFERENCES = """
    SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'
"""
