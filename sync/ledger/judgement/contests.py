"""Contests: what families object to, open until a named person has answered, signed.

An entry that is contested is judged again at once: its claim is held while the contest is open, and is nothing where
the family turned out to be right (`sync.contract.visits`). The family's own words are kept for a stated time only.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg

from sync.contract.contests import BadAnswer, ContestAnswer, ContestKind, ContestOutcome, verify_answer
from sync.contract.visit import EventId
from sync.errors import Wording
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement.day_marks import change_basis, mark_dirty
from sync.ledger.judgement.reversals import DECIDING_ROLES, find_officer, list_officers
from sync.ledger.registry.free_text import refuse_names

CONTEST_NOTE_CHARS_MAX: Final = 500
OPEN_CONTESTS_MAX: Final = 20  # of one child
NOTE_RETENTION: Final = timedelta(days=365)  # of the family's words, after the answer

_SELECT = """
    SELECT contest, person, day, session, kind, device, epoch, seq, note, raised_at, answered_at, answer, signature,
           public_key
    FROM contest WHERE school = %(school)s AND day BETWEEN %(first)s AND %(last)s AND %(person)s IN ('', person)
    ORDER BY day, raised_at
"""


@dataclass(frozen=True, slots=True)
class Contest:
    """A contest as it stands. `entry` is None where the family says that an entry is missing."""

    contest: str
    person: str
    day: str
    session: str
    kind: ContestKind
    entry: EventId | None
    note: str
    raised_at: datetime
    answered_at: datetime | None
    answer: ContestAnswer | None  # None too where the stored answer is nobody's signed one


def contest_entry(
    connection: psycopg.Connection, school: str, person: str, entry: EventId, note: str, now: datetime
) -> str:
    """Stores that an entry of a child is not right, and returns the contest's name. Open already, it stays that one.

    Raises NotUnderstood for an entry that is not this child's, or too many contests.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT day, session FROM visit WHERE school = %s AND device = %s AND epoch = %s AND seq = %s"
            " AND person = %s",
            (school, *entry, person),
        ).fetchone()
        if row is None:
            raise NotUnderstood("no such entry of this child", "open the month again", Wording("contest.no_entry"))
        existing = connection.execute(
            "SELECT contest FROM contest WHERE school = %s AND device = %s AND epoch = %s AND seq = %s"
            " AND kind = 'not_right' AND answered_at IS NULL",
            (school, *entry),
        ).fetchone()
        if existing is not None:
            return str(existing[0])
        change_basis(connection, school, [row[0]])
        return _insert(connection, school, person, row[0], row[1], ContestKind.NOT_RIGHT, entry, note, now)


def contest_absence(
    connection: psycopg.Connection, school: str, person: str, day: str, session: str, note: str, now: datetime
) -> str:
    """Stores that a child was there and no entry says so, and returns the contest's name. Raises NotUnderstood."""
    with connection.transaction():
        return _insert(connection, school, person, day, session, ContestKind.NOT_SHOWN, None, note, now)


def _insert(
    connection: psycopg.Connection, school: str, person: str, day: str, session: str, kind: ContestKind,
    entry: EventId | None, note: str, now: datetime,
) -> str:  # fmt: skip
    count = connection.execute(
        "SELECT count(*) FROM contest WHERE school = %s AND person = %s AND answered_at IS NULL", (school, person)
    ).fetchone()
    if count is None or count[0] >= OPEN_CONTESTS_MAX:
        raise NotUnderstood(
            f"{OPEN_CONTESTS_MAX} contests of this child are open", "wait for the answers",
            Wording("contest.too_many", count=OPEN_CONTESTS_MAX),
        )  # fmt: skip
    name = secrets.token_hex(8)
    device, epoch, seq = entry or EventId("", "", 0)
    connection.execute(
        "INSERT INTO contest (school, contest, person, day, session, kind, device, epoch, seq, note, raised_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (school, name, person, day, session[:64], kind, device, epoch, seq, note[:CONTEST_NOTE_CHARS_MAX], now),
    )
    return name


