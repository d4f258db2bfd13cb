"""Calls of the technician from the staff's page: kept over a restart, told by the heartbeat until somebody answers."""

import logging
from dataclasses import dataclass
from typing import Final

from edge_agent.domain.moment import MomentSource
from edge_agent.domain.record import EventContext, build_origin
from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.journal import Journal
from edge_agent.runtime.journal_guard import JournalGuard
from edge_agent.station.station import Station
from sync.contract.event import TechnicianCall

log = logging.getLogger(__name__)

CALL_MARK: Final = "technician_call"  # what the open call is about, behind a `+`; empty: none is open
_OPEN: Final = "+"


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that nobody has answered. `about`: the code of a reason; empty: none was named."""

    about: str


class TechnicianDesk:
    """Implements `screen.technician_api.TechnicianActions`. A journal that refuses keeps no call from being told."""

    def __init__(self, journal: Journal, station: Station, guard: JournalGuard, now: MomentSource) -> None:
        self._journal = journal
        self._station = station
        self._guard = guard
        self._now = now
        kept = journal.marks.read(CALL_MARK) or ""
        self._open = OpenCall(kept.removeprefix(_OPEN)) if kept else None

    @property
    def open_call(self) -> OpenCall | None:
        """Returns the call that nobody has answered yet. Any thread may ask."""
        return self._open

    def call_technician(self, about: str, operator: str) -> None:
        """Opens a call, in the place of one that is open. Each is an event."""
        self._open = OpenCall(about)
        self._keep(_OPEN + about)
        self._append(about, operator, answered=False)

    def answer_call(self, operator: str) -> None:
        """Ends the open call. Without one nothing happens."""
        call, self._open = self._open, None
        if call is not None:
            self._keep("")
            self._append(call.about, operator, answered=True)

    def _append(self, about: str, operator: str, *, answered: bool) -> None:
        origin = build_origin(EventContext(self._now(), self._station.roster))
        self._guard.append(TechnicianCall(**origin, operator=operator, about=about, answered=answered))

    def _keep(self, value: str) -> None:
        try:
            self._journal.marks.write({CALL_MARK: value})
        except JournalUnwritable as error:
            log.warning("the call of the technician is in memory alone: %s", error)
