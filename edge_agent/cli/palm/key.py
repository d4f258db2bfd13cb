"""`edge-agent palm key`: the school's key on this kiosk. Run it as root or the agent's user, and restart the daemon."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json
from edge_agent.errors import RequestRefused
from edge_agent.settings.reading import load_settings

app = typer.Typer(no_args_is_help=True)

StickArgument = Annotated[Path, typer.Argument(help="The stick's folder.", exists=True, file_okay=False)]
AgainOption = Annotated[bool, typer.Option("--again", help="Drop a handover that was begun, and begin anew.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask: you know what the loss of the key means.")]
RESTART = "Restart the daemon, so that it loads the key: systemctl restart edge-agent"


@app.command()
def make(config: ConfigOption = CONFIG_DEFAULT, yes: YesOption = False) -> None:
    """Make the key, on the first kiosk of a school only. Further kiosks import it."""
    from edge_agent.palm.protection.school_key import LOSS_WARNING
    from edge_agent.palms import keys as palm_keys

    out.print(LOSS_WARNING, markup=False)
    out.print("Has another kiosk of this school a key already? Then stop, and run `edge-agent palm key import`.")
    if not yes:
        typer.confirm("Make the school's key now?", abort=True)
    key = palm_keys.make(_state_dir(config))
    out.print(f"The school's key exists now: {key.fingerprint}", markup=False)
    out.print(f"Next: `edge-agent palm key print`, and the paper into the school's safe. {RESTART}", markup=False)


@app.command("print")
def print_(config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Print the key for the school's safe. Everybody with the printout has the key: no screenshot, no mail."""
    from edge_agent.palm.protection.school_key import LOSS_WARNING, to_paper
    from edge_agent.palms import keys as palm_keys

    key = palm_keys.load(_state_dir(config))
    groups = to_paper(key)
    out.print(f"Palm key of the school, {key.fingerprint}. {LOSS_WARNING}", markup=False)
    for first in range(0, len(groups), 5):
        out.print("    " + "  ".join(groups[first : first + 5]), markup=False)
    out.print("To restore it: `edge-agent palm key restore`, and type the groups in this order.", markup=False)


@app.command()
def restore(config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Restore the key from its printout. Type the groups at the prompt, so that no shell history keeps them."""
    from edge_agent.palms import keys as palm_keys

    typed = typer.prompt("The groups of the printout", hide_input=True)
    key = palm_keys.restore(_state_dir(config), typed)
    out.print(f"The school's key is back: {key.fingerprint}. {RESTART}", markup=False)


@app.command("import")
def import_(stick: StickArgument, config: ConfigOption = CONFIG_DEFAULT, again: AgainOption = False) -> None:
    """Get the key from another kiosk of the school, over a stick. Each call does one step and prints the next."""
    from edge_agent.palms import keys as palm_keys

    _print_step(palm_keys.import_step(_state_dir(config), stick, again=again))


@app.command()
def export(stick: StickArgument, config: ConfigOption = CONFIG_DEFAULT, again: AgainOption = False) -> None:
    """Give the key to another kiosk of the school, over a stick. Each call does one step and prints the next."""
    from edge_agent.palms import keys as palm_keys

    _print_step(palm_keys.export_step(_state_dir(config), stick, _ask_for_code, again=again))


@app.command("show-code")
def show_code(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Show the key's public fingerprint, equal on every kiosk of the school, or the code of a running handover."""
    from edge_agent.palms import keys as palm_keys

    state_dir = _state_dir(config)
    code = palm_keys.code_shown(state_dir)
    shown = {"code": code} if code else {"fingerprint": palm_keys.load(state_dir).fingerprint}
    if as_json:
        print_json(shown)
    else:
        out.print("\n".join(f"{name}: {value}" for name, value in shown.items()), markup=False)


def _ask_for_code(code: str) -> str:
    out.print(f"This screen's code: {code}", markup=False)
    return str(typer.prompt("The code on the other kiosk's screen"))


def _print_step(step: object) -> None:
    from edge_agent.palms.keys import HandoverStep

    assert isinstance(step, HandoverStep)
    if step.code:
        out.print(f"Code: {step.code}", markup=False)
    out.print(f"Next: {step.next}", markup=False)


def _state_dir(config: Path) -> Path:
    folder = load_settings(config).settings.kiosk.state_dir
    if not folder.is_dir():
        raise RequestRefused(f"{folder}: there is no such folder", "start the agent once, or correct kiosk.state_dir")
    return folder
