"""`edge-agent demo`: a simulated school day with an outage, a killed kiosk and a pulled reader."""

import shutil
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import JsonOption, out, print_json
from edge_agent.errors import ExitCode, RequestRefused


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
    app.command()(demo)


def demo(
    pupils: Annotated[int, typer.Option(min=2, max=20_000, help="Pupils of the school.")] = 700,
    minutes: Annotated[float, typer.Option(min=1, max=240, help="Length of the simulated break.")] = 20.0,
    speed: Annotated[float, typer.Option(min=0.1, max=200, help="Times real time.")] = 20.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same school and plan.")] = 1,
    headless: Annotated[bool, typer.Option("--headless", help="No live view and no browser.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep journals, logs and database, and print their folder.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Play a lunch break with an outage, a killed kiosk and a pulled reader, and prove that all counts agree."""
    from edge_agent.cli.ledger.database import require_ledger_extra

    require_ledger_extra()
    from canteen_demo import view
    from canteen_demo.play import DemoOptions, Scene, play

    folder = Path(tempfile.mkdtemp(prefix="edge-agent-demo-"))
    folder.chmod(0o755)  # the ledger's PostgreSQL runs as another user when this is root
    options = DemoOptions(pupils=pupils, minutes=minutes, speed=speed, seed=seed, folder=folder)
    quiet = headless or as_json

    def progress(text: str) -> None:
        if not as_json:
            out.print(f"· {text}", markup=False)

    def watch(scene: Scene) -> None:
        if quiet:
            view.watch_quietly(scene)
        else:
            webbrowser.open(scene.queues[0].kiosk.url)
            view.watch_live(scene, out)

    try:
        outcome = play(options, progress, watch)
    except RequestRefused as refused:
        if not keep:
            raise RequestRefused(f"{refused}\nrun it with --keep to look at the logs") from refused
        raise
    finally:
        if keep:
            progress(f"kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        proof, money = outcome.proof, outcome.money
        claims = [{"claim": line.claim, "holds": line.holds} for line in (*proof.lines, *money.lines)]
        print_json({"holds": outcome.holds, "figures": {**proof.figures, **money.figures}, "claims": claims})
    else:
        view.show_outcome(outcome, out)
    sys.exit(ExitCode.OK if outcome.holds else ExitCode.FAILED)
