"""A newer roster comes into force here: on disk, in the station, among the palms, and as events."""

import logging
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from edge_agent.domain import consents
from edge_agent.domain.consents import ConsentPaper
from edge_agent.domain.moment import MomentSource
from edge_agent.domain.record import EventContext, EventOrigin, build_origin
from edge_agent.journal.journal import Journal
from edge_agent.journal.rows import AppendedEvent
from edge_agent.runtime.journal_guard import JournalGuard
from edge_agent.runtime.roster_in_force import RosterInForce
from edge_agent.station.station import Station
from sync.contract.dynamic_codes import CodeUse
from sync.contract.event import ConsentNoted, ConsentWithdrawn, PersonId, RosterApplied
from sync.contract.roster import RosterPage

log = logging.getLogger(__name__)

PROBLEMS_LOGGED = 20
PALM_SCOPE = "palm"


class PalmsInMemory(Protocol):
    """Recognition, as far as a change of the roster reaches into it."""

    def forget(self, people: Collection[str]) -> None:
        """Forgets these people's palms; their sealed palms are deleted already."""
        ...


class RosterDesk:
    """Implements `sync.client.ports.RosterStore` and `CodeUseStore` over the journal; a newer roster also reaches
    station and palms.
    """

    def __init__(
        self,
        journal: Journal,
        in_force: RosterInForce,
        station: Station,
        palms: PalmsInMemory | None,
        guard: JournalGuard,
        now: MomentSource,
    ) -> None:
        self._journal = journal
        self._in_force = in_force
        self._station = station
        self._palms = palms
        self._guard = guard
        self._now = now

    def roster_version(self) -> int:
        """Returns the version to fetch changes to; 0 where the whole roster is to be fetched."""
        return self._journal.roster.pulled_version()

    def wants_code_uses(self) -> bool:
        """Returns True where somebody of the roster in force has a changing code."""
        return self._station.roster.has_dynamic_codes

    def code_uses_version(self) -> int:
        """Returns the number up to which the ledger's uses of codes are here."""
        return self._journal.code_uses.version()

    def accept_code_uses(self, uses: Sequence[CodeUse], version: int) -> None:
        """Takes over uses of codes at the school's other kiosks. Raises JournalUnwritable."""
        self._journal.code_uses.accept(uses, version)

    def apply_roster(self, pages: Sequence[RosterPage], confirmed_at: datetime) -> None:
        """Brings the pages of a newer roster into force. Raises RosterMismatch, JournalUnwritable."""
        before = self._station.roster
        change = self._journal.roster.apply(pages, confirmed_at)
        self._in_force.refresh()
        roster = self._station.roster
        log.info(
            "roster version %d is in force: %d people, %d credentials",
            roster.version,
            change.people,
            change.credentials,
        )
        known = set(before.problems)  # each newer roster brings the same ones again until the source is mended
        news = [problem for problem in roster.problems if problem not in known]
        for problem in news[:PROBLEMS_LOGGED]:
            log.warning("roster: %s %s: %s", problem.type, problem.id, problem.text)
        if self._palms is not None:
            self._palms.forget(change.forgotten)
        deleted = sum(change.forgotten.values())
        self._guard.append(
            RosterApplied(
                **self._where(), people=change.people, credentials=change.credentials, templates_deleted=deleted
            )
        )
        for person in before.people:
            # Of those whose palms were here, the receipts went with the deletion.
            if before.has_consent(person) and not roster.has_consent(person) and person not in change.forgotten:
                self._guard.append(ConsentWithdrawn(**self._where(), person=person, templates_deleted=0))

    def confirm_roster(self, confirmed_at: datetime) -> None:
        """Notes that the roster in force was still the newest one at this time."""
        self._journal.roster.confirm(confirmed_at)
        self._in_force.confirm(confirmed_at)

    def note_consent(self, person: PersonId, paper: ConsentPaper, operator: str) -> None:
        """Brings a consent from a signed paper into force. Raises ConsentRefused, JournalUnwritable."""
        words = self._journal.desk_consents.read_person(person, PALM_SCOPE)
        zone = self._station.roster.timetable.tz
        consent = consents.note_consent(person, PALM_SCOPE, paper, words, self._now().utc, zone)
        event = ConsentNoted(
            **self._where(),
            person=person,
            paper=consent.version,
            given_by=consent.given_by,
            given_at=consent.given_at,
            operator=operator,
        )
        self._journal.desk_consents.note(consent, event)
        self._in_force.refresh()

    def withdraw_consent(self, person: PersonId, operator: str) -> tuple[int, AppendedEvent]:
        """Ends a consent and destroys the templates, on disk and in memory; returns the number of samples, and the
        place of the receipt.

        The school's other kiosks hear of the templates through the ledger. Raises JournalUnwritable.
        """
        words = self._journal.desk_consents.read_person(person, PALM_SCOPE)
        consent = consents.withdraw_consent(person, PALM_SCOPE, words, self._now().utc)
        receipt = ConsentWithdrawn(
            **self._where(),
            person=person,
            templates_deleted=0,
            operator=operator,
            withdrawn_at=consent.withdrawn_at,
        )
        deleted, place = self._journal.desk_consents.withdraw(consent, receipt)
        self._in_force.refresh()
        if self._palms is not None:
            self._palms.forget([person])
        return deleted, place

    def _where(self) -> EventOrigin:
        return build_origin(EventContext(self._now(), self._station.roster))
