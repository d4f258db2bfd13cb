"""Sealed palms of each school: kept while there is a consent, handed to the school's kiosks, opened by nobody here."""

import msgspec
import psycopg

from sync.contract import roster
from sync.contract.consents import consenting_people
from sync.contract.palms import PAGE_PALMS, SealedPalmMessage, SealedPalmPage, SealedPalmReply


def keep(connection: psycopg.Connection, school: str, device: str, parcel: SealedPalmMessage) -> SealedPalmReply:
    """Store a parcel in the place of what there was of this hand. The same one again changes nothing."""
    with connection.transaction():
        # This lock is also the one under which a roster changes: no consent goes while it is looked at.
        row = connection.execute("SELECT palm_version FROM school WHERE school = %s FOR UPDATE", (school,)).fetchone()
        assert row is not None, "a device has a school"
        version = int(row[0])
        if parcel.sealed and parcel.person not in _consenting(connection, school, parcel.person):
            return SealedPalmReply(version=version, stored=False)
        there = connection.execute(
            "SELECT made_at, sealed IS NULL FROM palm WHERE school = %s AND person = %s AND hand = %s",
            (school, parcel.person, parcel.hand),
        ).fetchone()
        gone = not parcel.sealed
        if (there is None and gone) or there == (parcel.made_at, gone) or (there is not None and there[1] and gone):
            return SealedPalmReply(version=version, stored=True)
        connection.execute(
            "INSERT INTO palm (school, person, hand, version, made_at, quality, sealed, device)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (school, person, hand) DO UPDATE"
            " SET version = excluded.version, made_at = excluded.made_at, quality = excluded.quality,"
            " sealed = excluded.sealed, device = excluded.device",
            (
                school, parcel.person, parcel.hand, version + 1, parcel.made_at, parcel.quality,
                parcel.sealed or None, device,
            ),
        )  # fmt: skip
        connection.execute("UPDATE school SET palm_version = %s WHERE school = %s", (version + 1, school))
    return SealedPalmReply(version=version + 1, stored=True)


def page(connection: psycopg.Connection, school: str, since: int, limit: int = PAGE_PALMS) -> SealedPalmPage:
    """What came after number `since`. A kiosk ahead of the ledger (one that was restored) gets everything."""
    row = connection.execute("SELECT palm_version, roster_version FROM school WHERE school = %s", (school,)).fetchone()
    assert row is not None, "a device has a school"
    newest, roster_version = int(row[0]), int(row[1])
    rows = connection.execute(
        "SELECT person, hand, version, made_at, quality, sealed FROM palm"
        " WHERE school = %s AND version > %s AND version <= %s ORDER BY version LIMIT %s",
        (school, since if since <= newest else 0, newest, limit + 1),
    ).fetchall()
    parcels = tuple(
        SealedPalmMessage(person=person, hand=hand, made_at=made_at, quality=quality, sealed=bytes(sealed or b""))
        for person, hand, _, made_at, quality, sealed in rows[:limit]
    )
    more = len(rows) > limit
    version = int(rows[limit - 1][2]) if more else newest
    return SealedPalmPage(school=school, since=since, version=version, roster=roster_version, palms=parcels, more=more)


def forget_without_consent(connection: psycopg.Connection, school: str) -> int:
    """Delete the palms of everybody who has left or withdrawn; how many. The caller holds the school's row.

    The kiosks need no word of it: they go by the same roster.
    """
    if connection.execute("SELECT 1 FROM palm WHERE school = %s LIMIT 1", (school,)).fetchone() is None:
        return 0
    done = connection.execute(
        "DELETE FROM palm WHERE school = %s AND NOT person = ANY(%s)", (school, sorted(_consenting(connection, school)))
    )
    return done.rowcount


def _consenting(connection: psycopg.Connection, school: str, person: str = "") -> frozenset[str]:
    """Who has agreed; with a `person` only that one is looked for."""
    # As it stands in the records' JSON, or any quote: enough to leave the rest of a school unread.
    named = msgspec.json.encode(person).decode() if person else '"'
    rows = connection.execute(
        "SELECT body FROM roster_record WHERE school = %s AND superseded IS NULL AND body IS NOT NULL"
        " AND type IN ('person', 'consent') AND position(%s in body) > 0",
        (school, named),
    )
    return consenting_people(roster.from_json(row[0]) for row in rows)
