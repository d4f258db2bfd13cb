"""A school's worth of palms to be searched: real ones of public sets, and strangers derived from them.

A palm turned by quarters and mirrored is a palm that nobody has: real skin, real light, and a stranger to everybody.
The filters stand at every 30°, so a code is turned and mirrored as well as its picture. When all seven are used up,
halves of two of them are put together. Derived palms are never probes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.simulated.palms import palm as drawn_palm
from drivers.simulated.palms import some_capture
from edge_agent.palm.hand.cutout import read_cutout
from edge_agent.palm.matching.code import COARSE_SIDE, FINE_SIDE, LINES, VALID, Cells
from edge_agent.palm.matching.enrolment import align
from edge_agent.palm.matching.gallery import Palm, Snapshot, empty
from edge_agent.palm.matching.permutation import Scrambles, identity
from edge_agent.palm.matching.responses import Responses, respond
from edge_agent.palm.types import Hand, Region
from tests.outside import PALMS

SETS = ("unknown99", "casia_WHT", "iitd", "tongji")  # cut regions, whose hands are not told; nobody is in two of them
MORE_STRANGERS = ("casia_850", "casia_940")  # the hands of casia_WHT in another light: never upright beside it
SAMPLES = 6  # of one palm in the gallery
ENROLLED_OF_FEW = 3  # where there is one session only
UPRIGHT = 0  # of the eight ways in which a square can lie


@dataclass(frozen=True, slots=True)
class Picture:
    name: str
    region: Callable[[], Region] = field(repr=False)

    def responses(self) -> Responses:
        return respond(self.region())


@dataclass(frozen=True, slots=True)
class Known:
    """One palm that pictures are there of, coded in the clear: research palms are nobody's secret."""

    name: str  # set/identity
    fine: Cells = field(repr=False)  # (n, 1024) templates
    coarse: Cells = field(repr=False)  # (n, 256)
    probes: tuple[Picture, ...] = field(repr=False)


def present(names: Iterable[str]) -> list[str]:
    """Return those of these sets that are at hand."""
    return [name for name in names if (PALMS / name).is_dir()]


def known(names: Sequence[str], palms_max: int | None = None) -> list[Known]:
    """The palms of these sets, some of each where not all are wanted."""
    folders = [folder for name in names for folder in sorted((PALMS / name).iterdir())[:palms_max]]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(_enrolled, folders))


def drawn(palms: int) -> list[Known]:
    """Drawn ones, where no sets are at hand."""
    return [
        _known(f"drawn/{n}", [_drawn(f"palm {n}", seed) for seed in range(SAMPLES)], SAMPLES // 2) for n in range(palms)
    ]


def palm(person: str, hand: Hand, fine: Cells, coarse: Cells, scrambles: Scrambles, samples: int = SAMPLES) -> Palm:
    """As a kiosk keeps it; so many samples of it, again from the first where there are fewer."""
    rows = np.arange(samples) % len(fine)
    return Palm(person, hand, scrambles.fine.protect(fine[rows]), scrambles.coarse.protect(coarse[rows]))


def school(
    known: Sequence[Known], people: int, scrambles: Scrambles, more: Sequence[Palm] = (), samples: int = SAMPLES
) -> Snapshot:
    """A gallery of so many people with two palms each; a palm of `known` or `more` is a person of its own."""
    hands = (Hand.LEFT, Hand.RIGHT)
    codes = [(each.name, each.fine, each.coarse) for each in known]
    derived = enumerate(islice(strangers(known), max(0, 2 * people - len(more) - len(known))))
    codes += [(f"p{n // 2}", fine, coarse) for n, (fine, coarse) in derived]
    palms = [palm(name, hands[n % 2], fine, coarse, scrambles, samples) for n, (name, fine, coarse) in enumerate(codes)]
    return empty(scrambles).changed([*more, *palms])


def strangers(
    of: Sequence[Known], seed: int = 0, ways: Sequence[int] = tuple(range(1, 8))
) -> Iterator[tuple[Cells, Cells]]:
    """Fine and coarse codes of palms that nobody has, without an end."""
    turned = [(each, way) for way in ways for each in of]
    for each, way in turned:
        yield lay(each.fine, FINE_SIDE, way), lay(each.coarse, COARSE_SIDE, way)
    dice = np.random.default_rng(seed)
    for _ in count():
        one, other = (turned[at] for at in dice.choice(len(turned), 2, replace=False))
        rows = min(len(one[0].fine), len(other[0].fine))
        yield (
            _halves(lay(one[0].fine[:rows], FINE_SIDE, one[1]), lay(other[0].fine[:rows], FINE_SIDE, other[1])),
            _halves(lay(one[0].coarse[:rows], COARSE_SIDE, one[1]), lay(other[0].coarse[:rows], COARSE_SIDE, other[1])),
        )


def lay(cells: Cells, side: int, way: int) -> Cells:
    """(n, side²) cells as they would be had the picture been turned by `way % 4` quarters, and from 4 on mirrored."""
    square = np.rot90(cells.reshape(-1, side, side), way % 4, (1, 2))
    if way >= 4:
        square = square[:, :, ::-1]
    return _lines_laid(way)[square].reshape(len(cells), -1)


def _halves(one: Cells, other: Cells) -> Cells:
    """The upper half of one and the lower half of the other."""
    middle = one.shape[1] // 2
    return np.concatenate([one[:, :middle], other[:, middle:]], axis=1)


@cache
def _lines_laid(way: int) -> NDArray[np.uint8]:
    """(128,): a cell's lines turned with it. A quarter is three orientations of 30°; a mirror takes k to −k."""
    cells = np.arange(128, dtype=np.uint8)
    laid = cells & np.uint8(VALID)
    for orientation in range(6):
        turned = (orientation + 3 * (way % 4)) % 6
        to = (6 - turned) % 6 if way >= 4 else turned
        laid |= ((cells & LINES) >> orientation & 1) << to
    return laid


def _enrolled(folder: Path) -> Known:
    paths = sorted(path for path in folder.iterdir() if path.suffix in {".png", ".jpg"})
    session = [path for path in paths if path.name.split("-")[0] == paths[0].name.split("-")[0]]
    later = [path for path in paths if path not in session]
    enrolled = session[: SAMPLES if later else ENROLLED_OF_FEW]
    shown = [*enrolled, *(later or session[len(enrolled) :])]
    pictures = [Picture(path.name, partial(_seen, path)) for path in shown]
    return _known(f"{folder.parent.name}/{folder.name}", pictures, len(enrolled))


def _known(name: str, pictures: Sequence[Picture], enrolled: int) -> Known:
    codes = align([picture.responses() for picture in pictures[:enrolled]], Hand.UNKNOWN, identity())
    fine, coarse = np.stack([code.fine for code in codes]), np.stack([code.coarse for code in codes])
    return Known(name, fine, coarse, tuple(pictures[enrolled:]))


def _seen(picture: Path) -> Region:
    read = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    assert read is not None, picture
    return read_cutout(np.asarray(read, np.uint8))


def _drawn(person: str, seed: int) -> Picture:
    def region() -> Region:
        dice = np.random.default_rng([seed, *person.encode()])
        return read_cutout(drawn_palm(person, "left", some_capture(dice), dice))

    return Picture(f"{person}, {seed}", region)
