"""`palm evaluate`: recognition, measured on a folder of pictures."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, print_json, print_pairs
from edge_agent.cli.palm.pictures import HandFinder, read_picture, read_region, require_png_path, write_png
from edge_agent.cli.palm.processes import count_cores, map_over_processes
from edge_agent.cli.progress import count_mapped
from edge_agent.errors import RequestRefused

if TYPE_CHECKING:
    from edge_agent.palm.measurement.evaluation import Mapper, Sample

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
FolderArgument = Annotated[
    Path, typer.Argument(help="Holds IDENTITY/SESSION-SAMPLE.png|jpg.", exists=True, file_okay=False)
]


def evaluate(
    folder: FolderArgument,
    roi: Annotated[bool, typer.Option("--roi", help="The pictures show regions only, not full hands.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw DET curve and score histograms into this PNG.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes; without it, one a core.")] = count_cores(),
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Measure recognition on pictures with known owners, by exactly the code that the kiosk runs."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy reads it when it is loaded; each process has one core
    import cv2

    from edge_agent.palm.measurement.evaluation import evaluate as evaluate_samples
    from edge_agent.palm.measurement.evaluation import report
    from edge_agent.palm.protection.school_key import KEY_BYTES, SchoolKey

    if plot is not None:
        require_png_path(plot)  # before the evaluation, and not an hour later
    cv2.setNumThreads(1)
    spread = map_over_processes(jobs) if jobs > 1 else map
    mapper: Mapper = count_mapped(spread, "compare", "pieces")
    read_pictures: Mapper = count_mapped(spread, "find the palms", "pictures")
    # Any school's key gives the same scores; a fixed key gives equal reports for equal pictures.
    scrambles = SchoolKey(bytes(KEY_BYTES)).scrambles()
    finder = HandFinder(config)
    paths, ignored = _list_pictures(folder)
    if ignored:
        typer.echo(f"{folder}: {ignored} files are neither .png nor .jpg and are left out", err=True)
    samples: list[Sample] = list(
        read_pictures(lambda index: _read_sample(paths[index], finder, roi=roi), range(len(paths)))
    )
    if not samples:
        raise RequestRefused(
            f"{folder}: no picture IDENTITY/SESSION-SAMPLE.png or .jpg is in it", "name another folder"
        )
    evaluation = evaluate_samples(samples, scrambles, time.perf_counter, mapper)
    if plot is not None:
        from edge_agent.palm.measurement.plot import draw

        write_png(plot, draw(evaluation, folder.name))
    figures = report(evaluation) | ({} if roi else {"landmarks": finder.has_networks})
    if as_json:
        print_json(figures)
    else:
        print_pairs({name: _format_figure(figure) for name, figure in figures.items() if name != "detail"})


def _list_pictures(folder: Path) -> tuple[list[Path], int]:
    """Returns the pictures of all identities, and the number of files that are no pictures."""
    identities = (entry for entry in sorted(folder.iterdir()) if entry.is_dir())
    files = [path for identity in identities for path in sorted(identity.iterdir()) if path.is_file()]
    pictures = [path for path in files if path.suffix.lower() in SUFFIXES]
    return pictures, len(files) - len(pictures)


def _read_sample(path: Path, finder: HandFinder, *, roi: bool) -> "Sample":
    """Returns the sample of one picture. A file with any fault is a sample that could not be acquired."""
    from edge_agent.palm.measurement.evaluation import Sample

    session, _, number = path.stem.partition("-")
    if not (session.isascii() and session.isdigit()) or not number:
        session, number = "0", path.stem
    picture = read_picture(path)
    started = time.perf_counter()
    region = read_region(picture) if roi else finder.find_region(picture)
    # A region that came as a picture was not searched: its time would mean nothing.
    seconds = None if roi else time.perf_counter() - started
    return Sample(path.parent.name, int(session[:9]), number, region, seconds)


def _format_figure(figure: object) -> str:
    """Returns nested figures on one line, with a dash for a rate that the set is too small to show."""

    def parts(inner: object) -> Iterator[str]:
        if isinstance(inner, dict):
            for name, value in inner.items():
                yield f"{name} {_format_figure(value)}"
        else:
            yield "–" if inner is None else str(inner) if isinstance(inner, str) else json.dumps(inner)

    return ", ".join(parts(figure))
