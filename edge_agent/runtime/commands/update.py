"""The commands `update.…`: what an update is judged by."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.control import Handler, Requester, bind_handler
from edge_agent.control_api import UPDATE_SELF_TEST, NoArguments, SelfTestRow
from edge_agent.runtime.commands.access import require_owner
from edge_agent.runtime.self_test import SelfTest
from edge_agent.version import RELEASE


@dataclass(frozen=True, slots=True)
class UpdateCommands:
    """Shows whoever tries a version if it records."""

    self_test: SelfTest

    def table(self) -> dict[str, Handler]:
        """Returns the command with its handler."""
        return dict([bind_handler(UPDATE_SELF_TEST, self.run_self_test)])

    def run_self_test(self, _: NoArguments, requester: Requester) -> Iterator[SelfTestRow]:
        """Records a test card, and yields its place, or that it was not recorded; it bills nobody."""
        require_owner(requester)
        place = self.self_test.run()
        yield SelfTestRow(
            version=RELEASE, epoch=place.epoch if place is not None else "", seq=place.seq if place is not None else 0
        )
