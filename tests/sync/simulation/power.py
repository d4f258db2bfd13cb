"""The power of a kiosk, and the points at which it may go: around each commit on its card, and around each request."""

from collections.abc import Callable
from dataclasses import dataclass


class PowerCut(BaseException):
    """The power is gone: nothing of the agent's memory is left, and no code of it may go on."""


@dataclass
class PowerLine:
    """Counts the points that the agent passes, and cuts the power at one of them.

    `save` is called at that moment: it keeps the card as it is then.
    """

    save: Callable[[], None]
    passed: int = 0
    cut_at: int | None = None

    def pass_point(self) -> None:
        """Raises PowerCut where this is the point."""
        self.passed += 1
        if self.passed == self.cut_at:
            self.cut_at = None
            self.save()
            raise PowerCut(f"point {self.passed}")
