"""A kiosk's settings and folders for the doctor to look at."""

from collections.abc import Iterable
from pathlib import Path

from edge_agent import settings
from edge_agent.cli.checks.finding import Finding, Kiosk, State
from edge_agent.control_api import DaemonStatus


def kiosk(folder: Path, more: str = "", *, status: DaemonStatus | None = None, agent_uid: int | None = None) -> Kiosk:
    """Its state in `state`, its run folder in `run`, and `folder` as the root of the machine."""
    text = f'[kiosk]\nstate_dir = "{folder}/state"\nrun_dir = "{folder}/run"\n{more}'
    return Kiosk(settings.parse_settings(text, folder / "agent.toml"), status, root=folder, agent_uid=agent_uid)


def put(root: Path, name: str, text: str = "", mode: int = 0o644) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def states(found: Iterable[Finding]) -> list[State]:
    """And whoever has something to say must say what to do."""
    findings = list(found)
    assert all(each.next_step for each in findings if each.state is not State.OK)
    return [each.state for each in findings]
