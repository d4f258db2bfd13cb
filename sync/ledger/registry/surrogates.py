"""The random names under which the ledger knows people, and the source's id of each: the one place that ties the two.

An event names a person for ever, so what it holds must say nothing by itself. Once the row here is gone, what was
recorded under the name is nobody's, and somebody who comes again gets another name.
"""

import base64
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec
import psycopg

from sync.ledger.errors import NotUnderstood
from sync.ledger.recovery.acts import ActKind, note_act

_SURROGATE_BYTES: Final = 16

# Rows of a kiosk that had its roster without a ledger hold the source's ids: whoever is in such rows keeps that name.
_SELECT_RECORDED = """
    SELECT DISTINCT v.person FROM visit v WHERE v.school = %(school)s AND v.person = ANY(%(people)s)
    AND NOT EXISTS (SELECT 1 FROM erased_person e WHERE e.school = %(school)s AND e.person = v.person)
    AND NOT EXISTS (SELECT 1 FROM person_surrogate s WHERE s.school = %(school)s AND s.surrogate = v.person)
"""
_INSERT = """
    INSERT INTO person_surrogate (school, source_id, surrogate)
    SELECT %(school)s, given.* FROM unnest(%(people)s::text[], %(surrogates)s::text[]) AS given (source_id, surrogate)
    WHERE NOT EXISTS (SELECT 1 FROM erased_person e WHERE e.school = %(school)s AND e.person = given.surrogate)
    ON CONFLICT DO NOTHING RETURNING source_id
"""
_SELECT_ANY = "SELECT 1 FROM person_surrogate WHERE school = %s LIMIT 1"
_SELECT_SURROGATES = "SELECT surrogate FROM person_surrogate WHERE school = %s AND surrogate = ANY(%s)"
_SELECT_SOURCE_IDS = "SELECT surrogate, source_id FROM person_surrogate WHERE school = %s AND surrogate = ANY(%s)"
_SELECT_KNOWN = "SELECT source_id, surrogate FROM person_surrogate WHERE school = %s AND source_id = ANY(%s)"


def draw_surrogate() -> str:
    """Returns a name of 128 random bits: 26 characters of base32."""
    return base64.b32encode(secrets.token_bytes(_SURROGATE_BYTES)).decode().rstrip("=").lower()


def choose_surrogates(
    connection: psycopg.Connection, school: str, source_ids: Collection[str], *, keep_ids: bool = False
) -> Mapping[str, str]:
    """Returns the surrogate of each of these people, by the source's id; for whoever is new one that is only drawn.

    With `keep_ids` whoever is new keeps the source's id: what the school's kiosks have still to send may hold it.
    """
    known = _read_known(connection, school, source_ids)
    new = sorted(set(source_ids) - known.keys())
    if not new:
        return known
    if keep_ids:
        return known | {person: person for person in new}
    recorded = {row[0] for row in connection.execute(_SELECT_RECORDED, {"school": school, "people": new})}
    return known | {person: person if person in recorded else draw_surrogate() for person in new}


def store_surrogates(connection: psycopg.Connection, school: str, surrogates: Mapping[str, str]) -> None:
    """Keeps the surrogates that are new, for every later import. The caller holds the school's row."""
    place = {"school": school, "people": list(surrogates), "surrogates": list(surrogates.values())}
    if connection.execute(_INSERT, place).fetchall():
        _note_all(connection, school)


def restore_surrogates(connection: psycopg.Connection, school: str, attachment: bytes) -> None:
    """Brings back what a restored database lacks of the surrogates. `attachment`: as noted, b"" where it is gone."""
    surrogates: dict[str, str] = msgspec.json.decode(attachment, type=dict[str, str]) if attachment else {}
    place = {"school": school, "people": list(surrogates), "surrogates": list(surrogates.values())}
    connection.execute(_INSERT, place)


def find_surrogates(connection: psycopg.Connection, school: str, people: Iterable[str]) -> Mapping[str, str]:
    """Returns the surrogates of people whom a file names by the source's ids, or by the surrogates themselves.

    Whoever is neither is not in it: nobody of this school, or somebody who was erased. Where no roster came by an
    import, people have no other names than those of the file.
    """
    named = list(people)
    known = _read_known(connection, school, named)
    if not known and connection.execute(_SELECT_ANY, (school,)).fetchone() is None:
        return {person: person for person in named}
    rows = connection.execute(_SELECT_SURROGATES, (school, named))
    return {person: person for (person,) in rows} | known


def find_surrogate(connection: psycopg.Connection, school: str, source_id: str) -> str:
    """Returns the surrogate of one person. Raises NotUnderstood for an id that no import of the school has named."""
    known = _read_known(connection, school, [source_id])
    if not known:
        raise NotUnderstood(f"no import of school {school!r} has named this id, or the person was erased")
    return known[source_id]


def find_source_ids(connection: psycopg.Connection, school: str, surrogates: Collection[str]) -> Mapping[str, str]:
    """Returns the source's id of each of these people; of whom nothing ties to one, none."""
    return dict(connection.execute(_SELECT_SOURCE_IDS, (school, list(surrogates))).fetchall())


def forget_source_id(connection: psycopg.Connection, school: str, surrogate: str) -> None:
    """Deletes what ties a surrogate to the source's id."""
    done = connection.execute("DELETE FROM person_surrogate WHERE school = %s AND surrogate = %s", (school, surrogate))
    if done.rowcount:
        _note_all(connection, school)


def _note_all(connection: psycopg.Connection, school: str) -> None:
    """Notes all surrogates of a school as an act: a restored backup must not draw other names for the same people.

    The names are attached, in a file of their own, which the next such act of the school deletes.
    """
    rows = connection.execute("SELECT source_id, surrogate FROM person_surrogate WHERE school = %s", (school,))
    surrogates: dict[str, str] = dict(rows.fetchall())
    note_act(connection, ActKind.SURROGATES, school, {"people": str(len(surrogates))}, msgspec.json.encode(surrogates))


def _read_known(connection: psycopg.Connection, school: str, source_ids: Collection[str]) -> dict[str, str]:
    return dict(connection.execute(_SELECT_KNOWN, (school, list(source_ids))).fetchall())