def answer_contest(
    connection: psycopg.Connection, body: bytes, signature: bytes, public_key: bytes, now: datetime
) -> ContestAnswer:
    """Stores an officer's signed answer and has the entry's day judged again. Raises NotUnderstood.

    An answered contest takes no second answer.
    """
    try:
        answer = verify_answer(body, signature, public_key)
    except BadAnswer as error:
        raise NotUnderstood(str(error)) from error
    officer = find_officer(connection, answer.school, public_key)
    if answer.officer != officer.officer:
        raise NotUnderstood(f"it names the officer {answer.officer}, and {officer.officer} has signed it")
    refuse_names(connection, answer.school, answer.reason)
    with connection.transaction():
        change_basis(connection, answer.school, ())  # first: it waits for a settling that is under way
        row = connection.execute(
            "UPDATE contest SET answered_at = %s, answer = %s, signature = %s, public_key = %s"
            " WHERE school = %s AND contest = %s AND answered_at IS NULL RETURNING day, kind",
            (now, body, signature, public_key, answer.school, answer.contest),
        ).fetchone()
        if row is None:
            raise NotUnderstood(
                f"no open contest {answer.contest!r} at school {answer.school!r}",
                f"see which are open with `edge-agent ledger contest list {answer.school}`",
            )
        if row[1] == ContestKind.NOT_RIGHT:
            mark_dirty(connection, answer.school, [row[0]])
    return answer


def list_contests(
    connection: psycopg.Connection, school: str, first_day: str, last_day: str, *, person: str = "",
    open_only: bool = False,
) -> list[Contest]:  # fmt: skip
    """Returns the contests about these days, by day and time; of one child where `person` names it."""
    rows = connection.execute(_SELECT, {"school": school, "first": first_day, "last": last_day, "person": person})
    keys = _read_keys(connection, school)
    contests = [_read(keys, *row) for row in rows.fetchall()]
    return [contest for contest in contests if contest.answer is None or not open_only]


def _read_keys(connection: psycopg.Connection, school: str) -> Mapping[bytes, str]:
    """Returns the officers who may answer, by key; the retired ones too, for what they have signed still holds."""
    officers = list_officers(connection, school)
    return {officer.public_key: officer.officer for officer in officers if officer.role in DECIDING_ROLES}


def _read(
    keys: Mapping[bytes, str], contest: str, person: str, day: str, session: str, kind: str, device: str, epoch: str,
    seq: int, note: str, raised_at: datetime, answered_at: datetime | None, answer: bytes | None,
    signature: bytes | None, public_key: bytes | None,
) -> Contest:  # fmt: skip
    signed: ContestAnswer | None = None
    if answer is not None and signature is not None and public_key is not None:
        try:
            signed = verify_answer(bytes(answer), bytes(signature), bytes(public_key))
        except BadAnswer:
            signed = None  # somebody has written into the table: it counts as open
    if signed is not None and (signed.contest, signed.officer) != (contest, keys.get(bytes(public_key or b""))):
        signed = None
    entry = EventId(device, epoch, seq) if kind == ContestKind.NOT_RIGHT else None
    return Contest(contest, person, day, session, ContestKind(kind), entry, note, raised_at, answered_at, signed)


def read_contested(connection: psycopg.Connection, school: str) -> Mapping[EventId, ContestAnswer | None]:
    """Returns the entries whose claim a contest changes: None while it is open, else the answer that upheld it."""
    contested: dict[EventId, ContestAnswer | None] = {}
    for contest in sorted(list_contests(connection, school, "", "~"), key=lambda contest: contest.raised_at):
        if contest.entry is None:
            continue
        if contest.answer is not None and contest.answer.outcome is ContestOutcome.DECLINED:
            contested.pop(contest.entry, None)
        else:
            contested[contest.entry] = contest.answer
    return contested


def read_answers(connection: psycopg.Connection, school: str) -> list[tuple[str, EventId, bytes, bytes, bytes]]:
    """Returns name, entry, answer, signature and key of each contest of an entry, for an auditor; empty: no answer."""
    rows = connection.execute(
        "SELECT contest, device, epoch, seq, coalesce(answer, ''), coalesce(signature, ''), coalesce(public_key, '')"
        " FROM contest WHERE school = %s AND kind = 'not_right' ORDER BY raised_at",
        (school,),
    )
    return [
        (contest, EventId(device, epoch, seq), bytes(answer), bytes(signature), bytes(key))
        for contest, device, epoch, seq, answer, signature, key in rows
    ]


def erase_notes(connection: psycopg.Connection, school: str, person: str) -> int:
    """Deletes a family's words about its child, and returns how many. The contests stay."""
    done = connection.execute(
        "UPDATE contest SET note = '' WHERE school = %s AND person = %s AND note <> ''", (school, person)
    )
    return done.rowcount


def forget_notes(connection: psycopg.Connection, school: str, now: datetime) -> int:
    """Deletes the families' words whose time of retention is over, and returns how many. The contests stay."""
    done = connection.execute(
        "UPDATE contest SET note = '' WHERE school = %s AND note <> '' AND answered_at < %s",
        (school, now - NOTE_RETENTION),
    )
    return done.rowcount
