"""What the running daemon answers about palms. A template is in no answer."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from edge_agent.control import Asker, Handler
from edge_agent.errors import Refused
from edge_agent.runtime.agent import Agent
from sync.contract.event import PersonId

if TYPE_CHECKING:
    from edge_agent.runtime.palms import Palms

Arguments = Mapping[str, Any]


class PalmCommands:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def table(self) -> dict[str, Handler]:
        return {"palm.enrol": self.enrol, "palm.forget": self.forget}

    def enrol(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Lines for the operator while a hand is shown: samples so far, what to do next; the last one is `done`."""
        from edge_agent.runtime.enrolling import Wish, enrol

        agent, palms = self._agent, self._palms()
        wanted = dict(arguments)
        wanted["language"] = wanted.get("language") or agent.settings.kiosk.language
        reader = self._camera(str(wanted.pop("reader", "")))
        try:
            wish = msgspec.convert(wanted, Wish)
        except msgspec.ValidationError as error:
            raise Refused(f"not an enrolment: {error}") from error
        for told in enrol(
            wish, reader, palms, lambda: agent.station.roster, agent.now, agent.ending.is_set, agent.show
        ):
            yield asdict(told)

    def forget(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Delete a person's palms, on disk and in memory; the receipt is in the journal."""
        person = PersonId(str(arguments.get("person", "")))
        yield {"person": person, "deleted": self._palms().delete(person)}

    def _palms(self) -> "Palms":
        if self._agent.palms is None:
            raise Refused("this kiosk looks at no camera; add one under [[readers]], and see palm.enabled")
        return self._agent.palms

    def _camera(self, wanted: str) -> str:
        cameras = [each.name for each in self._agent.readers if self._agent.is_camera(each.driver)]
        if wanted in cameras or (not wanted and len(cameras) == 1):
            return wanted or cameras[0]
        raise Refused(f"which camera? --reader NAME; there are: {', '.join(cameras) or 'none'}")


def palm_state(agent: Agent) -> dict[str, Any] | None:
    """For the status; None where no camera is looked at."""
    palms = agent.palms
    return None if palms is None else palms.state()
