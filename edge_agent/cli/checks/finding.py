"""One line of the doctor's report, and what every check is given to look at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge_agent.control_api import DaemonStatus
from edge_agent.settings import LoadedSettings


class State(StrEnum):
    OK = "ok"
    LOOK = "look"  # the kiosk works; somebody should know, or this user may not look
    FAILS = "fails"  # children are not served, rows are at risk, or what the settings ask for cannot work


@dataclass(frozen=True, slots=True)
class Finding:
    part: str
    state: State
    detail: str
    next_step: str = ""  # never empty where the state is not OK


@dataclass(frozen=True, slots=True)
class Kiosk:
    """`status`: the running daemon's own account; None while none runs. `root`: tests build a small tree of their own.

    `agent_uid`, `agent_groups`: the service's user, where this machine has it; whoever asks is often another.
    """

    loaded: LoadedSettings
    status: DaemonStatus | None = None
    root: Path = Path("/")
    agent_uid: int | None = None
    agent_groups: frozenset[int] = frozenset()

    @property
    def state_dir(self) -> Path:
        return self.loaded.settings.kiosk.state_dir


Check = Callable[[Kiosk], Iterator[Finding]]


def ok(part: str, detail: str) -> Finding:
    return Finding(part, State.OK, detail)


def look(part: str, detail: str, next_step: str) -> Finding:
    return Finding(part, State.LOOK, detail, next_step)


def fails(part: str, detail: str, next_step: str) -> Finding:
    return Finding(part, State.FAILS, detail, next_step)


def split(part: str, state: State, message: str, between: str = "; ") -> Finding:
    """A message of ours says what is wrong, and behind the last `between` what to do."""
    detail, _, next_step = message.rpartition(between)
    if not detail:
        detail, next_step = message, "do as it says; if that does not help, send this report to support"
    return Finding(part, state, detail, next_step)
