"""`edge-agent top`: the running agent live in a terminal: the doctor's words on it, the last readings, and a curve."""

import time
from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge_agent.cli.bundle.parts import READING_FIELDS
from edge_agent.cli.checks import daemon, folders, machine
from edge_agent.cli.checks.finding import Check, ExaminedKiosk, Finding, FindingState
from edge_agent.cli.doctor import STATE_WORDS, ask_status, examine, read_settings
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, out
from edge_agent.cli.phrases import choose_language, phrase, say
from edge_agent.control import ask
from edge_agent.control_api import JOURNAL_LIST, JournalListArguments

TOP_READINGS: Final = 8
CURVE_POINTS: Final = 60
_BARS = "▁▂▃▄▅▆▇█"
_COLOURS = {FindingState.GOOD: "green", FindingState.ATTENTION: "yellow", FindingState.FAILURE: "bold red"}
_CHECKS: tuple[tuple[str, Check], ...] = (
    ("daemon", daemon.check_daemon),
    ("clock", machine.check_clock),
    ("disk", folders.check_disk),
    ("version", machine.check_versions),
)


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
    app.command()(top)


def top(
    config: ConfigOption = CONFIG_DEFAULT,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    times: Annotated[int, typer.Option(min=0, help="How many looks; 0: until Ctrl-C.")] = 0,
    language: Annotated[str, typer.Option(help="kk, ru or en; else the system's.")] = "",
) -> None:
    """Watch the running agent: readers, refusals, last readings, queue, chain, clock and disk, renewed all the time."""
    view = AgentView(config, choose_language(language))
    with Live(console=out, auto_refresh=False, screen=out.is_terminal, transient=False) as live:
        looks = 0
        while True:
            live.update(view.look(), refresh=True)
            looks += 1
            if looks == times:
                return
            time.sleep(every)


class AgentView:
    """Draws the agent as it is at each look. The curve has the readings between two looks."""

    def __init__(self, config: Path, language: str) -> None:
        self._config = config
        self._language = language
        self._readings: deque[int] = deque(maxlen=CURVE_POINTS + 1)

    def look(self) -> RenderableType:
        """Returns what is to be seen now: of an agent that does not run, too."""
        loaded, findings = read_settings(self._config)
        run_dir = loaded.settings.kiosk.run_dir
        status, answers = ask_status(run_dir)
        findings += answers + list(examine(ExaminedKiosk(loaded, status), _CHECKS))
        parts: list[RenderableType] = [self._draw_findings(findings)]
        if status is not None:
            self._readings.append(sum(reader.readings for reader in status.readers))
            parts += [self._draw_readings(run_dir), Text(self._draw_curve())]
        return Group(*parts)

    def _draw_findings(self, findings: Iterable[Finding]) -> Table:
        table = Table.grid(padding=(0, 1))
        for finding in findings:
            detail = say(finding.detail, self._language)
            step = f" → {say(finding.next_step, self._language)}" if finding.next_step else ""
            table.add_row(
                Text(say(STATE_WORDS[finding.state], self._language), style=_COLOURS[finding.state]),
                Text(say(finding.part, self._language)),
                Text(detail + step),
            )
        return table

    def _draw_readings(self, run_dir: Path) -> Table:
        """Draws the last events by their allowed fields: nobody's name, and no card."""
        table = Table.grid(padding=(0, 1))
        for row in ask(run_dir, JOURNAL_LIST, JournalListArguments(limit=TOP_READINGS)):
            shown = [str(row.event[field]) for field in READING_FIELDS if field in row.event]
            table.add_row(Text(str(row.seq)), *(Text(text) for text in shown))
        return table

    def _draw_curve(self) -> str:
        rises = [after - before for before, after in pairwise(self._readings)]
        most = max(rises, default=0)
        bars = "".join(_BARS[rise * (len(_BARS) - 1) // most] if most else _BARS[0] for rise in map(abs, rises))
        return say(phrase("readings between two looks, at most {most}: {bars}", most=most, bars=bars), self._language)
