"""`edge-agent palm`: make a palm known, look at a picture as the kiosk does, measure, and keep the school's key."""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import msgspec
import typer

from edge_agent import settings
from edge_agent.cli import palm_key
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_pairs
from edge_agent.cli.spread import jobs_default, over_processes
from edge_agent.control import ask
from edge_agent.control_api import (
    NO_ARGUMENTS,
    PALM_ENROL,
    PALM_EXPORT,
    PALM_FORGET,
    PALM_IMPORT,
    PalmEnrolArguments,
    PalmForgetArguments,
    PalmImportArguments,
    PalmImportRow,
)
from edge_agent.errors import ExitCode, RequestRefused
from edge_agent.screen.state import Language
from edge_agent.settings import KioskSettings
from sync.contract.palms import PALM_MESSAGE_BYTES_MAX, PalmStickHeader, SealedTemplates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_agent.palm.hand.landmarks import LandmarkFinder
    from edge_agent.palm.hand.refusal import UnfitPicture
    from edge_agent.palm.measurement.evaluation import Mapper, Sample
    from edge_agent.palm.types import Region

app = typer.Typer(no_args_is_help=True)
app.add_typer(palm_key.app, name="key", help="The school's palm key: make it, hand it on, keep it in the safe.")

FILE_BYTES_MAX = 64 * 1024 * 1024
EXPORT_S = 300.0
IMPORTED_TOGETHER = 64  # palms in one question to the daemon, which takes 8 MiB
SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
HANDS = ("left", "right", "unknown")
PersonArgument = Annotated[str, typer.Argument(help="The person's id in the roster.")]
FolderArgument = Annotated[
    Path, typer.Argument(help="Holds IDENTITY/SESSION-SAMPLE.png|jpg.", exists=True, file_okay=False)
]


