"""Takes an old month of events out of the database, into a file, and back.

A signed anchor an epoch stays, by which the chain of what remains holds and the file can be checked. The batches stay,
with their signatures. Days under which such events stand are not judged again until the month is attached.
"""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psycopg
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import sql

from sync.ledger.distribution import has_citus, prepare_distribution
from sync.ledger.errors import NotUnderstood
from sync.ledger.intake.event_months import attach_part, list_months, name_part
from sync.ledger.intake.holes import settle_holes
from sync.ledger.intake.month_anchors import (
    CHECKED_COLUMNS,
    MonthAnchor,
    MonthFileCheck,
    MonthFileHead,
    check_lines,
    encode_anchor,
    sign_anchor,
)
from sync.ledger.receipt_keys import read_receipt_keys

PROGRESS_EVENTS = 10_000  # between two words on how many are back


def detach_month(connection: psycopg.Connection, month: str, path: Path, key: Ed25519PrivateKey) -> MonthFileCheck:
    """Writes a month's events into a new file, checks that, and takes them out of the database; all or nothing.

    Raises NotUnderstood for a month that is not the oldest or not over, or of which days may still change.
    """
    with connection.transaction():
        if has_citus(connection):
            prepare_distribution(connection)
        _check_month(connection, month)
        # No event comes into a month that is over; the bytes of a tombstone still could.
        connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(name_part(month))))
        _check_days(connection, month)
        schools = _list_schools(connection, month)
        with path.open("xb") as raw:
            with zstandard.ZstdCompressor(level=9).stream_writer(raw, closefd=False) as file:
                head = MonthFileHead(month=month, columns=tuple(_list_columns(connection)))
                file.write(msgspec.json.encode(head) + b"\n")
                for school in schools:
                    for anchor in _read_anchors(connection, school, month):
                        file.write(_store_anchor(connection, anchor, key))
                        _copy_events(connection, anchor, head.columns, file)
            os.fsync(raw.fileno())
        checked = check_file(connection, path)
        if checked.faults:
            raise NotUnderstood(f"{path} is not whole: {checked.faults[0]}", "nothing was detached: look at the disk")
        for school in schools:
            connection.execute(_INSERT_DAYS, {"school": school, "month": month})
            settle_holes(connection, school)
        part = sql.Identifier(name_part(month))
        connection.execute(sql.SQL("ALTER TABLE event DETACH PARTITION {}").format(part))
        connection.execute(sql.SQL("DROP TABLE {}").format(part))
    return checked


