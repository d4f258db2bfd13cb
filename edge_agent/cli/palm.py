"""`edge-agent palm`: make a palm known, look at a picture as the kiosk does, measure, and keep the school's key."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent import settings
from edge_agent.cli import palm_key
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_pairs
from edge_agent.control import ask
from edge_agent.errors import ExitCode, Refused
from edge_agent.screen.state import Language
from edge_agent.settings import KioskSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_agent.palm.evaluation import Sample
    from edge_agent.palm.landmarks import Landmarks
    from edge_agent.palm.refusal import Refused as Unfit
    from edge_agent.palm.types import Region

app = typer.Typer(no_args_is_help=True)
app.add_typer(palm_key.app, name="key", help="The school's palm key: make it, hand it on, keep it in the safe.")

FILE_BYTES_MAX = 64 * 1024 * 1024
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
        raise Refused(f"--hand: found {hand!r}; accepted: {', '.join(HANDS)}")
    if language not in ("", *Language):
        raise Refused(f"--language: found {language!r}; accepted: {', '.join(Language)}")
    run_dir = settings.load(config).settings.kiosk.run_dir
    wish = {
        "language": language,
        "person": person,
        "operator": operator,
        "hand": hand,
        "samples": samples,
        "within_s": timeout_s,
    }
    for told in ask(run_dir, "palm.enrol", timeout_s + 30, reader=reader, **wish):
        if as_json:
            print_json(told)
        else:
            out.print(f"{told['good']}/{samples}  {told['say']}", markup=False)


@app.command()
def forget(person: PersonArgument, config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Delete a person's palms from this kiosk, disk and memory; the receipt goes into the journal."""
    (told,) = ask(settings.load(config).settings.kiosk.run_dir, "palm.forget", person=person)
    if as_json:
        print_json(told)
    else:
        out.print(f"{person}: {told['deleted']} templates deleted", markup=False)


