"""Findings: the lines of the doctor's report, and the kiosk that every check examines."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from drivers.errors import DeviceError
from edge_agent.cli.phrases import phrase
from edge_agent.control_api import DaemonStatus
from edge_agent.errors import AgentError
from edge_agent.settings.reading import LoadedSettings
from sync.errors import SyncError

FOLLOW_MESSAGE = phrase("do as it says; if that does not help, send this report to support")


class FindingState(StrEnum):
    """How pressing a finding is. The values stand in the report and in `doctor --json`."""

    GOOD = "ok"
    ATTENTION = "look"  # the kiosk works; somebody should know, or this user may not look
    FAILURE = "fails"  # children are not served, rows are at risk, or what the settings ask for cannot work


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: the part of the kiosk, its state, what was found, and the next step."""

    part: str
    state: FindingState
    detail: str
    next_step: str = ""  # empty only where the state is GOOD

    def as_row(self) -> dict[str, str]:
        """Returns the finding for machines: in English, whatever the report's language."""
        return {
            "part": str(self.part),
            "state": self.state.value,
            "detail": str(self.detail),
            "next_step": str(self.next_step),
        }


@dataclass(frozen=True, slots=True)
class ExaminedKiosk:
    """The settings of the kiosk, its daemon's status, and the user whom the daemon runs as.

    `status` is None while no daemon runs. `root` is the root of the machine; tests build a small tree of their own.
    `agent_uid` and `agent_groups` are those of the service's user; None and empty if this machine has no such user.
    """

    loaded: LoadedSettings
    status: DaemonStatus | None = None
    root: Path = Path("/")
    agent_uid: int | None = None
    agent_groups: frozenset[int] = frozenset()

    @property
    def state_dir(self) -> Path:
        """The folder of journal, key and registration."""
        return self.loaded.settings.kiosk.state_dir


Check = Callable[[ExaminedKiosk], Iterator[Finding]]


def good(part: str, detail: str) -> Finding:
    """Returns a finding that needs nobody."""
    return Finding(part, FindingState.GOOD, detail)


def attention(part: str, detail: str, next_step: str) -> Finding:
    """Returns a finding that somebody should know of, while the kiosk works."""
    return Finding(part, FindingState.ATTENTION, detail, next_step)


def failure(part: str, detail: str, next_step: str) -> Finding:
    """Returns a finding that somebody must act on."""
    return Finding(part, FindingState.FAILURE, detail, next_step)


def error_finding(
    part: str, error: AgentError | DeviceError | SyncError, state: FindingState = FindingState.FAILURE
) -> Finding:
    """Returns the finding of an error: its reason as detail, and its own next step."""
    return Finding(part, state, error.reason, error.next_step or FOLLOW_MESSAGE)
