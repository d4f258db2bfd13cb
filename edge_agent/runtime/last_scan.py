"""The time of the last scan, as the heartbeat tells it: somebody stood at a reader then, whatever was decided."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from edge_agent.domain.moment import Moment
from edge_agent.journal.journal import Journal
from sync.contract.clocks import parse_utc
from sync.contract.event import Manual, Sighting, UnreadableEvent, decode

SEARCHED_ROWS_MAX: Final = 1_000  # of the journal that a start looks through; about a school's day


class LastScan:
    """Noted by the station's thread, read by others. Before the first scan since the start it is the journal's last."""

    def __init__(self, journal: Journal) -> None:
        self._utc = find_last_scan(row.payload for row in journal.recent(SEARCHED_ROWS_MAX))

    def note(self, moment: Moment) -> None:
        """Notes a scan that was taken at this moment."""
        self._utc = moment.utc

    def read(self) -> datetime | None:
        """Returns when the last scan was, in UTC; None where none is known."""
        return self._utc


def find_last_scan(payloads: Iterable[bytes]) -> datetime | None:
    """Returns the time of the first scan among these payloads, which are the newest first."""
    for payload in payloads:
        try:
            event = decode(payload)
        except UnreadableEvent:
            continue  # of a later version of the agent, which knows what it means
        if isinstance(event, Sighting) and not isinstance(event, Manual):
            return parse_utc(event.at)
    return None
