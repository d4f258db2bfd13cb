"""The roster of each school: changes in, pages out.

Every state of a record is kept with the version at which it came and the one at which it went: late events of closed
months are judged by them, and an auditor proves a sheet by them years later. A pull fixes its target
version on its first page and carries it in the cursor, so that all its pages show one moment, whatever changes between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import psycopg

from sync.contract import roster
from sync.contract.roster import Change, Consent, DeletedRecord, Record, RosterPage
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement.day_marks import change_basis
from sync.ledger.recovery.acts import ActKind, note_act
from sync.ledger.registry import code_uses, palms, replacement_cards
from sync.ledger.transparency import logs
from sync.proof.leaves import LogName, roster_leaf
from sync.proof.roster_digest import digest_judged

PAGE_RECORDS = 1_000


class PullRestart(Exception):
    """The ledger does not know the version or the cursor of this pull, which begins again."""


class _PageCursor(msgspec.Struct, frozen=True, array_like=True):
    version: int
    whole: bool
    type: str
    id: str


@dataclass(frozen=True, slots=True)
class AppliedChanges:
    """The effect of changes on a roster. The version stays when nothing changed."""

    version: int
    changed: int
    deleted: int


def read_version(connection: psycopg.Connection, school: str) -> int:
    """Returns the newest roster's number; 0 where there is none or no such school."""
    row = connection.execute("SELECT roster_version FROM school WHERE school = %s", (school,)).fetchone()
    return int(row[0]) if row else 0


def read_records(connection: psycopg.Connection, school: str) -> tuple[Record, ...]:
    """Returns the records in force, by type and id."""
    rows = connection.execute(
        "SELECT body FROM roster_record WHERE school = %s AND superseded IS NULL AND body IS NOT NULL"
        " ORDER BY type, id",
        (school,),
    )
    return tuple(roster.from_json(row[0]) for row in rows)


def apply_changes(
    connection: psycopg.Connection, school: str, changes: Sequence[Change], *, in_force: datetime | None = None
) -> AppliedChanges:
    """Brings changes into force as one new version, whole or not at all. A change to the same state is none.

    `in_force`: the time from which it is, by the database's clock now where it is None.
    """
    types, ids, bodies = [], [], []
    for change in {_name(change): change for change in changes}.values():
        types.append(_name(change)[0])
        ids.append(_name(change)[1])
        bodies.append(None if isinstance(change, DeletedRecord) else roster.to_json(change).decode())
    with connection.transaction():
        row = connection.execute(
            "SELECT roster_version FROM school WHERE school = %s FOR NO KEY UPDATE", (school,)
        ).fetchone()
        if row is None:
            raise NotUnderstood(f"no school {school!r}: add it with `edge-agent ledger school`")
        done = connection.execute(
            _APPLY, {"school": school, "version": row[0] + 1, "types": types, "ids": ids, "bodies": bodies}
        ).fetchone()
        assert done is not None
        changed, deleted = done
        newest = row[0] + 1 if changed + deleted else row[0]
        if newest != row[0]:
            connection.execute("UPDATE school SET roster_version = %s WHERE school = %s", (newest, school))
            since = connection.execute(
                "INSERT INTO roster_version (school, version, in_force) VALUES (%s, %s, coalesce(%s, now()))"
                " RETURNING in_force",
                (school, newest, in_force),
            ).fetchone()
            assert since is not None
            ended = [" ".join(_name(change)) for change in changes if _is_ending(change)]
            note_act(connection, ActKind.ROSTER, school, {"version": str(newest), "deleted": "\n".join(ended)})
            judged = digest_judged(read_records(connection, school))
            logs.append_leaf(connection, school, LogName.EVENTS, roster_leaf(school, newest, since[0], judged))
            if not all(isinstance(change, Consent) for change in changes):  # no judgement asks for a consent
                change_basis(connection, school, _list_open_days(connection, school))
        palms.forget_without_consent(connection, school)
        code_uses.forget_absent(connection, school)
        replacement_cards.forget_absent_cards(connection, school)
        # No judgement ever asks for a former secret or for the name of an operator: it goes at once.
        connection.execute(
            "DELETE FROM roster_record WHERE school = %s AND type = ANY(%s) AND body IS NOT NULL"
            " AND superseded IS NOT NULL",
            (school, list(roster.LATER_TYPES)),
        )
    return AppliedChanges(newest, changed, deleted)


