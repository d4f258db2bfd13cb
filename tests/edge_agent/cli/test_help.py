"""Help: every command explains itself, and stands in the documentation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edge_agent.cli.main import build
from edge_agent.version import VERSION

DOCS = Path(__file__).parents[3] / "docs"


def commands() -> Iterator[tuple[str, ...]]:
    app = build(None)
    for command in app.registered_commands:
        if not command.hidden:
            yield (_name(command),)
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            yield (str(group.name), _name(command))


def _name(command: "typer.models.CommandInfo") -> str:
    assert command.callback is not None
    return command.name or command.callback.__name__.replace("_", "-")


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_has_help_and_documentation(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(build(words[0]), [*words, "--help"])
    assert result.exit_code == 0
    assert len(result.output.split()) > 10
    texts = [path.read_text("utf-8") for path in (*DOCS.rglob("*.md"), DOCS.parent / "README.md")]
    command = f"edge-agent {' '.join(words)}"
    assert any(command in text or f"`{' '.join(words)}" in text for text in texts), f"{command} is in no document"


def test_the_version_needs_no_command() -> None:
    result = CliRunner().invoke(build("doctor"), ["--version"])
    assert (result.exit_code, result.output) == (0, f"edge-agent {VERSION}\n")
