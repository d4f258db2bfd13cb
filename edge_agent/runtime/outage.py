"""The time in which the journal cannot be written: who waits, who was counted by hand, and the end of it.

All of it is in memory alone, and lost with the power or a killed process; the staff's page and the status line say so.
At the end one event tells of the outage. Behind it come the scans that waited, in their order and with their own times,
and then the counts by hand. Decision 0053 gives the reasons.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_agent.domain.identify import BlockedCredential, RecognisedPerson
from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.domain.record import EventContext, build_origin
from edge_agent.domain.respond import full_name
from edge_agent.journal.errors import JournalDamaged, JournalUnwritable
from edge_agent.runtime.journal_guard import JournalGuard
from edge_agent.screen.ports import WaitingPerson
from edge_agent.station.ports import StationJournal
from edge_agent.station.station import Station
from edge_agent.station.waiting_scans import IdentifiedScan
from sync.contract.event import HandCount, RecordingResumed

log = logging.getLogger(__name__)

RETRY_MS = 1_000  # after a refusal; scans that come meanwhile wait
HAND_COUNT_MAX = 9_999


@dataclass(frozen=True, slots=True)
class SessionCount:
    """The count by hand of one session; an empty session where none was being served."""

    session: str
    service_date: str
    number: int
    operator: str


class CountClosed(Exception):
    """Nothing is counted by hand, because the journal can be written."""


class OutageDesk:
    """Ends outages, and counts by hand meanwhile. The station's thread alone calls what changes something."""

    def __init__(self, station: Station, journal: StationJournal, guard: JournalGuard, now: MomentSource) -> None:
        self._station = station
        self._journal = journal
        self._guard = guard
        self._now = now
        self._counts: tuple[SessionCount, ...] = ()  # replaced as a whole: any thread may read it
        self._retry_ms = 0
        self._is_told = False  # the event of this outage is in the journal

    @property
    def waiting(self) -> int:
        """The number of scans that wait for the journal."""
        return len(self._station.waiting_scans.scans)

    @property
    def hand_count(self) -> int:
        """The number of people who were counted by hand and are not recorded yet."""
        return sum(count.number for count in self._counts)

    def list_waiting(self) -> Sequence[WaitingPerson]:
        """Returns the people who wait for the journal, in their order; a scan of nobody known has an empty name."""
        now = self._now()
        return [_describe(scan, now) for scan in self._station.waiting_scans.scans]

    def change_count(self, step: int, operator: str) -> int:
        """Adds to the count by hand, or takes away from it; returns the new number.

        Raises CountClosed while the journal can be written: then everybody is entered by name.
        """
        if self._guard.recording:
            raise CountClosed("the journal can be written: enter everybody by name")
        slots = self._station.find_slots(self._now()).slots
        session, service_date = (slots[0].session, slots[0].service_date) if slots else ("", "")
        ours = [count for count in self._counts if (count.session, count.service_date) == (session, service_date)]
        others = [count for count in self._counts if count not in ours]
        before = ours[0] if ours else SessionCount(session, service_date, 0, operator)
        number = min(HAND_COUNT_MAX, max(0, before.number + step))
        after = replace(before, number=number, operator=operator)
        self._counts = (*others, after) if number else tuple(others)
        return self.hand_count

    def recover(self) -> bool:
        """Writes what waits, as far as the journal takes it. Returns True where it took something."""
        moment = self._now()
        if self._guard.condemned or moment.mono_ms < self._retry_ms:
            return False
        try:
            self._tell(moment)
            if self._station.write_waiting():
                self._record_counts(moment)
                self._guard.end_outage()
                self._is_told = False
        except JournalUnwritable:
            self._retry_ms, self._is_told = moment.mono_ms + RETRY_MS, False
            return False
        except JournalDamaged as error:
            self._guard.condemn(str(error))
            return False
        return True

    def close(self) -> None:
        """Tries once more before the process ends, and says what is lost with it."""
        self._retry_ms = 0
        while not self._guard.recording and self.recover():
            pass
        if self.waiting or self.hand_count:
            log.critical(
                "the journal still cannot be written: %d scans that waited and %d people counted by hand are lost",
                self.waiting, self.hand_count,
            )  # fmt: skip

    def _tell(self, moment: Moment) -> None:
        """Appends the event of this outage. It comes first, so that rows which a failed write left behind are voided
        before anybody is judged.
        """
        if self._is_told:
            return
        waiting = self._station.waiting_scans
        origin = build_origin(EventContext(moment, self._station.roster))
        self._journal.append(
            RecordingResumed(**origin, since=self._since, waiting=self.waiting, not_kept=waiting.not_kept)
        )
        waiting.not_kept, self._is_told = 0, True

    def _record_counts(self, moment: Moment) -> None:
        if not self._counts:
            return
        origin = build_origin(EventContext(moment, self._station.roster))
        self._journal.append_all([
            HandCount(
                **origin, counted=count.number, operator=count.operator, since=self._since, session=count.session,
                service_date=count.service_date,
            )
            for count in self._counts
        ])  # fmt: skip
        self._counts = ()

    @property
    def _since(self) -> str:
        refused_at = self._guard.refused_at
        return refused_at.text if refused_at is not None else ""


def _describe(scan: IdentifiedScan, now: Moment) -> WaitingPerson:
    identity, at = scan.identity, scan.context.moment.utc
    if not isinstance(identity, RecognisedPerson | BlockedCredential):
        return WaitingPerson("", "", int((now.utc - at).total_seconds()))
    return WaitingPerson(full_name(identity.person), identity.person.group, int((now.utc - at).total_seconds()))
