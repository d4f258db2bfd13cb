"""The steps of `edge-agent setup` in their order. Each sees by itself that it is done, so that the setup can go on."""

from collections.abc import Callable
from pathlib import Path

import typer

from drivers.errors import DeviceError
from edge_agent.cli.doctor import count_failures, report_kiosk
from edge_agent.cli.exit_codes import read_exit_code
from edge_agent.cli.options import out
from edge_agent.cli.phrases import Phrase, phrase, say
from edge_agent.cli.setup import clock_steps, daemon_steps, identity_step, reader_steps
from edge_agent.cli.setup.answers import SetupAnswers
from edge_agent.cli.setup.dialogue import Dialogue
from edge_agent.errors import AgentError, ExitCode
from sync.errors import SyncError

Step = Callable[[Path, SetupAnswers, Dialogue], None]

STEPS: tuple[tuple[Phrase, Step], ...] = (
    (phrase("Readers, and the settings file"), reader_steps.write_settings),
    (phrase("A card with a known number"), reader_steps.calibrate_readers),
    (phrase("The ledger, or a roster from a stick"), identity_step.give_identity),
    (phrase("The agent runs"), daemon_steps.start_agent),
    (phrase("Clock, time zone and roster"), clock_steps.compare_clocks),
    (phrase("The head operator"), daemon_steps.make_head),
    (phrase("The screen"), daemon_steps.show_screen),
    (phrase("A test scan, up to the ledger's receipt"), daemon_steps.try_scan),
)


def run_steps(config: Path, answers: SetupAnswers, dialogue: Dialogue) -> None:
    """Runs every step, and the doctor at the end. Exits with 1 where the doctor finds a failure."""
    steps = len(STEPS) + 1
    for number, (title, step) in enumerate(STEPS, 1):
        dialogue.begin_step(number, steps, title)
        try:
            step(config, answers, dialogue)
        except (AgentError, DeviceError, SyncError) as error:
            dialogue.tell_error(error)
            dialogue.tell(
                phrase("Stopped here. Do what the red line says, then run edge-agent setup again: it goes on.")
            )
            raise typer.Exit(read_exit_code(error)) from error
    dialogue.begin_step(steps, steps, phrase("The doctor's report"))
    findings = report_kiosk(config, dialogue.language)
    if count_failures(findings):
        raise typer.Exit(ExitCode.FAILED)
    out.print(f"\n{say(phrase('This kiosk is set up.'), dialogue.language)}")
