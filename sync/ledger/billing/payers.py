"""By what a payer's lines are matched to the people of a school: keyed hashes, and names that somebody confirmed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg

from sync.contract import roster
from sync.contract.roster import Person
from sync.ledger.billing.terms import lock_school
from sync.ledger.errors import NotUnderstood
from sync.ledger.registry import rosters
from sync.ledger.registry.payer_numbers import read_numbers, store_numbers
from sync.ledger.registry.surrogates import find_surrogates
from sync.money.payer_people import ChildMatcher, NameKey, RosterName


def replace_numbers(connection: psycopg.Connection, school: str, numbers: Iterable[tuple[str, str]]) -> int:
    """Replaces the school's keyed hashes by these pairs of hash (hex) and person. Returns how many there are.

    A person is named by the source's id or by the surrogate; a pair of somebody who is neither is passed over.

    Raises NotUnderstood for what is no hash: a plain number must never come here.
    """
    pairs = sorted({(number_hash.strip().lower(), person.strip()) for number_hash, person in numbers})
    for number_hash, _ in pairs:
        if len(number_hash) != 64 or not set(number_hash) <= set("0123456789abcdef"):
            raise NotUnderstood(
                f"a value of {len(number_hash)} characters is no HMAC-SHA256",
                "hash the numbers where they are, with the key, and import the 64 hex digits",
            )
    with connection.transaction():
        lock_school(connection, school)
        people = find_surrogates(connection, school, (person for _, person in pairs))
        return store_numbers(
            connection, school, [(number_hash, people[person]) for number_hash, person in pairs if person in people]
        )


def forget_child(connection: psycopg.Connection, school: str, person: str) -> None:
    """Removes every hash and confirmed name of a person who is erased. Who confirmed, and when, stays."""
    connection.execute("DELETE FROM payer_number WHERE school = %s AND person = %s", (school, person))
    connection.execute("DELETE FROM payer_number_former WHERE school = %s AND person = %s", (school, person))
    connection.execute("DELETE FROM payer_name WHERE school = %s AND person = %s", (school, person))
    connection.execute(
        "UPDATE payer_name_act SET name = '', class = '' WHERE school = %s AND person = %s", (school, person)
    )


def confirm_names(
    connection: psycopg.Connection, school: str, names: Mapping[NameKey, str], *, by: str, now: datetime
) -> None:
    """Keeps that somebody takes these names and classes for these people, as an act of that person.

    A later word replaces an earlier one; the acts of both stay.
    """
    with connection.transaction():
        lock_school(connection, school)
        connection.execute(
            "INSERT INTO payer_name (school, name, class, person, confirmed_by, confirmed_at)"
            " SELECT %s, *, %s, %s FROM unnest(%s::text[], %s::text[], %s::text[])"
            " ON CONFLICT (school, name, class) DO UPDATE SET person = excluded.person,"
            " confirmed_by = excluded.confirmed_by, confirmed_at = excluded.confirmed_at",
            (school, by, now, [name for name, _ in names], [group for _, group in names], list(names.values())),
        )
        connection.execute(
            "INSERT INTO payer_name_act (school, name, class, person, confirmed_by, confirmed_at)"
            " SELECT %s, *, %s, %s FROM unnest(%s::text[], %s::text[], %s::text[])",
            (school, by, now, [name for name, _ in names], [group for _, group in names], list(names.values())),
        )


@dataclass(frozen=True, slots=True)
class ConfirmedName:
    """The act by which somebody took a payer's name and class for a person."""

    name: str
    group: str
    person: str
    by: str
    at: datetime


def list_confirmations(connection: psycopg.Connection, school: str, most: int = 200) -> list[ConfirmedName]:
    """Returns the newest confirmations of names at a school, the newest first."""
    rows = connection.execute(
        "SELECT name, class, person, confirmed_by, confirmed_at FROM payer_name_act WHERE school = %s"
        " ORDER BY act DESC LIMIT %s",
        (school, most),
    )
    return [ConfirmedName(*row) for row in rows]


def read_child_matcher(connection: psycopg.Connection, school: str, person: str) -> ChildMatcher:
    """Returns everything by which a payer's children are found, of this person also the names of former rosters."""
    matcher = read_matcher(connection, school, b"")
    rows = connection.execute(
        "SELECT body FROM roster_record WHERE school = %s AND type = 'person' AND id = %s AND body IS NOT NULL",
        (school, person),
    )
    states = [record for (body,) in rows if isinstance(record := roster.from_json(body), Person)]
    names = {_name_on_roster(state) for state in states}
    return replace(matcher, names=[*names, *(name for name in matcher.names if name.person != person)])


def read_matcher(connection: psycopg.Connection, school: str, key: bytes) -> ChildMatcher:
    """Returns everything by which a payer's children are found at this school."""
    confirmed = {
        (name, group): person
        for name, group, person in connection.execute(
            "SELECT name, class, person FROM payer_name WHERE school = %s", (school,)
        )
    }
    names = [
        _name_on_roster(record) for record in rosters.read_records(connection, school) if isinstance(record, Person)
    ]
    return ChildMatcher(names, read_numbers(connection, school), key, confirmed)


def _name_on_roster(person: Person) -> RosterName:
    return RosterName(person.id, f"{person.family_name} {person.given_name}", person.group)
