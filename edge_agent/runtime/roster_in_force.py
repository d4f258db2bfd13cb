"""The roster in force: from the journal, under the desk's replacement cards and consents, and given to the station."""

import logging
import threading
from dataclasses import replace
from datetime import datetime, tzinfo

from edge_agent.domain import roster as rosters
from edge_agent.domain.replacement_cards import lay_over
from edge_agent.domain.roster import Roster
from edge_agent.journal.errors import JournalUnwritable, RosterMismatch
from edge_agent.journal.journal import Journal
from edge_agent.runtime.card_numbers import CardNumbers
from edge_agent.station.station import Station
from sync.contract.consents import is_desk_consent, merge_words

log = logging.getLogger(__name__)


class RosterReader:
    """Builds the roster in force from the journal's records."""

    def __init__(self, journal: Journal, school: str, zone: tzinfo, numbers: CardNumbers) -> None:
        self._journal = journal
        self._school = school
        self._zone = zone
        self._numbers = numbers

    def read(self) -> Roster:
        """Returns the roster in force, under the desk's replacement cards; see `read_with_settled`."""
        return self.read_with_settled()[0]

    def read_with_settled(self) -> tuple[Roster, frozenset[str]]:
        """Returns the roster in force, and the ids of the replacement cards that its source has by itself.

        Records that do not fit their version count as none, and are logged.
        """
        try:
            records = self._journal.roster.records()
        except RosterMismatch as error:
            log.error("%s", error)  # noqa: TRY400
            records = []
        # The ledger's record of what desks have noted has the same id as ours: the last word of both counts.
        noted = merge_words(filter(is_desk_consent, records), self._journal.desk_consents.read_all())
        records += noted
        overlaid = lay_over(records, self._numbers.open_all(self._journal.replacements.read_all()))
        roster = rosters.build_roster(
            overlaid.records,
            school=self._school,
            version=self._journal.roster.version(),
            confirmed_at=self._journal.roster.confirmed_at(),
            tz=self._zone,
        )
        return roster, overlaid.settled


class RosterInForce:
    """Brings the roster of the journal into force. Any thread may call it."""

    def __init__(self, journal: Journal, reader: RosterReader, station: Station) -> None:
        self._journal = journal
        self._reader = reader
        self._station = station
        self._lock = threading.Lock()  # the roster is read and put into force as one step

    def refresh(self) -> None:
        """Brings into force what the journal has of the roster and of the desk's cards.

        Replacement cards that the source has by itself end.
        """
        with self._lock:
            self._station.roster, settled = self._reader.read_with_settled()
        if not settled:
            return
        try:
            self._journal.replacements.end(settled)
        except JournalUnwritable as error:
            log.warning("replaced cards end with the next roster: %s", error)
        else:
            log.info("the roster lists %d replaced cards by itself: they are no longer the desk's", len(settled))

    def confirm(self, confirmed_at: datetime) -> None:
        """Notes in the roster in force when the ledger last confirmed it."""
        with self._lock:
            self._station.roster = replace(self._station.roster, confirmed_at=confirmed_at)
