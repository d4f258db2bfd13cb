"""`edge-agent setup`: from a machine with readers to a kiosk whose rows reach the ledger, step by step."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption
from edge_agent.cli.phrases import LANGUAGES, choose_language
from edge_agent.cli.setup.answers import SetupAnswers, read_answers
from edge_agent.cli.setup.dialogue import Dialogue
from edge_agent.cli.setup.steps import run_steps
from edge_agent.errors import RequestRefused


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
    app.command()(setup)


def setup(
    answers_file: Annotated[
        Path | None, typer.Option("--from", help="A file with all answers; nothing is asked then.", exists=True)
    ] = None,
    language: Annotated[str, typer.Option(help="Of the questions: kk, ru or en; else the system's.")] = "",
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Set this kiosk up, step by step. Run it as root; run it again to go on: a step that is done is seen as done."""
    if language and language not in LANGUAGES:
        raise RequestRefused(f"--language: found {language!r}", f"choose one of: {', '.join(LANGUAGES)}")
    answers = read_answers(answers_file) if answers_file is not None else SetupAnswers()
    dialogue = Dialogue(choose_language(language or answers.language), is_asking=answers_file is None)
    run_steps(config, answers, dialogue)
