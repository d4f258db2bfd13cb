"""Statements of school-days: made when a day has been judged anew, logged, and read again for proofs.

A day is stated once no session of it runs any more. A late event has it judged again; where that changes a visit, the
next statement follows, and the one before stays as it was.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter

import psycopg

from sync.contract.wire import time_text
from sync.ledger.judgement.days import read_visits
from sync.ledger.transparency import logs
from sync.proof.checkpoints import open_checkpoint, read_cosignature
from sync.proof.leaves import LogName
from sync.proof.meal_proofs import LoggedLeaf, StatedRow, encode_proof, to_qr_text
from sync.proof.notes import NoteKey
from sync.proof.statements import SALT_BYTES, DayStatement, hash_row, make_row, read_row, state_day
from sync.proof.tree import HashTree


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """A statement, and its leaf's entry in the claims log."""

    statement: DayStatement
    entry: int


@dataclass(frozen=True, slots=True)
class MealProof:
    """The newest proof of one row: its statement, and the text of the QR code."""

    day: str
    number: int
    text: str


def state_days(connection: psycopg.Connection, school: str, *, now: datetime) -> tuple[str, ...]:
    """States the days that were judged anew since they were stated, and returns them, ascending.

    A day that waits to be judged, or on which a session still runs, is left for the next time.
    """
    rows = connection.execute(_SELECT_DUE, {"school": school}).fetchall()
    stated = [day for (day,) in rows if _state_day(connection, school, day, now)]
    return tuple(stated)


_SELECT_DUE = """
    SELECT d.day FROM settled_day d
    WHERE d.school = %(school)s AND d.version <> d.stated_version
      AND NOT EXISTS (SELECT 1 FROM dirty_day w WHERE w.school = %(school)s AND w.day = d.day)
    ORDER BY d.day
"""


def _state_day(connection: psycopg.Connection, school: str, day: str, now: datetime) -> bool:
    with connection.transaction():
        # The row that a settling of this day would change: so version and visits belong together.
        settled = connection.execute(
            "SELECT version, stated_version,"
            " (SELECT coalesce(max(number), 0) FROM statement s WHERE s.school = %(school)s AND s.day = d.day)"
            " FROM settled_day d WHERE school = %(school)s AND day = %(day)s FOR UPDATE",
            {"school": school, "day": day},
        ).fetchone()
        if settled is None or settled[0] == settled[1]:
            return False  # another process has stated it
        visits = read_visits(connection, school, date.fromisoformat(day), date.fromisoformat(day))
        rows = [(visit.person, make_row(visit).encode(), secrets.token_bytes(SALT_BYTES)) for visit in visits]
        hashes = [hash_row(body, salt) for _, body, salt in rows]
        statement = state_day(day, settled[2] + 1, now, hashes)
        entry = logs.append_leaf(connection, school, LogName.CLAIMS, statement.leaf())
        connection.execute(
            "INSERT INTO statement (school, day, number, stated_at, row_count, root, settled_version, entry)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (school, day, statement.number, now, statement.rows, statement.root, settled[0], entry),
        )
        connection.execute(
            "UPDATE settled_day SET stated_version = %s WHERE school = %s AND day = %s", (settled[0], school, day)
        )
        connection.execute(_INSERT_ROWS, {
            "school": school, "day": day, "number": statement.number, "persons": [person for person, _, _ in rows],
            "bodies": [body for _, body, _ in rows], "salts": [salt for _, _, salt in rows], "hashes": hashes,
        })  # fmt: skip
        connection.execute(_ERASE_ROWS, {"school": school, "day": day})
    return True


_INSERT_ROWS = """
    INSERT INTO statement_row (school, day, number, place, person, body, salt, hash)
    SELECT %(school)s, %(day)s, %(number)s, n - 1, person, body, salt, hash
    FROM unnest(%(persons)s::text[], %(bodies)s::bytea[], %(salts)s::bytea[], %(hashes)s::bytea[])
         WITH ORDINALITY AS line (person, body, salt, hash, n)
"""


# Of those who are erased already: their late events, and those that come again after a restore.
_ERASE_ROWS = """
    UPDATE statement_row SET person = '', body = NULL, salt = NULL
    WHERE school = %(school)s AND day = %(day)s
      AND person IN (SELECT person FROM erased_person WHERE school = %(school)s)
"""


