"""`palm enrol` and `palm forget`: the palms of one person."""

from typing import Annotated

import msgspec
import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json
from edge_agent.control import ask
from edge_agent.control_api import PALM_ENROL, PALM_FORGET, PalmEnrolArguments, PalmForgetArguments
from edge_agent.errors import RequestRefused
from edge_agent.screen.state import Language
from edge_agent.settings.reading import load_settings

HANDS = ("left", "right", "unknown")
PersonArgument = Annotated[str, typer.Argument(help="The person's id in the roster.")]


def enrol(
    person: PersonArgument,
    operator: Annotated[str, typer.Option(help="Who enrols: an operator of this kiosk, by name or id.")],
    hand: Annotated[str, typer.Option(help="left or right; unknown: the one that is shown first.")] = "unknown",
    samples: Annotated[int, typer.Option(min=3, max=6, help="How many good pictures to take.")] = 3,
    reader: Annotated[str, typer.Option(help="The camera, if there are several.")] = "",
    timeout_s: Annotated[float, typer.Option("--timeout", min=5, max=600, help="Seconds in all.")] = 90.0,
    language: Annotated[str, typer.Option(help="Of the instructions: kk, ru or en; else the kiosk's own.")] = "",
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Enrol a person's palm before the running kiosk's camera, with instructions. For both hands run it twice."""
    if hand not in HANDS:
        raise RequestRefused(f"--hand: found {hand!r}; accepted: {', '.join(HANDS)}")
    if language not in ("", *Language):
        raise RequestRefused(f"--language: found {language!r}; accepted: {', '.join(Language)}")
    run_dir = load_settings(config).settings.kiosk.run_dir
    arguments = msgspec.convert(
        {
            "language": language,
            "person": person,
            "operator": operator,
            "hand": hand,
            "samples": samples,
            "within_s": timeout_s,
            "reader": reader,
        },
        PalmEnrolArguments,
    )
    for step in ask(run_dir, PALM_ENROL, arguments, timeout_s + 30):
        if as_json:
            print_json(step)
        else:
            out.print(f"{step.samples}/{samples}  {step.line}", markup=False)


def forget(person: PersonArgument, config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Delete a person's palms from this kiosk, disk and memory; the journal records the deletion."""
    run_dir = load_settings(config).settings.kiosk.run_dir
    (forgotten,) = ask(run_dir, PALM_FORGET, PalmForgetArguments(person=person))
    if as_json:
        print_json(forgotten)
    else:
        out.print(f"{person}: {forgotten.deleted} templates deleted", markup=False)
