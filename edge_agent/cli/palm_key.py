"""`edge-agent palm key`: the school's key on this kiosk. Run as root or the agent's user; restart the daemon after."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent import settings
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json
from edge_agent.errors import RequestRefused

app = typer.Typer(no_args_is_help=True)

StickArgument = Annotated[Path, typer.Argument(help="The stick's folder.", exists=True, file_okay=False)]
AgainOption = Annotated[bool, typer.Option("--again", help="Forget a handing over that was begun, and begin anew.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask: what losing the key means is understood.")]
RESTART = "Restart the daemon so that it takes this up: systemctl restart edge-agent"


@app.command()
def make(config: ConfigOption = CONFIG_DEFAULT, yes: YesOption = False) -> None:
    """Make the key, on the first kiosk of a school only. Further kiosks import it."""
    from edge_agent.palm.protection.school_key import LOSS_WARNING
    from edge_agent.palms import keys as palm_keys

    out.print(LOSS_WARNING, markup=False)
    out.print("Another kiosk of this school has a key already? Then stop here: `edge-agent palm key import`.")
    if not yes:
        typer.confirm("Make the school's key now?", abort=True)
    key = palm_keys.make(_state_dir(config))
    out.print(f"The school's key is made: {key.fingerprint}", markup=False)
    out.print(f"Next: `edge-agent palm key print`, and the paper into the school's safe. {RESTART}", markup=False)


@app.command("print")
def print_(config: ConfigOption = CONFIG_DEFAULT) -> None:
    """The printout for the school's safe. Whoever has it has the key: no screenshot, no mail."""
    from edge_agent.palm.protection.school_key import LOSS_WARNING, to_paper
    from edge_agent.palms import keys as palm_keys

    key = palm_keys.load(_state_dir(config))
    groups = to_paper(key)
    out.print(f"Palm key of the school, {key.fingerprint}. {LOSS_WARNING}", markup=False)
    for at in range(0, len(groups), 5):
        out.print("    " + "  ".join(groups[at : at + 5]), markup=False)
    out.print("To restore it: `edge-agent palm key restore`, and type the groups in this order.", markup=False)


@app.command()
def restore(config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Bring the key back from its printout; the groups are asked for, so that they stand in no shell's history."""
    from edge_agent.palms import keys as palm_keys

    typed = typer.prompt("The groups of the printout", hide_input=True)
    key = palm_keys.restore(_state_dir(config), typed)
    out.print(f"The school's key is back: {key.fingerprint}. {RESTART}", markup=False)


@app.command("import")
def import_(stick: StickArgument, config: ConfigOption = CONFIG_DEFAULT, again: AgainOption = False) -> None:
    """Get the key from another kiosk of the school, over a stick. Each call does one step and says what follows."""
    from edge_agent.palms import keys as palm_keys

    _told(palm_keys.import_step(_state_dir(config), stick, again=again))


@app.command()
def export(stick: StickArgument, config: ConfigOption = CONFIG_DEFAULT, again: AgainOption = False) -> None:
    """Hand the key on to a further kiosk, over a stick. Each call does the next step and says what follows."""
    from edge_agent.palms import keys as palm_keys

    _told(palm_keys.export_step(_state_dir(config), stick, _compared, again=again))


@app.command("show-code")
def show_code(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """The key's public fingerprint, equal on every kiosk of the school, or the code of a handing over under way."""
    from edge_agent.palms import keys as palm_keys

    state_dir = _state_dir(config)
    code = palm_keys.code_shown(state_dir)
    told = {"code": code} if code else {"fingerprint": palm_keys.load(state_dir).fingerprint}
    if as_json:
        print_json(told)
    else:
        out.print("\n".join(f"{name}: {value}" for name, value in told.items()), markup=False)


def _compared(code: str) -> str:
    out.print(f"This screen's code: {code}", markup=False)
    return str(typer.prompt("The code on the other kiosk's screen"))


def _told(step: object) -> None:
    from edge_agent.palms.keys import HandoverStep

    assert isinstance(step, HandoverStep)
    if step.code:
        out.print(f"Code: {step.code}", markup=False)
    out.print(f"Next: {step.next}", markup=False)


def _state_dir(config: Path) -> Path:
    folder = settings.load_settings(config).settings.kiosk.state_dir
    if not folder.is_dir():
        raise RequestRefused(f"{folder}: there is no such folder; start the agent once, or see kiosk.state_dir")
    return folder