@app.command()
def enrol(
    person: PersonArgument,
    operator: Annotated[str, typer.Option(help="Who does it; kept with the enrolment.")],
    hand: Annotated[str, typer.Option(help="left or right; unknown: whichever is shown first.")] = "unknown",
    samples: Annotated[int, typer.Option(min=3, max=6, help="Good pictures that are wanted.")] = 3,
    reader: Annotated[str, typer.Option(help="Which camera, where there are several.")] = "",
    timeout_s: Annotated[float, typer.Option("--timeout", min=5, max=600, help="Seconds in all.")] = 90.0,
    language: Annotated[str, typer.Option(help="Of what is said: kk, ru or en; the kiosk's own otherwise.")] = "",
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Make a person's palm known, guided, before the running kiosk's camera. Both hands: once for each."""
    if hand not in HANDS:
        raise RequestRefused(f"--hand: found {hand!r}; accepted: {', '.join(HANDS)}")
    if language not in ("", *Language):
        raise RequestRefused(f"--language: found {language!r}; accepted: {', '.join(Language)}")
    run_dir = settings.load_settings(config).settings.kiosk.run_dir
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


@app.command()
def forget(person: PersonArgument, config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Delete a person's palms from this kiosk, disk and memory; the receipt goes into the journal."""
    run_dir = settings.load_settings(config).settings.kiosk.run_dir
    (answer,) = ask(run_dir, PALM_FORGET, PalmForgetArguments(person=person))
    if as_json:
        print_json(answer)
    else:
        out.print(f"{person}: {answer.deleted} templates deleted", markup=False)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A new file, on a stick for example.", dir_okay=False)],
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Write all palms of the running kiosk into a file, sealed with the school's key: noise to whoever lacks it."""
    run_dir = settings.load_settings(config).settings.kiosk.run_dir
    rows = ask(run_dir, PALM_EXPORT, NO_ARGUMENTS, EXPORT_S)
    lines = [json.dumps(json.loads(bytes(row)), sort_keys=True, separators=(",", ":")) for row in rows]
    try:
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w") as target:
            target.write("\n".join(lines) + "\n")
            target.flush()
            os.fsync(target.fileno())
    except FileExistsError as error:
        raise RequestRefused(f"{file} exists; name a new file, nothing is overwritten") from error
    except OSError as error:
        raise RequestRefused(f"{file}: {error.strerror}; is the stick in, and writable?") from error
    out.print(f"{file}: {len(lines) - 1} palms", markup=False)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What `palm export` wrote on a kiosk of this school.", exists=True)],
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Take over palms of another kiosk. Who has not agreed is not taken, and a younger palm here stays."""
    run_dir = settings.load_settings(config).settings.kiosk.run_dir
    total = PalmImportRow(imported=0, passed_over=0, unreadable=0)
    for arguments in _exported(file):
        for answer in ask(run_dir, PALM_IMPORT, arguments, EXPORT_S):
            total = PalmImportRow(
                imported=total.imported + answer.imported,
                passed_over=total.passed_over + answer.passed_over,
                unreadable=total.unreadable + answer.unreadable,
            )
    _tell(msgspec.to_builtins(total), as_json)


def _exported(file: Path) -> Iterator[PalmImportArguments]:
    """Yields the head with some palms at a time. Raises `Refused` for a file that holds no export."""
    try:
        with file.open("rb") as lines:
            head = msgspec.json.decode(lines.readline(PALM_MESSAGE_BYTES_MAX), type=PalmStickHeader)
            while part := tuple(msgspec.json.decode(line, type=SealedTemplates) for line in _some(lines)):
                yield PalmImportArguments(head=head, palms=part)
    except (ValueError, UnicodeDecodeError) as error:
        raise RequestRefused(f"{file}: not an export of palms: {error}") from error
    except OSError as error:
        raise RequestRefused(f"{file}: {error.strerror}") from error


def _some(lines: BinaryIO) -> list[bytes]:
    return [line for _ in range(IMPORTED_TOGETHER) if (line := lines.readline(PALM_MESSAGE_BYTES_MAX))]


@app.command()
def quality(
    image: Annotated[Path, typer.Argument(help="A PNG or JPEG of a hand.", exists=True, dir_okay=False)],
    overlay: Annotated[Path | None, typer.Option(help="Draw what was seen into this PNG.")] = None,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show what the kiosk sees in a picture: the hand, its palm and the quality, or the reason for a refusal."""
    import numpy as np

    from edge_agent.palm.hand.overlay import draw_overlay
    from edge_agent.palm.hand.refusal import UnfitPicture
    from edge_agent.palm.hand.region import find_region

    picture = _picture(image)
    seen = picture if isinstance(picture, UnfitPicture) else find_region(picture, _Look(config).landmarks())
    if overlay is not None:
        canvas = np.zeros((120, 800), np.uint8) if isinstance(picture, UnfitPicture) else picture
        _write_png(overlay, draw_overlay(canvas, seen))
    if isinstance(seen, UnfitPicture):
        _tell({"usable": False, "reason": seen.reason.value, "detail": seen.detail}, as_json)
        raise typer.Exit(ExitCode.FAILED)
    told = {"usable": True, "hand": seen.region.hand.value, "score": round(seen.quality.score, 3)}
    measured = {name: round(getattr(seen.quality, name), 3) for name in seen.quality.__slots__}
    where = {"scale_px": round(seen.placement.scale_px, 1), "turn_deg": round(seen.placement.turn_deg, 1)}
    _tell({**told, **measured, **where}, as_json)


@app.command()
def models(
    wheel: Annotated[Path, typer.Argument(help="mediapipe 0.10.21 for x86_64, as pip downloads it.", dir_okay=False)],
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Install the networks that find closed fingers better; everything works without them, only not quite as well."""
    from edge_agent.palms import models as palm_models

    folder = palm_models.install(wheel, settings.load_settings(config).settings.kiosk.state_dir)
    out.print(f"{folder}: installed; restart the daemon (systemctl restart edge-agent)", markup=False)


@app.command()
def evaluate(
    folder: FolderArgument,
    roi: Annotated[bool, typer.Option("--roi", help="The pictures are regions already, not full hands.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw DET curve and score histograms into this PNG.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes; all cores when left out.")] = jobs_default(),
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Measure recognition on pictures of which it is known whose they are, by exactly what the kiosk runs."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is loaded; each process has a core
    import cv2

    from edge_agent.palm.measurement.evaluation import evaluate as measure
    from edge_agent.palm.measurement.evaluation import report
    from edge_agent.palm.protection.school_key import KEY_BYTES, SchoolKey

    if plot is not None:
        _must_be_png(plot)  # not after an hour
    cv2.setNumThreads(1)
    mapper: Mapper = over_processes(jobs) if jobs > 1 else map
    # Any school's key gives the same scores; a fixed one gives the same report twice.
    scrambles = SchoolKey(bytes(KEY_BYTES)).scrambles()
    look = _Look(config)
    paths, others = _pictures(folder)
    if others:
        typer.echo(f"{folder}: {others} files are neither .png nor .jpg and are left out", err=True)
    samples: list[Sample] = list(mapper(lambda index: _sample(paths[index], look, roi=roi), range(len(paths))))
    if not samples:
        raise RequestRefused(f"{folder}: no picture IDENTITY/SESSION-SAMPLE.png or .jpg is in it")
    found = measure(samples, scrambles, time.perf_counter, mapper)
    if plot is not None:
        from edge_agent.palm.measurement.plot import draw

        _write_png(plot, draw(found, folder.name))
    told = report(found) | ({} if roi else {"landmarks": look.second_opinion})
    if as_json:
        print_json(told)
    else:
        print_pairs({name: _shown(value) for name, value in told.items() if name != "detail"})


def _pictures(folder: Path) -> tuple[list[Path], int]:
    """The identities' pictures, and how many files beside them are none."""
    found = (path for identity in sorted(folder.iterdir()) if identity.is_dir() for path in sorted(identity.iterdir()))
    files = [path for path in found if path.is_file()]
    pictures = [path for path in files if path.suffix.lower() in SUFFIXES]
    return pictures, len(files) - len(pictures)


def _sample(path: Path, look: "_Look", *, roi: bool) -> "Sample":
    """One picture; whatever is wrong with the file, it is a sample that could not be acquired."""
    from edge_agent.palm.measurement.evaluation import Sample

    session, _, number = path.stem.partition("-")
    if not (session.isascii() and session.isdigit()) or not number:
        session, number = "0", path.stem
    picture = _picture(path)
    started = time.perf_counter()
    region = _given(picture) if roi else look.region(picture)
    # A region that was given has not been found: its time would say nothing.
    return Sample(path.parent.name, int(session[:9]), number, region, None if roi else time.perf_counter() - started)


class _Look:
    """Finds hands as the kiosk does; each thread with networks of its own, where they are installed."""

    def __init__(self, config: Path) -> None:
        kiosk = settings.load_settings(config).settings.kiosk if config.exists() else KioskSettings()
        self._state_dir = kiosk.state_dir
        self._own = threading.local()
        self.second_opinion = self.landmarks() is not None

    def landmarks(self) -> "LandmarkFinder | None":
        from edge_agent.palms import models as palm_models

        return palm_models.load(self._state_dir)

    def region(self, picture: "NDArray[np.uint8] | UnfitPicture") -> "Region | None":
        from edge_agent.palm.hand.refusal import UnfitPicture
        from edge_agent.palm.hand.region import find_region

        if isinstance(picture, UnfitPicture):
            return None
        if self.second_opinion and not hasattr(self._own, "landmarks"):
            self._own.landmarks = self.landmarks()
        seen = find_region(picture, getattr(self._own, "landmarks", None))
        return None if isinstance(seen, UnfitPicture) else seen.region


def _given(picture: "NDArray[np.uint8] | UnfitPicture") -> "Region | None":
    """A picture that is a region already."""
    from edge_agent.palm.hand.cutout import NotARegion, read_cutout
    from edge_agent.palm.hand.refusal import UnfitPicture

    if isinstance(picture, UnfitPicture):
        return None
    try:
        return read_cutout(picture)
    except NotARegion:
        return None


def _picture(path: Path) -> "NDArray[np.uint8] | UnfitPicture":
    """Decoded in bounded memory: size is read from the header before anything is unpacked."""
    from drivers.protocols.fault import Fault
    from drivers.protocols.picture import decode
    from edge_agent.palm.hand.refusal import UnfitPicture, UnfitReason

    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        return UnfitPicture(UnfitReason.UNREADABLE, error.strerror or str(error))
    if len(content) > FILE_BYTES_MAX:
        return UnfitPicture(UnfitReason.TOO_LARGE, f"a file of more than {FILE_BYTES_MAX // 1024**2} MiB")
    picture = decode(content)
    return UnfitPicture(UnfitReason.UNREADABLE, picture.what) if isinstance(picture, Fault) else picture


def _must_be_png(path: Path) -> None:
    if path.suffix.lower() != ".png" or not path.absolute().parent.is_dir():
        raise RequestRefused(f"{path}: pictures are written as PNG into a folder that exists; name it .png")


def _write_png(path: Path, picture: "NDArray[np.uint8]") -> None:
    import cv2

    _must_be_png(path)
    made, content = cv2.imencode(".png", picture)
    if not made:
        raise RequestRefused(f"{path}: the picture could not be made")
    path.write_bytes(content.tobytes())


def _tell(told: dict[str, object], as_json: bool) -> None:
    if as_json:
        print_json(told)
    else:
        print_pairs(told)


def _shown(value: object) -> str:
    """Nested values on one line; what the set is too small to show as a dash."""

    def parts(inner: object) -> Iterator[str]:
        if isinstance(inner, dict):
            for name, each in inner.items():
                yield f"{name} {_shown(each)}"
        else:
            yield "–" if inner is None else str(inner) if isinstance(inner, str) else json.dumps(inner)

    return ", ".join(parts(value))
