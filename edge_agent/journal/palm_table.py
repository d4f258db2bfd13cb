"""The journal's palms as its callers use them: stored, deleted, and passed on to the school's other kiosks."""

import sqlite3
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TypeVar

from edge_agent.domain.moment import MomentSource
from edge_agent.journal import sealed_palms
from edge_agent.journal.appending import Appender
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.marks import MarkTable
from edge_agent.journal.own_events import OwnEvents
from edge_agent.journal.rows import AppendedEvent
from edge_agent.journal.sealed_palms import RevokedPalm, SealedPalm
from edge_agent.journal.store import Store
from sync.contract.event import Event, PersonId

T = TypeVar("T")


class SealedPalmTable:
    """The palms of one journal. Whoever calls seals and opens them."""

    def __init__(
        self, store: Store, appender: Appender, marks: MarkTable, own_events: OwnEvents, now: MomentSource
    ) -> None:
        self._store = store
        self._appender = appender
        self._marks = marks
        self._own_events = own_events
        self._now = now

    def add(self, palm: SealedPalm, event: Event) -> AppendedEvent:
        """Stores this palm in the place of an older one of the same hand and appends `event`; both or none.

        Raises `NoConsent` when the roster in force does not allow it, `JournalUnwritable`, `JournalDamaged`.
        """

        def work(connection: sqlite3.Connection) -> None:
            sealed_palms.require_consent(connection, palm.person)
            sealed_palms.put_palm(connection, palm)

        return self._appender.append_with(work, lambda _: [event])[1][0]

    def restore(self, palms: Collection[SealedPalm]) -> None:
        """Takes over palms rescued from a damaged journal, as far as the roster in force still allows it."""

        def work(connection: sqlite3.Connection) -> None:
            for palm in palms:
                sealed_palms.put_palm(connection, palm)
            sealed_palms.delete_palms_without_consent(connection)

        self._store.write(work)

    def read_all(self) -> list[SealedPalm]:
        """Returns every palm, by person and hand."""
        return self._store.run(sealed_palms.read_palms)

    def hands(self) -> list[tuple[str, str]]:
        """Returns person and hand of every palm."""
        return [(person, hand) for person, hand in self._store.read(sealed_palms.SELECT_HANDS)]

    def delete(self, people: Collection[PersonId]) -> Mapping[PersonId, int]:
        """Deletes every palm of these people and appends a receipt for each of them who had one.

        Returns the number of samples deleted, by person.
        """
        with self._store.lock:
            return self.write_deletion(
                lambda connection: (None, sealed_palms.delete_palms_by_person(connection, people)),
                self._marks.roster_version(),
            )[1]

    def revoke(self, person: PersonId) -> int:
        """Deletes this person's palms on a technician's word, for the other kiosks, too.

        Returns the number of samples deleted.
        """

        def work(connection: sqlite3.Connection) -> tuple[None, Mapping[PersonId, int]]:
            connection.execute(sealed_palms.INSERT_REVOKED_PALMS, (self._now().text, person))
            return None, sealed_palms.delete_palms_by_person(connection, [person])

        with self._store.lock:
            return self.write_deletion(work, self._marks.roster_version())[1].get(person, 0)

    def next_unrelayed(self) -> SealedPalm | RevokedPalm | None:
        """Returns one palm, stored or revoked, of which the ledger does not know; None when it knows of all."""
        return self._store.run(sealed_palms.read_unrelayed_palm)

    def mark_relayed(self, palm: SealedPalm | RevokedPalm) -> None:
        """Notes that the ledger knows of this one."""
        self._store.write(lambda connection: sealed_palms.mark_palm_relayed(connection, palm))

    def merged_palm_version(self, fingerprint: str) -> int:
        """Returns how far the ledger's palms were taken over under this school key; 0 under another key."""
        return self._store.run(lambda connection: sealed_palms.read_merged_palm_version(connection, fingerprint))

    def accept(
        self,
        palms: Collection[SealedPalm],
        revoked: Collection[tuple[PersonId, str]] = (),
        version: int = 0,
        fingerprint: str = "",
    ) -> tuple[list[SealedPalm], Mapping[PersonId, int]]:
        """Stores palms of other kiosks and deletes the hands, (person, hand), that were revoked there.

        With a `fingerprint` they are the ledger's, up to this `version` of its order. Returns the palms that were
        stored, and the number of samples deleted, by person.
        """

        def work(connection: sqlite3.Connection) -> tuple[list[SealedPalm], Mapping[PersonId, int]]:
            if fingerprint:
                sealed_palms.write_merged_palm_version(connection, version, fingerprint)
            return sealed_palms.accept_allowed_palms(connection, palms), sealed_palms.delete_relayed_hands(
                connection, revoked
            )

        with self._store.lock:
            return self.write_deletion(work, self._marks.roster_version())

    def write_deletion(
        self, work: Callable[[sqlite3.Connection], tuple[T, Mapping[PersonId, int]]], roster_version: int
    ) -> tuple[T, Mapping[PersonId, int]]:
        """Does `work`, which deletes palms, and appends a receipt for each person, in one transaction.

        `work` returns its result and the number of samples deleted, by person; so does this. Afterwards the WAL is
        folded, so that no copy of a deleted palm stays in it.
        """

        def receipts(outcome: tuple[T, Mapping[PersonId, int]]) -> list[Event]:
            return [
                self._own_events.consent_withdrawn(person, samples, roster_version)
                for person, samples in outcome[1].items()
            ]

        outcome, _ = self._appender.append_with(work, receipts)
        if outcome[1]:
            with suppress(JournalUnwritable):  # or a reader is in the way: then upkeep does it at its next round
                self._store.fold()
        return outcome
