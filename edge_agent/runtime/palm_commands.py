"""What the running daemon answers about palms. A template is in no answer."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from edge_agent.control import Asker, Handler
from edge_agent.errors import RequestRefused
from edge_agent.runtime.agent import Agent
from sync.contract.event import PersonId
from sync.contract.palms import STICK_VERSION, Sealed, StickHead

if TYPE_CHECKING:
    from edge_agent.palms.gallery import PalmGallery
    from edge_agent.palms.recognition import Palms

Arguments = Mapping[str, Any]


class PalmCommands:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def table(self) -> dict[str, Handler]:
        return {
            "palm.enrol": self.enrol,
            "palm.forget": self.forget,
            "palm.export": self.export,
            "palm.import": self.import_,
        }

    def enrol(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Lines for the operator while a hand is shown: samples so far, what to do next; the last one is `done`."""
        from edge_agent.palms.enrolment import Wish, enrol

        agent, palms = self._agent, self._palms()
        wanted = dict(arguments)
        wanted["language"] = wanted.get("language") or agent.settings.kiosk.language
        reader = self._camera(str(wanted.pop("reader", "")))
        try:
            wish = msgspec.convert(wanted, Wish)
        except msgspec.ValidationError as error:
            raise RequestRefused(f"not an enrolment: {error}") from error
        for told in enrol(
            wish, reader, palms, lambda: agent.station.roster, agent.now, agent.ending.is_set, agent.show
        ):
            yield asdict(told)
        agent.palms_changed()

    def forget(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Delete a person's palms, on disk and in memory; the receipt is in the journal."""
        person = PersonId(str(arguments.get("person", "")))
        yield {"person": person, "deleted": self._palms().delete(person)}
        self._agent.palms_changed()

    def export(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """The head of an export and then its palms, sealed: the lines of `sync.contract.palms`."""
        gallery = self._gallery()
        palms = list(gallery.exported())
        head = StickHead(
            format="canteen-palms",
            version=STICK_VERSION,
            school=self._agent.identity.school,
            key=gallery.fingerprint,
            palms=len(palms),
        )
        for line in (head, *palms):
            yield msgspec.to_builtins(line)

    def import_(self, arguments: Arguments, asker: Asker) -> Iterator[dict[str, Any]]:
        """Some palms of an export; what became of them."""
        gallery, school = self._gallery(), self._agent.identity.school
        try:
            head = msgspec.convert(arguments.get("head"), StickHead)
            palms = msgspec.convert(arguments.get("palms"), list[Sealed])
        except msgspec.ValidationError as error:
            raise RequestRefused(f"not an export of palms: {error}") from error
        if head.version != STICK_VERSION:
            raise RequestRefused(
                f"an export of version {head.version}, this agent reads {STICK_VERSION}; install the newer one"
            )
        if head.school != school:
            raise RequestRefused(f"an export of school {head.school}, this kiosk stands in {school}")
        if head.key != gallery.fingerprint:
            raise RequestRefused(
                f"sealed with the key {head.key}, this kiosk has {gallery.fingerprint}; hand the school's key on first "
                "(`edge-agent palm key import`)"
            )
        yield asdict(gallery.import_(palms))
        self._agent.palms_changed()

    def _gallery(self) -> "PalmGallery":
        from edge_agent.palms.gallery import PalmGallery

        gallery = self._palms().gallery
        if not isinstance(gallery, PalmGallery):
            raise RequestRefused(gallery.why)
        if not gallery.loaded:
            raise RequestRefused("the palms of this kiosk are being opened; try again in a minute")
        return gallery

    def _palms(self) -> "Palms":
        if self._agent.palms is None:
            raise RequestRefused("this kiosk looks at no camera; add one under [[readers]], and see palm.enabled")
        return self._agent.palms

    def _camera(self, wanted: str) -> str:
        cameras = [each.name for each in self._agent.readers if self._agent.is_camera(each.driver)]
        if wanted in cameras or (not wanted and len(cameras) == 1):
            return wanted or cameras[0]
        raise RequestRefused(f"which camera? --reader NAME; there are: {', '.join(cameras) or 'none'}")


def palm_state(agent: Agent) -> dict[str, Any] | None:
    """For the status; None where no camera is looked at."""
    palms = agent.palms
    return None if palms is None else palms.state()
