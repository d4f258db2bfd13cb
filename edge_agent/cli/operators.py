"""`edge-agent operators`: the people who act at this kiosk, and their PINs. The running daemon answers."""

from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_table
from edge_agent.control import ask
from edge_agent.control_api import (
    NO_ARGUMENTS,
    OPERATORS_ADD,
    OPERATORS_BLOCK,
    OPERATORS_LIST,
    OPERATORS_PIN,
    GivenPinRow,
    OperatorAddArguments,
    OperatorArguments,
)
from edge_agent.domain.operators import OperatorRole
from edge_agent.settings.reading import load_settings

app = typer.Typer(no_args_is_help=True)

OperatorArgument = Annotated[str, typer.Argument(help="The operator's name, or the id that events carry.")]


@app.command("list")
def list_operators(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Show the operators of this kiosk with their roles."""
    rows = list(ask(load_settings(config).settings.kiosk.run_dir, OPERATORS_LIST, NO_ARGUMENTS))
    if as_json:
        print_json(rows)
        return
    print_table(
        ("id", "name", "roles", "PIN"),
        (
            (
                row.id,
                row.name,
                ", ".join(row.roles),
                "blocked" if row.blocked else "own" if row.has_own_pin else "no own one yet",
            )
            for row in rows
        ),
        title=None if rows else "none yet: edge-agent operators add NAME --role head",
    )


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="First and family name, as people call them.")],
    role: Annotated[list[OperatorRole], typer.Option(help="May be given more than once.")],
    group: Annotated[str, typer.Option("--class", help="Of a class teacher: the class, as the roster names it.")] = "",
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Make an operator, and print the PIN for the first sign-in. The first one of a kiosk is its head."""
    arguments = OperatorAddArguments(name=name, roles=tuple(role), group=group)
    (given,) = ask(load_settings(config).settings.kiosk.run_dir, OPERATORS_ADD, arguments)
    _print_pin(given, as_json)


@app.command()
def pin(operator: OperatorArgument, config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Give an operator a new PIN for one sign-in; the old one opens nothing."""
    (given,) = ask(load_settings(config).settings.kiosk.run_dir, OPERATORS_PIN, OperatorArguments(operator=operator))
    _print_pin(given, as_json)


@app.command()
def block(operator: OperatorArgument, config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Let an operator sign in no more. The name stays in the list, since events carry the id."""
    (row,) = ask(load_settings(config).settings.kiosk.run_dir, OPERATORS_BLOCK, OperatorArguments(operator=operator))
    if as_json:
        print_json(row)
    else:
        out.print(f"{row.name} ({row.id}) is blocked at this kiosk", markup=False)


def _print_pin(given: GivenPinRow, as_json: bool) -> None:
    if as_json:
        print_json(given)
    else:
        out.print(
            f"{given.name} ({given.id}): PIN {given.pin} for the next sign-in, where another one must be chosen",
            markup=False,
        )
