"""`devices clocks` and `devices confirm-clock`: terminals whose clock was wrong, and a person's word about it."""

from typing import Annotated

import typer

from drivers.protocols.terminal_clock import say_offset
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_table
from edge_agent.control import ask
from edge_agent.control_api import (
    DEVICES_CLOCKS,
    DEVICES_CONFIRM_CLOCK,
    NO_ARGUMENTS,
    ClockConfirmArguments,
    HeldClockRow,
)
from edge_agent.errors import RequestRefused
from edge_agent.settings.reading import load_settings


def show_clocks(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Show the terminals whose rows are held for a wrong clock, and by how much it was off as it was measured."""
    runs = list(ask(load_settings(config).settings.kiosk.run_dir, DEVICES_CLOCKS, NO_ARGUMENTS))
    if as_json:
        print_json(runs)
        return
    print_table(
        ("run", "clock", "seconds", "rows held", "from (its clock, UTC)", "to"),
        ((run.run, say_offset(run.offset_s), run.offset_s, run.rows, run.first_at, run.last_at) for run in runs),
        title=None if runs else "no rows are held for a clock",
    )


def confirm_clock(
    terminal: Annotated[str, typer.Argument(help="The terminal's serial number, or the whole run in quotes.")],
    operator: Annotated[str, typer.Option(help="Who confirms it: an operator of this kiosk, by name or id.")],
    note: Annotated[str, typer.Option(help="By what: how the clock was compared.")],
    offset_s: Annotated[
        int | None, typer.Option(help="Seconds by which it was ahead (behind: negative); without it as measured.")
    ] = None,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Confirm how far a terminal's clock was off: its held rows then count at their true times."""
    run_dir = load_settings(config).settings.kiosk.run_dir
    runs = [run for run in ask(run_dir, DEVICES_CLOCKS, NO_ARGUMENTS) if _is_named(run, terminal)]
    if not runs:
        raise RequestRefused(
            f"no rows are held for the clock of {terminal}", "name one of those that `edge-agent devices clocks` lists"
        )
    confirmed = [
        row
        for run in runs
        for row in ask(
            run_dir,
            DEVICES_CONFIRM_CLOCK,
            ClockConfirmArguments(run=run.run, operator=operator, note=note, offset_s=offset_s),
        )
    ]
    if as_json:
        print_json(confirmed)
        return
    for run, row in zip(runs, confirmed, strict=True):
        used = run.offset_s if offset_s is None else offset_s
        out.print(f"{run.run}: {row.rows} rows count now, the clock was {say_offset(used)}", markup=False)


def _is_named(run: HeldClockRow, terminal: str) -> bool:
    return terminal in (run.run, run.terminal)
