"""`edge-agent config`: the settings in force, and where each value came from."""

from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_table
from edge_agent.errors import SettingsWrong
from edge_agent.settings.reading import load_settings

app = typer.Typer(no_args_is_help=True)


@app.command()
def show(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Print every setting in force and where each value came from."""
    rows = list(load_settings(config).list_values())
    if as_json:
        print_json({key: {"value": value, "source": source} for key, value, source in rows})
    else:
        print_table(("setting", "value", "from"), ((k, _toml(v), source) for k, v, source in rows))


@app.command()
def check(config: ConfigOption = CONFIG_DEFAULT, quiet: Annotated[bool, typer.Option("--quiet")] = False) -> None:
    """Check the settings file. Each fault is named with its key, the wrong value and the accepted ones."""
    loaded = load_settings(config)
    if loaded.device_faults:
        raise SettingsWrong("\n".join(f"{config}: {fault}" for fault in loaded.device_faults))
    if not quiet:
        out.print(f"{config}: sound", markup=False)


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "-"
        case str():
            return f'"{value}"'
        case tuple() | list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return str(value)