@app.command()
def quality(
    image: Annotated[Path, typer.Argument(help="A PNG or JPEG of a hand.", exists=True, dir_okay=False)],
    overlay: Annotated[Path | None, typer.Option(help="Draw what was seen into this PNG.")] = None,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """What the kiosk sees in a picture: the hand, where its palm is, how good it is; or why it is refused."""
    import numpy as np

    from edge_agent.palm.overlay import draw
    from edge_agent.palm.refusal import Refused as Unfit
    from edge_agent.palm.region import find_region

    picture = _picture(image)
    seen = picture if isinstance(picture, Unfit) else find_region(picture, _Look(config).landmarks())
    if overlay is not None:
        canvas = np.zeros((120, 800), np.uint8) if isinstance(picture, Unfit) else picture
        _write_png(overlay, draw(canvas, seen))
    if isinstance(seen, Unfit):
        _tell({"usable": False, "reason": seen.reason.value, "detail": seen.detail}, as_json)
        raise typer.Exit(ExitCode.FAILED)
    told = {"usable": True, "hand": seen.region.hand.value, "score": round(seen.quality.score, 3)}
    measured = {name: round(getattr(seen.quality, name), 3) for name in seen.quality.__slots__}
    where = {"scale_px": round(seen.frame.scale_px, 1), "turn_deg": round(seen.frame.turn_deg, 1)}
    _tell({**told, **measured, **where}, as_json)


@app.command()
def models(
    wheel: Annotated[Path, typer.Argument(help="mediapipe 0.10.21 for x86_64, as pip downloads it.", dir_okay=False)],
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Install the networks that find closed fingers better; everything works without them, only not quite as well."""
    from edge_agent.runtime import palm_models

    folder = palm_models.install(wheel, settings.load(config).settings.kiosk.state_dir)
    out.print(f"{folder}: installed; restart the daemon (systemctl restart edge-agent)", markup=False)


@app.command()
def evaluate(
    folder: FolderArgument,
    roi: Annotated[bool, typer.Option("--roi", help="The pictures are regions already, not full hands.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw DET curve and score histograms into this PNG.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="More is sooner; times are only true with one.")] = 1,
    config: ConfigOption = CONFIG_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Measure recognition on pictures of which it is known whose they are, by exactly what the kiosk runs."""
    import cv2

    from edge_agent.palm.evaluation import evaluate as measure
    from edge_agent.palm.evaluation import report
    from edge_agent.palm.school_key import KEY_BYTES, SchoolKey

    # Any school's key gives the same scores; a fixed one gives the same report twice.
    scrambles = SchoolKey(bytes(KEY_BYTES)).scrambles()
    look = _Look(config)
    with ExitStack() as stack:
        mapper: Any = map
        if threads > 1:
            cv2.setNumThreads(1)
            mapper = stack.enter_context(ThreadPoolExecutor(threads)).map
        samples: list[Sample] = list(mapper(lambda path: _sample(path, look, roi=roi), _pictures(folder)))
        if not samples:
            raise Refused(f"{folder}: no picture IDENTITY/SESSION-SAMPLE.png or .jpg is in it")
        found = measure(samples, scrambles, time.perf_counter, mapper)
    if plot is not None:
        from edge_agent.palm.plot import draw

        _write_png(plot, draw(found, folder.name))
    told = report(found) | ({} if roi else {"landmarks": look.second_opinion})
    if as_json:
        print_json(told)
    else:
        print_pairs({name: _shown(value) for name, value in told.items() if name != "detail"})


def _pictures(folder: Path) -> list[Path]:
    found = (path for identity in sorted(folder.iterdir()) if identity.is_dir() for path in sorted(identity.iterdir()))
    return [path for path in found if path.suffix.lower() in SUFFIXES]


def _sample(path: Path, look: "_Look", *, roi: bool) -> "Sample":
    """One picture; whatever is wrong with the file, it is a sample that could not be acquired."""
    from edge_agent.palm.evaluation import Sample

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
        kiosk = settings.load(config).settings.kiosk if config.exists() else KioskSettings()
        self._state_dir = kiosk.state_dir
        self._own = threading.local()
        self.second_opinion = self.landmarks() is not None

    def landmarks(self) -> "Landmarks | None":
        from edge_agent.runtime import palm_models

        return palm_models.load(self._state_dir)

    def region(self, picture: "NDArray[np.uint8] | Unfit") -> "Region | None":
        from edge_agent.palm.refusal import Refused as Unfit
        from edge_agent.palm.region import find_region

        if isinstance(picture, Unfit):
            return None
        if self.second_opinion and not hasattr(self._own, "landmarks"):
            self._own.landmarks = self.landmarks()
        seen = find_region(picture, getattr(self._own, "landmarks", None))
        return None if isinstance(seen, Unfit) else seen.region


def _given(picture: "NDArray[np.uint8] | Unfit") -> "Region | None":
    """A picture that is a region already."""
    from edge_agent.palm.refusal import Refused as Unfit
    from edge_agent.palm.roi import NotARegion, region_from_roi

    if isinstance(picture, Unfit):
        return None
    try:
        return region_from_roi(picture)
    except NotARegion:
        return None


def _picture(path: Path) -> "NDArray[np.uint8] | Unfit":
    """Decoded in bounded memory: size is read from the header before anything is unpacked."""
    from drivers.protocols.fault import Fault
    from drivers.protocols.picture import decode
    from edge_agent.palm.refusal import Reason
    from edge_agent.palm.refusal import Refused as Unfit

    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        return Unfit(Reason.UNREADABLE, error.strerror or str(error))
    if len(content) > FILE_BYTES_MAX:
        return Unfit(Reason.TOO_LARGE, f"a file of more than {FILE_BYTES_MAX // 1024**2} MiB")
    picture = decode(content)
    return Unfit(Reason.UNREADABLE, picture.what) if isinstance(picture, Fault) else picture


def _write_png(path: Path, picture: "NDArray[np.uint8]") -> None:
    import cv2

    if path.suffix.lower() != ".png":
        raise Refused(f"{path}: pictures are written as PNG; name it .png")
    made, content = cv2.imencode(".png", picture)
    if not made:
        raise Refused(f"{path}: the picture could not be made")
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
