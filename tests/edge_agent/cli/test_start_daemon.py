"""`edge-agent run` is started without the command line's libraries, and means the same with and without them."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli import run as run_command
from edge_agent.cli.main import build
from edge_agent.cli.start_daemon import read_plain_run
from edge_agent.errors import ExitCode
from edge_agent.settings.reading import PATH_DEFAULT
from tests.system.daemon import Daemon, edge_agent

# Nothing of these is of use to a kiosk that reads cards and has no ledger yet: they would lie in memory for months.
FOREIGN = (
    "cv2", "difflib", "httpx", "numpy", "pydantic", "pygments", "python_multipart", "rich", "sqlite_utils", "typer",
)  # fmt: skip


@pytest.mark.parametrize("variable", [None, "", "/tmp/other.toml"])
@pytest.mark.parametrize("arguments", [["run"], ["run", "--config", "/tmp/agent.toml"]])
def test_a_plain_run_reads_the_same_settings_as_the_command_line(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], variable: str | None
) -> None:
    if variable is None:
        monkeypatch.delenv("EDGE_AGENT_CONFIG", raising=False)
    else:
        monkeypatch.setenv("EDGE_AGENT_CONFIG", variable)
    paths: list[Path] = []

    def start(config: Path) -> ExitCode:
        paths.append(config)
        return ExitCode.OK

    monkeypatch.setattr(run_command, "start_daemon", start)
    assert CliRunner().invoke(build("run"), arguments).exit_code == 0
    assert [read_plain_run(arguments)] == paths


@pytest.mark.parametrize(
    "arguments",
    [[], ["doctor"], ["run", "--help"], ["run", "--config"], ["run", "--config=a.toml"], ["run", "x"], ["--help"]],
)
def test_every_other_command_line_is_left_to_typer(arguments: list[str]) -> None:
    assert read_plain_run(arguments) is None


def test_the_path_by_default_is_the_one_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_AGENT_CONFIG", raising=False)
    assert read_plain_run(["run"]) == PATH_DEFAULT


@pytest.mark.slow
def test_settings_that_are_wrong_are_said_as_always(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("[kiosk]\nstate_dri = 'x'\n", "utf-8")
    plain = edge_agent("run", "--config", str(config), check=False)
    by_typer = edge_agent("run", f"--config={config}", check=False)
    assert plain.returncode == by_typer.returncode == ExitCode.SETTINGS
    assert plain.stderr == by_typer.stderr
    assert "state_dir" in plain.stderr


@pytest.mark.slow
def test_a_kiosk_that_reads_cards_loads_nothing_that_it_does_not_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first start, so that the journal is made, too."""
    code = (
        "import atexit, sys\n"
        "loaded = lambda: sorted(name for name, module in sys.modules.items() if module)\n"
        "atexit.register(lambda: print('modules', *loaded(), file=sys.stderr, flush=True))\n"
        "from edge_agent.cli.main import main; main()"
    )
    monkeypatch.setattr("tests.system.daemon.AGENT", (sys.executable, "-P", "-c", code))
    with Daemon(tmp_path) as daemon:
        daemon.start()
        assert daemon.stop() == 0
        (modules,) = [line.split()[1:] for line in daemon.log.splitlines() if line.startswith("modules ")]
    assert "edge_agent.runtime.daemon" in modules
    assert sorted({name.partition(".")[0] for name in modules} & set(FOREIGN)) == []
