"""`palm quality`: one picture, judged as the kiosk judges it."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, print_document
from edge_agent.cli.palm.pictures import HandFinder, read_picture, write_png
from edge_agent.errors import ExitCode


def quality(
    image: Annotated[Path, typer.Argument(help="A PNG or JPEG of a hand.", exists=True, dir_okay=False)],
    overlay: Annotated[Path | None, typer.Option(help="Draw the result into this PNG.")] = None,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Judge a picture as the kiosk does: hand, place and quality of the palm, or the reason why it is refused."""
    import numpy as np

    from edge_agent.palm.hand.overlay import draw_overlay
    from edge_agent.palm.hand.refusal import UnfitPicture
    from edge_agent.palm.hand.region import FramedPalm, find_region

    picture = read_picture(image)
    framed: FramedPalm | UnfitPicture
    if isinstance(picture, UnfitPicture):
        framed, canvas = picture, np.zeros((120, 800), np.uint8)
    else:
        framed, canvas = find_region(picture, HandFinder(config).load_landmarks()), picture
    if overlay is not None:
        write_png(overlay, draw_overlay(canvas, framed))
    if isinstance(framed, UnfitPicture):
        print_document({"usable": False, "reason": framed.reason.value, "detail": framed.detail}, as_json)
        raise typer.Exit(ExitCode.FAILED)
    judgement = {"usable": True, "hand": framed.region.hand.value, "score": round(framed.quality.score, 3)}
    measures = {name: round(getattr(framed.quality, name), 3) for name in framed.quality.__slots__}
    placement = {
        "scale_px": round(framed.placement.scale_px, 1),
        "turn_deg": round(framed.placement.turn_deg, 1),
    }
    print_document({**judgement, **measures, **placement}, as_json)
