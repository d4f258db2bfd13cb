"""A kiosk with settings and folders, for the doctor's checks."""

from collections.abc import Iterable
from pathlib import Path

from edge_agent.cli.checks.finding import ExaminedKiosk, Finding, FindingState
from edge_agent.control_api import DaemonStatus
from edge_agent.settings.reading import parse_settings


def kiosk(
    folder: Path, more: str = "", *, status: DaemonStatus | None = None, agent_uid: int | None = None
) -> ExaminedKiosk:
    """Returns a kiosk with its state in `state`, its run folder in `run`, and `folder` as the root of the machine."""
    text = f'[kiosk]\nstate_dir = "{folder}/state"\nrun_dir = "{folder}/run"\n{more}'
    return ExaminedKiosk(parse_settings(text, folder / "agent.toml"), status, root=folder, agent_uid=agent_uid)


def write_file(root: Path, name: str, text: str = "", mode: int = 0o644) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def states(findings: Iterable[Finding]) -> list[FindingState]:
    """Returns the states of findings, after a check that every finding but a good one has a next step."""
    listed = list(findings)
    assert all(finding.next_step for finding in listed if finding.state is not FindingState.GOOD)
    return [finding.state for finding in listed]
