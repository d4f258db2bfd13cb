"""Consents noted at the desk, beside those of the roster, and the marks of enrolment day.

A consent is noted with its event, in one transaction. A withdrawal deletes the templates in that transaction, too, and
its receipt is the event.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from edge_agent.journal import sealed_palms
from edge_agent.journal.appending import Appender
from edge_agent.journal.errors import STORE_ERRORS, JournalUnwritable
from edge_agent.journal.rows import AppendedEvent
from edge_agent.journal.store import Store, connect_read_only
from edge_agent.journal.strangers import forget_strangers
from sync.contract.event import ConsentNoted, ConsentWithdrawn, PersonId
from sync.contract.roster import Consent, from_json, to_json

SELECT_CONSENTS = "SELECT record FROM desk_consent ORDER BY person, scope"
SELECT_EVERY_CONSENT = "SELECT record FROM roster WHERE type = 'consent' UNION ALL SELECT record FROM desk_consent"
UPSERT_CONSENT = "INSERT OR REPLACE INTO desk_consent (person, scope, record) VALUES (?, ?, ?)"
SELECT_ENROLMENT_MARKS = "SELECT person, mark FROM enrolment_mark"
UPSERT_ENROLMENT_MARK = "INSERT OR REPLACE INTO enrolment_mark (person, mark) VALUES (?, ?)"
DELETE_ENROLMENT_MARK = "DELETE FROM enrolment_mark WHERE person = ?"


class DeskConsents:
    """The consents and marks of one journal."""

    def __init__(self, store: Store, appender: Appender) -> None:
        self._store = store
        self._appender = appender

    def read_all(self) -> list[Consent]:
        """Returns the last word of each person and scope, by person and scope."""
        return self._store.run(_read_consents)

    def read_person(self, person: PersonId, scope: str) -> list[Consent]:
        """Returns every word that roster and desk have of this person and scope. Raises msgspec.DecodeError."""
        consents = self._store.run(lambda connection: _read_consents(connection, SELECT_EVERY_CONSENT))
        return [consent for consent in consents if (consent.person, consent.scope) == (person, scope)]

    def note(self, consent: Consent, event: ConsentNoted) -> None:
        """Keeps a consent and appends its event; both or none. Raises `JournalUnwritable`."""
        self._appender.append_with(lambda connection: _put(connection, consent), lambda _: [event])

    def withdraw(self, consent: Consent, receipt: ConsentWithdrawn) -> tuple[int, AppendedEvent]:
        """Keeps the end of a consent, deletes the templates here, and has the other kiosks delete theirs.

        Appends `receipt` with the number of samples deleted; returns that number and the receipt's place. Raises
        `JournalUnwritable`.
        """
        person = PersonId(consent.person)

        def work(connection: sqlite3.Connection) -> int:
            _put(connection, consent)
            connection.execute(sealed_palms.INSERT_REVOKED_PALMS, (consent.withdrawn_at, person))
            return sealed_palms.delete_palms_by_person(connection, [person]).get(person, 0)

        deleted, places = self._appender.append_with(
            work, lambda samples: [msgspec.structs.replace(receipt, templates_deleted=samples)]
        )
        if deleted:
            with suppress(JournalUnwritable):  # or a reader is in the way: then upkeep does it at its next round
                self._store.fold()
        return deleted, places[0]

    def restore(self, consents: Sequence[Consent]) -> None:
        """Takes over consents rescued from a damaged journal, whose events have said them."""

        def work(connection: sqlite3.Connection) -> None:
            for consent in consents:
                _put(connection, consent)
            forget_strangers(connection)

        self._store.write(work)

    def read_marks(self) -> Mapping[str, str]:
        """Returns the mark of each person who has one."""
        return dict(self._store.read(SELECT_ENROLMENT_MARKS))

    def set_mark(self, person: PersonId, mark: str) -> None:
        """Marks a person; an empty mark takes the mark away. Raises `JournalUnwritable`."""
        statement, values = (UPSERT_ENROLMENT_MARK, (person, mark)) if mark else (DELETE_ENROLMENT_MARK, (person,))
        self._store.write(lambda connection: connection.execute(statement, values).close())


def rescue_desk_consents(path: Path) -> list[Consent]:
    """Reads the consents of a journal that was set aside, as far as it can be read; an older one has none."""
    try:
        with closing(connect_read_only(path)) as connection:
            return _read_consents(connection)
    except (*STORE_ERRORS, msgspec.DecodeError, ValueError):
        return []


def _put(connection: sqlite3.Connection, consent: Consent) -> None:
    connection.execute(UPSERT_CONSENT, (consent.person, consent.scope, to_json(consent)))


def _read_consents(connection: sqlite3.Connection, query: str = SELECT_CONSENTS) -> list[Consent]:
    records = (from_json(bytes(record)) for (record,) in connection.execute(query).fetchall())
    return [record for record in records if isinstance(record, Consent)]
