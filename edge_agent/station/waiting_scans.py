"""Scans that wait in memory while the journal cannot be written: in order of arrival, and bounded.

They are kept as what was seen and when, and are judged when they are written: by then those before them are in the
journal, and each is judged as if no time had passed. A power cut loses them; the staff's page says so.
"""

from dataclasses import dataclass

from edge_agent.domain.identify import Identity
from edge_agent.domain.record import EventContext, StaffAct

WAITING_SCANS_MAX = 2_000  # every child of a large school once; about a kilobyte each


@dataclass(frozen=True, slots=True)
class IdentifiedScan:
    """Somebody who was seen or entered by hand, ready to be judged and recorded."""

    identity: Identity
    context: EventContext
    staff_act: StaffAct | None = None


class WaitingScans:
    """The scans that wait. The station's thread alone changes them; any thread may read `scans`, oldest first."""

    def __init__(self, scans_max: int = WAITING_SCANS_MAX) -> None:
        self._scans_max = scans_max
        self.scans: tuple[IdentifiedScan, ...] = ()  # always replaced as a whole, so that any thread may read it
        self.not_kept = 0  # for which there was no room, since they were last told of

    def add_all(self, scans: tuple[IdentifiedScan, ...]) -> bool:
        """Adds all of these scans or none; returns False where they have no room."""
        if len(self.scans) + len(scans) > self._scans_max:
            self.not_kept += len(scans)
            return False
        self.scans = (*self.scans, *scans)
        return True

    def drop_oldest(self) -> None:
        """Takes the oldest scan out, because it is in the journal."""
        self.scans = self.scans[1:]
