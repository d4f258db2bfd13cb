"""`edge-agent paper`: lists for a meal without electricity. The running daemon answers."""

from itertools import groupby
from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, print_json
from edge_agent.control import ask
from edge_agent.control_api import PAPER_LIST, PaperListArguments, PaperListRow
from edge_agent.screen.assets import read_catalogue
from edge_agent.screen.state import Language
from edge_agent.settings.reading import load_settings

app = typer.Typer(no_args_is_help=True)

NEXT_PAGE = "\f"  # printers begin a new sheet


@app.callback()
def paper() -> None:
    """Keeps `list` on the command line while it is the only command."""


@app.command("list")
def list_people(
    group: Annotated[
        str, typer.Argument(help="One class, as the roster names it: `3 «Б»`. Default: every class.")
    ] = "",
    language: Annotated[Language | None, typer.Option(help="Default: the kiosk's own.")] = None,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Print a page a class for A4: names with codes, and boxes to tick. Send it to a printer: `| lp`."""
    loaded = load_settings(config).settings
    rows = list(ask(loaded.kiosk.run_dir, PAPER_LIST, PaperListArguments(group=group)))
    if as_json:
        print_json(rows)
        return
    words = read_catalogue(language or Language(loaded.kiosk.language))
    pages = [
        "\n".join(_write_page(words, name, list(members))) for name, members in groupby(rows, lambda row: row.group)
    ]
    typer.echo(NEXT_PAGE.join(pages))


def _write_page(words: dict[str, str], group: str, members: list[PaperListRow]) -> list[str]:
    fields = ("staff.paper.day", "staff.paper.meal", "staff.paper.hours", "staff.paper.written_by")
    blanks = (f"{words[key]}: {'_' * 16}" for key in fields)
    lines = [f"{words['staff.paper.sheet']}  {group}", "", "   ".join(blanks), ""]
    return [*lines, *(f"[ ]  {row.code:<13}  {row.name}" for row in members), ""]