def attach_month(
    connection: psycopg.Connection, path: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> MonthFileCheck:
    """Puts the events of a month's file back where they were, and takes its anchors away. Raises NotUnderstood.

    `progress` is told how many events are back, and how many there are.
    """
    checked = check_file(connection, path)
    if checked.faults:
        raise NotUnderstood(f"{path}: {checked.faults[0]}", "attach the file that was written when it was detached")
    part = sql.Identifier(name_part(checked.month))
    with connection.transaction(), _open_lines(path) as lines:
        if has_citus(connection):
            prepare_distribution(connection)
        columns = msgspec.json.decode(next(lines), type=MonthFileHead).columns
        connection.execute(sql.SQL("CREATE TABLE {} (LIKE event INCLUDING ALL)").format(part))
        attach_part(connection, checked.month)
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY event ({}) FROM STDIN").format(names)) as copy:
            events = (line for line in lines if not line.startswith("{"))
            for number, line in enumerate(events, 1):
                copy.write(line)
                if number % PROGRESS_EVENTS == 0:
                    progress(number, checked.events)
        # Of the city: the month is attached for every school.
        connection.execute("DELETE FROM month_anchor WHERE month = %s", (checked.month,))
        # Of the city: as above.
        connection.execute("DELETE FROM detached_day WHERE month = %s", (checked.month,))
    return checked


def check_file(connection: psycopg.Connection, path: Path) -> MonthFileCheck:
    """Returns what of a month's file holds, by the ledger's anchors and keys. Raises NotUnderstood for another file."""
    keys = {key.public_key for key in read_receipt_keys(connection)}
    try:
        with _open_lines(path) as lines:
            month = msgspec.json.decode(next(lines, ""), type=MonthFileHead).month
        # Of the city: the file is of all schools.
        rows = connection.execute("SELECT body FROM month_anchor WHERE month = %s", (month,))
        with _open_lines(path) as lines:
            return check_lines(lines, keys, [bytes(body) for (body,) in rows.fetchall()])
    except (OSError, UnicodeDecodeError, zstandard.ZstdError, msgspec.DecodeError) as error:
        raise NotUnderstood(f"{path} cannot be read as a month's file: {error}") from error


@dataclass(frozen=True, slots=True)
class UnlinkedEvent:
    """An event that does not follow from the one before it. `--json` shows these names."""

    school: str
    device: str
    epoch: str
    seq: int


def find_broken_links(connection: psycopg.Connection, school: str) -> list[UnlinkedEvent]:
    """Returns the events of a school whose chain does not hold: from the genesis, an anchor or the event before."""
    rows = connection.execute(_BROKEN_LINKS, {"school": school}).fetchall()
    return [UnlinkedEvent(school, *row) for row in rows]


def _check_month(connection: psycopg.Connection, month: str) -> None:
    months = list_months(connection)
    current = connection.execute("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')").fetchone()
    assert current is not None
    if month not in months:
        raise NotUnderstood(f"there are no events of {month!r} here", "see `edge-agent ledger month list`")
    if month != min(months) or month >= current[0]:
        raise NotUnderstood(f"{month} is not over, or an older one is here", f"the oldest here is {min(months)}")


def _check_days(connection: psycopg.Connection, month: str) -> None:
    row = connection.execute(_OPEN_DAY, {"month": month}).fetchone()
    if row is not None:
        raise NotUnderstood(
            f"{row[1]} of {row[0]} may still change, and events of {month} bear on it",
            f"close the sheets of {row[1][:7]} and run `edge-agent ledger settle --school {row[0]}`",
        )


def _list_schools(connection: psycopg.Connection, month: str) -> list[str]:
    # Of the city: whichever school has events of this month.
    rows = connection.execute("SELECT DISTINCT school FROM event WHERE month = %s ORDER BY school", (month,))
    return [school for (school,) in rows.fetchall()]


def _list_columns(connection: psycopg.Connection) -> list[str]:
    # Of the city: the columns are the same for all.
    columns = [column.name for column in connection.execute("SELECT * FROM event LIMIT 0").description or ()]
    return [*CHECKED_COLUMNS, *(column for column in columns if column not in CHECKED_COLUMNS)]


def _read_anchors(connection: psycopg.Connection, school: str, month: str) -> list[MonthAnchor]:
    rows = connection.execute(_ANCHORS, {"school": school, "month": month}).fetchall()
    return [
        MonthAnchor(
            school=school, device=device, epoch=epoch, month=month, first_seq=first, last_seq=last, events=events,
            prev=bytes(prev).hex(), last_hash=bytes(last_hash).hex(),
        )
        for device, epoch, first, last, events, prev, last_hash in rows
    ]  # fmt: skip


def _store_anchor(connection: psycopg.Connection, anchor: MonthAnchor, key: Ed25519PrivateKey) -> bytes:
    """Stores a signed anchor and returns its line."""
    signed = sign_anchor(anchor, key)
    connection.execute(
        "INSERT INTO month_anchor (school, device, epoch, month, first_seq, last_seq, last_hash, body, signature,"
        " public_key) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            anchor.school, anchor.device, anchor.epoch, anchor.month, anchor.first_seq, anchor.last_seq,
            bytes.fromhex(anchor.last_hash), encode_anchor(anchor), bytes.fromhex(signed.signature),
            bytes.fromhex(signed.public_key),
        ),
    )  # fmt: skip
    return msgspec.json.encode(signed, order="sorted") + b"\n"


def _copy_events(
    connection: psycopg.Connection, anchor: MonthAnchor, columns: Sequence[str], file: zstandard.ZstdCompressionWriter
) -> None:
    statement = sql.SQL(
        "COPY (SELECT {} FROM event WHERE school = {} AND device = {} AND epoch = {} AND month = {} ORDER BY seq)"
        " TO STDOUT"
    ).format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        *map(sql.Literal, (anchor.school, anchor.device, anchor.epoch, anchor.month)),
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in copy:
            file.write(piece)


