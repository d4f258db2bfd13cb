"""Sealed palms of each school: stored while there is a consent, handed to the school's kiosks, never opened."""

import msgspec
import psycopg

from sync.contract import roster
from sync.contract.consents import consenting_people
from sync.contract.palms import PAGE_PALMS, SealedPalmMessage, SealedPalmPage, SealedPalmReply


def store_palm(connection: psycopg.Connection, school: str, device: str, palm: SealedPalmMessage) -> SealedPalmReply:
    """Stores a palm in the place of the one of this hand. A palm that comes again changes nothing."""
    with connection.transaction():
        # A roster changes under this lock, too: no consent ends while it is read.
        row = connection.execute("SELECT palm_version FROM school WHERE school = %s FOR UPDATE", (school,)).fetchone()
        assert row is not None, "a device has a school"
        version = int(row[0])
        if palm.sealed and palm.person not in _consenting_people(connection, school, palm.person):
            return SealedPalmReply(version=version, stored=False)
        stored = connection.execute(
            "SELECT made_at, sealed IS NULL FROM palm WHERE school = %s AND person = %s AND hand = %s",
            (school, palm.person, palm.hand),
        ).fetchone()
        revoked = not palm.sealed
        if (stored is None and revoked) or stored == (palm.made_at, revoked) or (stored and stored[1] and revoked):
            return SealedPalmReply(version=version, stored=True)
        connection.execute(
            "INSERT INTO palm (school, person, hand, version, made_at, quality, sealed, device)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (school, person, hand) DO UPDATE"
            " SET version = excluded.version, made_at = excluded.made_at, quality = excluded.quality,"
            " sealed = excluded.sealed, device = excluded.device",
            (
                school, palm.person, palm.hand, version + 1, palm.made_at, palm.quality,
                palm.sealed or None, device,
            ),
        )  # fmt: skip
        connection.execute("UPDATE school SET palm_version = %s WHERE school = %s", (version + 1, school))
    return SealedPalmReply(version=version + 1, stored=True)


def read_page(connection: psycopg.Connection, school: str, since: int, limit: int = PAGE_PALMS) -> SealedPalmPage:
    """Returns the palms after number `since`. A kiosk ahead of the ledger (one that was restored) gets everything."""
    row = connection.execute("SELECT palm_version, roster_version FROM school WHERE school = %s", (school,)).fetchone()
    assert row is not None, "a device has a school"
    newest, roster_version = int(row[0]), int(row[1])
    rows = connection.execute(
        "SELECT person, hand, version, made_at, quality, sealed FROM palm"
        " WHERE school = %s AND version > %s AND version <= %s ORDER BY version LIMIT %s",
        (school, since if since <= newest else 0, newest, limit + 1),
    ).fetchall()
    palms = tuple(
        SealedPalmMessage(person=person, hand=hand, made_at=made_at, quality=quality, sealed=bytes(sealed or b""))
        for person, hand, _, made_at, quality, sealed in rows[:limit]
    )
    more = len(rows) > limit
    version = int(rows[limit - 1][2]) if more else newest
    return SealedPalmPage(school=school, since=since, version=version, roster=roster_version, palms=palms, more=more)


def forget_without_consent(connection: psycopg.Connection, school: str) -> int:
    """Deletes the palms of everybody who has left or withdrawn and returns how many. The caller holds the school's row.

    The kiosks need no message about it: they go by the same roster.
    """
    if connection.execute("SELECT 1 FROM palm WHERE school = %s LIMIT 1", (school,)).fetchone() is None:
        return 0
    done = connection.execute(
        "DELETE FROM palm WHERE school = %s AND NOT person = ANY(%s)",
        (school, sorted(_consenting_people(connection, school))),
    )
    return done.rowcount


def _consenting_people(connection: psycopg.Connection, school: str, person: str = "") -> frozenset[str]:
    """Returns the people who have agreed; with a `person`, only that one is looked up."""
    # As it stands in the records' JSON, or any quote: enough to leave the rest of a school unread.
    named = msgspec.json.encode(person).decode() if person else '"'
    rows = connection.execute(
        "SELECT body FROM roster_record WHERE school = %s AND superseded IS NULL AND body IS NOT NULL"
        " AND type IN ('person', 'consent') AND position(%s in body) > 0",
        (school, named),
    )
    return consenting_people(roster.from_json(row[0]) for row in rows)
