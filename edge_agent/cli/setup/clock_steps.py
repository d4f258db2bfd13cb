"""The step of the setup that compares the kiosk's clock with the ledger's, and its zone with the roster's."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from edge_agent import identity
from edge_agent.cli.phrases import phrase
from edge_agent.cli.setup.answers import SetupAnswers
from edge_agent.cli.setup.daemon_steps import FIRST_ROSTER_S, wait_status
from edge_agent.cli.setup.dialogue import Dialogue
from edge_agent.errors import RequestRefused
from edge_agent.process.clock import read_clock_quality
from edge_agent.settings.reading import load_settings
from edge_agent.settings.tables import Settings
from sync.client.http import HttpxTransport
from sync.contract.event import ClockQuality

CLOCK_APART_S = 30  # a request is on its way for a part of it
_ANSWER_BYTES_MAX = 64 * 1024


def compare_clocks(config: Path, _: SetupAnswers, dialogue: Dialogue) -> None:
    """Compares clock and zone; stops the setup where one is wrong, and not for a clock that nobody disciplines yet."""
    settings = load_settings(config).settings
    if read_clock_quality() is ClockQuality.SYNCHRONISED:
        dialogue.tell(phrase("The clock is synchronised"))
    else:
        dialogue.tell(phrase("The clock is not synchronised: timedatectl set-ntp true; meals are held until it is"))
    apart_s = _measure_ledger_clock(settings)
    if apart_s is not None and abs(apart_s) > CLOCK_APART_S:
        raise RequestRefused(
            phrase("this clock and the ledger's are {seconds} s apart", seconds=abs(round(apart_s))),
            phrase("set the clock: timedatectl"),
        )
    if apart_s is not None:
        dialogue.tell(phrase("The clock agrees with the ledger's"))
    status = wait_status(settings, lambda status: status.roster.version > 0, FIRST_ROSTER_S)
    if not status.roster.version:
        dialogue.tell(
            phrase("No roster yet: the ledger's operator must import this school's; the kiosk fetches it by itself")
        )
        return
    if status.roster.timezone not in {"", settings.kiosk.timezone}:
        raise RequestRefused(
            phrase(
                "the kiosk's zone is {ours}, the school's is {theirs}",
                ours=settings.kiosk.timezone,
                theirs=status.roster.timezone,
            ),
            phrase("set kiosk.timezone in {path}, and systemctl restart edge-agent", path=config),
        )
    dialogue.tell(
        phrase("The roster is there: version {version}, {people} people, zone {zone}", version=status.roster.version,
               people=status.roster.people, zone=settings.kiosk.timezone)
    )  # fmt: skip


def _measure_ledger_clock(settings: Settings) -> float | None:
    """Returns by how many seconds the ledger's clock is ahead of ours; None without a ledger or without its date."""
    registration = identity.read_registration(settings.kiosk.state_dir)
    if registration is None:
        return None
    with HttpxTransport(
        registration.ledger, ca_file=settings.ledger.ca_file, timeout_s=settings.ledger.timeout_s
    ) as http:
        answer = http.request("GET", "/", "", {}, b"", _ANSWER_BYTES_MAX)
    dated = answer.headers.get("date")
    return (parsedate_to_datetime(dated) - datetime.now(UTC)).total_seconds() if dated else None
