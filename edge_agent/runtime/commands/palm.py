"""The commands `palm.…`: palms made known, deleted, carried out and in. No answer holds a template."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edge_agent.control import Handler, Requester, bind_handler
from edge_agent.control_api import (
    PALM_ENROL,
    PALM_EXPORT,
    PALM_FORGET,
    PALM_IMPORT,
    ForgottenPalms,
    NoArguments,
    PalmEnrolArguments,
    PalmEnrolStep,
    PalmForgetArguments,
    PalmImportArguments,
    PalmImportRow,
)
from edge_agent.domain.feedback import Feedback
from edge_agent.domain.moment import MomentSource
from edge_agent.domain.operators import OperatorRight
from edge_agent.errors import RequestRefused
from edge_agent.process.shutdown import ShutdownFlag
from edge_agent.runtime.commands.named_operator import choose_operator
from edge_agent.runtime.uplink import UplinkHandle
from edge_agent.screen.ports import OperatorDirectory
from edge_agent.screen.state import Language
from edge_agent.station.station import Station
from sync.contract.event import PersonId
from sync.contract.palms import STICK_VERSION, PalmStickHeader

if TYPE_CHECKING:
    from edge_agent.palms.gallery import PalmGallery
    from edge_agent.palms.recognition import PalmRecognition


@dataclass(frozen=True, slots=True)
class PalmCommands:
    """Changes the palms of this kiosk. `palms` None: no camera is looked at, and every command is refused.

    `cameras` are the names of the readers that bring pictures.
    """

    palms: "PalmRecognition | None"
    cameras: tuple[str, ...]
    station: Station
    school: str
    language: Language
    uplink: UplinkHandle
    show: Callable[[Feedback], None]
    shutdown: ShutdownFlag
    now: MomentSource
    operators: OperatorDirectory

    def table(self) -> dict[str, Handler]:
        """Returns each command with its handler."""
        return dict(
            [
                bind_handler(PALM_ENROL, self.enrol),
                bind_handler(PALM_FORGET, self.forget),
                bind_handler(PALM_EXPORT, self.export),
                bind_handler(PALM_IMPORT, self.import_palms),
            ]
        )

    def enrol(self, arguments: PalmEnrolArguments, requester: Requester) -> Iterator[PalmEnrolStep]:
        """Yields lines for the operator while a hand is shown: samples so far, what to do next; the last is `done`."""
        from edge_agent.palm.types import Hand
        from edge_agent.palms.enrolment import EnrolmentRequest, enrol

        palms = self._palms()
        camera = self._camera(arguments.reader)
        request = EnrolmentRequest(
            person=PersonId(arguments.person),
            operator=choose_operator(self.operators, arguments.operator, OperatorRight.ENROL).id,
            hand=Hand(arguments.hand),
            samples=arguments.samples,
            within_s=arguments.within_s,
            language=Language(arguments.language or self.language),
        )
        steps = enrol(request, camera, palms, lambda: self.station.roster, self.now, self.shutdown.is_set, self.show)
        for step in steps:
            yield PalmEnrolStep(samples=step.good, step=step.step.value, line=step.say, hand=step.hand, done=step.done)
        self.uplink.hurry_palms()

    def forget(self, arguments: PalmForgetArguments, requester: Requester) -> Iterator[ForgottenPalms]:
        """Deletes a person's palms, on disk and in memory; the receipt is in the journal."""
        person = PersonId(arguments.person)
        yield ForgottenPalms(person=person, deleted=self._palms().delete(person))
        self.uplink.hurry_palms()

    def export(self, _: NoArguments, requester: Requester) -> Iterator[msgspec.Raw]:
        """Yields the head of an export and then its palms, sealed: the lines of `sync.contract.palms`."""
        gallery = self._gallery()
        palms = list(gallery.exported())
        head = PalmStickHeader(
            format="canteen-palms",
            version=STICK_VERSION,
            school=self.school,
            key=gallery.fingerprint,
            palms=len(palms),
        )
        for line in (head, *palms):
            yield msgspec.Raw(msgspec.json.encode(line))

    def import_palms(self, arguments: PalmImportArguments, requester: Requester) -> Iterator[PalmImportRow]:
        """Takes some palms of an export; yields what became of them."""
        gallery, head = self._gallery(), arguments.head
        if head.version != STICK_VERSION:
            raise RequestRefused(
                f"an export of version {head.version}, this agent reads {STICK_VERSION}; install the newer one"
            )
        if head.school != self.school:
            raise RequestRefused(f"an export of school {head.school}, this kiosk stands in {self.school}")
        if head.key != gallery.fingerprint:
            raise RequestRefused(
                f"sealed with the key {head.key}, this kiosk has {gallery.fingerprint}; hand the school's key on first "
                "(`edge-agent palm key import`)"
            )
        imported = gallery.import_(arguments.palms)
        yield PalmImportRow(imported=imported.taken, passed_over=imported.passed_over, unreadable=imported.unreadable)
        self.uplink.hurry_palms()

    def _gallery(self) -> "PalmGallery":
        from edge_agent.palms.gallery import PalmGallery

        gallery = self._palms().gallery
        if not isinstance(gallery, PalmGallery):
            raise RequestRefused(gallery.why)
        if not gallery.loaded:
            raise RequestRefused("the palms of this kiosk are being opened; try again in a minute")
        return gallery

    def _palms(self) -> "PalmRecognition":
        if self.palms is None:
            raise RequestRefused("this kiosk looks at no camera; add one under [[readers]], and see palm.enabled")
        return self.palms

    def _camera(self, wanted: str) -> str:
        if wanted in self.cameras or (not wanted and len(self.cameras) == 1):
            return wanted or self.cameras[0]
        raise RequestRefused(f"which camera? --reader NAME; there are: {', '.join(self.cameras) or 'none'}")
