"""A school's categories: imported as versions, each from a day on, and joined to people when a sheet is made."""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import psycopg

from sync.ledger.billing.terms import lock_school
from sync.ledger.registry.surrogates import find_surrogates
from sync.ledger.transparency import logs
from sync.money.building import SheetPerson
from sync.money.categories import BEGINNING, CategoryVersion, find_spans, set_categories
from sync.money.months import Month
from sync.proof.categories import digest_categories, digest_rows, hash_category
from sync.proof.leaves import VersionedKind
from sync.proof.statements import SALT_BYTES


@dataclass(frozen=True, slots=True)
class ImportedCategories:
    """The effect of an import. The version stays when nothing changed. `first`: the day from which it is in force."""

    version: int
    first: date
    people: int
    erased: int  # lines of people who were erased, or are nobody's: they are passed over
    changed: bool
    corrected: tuple[str, ...] = ()  # closed months from its first day on: they may need correction sheets


@dataclass(frozen=True, slots=True)
class JoinedCategories:
    """The people of a month with their categories, and the digest of the newest version; empty: there is none.

    `erased`: people who were erased and may have had a category.
    """

    people: tuple[SheetPerson, ...]
    digest: str
    erased: frozenset[str]


def import_categories(
    connection: psycopg.Connection, school: str, categories: Mapping[str, str], *, by: str, now: datetime,
    first: date | None = None,
) -> ImportedCategories:  # fmt: skip
    """Brings the categories of a school's people into force, as one new version; who is not named has none.

    People are named by the source's ids or by the surrogates. `first`: the day from which they are in force; None: the
    day after the last month of which a sheet is closed. Raises NotUnderstood for an unknown school.
    """
    with connection.transaction():
        lock_school(connection, school)
        erased = _read_erased(connection, school)
        people = {
            person: surrogate
            for person, surrogate in find_surrogates(connection, school, categories).items()
            if surrogate not in erased
        }
        stated = {people[person]: code for person, code in categories.items() if code and person in people}
        passed = sum(1 for person in categories if person not in people)
        versions = read_category_versions(connection, school)
        newest = versions[-1] if versions else None
        if newest is not None and (first is None or first == newest.first):
            known = _read_codes(connection, school, {newest.number})[newest.number]
            if known == stated and not _count_erased_rows(connection, school, {newest.number}):
                return ImportedCategories(newest.number, newest.first, len(stated), passed, False)
        start = first or _find_open_day(connection, school)
        number = newest.number + 1 if newest else 1
        _insert_version(connection, school, number, start, stated, by, now)
        closed = _read_closed_months(connection, school, start)
    return ImportedCategories(number, start, len(stated), passed, True, closed)


def _read_closed_months(connection: psycopg.Connection, school: str, first: date) -> tuple[str, ...]:
    rows = connection.execute(
        "SELECT DISTINCT month FROM sheet_act WHERE school = %s AND kind = 'closing' AND month >= %s ORDER BY month",
        (school, first.isoformat()[:7]),
    )
    return tuple(month for (month,) in rows)


def _find_open_day(connection: psycopg.Connection, school: str) -> date:
    row = connection.execute(
        "SELECT max(month) FROM sheet_act WHERE school = %s AND kind = 'closing'", (school,)
    ).fetchone()
    return Month.parse(row[0]).following.first if row and row[0] else BEGINNING


def _insert_version(
    connection: psycopg.Connection, school: str, number: int, first: date, stated: Mapping[str, str], by: str,
    now: datetime,
) -> None:  # fmt: skip
    rows = [(person, code, secrets.token_bytes(SALT_BYTES)) for person, code in stated.items()]
    hashes = [hash_category(*row) for row in rows]
    digest = digest_categories(number, first, len(rows), digest_rows(hashes))
    connection.execute(
        "INSERT INTO category_version (school, version, first, digest, imported_by, imported_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (school, number, first, digest.hex(), by, now),
    )
    people, codes, salts = zip(*rows, strict=True) if rows else ((), (), ())
    connection.execute(
        "INSERT INTO category_row (school, version, hash, person, category, salt)"
        " SELECT %s, %s, * FROM unnest(%s::bytea[], %s::text[], %s::text[], %s::bytea[])",
        (school, number, hashes, list(people), list(codes), list(salts)),
    )
    logs.append_version(connection, school, VersionedKind.CATEGORIES, school, number, digest)


def read_category_versions(connection: psycopg.Connection, school: str) -> list[CategoryVersion]:
    """Returns the versions of a school's categories, the first one first."""
    rows = connection.execute(
        "SELECT version, first, digest FROM category_version WHERE school = %s ORDER BY version", (school,)
    )
    return [CategoryVersion(number, first, digest) for number, first, digest in rows]


def read_categories(connection: psycopg.Connection, school: str, month: Month) -> dict[str, str]:
    """Returns the category that each person has at the end of a month, by the newest version; without those of none."""
    number = find_spans(read_category_versions(connection, school), month)[-1].number
    return {} if number is None else dict(_read_codes(connection, school, {number})[number])


def join_categories(
    connection: psycopg.Connection, school: str, month: Month, people: Iterable[SheetPerson]
) -> JoinedCategories:
    """Returns the people with the categories that the newest version gives them in a month."""
    versions = read_category_versions(connection, school)
    spans = find_spans(versions, month)
    numbers = {span.number for span in spans if span.number is not None}
    joined = set_categories(people, spans, _read_codes(connection, school, numbers))
    hidden = _count_erased_rows(connection, school, numbers)
    erased = _read_erased(connection, school) if hidden else frozenset[str]()
    return JoinedCategories(tuple(joined), versions[-1].digest if versions else "", erased)


def _read_codes(connection: psycopg.Connection, school: str, numbers: Collection[int]) -> dict[int, dict[str, str]]:
    codes: dict[int, dict[str, str]] = {number: {} for number in numbers}
    for number, person, category in connection.execute(
        "SELECT version, person, category FROM category_row"
        " WHERE school = %s AND version = ANY (%s) AND salt IS NOT NULL",
        (school, list(numbers)),
    ):
        codes[number][person] = category
    return codes


def _count_erased_rows(connection: psycopg.Connection, school: str, numbers: Collection[int]) -> int:
    row = connection.execute(
        "SELECT count(*) FROM category_row WHERE school = %s AND version = ANY (%s) AND salt IS NULL",
        (school, list(numbers)),
    ).fetchone()
    assert row is not None
    return int(row[0])


def _read_erased(connection: psycopg.Connection, school: str) -> frozenset[str]:
    rows: Sequence[tuple[str]] = connection.execute(
        "SELECT person FROM erased_person WHERE school = %s", (school,)
    ).fetchall()
    return frozenset(person for (person,) in rows)


def erase_category(connection: psycopg.Connection, school: str, person: str) -> int:
    """Takes a person's category out of every version and returns of how many. The hashes stay, for the digests."""
    done = connection.execute(
        "UPDATE category_row SET person = '', category = '', salt = NULL WHERE school = %s AND person = %s",
        (school, person),
    )
    return done.rowcount