def _list_open_days(connection: psycopg.Connection, school: str) -> list[str]:
    """Returns the settled days whose months are not closed."""
    rows = connection.execute(
        "SELECT day FROM settled_day d WHERE school = %(school)s AND NOT EXISTS ("
        " SELECT 1 FROM closed_month m WHERE m.school = %(school)s AND m.month = left(d.day, 7))",
        {"school": school},
    )
    return [row[0] for row in rows]


def _is_ending(change: Change) -> bool:
    """Returns True for what a restored backup must not bring back."""
    return isinstance(change, DeletedRecord) or (isinstance(change, Consent) and bool(change.withdrawn_at))


def _name(change: Change) -> tuple[str, str]:
    return (
        (change.deleted_type, change.id)
        if isinstance(change, DeletedRecord)
        else (roster.record_type(change), change.id)
    )


# Compare with what is in force, close what differs, add its successor. A deletion of what is not there is nothing.
_APPLY = """
    WITH given AS (
        SELECT type, id, body FROM unnest(%(types)s::text[], %(ids)s::text[], %(bodies)s::text[]) AS g (type, id, body)
    ), differing AS (
        SELECT given.type, given.id, given.body FROM given
        LEFT JOIN roster_record r ON r.school = %(school)s AND r.type = given.type AND r.id = given.id
                                 AND r.superseded IS NULL
        WHERE r.body IS DISTINCT FROM given.body
    ), closed AS (
        UPDATE roster_record r SET superseded = %(version)s FROM differing d
        WHERE r.school = %(school)s AND r.type = d.type AND r.id = d.id AND r.superseded IS NULL
        RETURNING 1
    ), added AS (
        INSERT INTO roster_record (school, type, id, version, body)
        SELECT %(school)s, type, id, %(version)s, body FROM differing
        -- The one current row of each record: the closing above must have happened.
        WHERE (SELECT count(*) FROM closed) >= 0
        RETURNING body
    )
    SELECT count(*) FILTER (WHERE body IS NOT NULL), count(*) FILTER (WHERE body IS NULL) FROM added
"""

# The state at `version` of what changed after `since`. A whole roster names no deletions: what it lacks is gone.
_PAGE = """
    SELECT type, id, body FROM roster_record
    WHERE school = %(school)s AND version > %(since)s AND version <= %(version)s
      AND (superseded IS NULL OR superseded > %(version)s) AND (body IS NOT NULL OR NOT %(whole)s)
      AND (type, id) > (%(type)s, %(id)s) AND type <> ALL(%(unknown)s)
    ORDER BY type, id LIMIT %(limit)s
"""


def read_page(
    connection: psycopg.Connection, school: str, since: int, cursor: str, limit: int = PAGE_RECORDS, *,
    knows: Sequence[str] = roster.LATER_TYPES,
) -> RosterPage | None:  # fmt: skip
    """Returns the next page of changes after version `since`; None for an unknown school. Raises PullRestart.

    Of the later record types only those that the kiosk `knows` are in it: it could not read a page with others.
    """
    row = connection.execute("SELECT roster_version FROM school WHERE school = %s", (school,)).fetchone()
    if row is None:
        return None
    (newest,) = row
    if cursor:
        place = _place(cursor)
        if place.version > newest:
            raise PullRestart("the ledger was restored since this pull began: begin it again")
    else:
        # A kiosk ahead of the ledger, one that was restored from a backup, gets everything.
        place = _PageCursor(newest, since == 0 or since > newest, "", "")
    rows = connection.execute(_PAGE, {
        "school": school, "since": 0 if place.whole else since, "version": place.version, "whole": place.whole,
        "type": place.type, "id": place.id, "limit": limit + 1,
        "unknown": [name for name in roster.LATER_TYPES if name not in knows],
    }).fetchall()  # fmt: skip
    more = len(rows) > limit
    changes = tuple(
        DeletedRecord(deleted_type=kind, id=id_) if body is None else roster.from_json(body)
        for kind, id_, body in rows[:limit]
    )
    onward = _PageCursor(place.version, place.whole, rows[limit - 1][0], rows[limit - 1][1]) if more else None
    return RosterPage(
        school=school,
        since=since,
        version=place.version,
        changes=changes,
        more=more,
        whole=place.whole,
        cursor=msgspec.json.encode(onward).hex() if onward else "",
    )


def _place(cursor: str) -> _PageCursor:
    try:
        place = msgspec.json.decode(bytes.fromhex(cursor), type=_PageCursor)
    except (ValueError, msgspec.DecodeError) as error:
        raise PullRestart("this cursor is none of ours: begin the pull again") from error
    if "\0" in place.type + place.id:
        raise PullRestart("this cursor is none of ours: begin the pull again")
    return place
