"""The commands `roster.…`: the people, cards and meal sessions in force on this kiosk."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.control import Handler, Requester, bind_handler
from edge_agent.control_api import (
    ROSTER_APPLY,
    ROSTER_RECORDS,
    ROSTER_SHOW,
    NoArguments,
    RosterApplyArguments,
    RosterProblemRow,
    RosterSummary,
    RosterVersion,
)
from edge_agent.domain.moment import MomentSource
from edge_agent.errors import RequestRefused
from edge_agent.identity import DeviceIdentity
from edge_agent.journal.journal import Journal
from edge_agent.runtime.commands.access import require_owner
from edge_agent.runtime.roster_desk import RosterDesk
from edge_agent.station.station import Station
from sync.contract.roster import Record, record_type


@dataclass(frozen=True, slots=True)
class RosterCommands:
    """Shows the roster in force, and brings one from a stick into force where there is no ledger."""

    identity: DeviceIdentity
    journal: Journal
    station: Station
    desk: RosterDesk
    now: MomentSource

    def table(self) -> dict[str, Handler]:
        """Returns each command with its handler."""
        return dict(
            [
                bind_handler(ROSTER_SHOW, self.show),
                bind_handler(ROSTER_RECORDS, self.list_records),
                bind_handler(ROSTER_APPLY, self.apply),
            ]
        )

    def show(self, _: NoArguments, requester: Requester) -> Iterator[RosterSummary]:
        """Yields one row: version, age, how many records of each type, what is wrong with it."""
        roster = self.station.roster
        counts = Counter(record_type(record) for record in self.journal.roster.records())
        yield RosterSummary(
            school=roster.school,
            version=roster.version,
            age_s=roster.age_s(self.now().utc),
            records=dict(sorted(counts.items())),
            problems=tuple(
                RosterProblemRow(type=problem.type, id=problem.id, what=problem.text) for problem in roster.problems
            ),
        )

    def list_records(self, _: NoArguments, requester: Requester) -> Iterator[Record]:
        """Yields every record, for a comparison. Card numbers are in them."""
        require_owner(requester)
        yield from self.journal.roster.records()

    def apply(self, arguments: RosterApplyArguments, requester: Requester) -> Iterator[RosterVersion]:
        """Brings a roster from a stick into force, whole or not at all; yields the version in force."""
        require_owner(requester)
        if self.identity.registration is not None:
            raise RequestRefused("this kiosk gets its roster from the ledger; import it there")
        self.desk.apply_roster((arguments.page,), self.now().utc)
        yield RosterVersion(version=self.desk.roster_version())
