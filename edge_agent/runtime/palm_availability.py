"""Tells the station if somebody can be asked for the palm at this moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_agent.runtime.devices import DevicePresence
from sync.contract.event import PersonId


class PalmTemplates(Protocol):
    """The gallery, as far as the station asks it."""

    def has_template(self, person: str) -> bool:
        """Returns True where this person can be recognised by the palm here."""
        ...


@dataclass(frozen=True, slots=True)
class CameraPalmAvailability:
    """Tells the station whose palms are known, and if a camera is there."""

    gallery: PalmTemplates
    cameras: Sequence[DevicePresence]

    def has_template(self, person: PersonId) -> bool:
        """Returns True where this person can be recognised by the palm here."""
        return self.gallery.has_template(person)

    def has_camera(self) -> bool:
        """Returns True while a camera is there to show a palm to."""
        return any(camera.is_present for camera in self.cameras)
