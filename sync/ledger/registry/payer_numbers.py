"""The keyed hashes of the payer's numbers, with the roster's versions. No number itself ever comes to the ledger."""

from collections import defaultdict
from collections.abc import Iterable

import psycopg


def store_numbers(connection: psycopg.Connection, school: str, numbers: Iterable[tuple[str, str]]) -> int:
    """Lets these pairs of hash (hex) and person be all that are in force with the newest roster. Returns how many.

    The caller holds the school's row.
    """
    pairs = sorted(set(numbers))
    place = {
        "school": school, "hashes": [number_hash for number_hash, _ in pairs], "people": [person for _, person in pairs]
    }  # fmt: skip
    connection.execute(_SUPERSEDE, place)
    connection.execute(_INSERT, place)
    return len(pairs)


def read_numbers(connection: psycopg.Connection, school: str) -> dict[str, tuple[str, ...]]:
    """Returns the people of each keyed hash: those who have it, and where nobody has, those who had it last."""
    people: dict[str, list[str]] = defaultdict(list)
    for number_hash, person in connection.execute(_READ, {"school": school}):
        people[number_hash].append(person)
    return {number_hash: tuple(found) for number_hash, found in people.items()}


# What came and went within one version leaves one row.
_SUPERSEDE = """
    WITH gone AS (
        DELETE FROM payer_number WHERE school = %(school)s AND (number_hash, person) NOT IN (
            SELECT * FROM unnest(%(hashes)s::text[], %(people)s::text[])
        ) RETURNING number_hash, person, version
    )
    INSERT INTO payer_number_former (school, number_hash, person, version, superseded)
    SELECT %(school)s, gone.number_hash, gone.person, gone.version, school.roster_version
    FROM gone JOIN school ON school.school = %(school)s
    ON CONFLICT (school, number_hash, person, version) DO UPDATE SET superseded = excluded.superseded
"""

_INSERT = """
    INSERT INTO payer_number (school, number_hash, person, version)
    SELECT %(school)s, given.number_hash, given.person, school.roster_version
    FROM unnest(%(hashes)s::text[], %(people)s::text[]) AS given (number_hash, person)
    JOIN school ON school.school = %(school)s
    ON CONFLICT (school, number_hash, person) DO NOTHING
"""

_READ = """
    SELECT number_hash, person FROM payer_number WHERE school = %(school)s
    UNION
    SELECT number_hash, person FROM payer_number_former f WHERE school = %(school)s AND superseded = (
        SELECT max(superseded) FROM payer_number_former l
        WHERE l.school = %(school)s AND l.number_hash = f.number_hash
    ) AND NOT EXISTS (SELECT 1 FROM payer_number n WHERE n.school = %(school)s AND n.number_hash = f.number_hash)
    ORDER BY number_hash, person
"""
