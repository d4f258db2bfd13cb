"""The command `paper.list`: the people of printed lists, with their codes."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.control import Handler, Requester, bind_handler
from edge_agent.control_api import PAPER_LIST, PaperListArguments, PaperListRow
from edge_agent.domain.name_order import order_key
from edge_agent.domain.paper_codes import PaperCodes
from edge_agent.domain.respond import full_name
from edge_agent.errors import RequestRefused
from edge_agent.runtime.commands.access import require_owner
from edge_agent.runtime.paper_list import sort_class
from edge_agent.station.station import Station


@dataclass(frozen=True, slots=True)
class PaperCommands:
    """Lists the people of a class, or of every class, for a printer."""

    station: Station

    def table(self) -> dict[str, Handler]:
        """Returns each command with its handler."""
        return dict([bind_handler(PAPER_LIST, self.list_people)])

    def list_people(self, arguments: PaperListArguments, requester: Requester) -> Iterator[PaperListRow]:
        """Yields the people class by class, in the order of their names."""
        require_owner(requester)
        roster = self.station.roster
        present = {person.group for person in roster.people.values() if person.group}
        if arguments.group and arguments.group not in present:
            raise RequestRefused(f"no class {arguments.group!r} on this roster", "see edge-agent roster find")
        codes = PaperCodes(roster.people)
        groups = [arguments.group] if arguments.group else sorted(present, key=lambda name: (order_key(name), name))
        for group in groups:
            for person in sort_class(roster, group):
                yield PaperListRow(group=group, name=full_name(person), code=codes.code(person.id))
