"""The part that asks root's unit, at the right time, to apply, confirm or roll back a version."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.domain.roster import Roster
from edge_agent.domain.update_plan import (
    UpdateFacts,
    UpdateRecord,
    UpdateRequest,
    choose_request,
    has_had_session,
    is_session_near,
)
from edge_agent.process.repeated_faults import RepeatedFaults
from edge_agent.process.supervision import Pulse
from edge_agent.runtime.update_watch import UpdateWatch
from edge_agent.update.requests import RequestFolder

log = logging.getLogger(__name__)

LOOK_S = 5.0


@dataclass(slots=True)
class UpdateClerk:
    """Looks every few seconds whether something is to be asked for. `is_recording`: the journal takes rows."""

    now: MomentSource
    read_roster: Callable[[], Roster]
    is_recording: Callable[[], bool]
    requests: RequestFolder
    watch: UpdateWatch = field(default_factory=UpdateWatch)
    _outage_ms: int | None = None  # of the monotonic clock, since when no rows are taken
    _faults: RepeatedFaults = field(default_factory=lambda: RepeatedFaults(log))

    def run(self, pulse: Pulse) -> None:
        """Works until the stop."""
        while not pulse.is_stopping():
            self.look()
            pulse.wait(LOOK_S)

    def look(self) -> UpdateRequest | None:
        """Asks for what is to be done now, and returns it; None where nothing is."""
        record = self.watch.read()
        request = choose_request(record, self._gather(record, self.now()))
        if request is None:
            return None
        try:
            self.requests.ask(request)
        except OSError as error:
            self._faults.note("request", logging.WARNING, f"no update can be asked for: {error}")
            return None
        self._faults.end("request")
        return request

    def _gather(self, record: UpdateRecord, moment: Moment) -> UpdateFacts:
        timetable = self.read_roster().timetable
        if self.is_recording():
            self._outage_ms = None
        elif self._outage_ms is None:
            self._outage_ms = moment.mono_ms
        since = datetime.fromisoformat(record.at) if record.at else moment.utc
        return UpdateFacts(
            is_staged=self.requests.staged.exists(),
            is_session_near=is_session_near(timetable, moment.utc),
            has_had_session=has_had_session(timetable, since, moment.utc),
            is_clock_trusted=moment.is_trusted,
            # At least a moment: an outage that has just begun is one.
            not_recording_s=0.0 if self._outage_ms is None else max(moment.mono_ms - self._outage_ms, 1) / 1000,
        )
