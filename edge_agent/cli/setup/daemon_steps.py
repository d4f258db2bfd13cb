"""The steps of the setup that need the running agent: its start, the head operator, the screen, and a test scan."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from edge_agent import identity
from edge_agent.cli.devices.scan_test import request_test_scan, wait_receipt
from edge_agent.cli.phrases import phrase
from edge_agent.cli.setup.answers import SetupAnswers
from edge_agent.cli.setup.dialogue import Dialogue
from edge_agent.control import ask
from edge_agent.control_api import (
    NO_ARGUMENTS,
    OPERATORS_ADD,
    OPERATORS_LIST,
    STATUS,
    DaemonStatus,
    OperatorAddArguments,
)
from edge_agent.domain.operators import OperatorRole
from edge_agent.errors import AgentNotRunning, RequestRefused
from edge_agent.settings.reading import load_settings
from edge_agent.settings.tables import Settings

AGENT_START_S = 60.0
FIRST_ROSTER_S = 30.0
_POLL_S = 0.2


def start_agent(config: Path, _: SetupAnswers, dialogue: Dialogue) -> None:
    """Starts the agent, and starts it anew where it does not know yet that the kiosk is registered."""
    settings = load_settings(config).settings
    status = _read_status(settings)
    is_registered = identity.read_registration(settings.kiosk.state_dir) is not None
    if status is not None and (status.ledger is not None or not is_registered):
        dialogue.tell(phrase("Done already: the agent runs"))
        return
    _start_unit("restart" if status is not None else "enable --now")
    wait_status(settings, lambda running: running.ledger is not None or not is_registered, AGENT_START_S)
    dialogue.tell(phrase("The agent runs, and starts with the machine"))


def _start_unit(verb: str) -> None:
    """Starts the agent's unit with this verb of systemctl. Raises AgentNotRunning with systemd's own words."""
    try:
        done = subprocess.run(["systemctl", *verb.split(), "edge-agent"], check=False, capture_output=True, text=True)
        why = done.stderr.strip() if done.returncode else ""
    except FileNotFoundError as error:
        why = str(error)
    if why:
        raise AgentNotRunning(
            phrase("systemd did not start the agent: {why}", why=why),
            phrase(
                "see journalctl -u edge-agent -b, or start it by hand (edge-agent run); then run edge-agent setup again"
            ),
        )


def make_head(config: Path, answers: SetupAnswers, dialogue: Dialogue) -> None:
    """Makes the head operator, and shows the PIN for the first sign-in."""
    run_dir = load_settings(config).settings.kiosk.run_dir
    operators = list(ask(run_dir, OPERATORS_LIST, NO_ARGUMENTS))
    if operators:
        names = ", ".join(operator.name for operator in operators)
        dialogue.tell(phrase("Done already: operators are {names}", names=names))
        return
    name = dialogue.ask(phrase("Name of the head operator, as people call them (empty: later)"), answers.head)
    if not name:
        dialogue.tell(phrase("Later: edge-agent operators add NAME --role head"))
        return
    arguments = OperatorAddArguments(name=name, roles=(OperatorRole.HEAD,))
    (given,) = ask(run_dir, OPERATORS_ADD, arguments)
    dialogue.tell(
        phrase("{name}: PIN {pin} for the first sign-in, where an own one is chosen", name=given.name, pin=given.pin)
    )


def show_screen(config: Path, _: SetupAnswers, dialogue: Dialogue) -> None:
    """Shows the addresses of the child's page and of the staff's."""
    status = wait_status(load_settings(config).settings, lambda _: True, AGENT_START_S)
    if status.screen:
        dialogue.tell(phrase("For the children: {url}   for the staff: {url}staff", url=status.screen))
        dialogue.tell(phrase("In full screen on this machine: systemctl enable --now edge-agent-screen"))
    else:
        dialogue.tell(phrase("The screen is switched off (screen.enabled)"))


def try_scan(config: Path, answers: SetupAnswers, dialogue: Dialogue) -> None:
    """Takes one card as a test, and waits for the ledger's receipt. A test bills nobody, whosever card it is."""
    settings = load_settings(config).settings
    dialogue.tell(
        phrase("Hold any card to a reader within {seconds} s; it bills nobody", seconds=int(answers.test_scan_s))
    )
    recorded = request_test_scan(settings.kiosk.run_dir, answers.test_scan_s)
    dialogue.tell(phrase("Recorded: row {seq} from {reader}", seq=recorded.seq, reader=recorded.reader))
    if identity.read_registration(settings.kiosk.state_dir) is None:
        dialogue.tell(phrase("It goes to the ledger once this kiosk is registered with one"))
        return
    wait_receipt(settings.kiosk.run_dir, recorded)
    dialogue.tell(phrase("The ledger has given its receipt for it"))


def wait_status(settings: Settings, holds: Callable[[DaemonStatus], bool], seconds: float) -> DaemonStatus:
    """Returns the first status of which `holds` is true, else the last one. Raises AgentNotRunning without any."""
    until = time.monotonic() + seconds
    while True:
        status = _read_status(settings)
        is_over = time.monotonic() > until
        if status is not None and (holds(status) or is_over):
            return status
        if is_over:
            raise AgentNotRunning(
                phrase("the agent did not answer within {seconds} s", seconds=int(seconds)),
                phrase("look at its log: journalctl -u edge-agent -b"),
            )
        time.sleep(_POLL_S)


def _read_status(settings: Settings) -> DaemonStatus | None:
    try:
        (status,) = ask(settings.kiosk.run_dir, STATUS, NO_ARGUMENTS)
    except (AgentNotRunning, RequestRefused):
        return None
    return status
