"""Names, cards and codes of people who were erased, out of the rosters that were: nothing judges by them.

What the roster in force says of a person stays as long as the school's export names them. Afterwards the judged part
of former rosters stays without names, so that sheets and their logs go on being proved.
"""

import msgspec
import psycopg

from sync.contract import roster
from sync.proof.roster_digest import redact

_KEPT = ("sourcedId", "userSourcedId", "enabledUser")  # the rest is personal, and comes again with whoever comes back


class RosterSourceRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of a OneRoster source as the table `roster_source` holds it."""

    fields: dict[str, str]
    modified: str
    active: bool


def forget_erased_names(connection: psycopg.Connection, school: str) -> None:
    """Takes names, cards and codes of a school's erased people out of former rosters and former rows of its source."""
    place = {"school": school}
    for kind, name, version, body in connection.execute(_FORMER_RECORDS, place).fetchall():
        redacted = redact(roster.from_json(body))
        key = (school, kind, name, version)
        if redacted is None:
            connection.execute(_DELETE_RECORD, key)
        else:
            connection.execute(_REPLACE_RECORD, (roster.to_json(redacted).decode(), *key))
    for file, name, text in connection.execute(_SOURCE_ROWS, place).fetchall():
        row = msgspec.json.decode(text, type=RosterSourceRow)
        if not row.active or row.fields.get("enabledUser") == "false":
            fields = {column: value if column in _KEPT else "" for column, value in row.fields.items()}
            stored = msgspec.json.encode(msgspec.structs.replace(row, fields=fields)).decode()
            connection.execute(_REPLACE_ROW, (stored, school, file, name))


_FORMER_RECORDS = """
    SELECT r.type, r.id, r.version, r.body FROM roster_record r JOIN erased_person e
    ON e.school = r.school AND e.person IN (r.body::jsonb ->> 'person', CASE WHEN r.type = 'person' THEN r.id END)
    WHERE r.school = %(school)s AND r.superseded IS NOT NULL AND r.body IS NOT NULL
"""
_DELETE_RECORD = "DELETE FROM roster_record WHERE school = %s AND type = %s AND id = %s AND version = %s"
_REPLACE_RECORD = "UPDATE roster_record SET body = %s WHERE school = %s AND type = %s AND id = %s AND version = %s"
_SOURCE_ROWS = """
    SELECT s.file, s.sourced_id, s.kept FROM roster_source s JOIN erased_person e ON e.school = s.school
    AND e.person IN (s.kept::jsonb -> 0 ->> 'userSourcedId', CASE WHEN s.file = 'users.csv' THEN s.sourced_id END)
    WHERE s.school = %(school)s
"""
_REPLACE_ROW = "UPDATE roster_source SET kept = %s WHERE school = %s AND file = %s AND sourced_id = %s"