@contextmanager
def _open_lines(path: Path) -> Iterator[Iterator[str]]:
    """Yields the lines of a compressed file, each with its end."""
    with path.open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file)
        yield iter(io.TextIOWrapper(reader, encoding="utf-8", newline="\n"))


_ANCHORS = """
    SELECT run.device, run.epoch, run.first_seq, run.last_seq, run.events,
           coalesce(before.hash, cut.last_hash, CASE WHEN run.first_seq = 1 THEN epoch.genesis END, ''), last.hash
    FROM (
        SELECT device, epoch, min(seq) AS first_seq, max(seq) AS last_seq, count(*) AS events FROM event
        WHERE school = %(school)s AND month = %(month)s GROUP BY device, epoch
    ) AS run
    JOIN event last ON last.school = %(school)s AND last.month = %(month)s AND last.device = run.device
                   AND last.epoch = run.epoch AND last.seq = run.last_seq
    JOIN epoch ON epoch.school = %(school)s AND epoch.device = run.device AND epoch.epoch = run.epoch
    LEFT JOIN event before ON before.school = %(school)s AND before.device = run.device AND before.epoch = run.epoch
                          AND before.seq = run.first_seq - 1
    LEFT JOIN month_anchor cut ON cut.school = %(school)s AND cut.device = run.device AND cut.epoch = run.epoch
                              AND cut.last_seq = run.first_seq - 1
    ORDER BY run.device, run.epoch
"""

# Of the city: a month is detached for all schools. A day may change while it is marked, or while its month is open.
_OPEN_DAY = """
    SELECT here.school, here.day FROM (
        SELECT school, day FROM event WHERE month = %(month)s GROUP BY school, day
    ) AS here
    WHERE EXISTS (SELECT 1 FROM dirty_day d WHERE d.school = here.school AND d.day = here.day)
       OR EXISTS (SELECT 1 FROM visit v WHERE v.school = here.school AND v.day = here.day)
          AND NOT EXISTS (
              SELECT 1 FROM closed_month c WHERE c.school = here.school AND c.month = left(here.day, 7)
          )
    ORDER BY here.school, here.day LIMIT 1
"""

_INSERT_DAYS = """
    INSERT INTO detached_day (school, day, month)
    SELECT %(school)s, day, %(month)s FROM (
        SELECT day FROM event WHERE school = %(school)s AND month = %(month)s AND day <> ''
        UNION
        SELECT s.true_day FROM strayed_event s JOIN event e USING (school, device, epoch, seq)
        WHERE s.school = %(school)s AND e.month = %(month)s AND s.true_day <> ''
    ) AS named
"""

_BROKEN_LINKS = """
    SELECT walked.device, walked.epoch, walked.seq FROM (
        SELECT device, epoch, seq, hash, payload, kind,
               lag(seq) OVER run AS seq_before, lag(hash) OVER run AS hash_before
        FROM event WHERE school = %(school)s WINDOW run AS (PARTITION BY device, epoch ORDER BY seq)
    ) AS walked
    JOIN epoch ON epoch.school = %(school)s AND epoch.device = walked.device AND epoch.epoch = walked.epoch
    LEFT JOIN month_anchor cut ON cut.school = %(school)s AND cut.device = walked.device AND cut.epoch = walked.epoch
                              AND cut.last_seq = walked.seq - 1
    WHERE CASE
        WHEN walked.kind = 'tombstone' THEN false
        WHEN walked.seq_before = walked.seq - 1 THEN NOT walked.hash = sha256(
            'cnt1'::bytea || walked.hash_before || int4send(octet_length(walked.payload)) || walked.payload
        )
        WHEN cut.last_hash IS NOT NULL OR walked.seq = 1 THEN NOT walked.hash = sha256(
            'cnt1'::bytea || coalesce(cut.last_hash, epoch.genesis) || int4send(octet_length(walked.payload))
            || walked.payload
        )
        ELSE NOT EXISTS (
            SELECT 1 FROM hole WHERE hole.school = %(school)s AND hole.device = walked.device
            AND hole.epoch = walked.epoch AND walked.seq - 1 BETWEEN hole.first_seq AND hole.last_seq
        )
    END
    ORDER BY 1, 2, 3
"""