def read_statements(connection: psycopg.Connection, school: str, first: str, last: str) -> list[StatementEntry]:
    """Returns the statements of the days from `first` to `last` inclusive, by day and number."""
    rows = connection.execute(
        "SELECT day, number, stated_at, row_count, root, entry FROM statement"
        " WHERE school = %s AND day BETWEEN %s AND %s ORDER BY day, number",
        (school, first, last),
    )
    return [
        StatementEntry(DayStatement(day, number, time_text(stated_at), row_count, bytes(root)), entry)
        for day, number, stated_at, row_count, root, entry in rows
    ]


def read_row_hashes(connection: psycopg.Connection, school: str, day: str, number: int) -> list[bytes]:
    """Returns the leaf hashes of a statement's rows, in the order of its tree."""
    rows = connection.execute(
        "SELECT hash FROM statement_row WHERE school = %s AND day = %s AND number = %s ORDER BY place",
        (school, day, number),
    )
    return [bytes(row[0]) for row in rows]


def prove_meals(
    connection: psycopg.Connection, school: str, person: str, days: Sequence[str], log_key: NoteKey,
    witness_key: NoteKey,
) -> dict[tuple[str, str, str], MealProof]:  # fmt: skip
    """Returns, by device, epoch and number of the entry, the newest proof of each row of a person on these days.

    Only what is under a cosigned checkpoint can be proved: a statement of the last few seconds has no proof yet.
    """
    head = logs.read_log_head(connection, school, LogName.CLAIMS)
    if head.cosigned is None:
        return {}
    checkpoint = open_checkpoint(head.cosigned, log_key)
    signature = head.cosigned.find_signature(log_key)
    cosignature = read_cosignature(head.cosigned, witness_key)
    proofs = {}
    for entry, rows in groupby(_read_rows(connection, school, person, days, checkpoint.size), key=itemgetter(0)):
        statement = entry.statement
        tree = HashTree(read_row_hashes(connection, school, statement.day, statement.number))
        index = logs.find_number(connection, school, LogName.CLAIMS, entry.entry)
        assert index is not None, "the query asks for numbered leaves only"
        path = logs.prove_inclusion(connection, school, LogName.CLAIMS, index, checkpoint.size)
        logged = LoggedLeaf(index, checkpoint.size, path, signature, cosignature)
        for _, place, row, salt in rows:
            stated = StatedRow(row, salt, place, tree.prove_inclusion(place))
            text = to_qr_text(encode_proof(stated, statement, logged, log_key, witness_key))
            fields = read_row(row)
            proofs[fields.device, fields.epoch, fields.seq] = MealProof(statement.day, statement.number, text)
    return proofs


# Of each day the newest statement whose leaf is in the log's first `size`.
_SELECT_ROWS = """
    SELECT s.day, s.number, s.stated_at, s.row_count, s.root, s.entry, r.place, r.body, r.salt
    FROM (
        SELECT DISTINCT ON (day) statement.* FROM statement
        JOIN log_leaf l ON l.school = statement.school AND l.log = 'claims' AND l.entry = statement.entry
        WHERE statement.school = %(school)s AND day = ANY (%(days)s) AND l.number < %(size)s
        ORDER BY day, statement.number DESC
    ) AS s
    JOIN statement_row r ON r.school = s.school AND r.day = s.day AND r.number = s.number
    WHERE r.school = %(school)s AND r.person = %(person)s AND r.body IS NOT NULL
    ORDER BY s.day, r.place
"""


def _read_rows(
    connection: psycopg.Connection, school: str, person: str, days: Sequence[str], size: int
) -> list[tuple[StatementEntry, int, bytes, bytes]]:
    rows = connection.execute(_SELECT_ROWS, {"school": school, "person": person, "days": list(days), "size": size})
    return [
        (
            StatementEntry(DayStatement(day, number, time_text(stated_at), row_count, bytes(root)), entry),
            place, bytes(body), bytes(salt),
        )
        for day, number, stated_at, row_count, root, entry, place, body, salt in rows
    ]  # fmt: skip


def erase_person(connection: psycopg.Connection, school: str, person: str) -> int:
    """Deletes rows and salts of a person from all statements and returns how many. The hashes stay: proofs of others
    need them, and without its salt a hash says nothing.
    """
    done = connection.execute(
        "UPDATE statement_row SET person = '', body = NULL, salt = NULL WHERE school = %s AND person = %s",
        (school, person),
    )
    return done.rowcount
