"""The store for what a device told and nobody understood: kept until a later version does.

A device that is told OK forgets what it said. So a driver hands what it cannot read to an `UnreadStore` first, and says
OK only when that has it; otherwise it refuses, and the device keeps it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from drivers.readings import DeviceEvent


@dataclass(frozen=True, slots=True)
class UnreadRequest:
    """Rows of one request, redacted: no card number, name, picture or template is in them."""

    serial: str  # of the device that sent them
    path: str
    table: str
    rows: tuple[str, ...] = field(repr=False)


class UnreadStore(Protocol):
    """Keeps requests over a loss of power."""

    def keep(self, request: UnreadRequest) -> bool:
        """Returns True once the request is stored, or was stored before; False where there is no room for it."""


class NoUnreadStore:
    """The store of a driver that was given none: it has room for nothing."""

    def keep(self, request: UnreadRequest) -> bool:
        return False


class PlayedUnreadStore:
    """The store of a driver that plays recorded bytes: the device is not there, so nothing needs to be stored."""

    def keep(self, request: UnreadRequest) -> bool:
        return True


@runtime_checkable
class UnreadSource(Protocol):
    """A reader that may be told what it does not understand."""

    unread: UnreadStore  # the agent puts its own here

    def reread(self, request: UnreadRequest) -> Sequence[DeviceEvent] | None:
        """Returns the events of a request; None where this version still does not understand all of it. It may be
        called from any thread.
        """
