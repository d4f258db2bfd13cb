"""A quarter of an hour of break: sixty children a minute before a camera of fifteen pictures a second.

Through the kiosk's own path, driver `folder` → newest picture → region → code → search among 36,000 templates → one
decision a child; each child shows the hand for ten pictures, and for five nobody is there. Pictures are of whole real
hands where the public sets lie beside the project, enrolled by other pictures of theirs; elsewhere they are drawn. An
answer belongs to the child who is on the picture that settled it.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.palm.folder import Folder, FolderSettings
from drivers.readings import PalmFrame
from drivers.simulated.palms import hand as drawn_hand
from drivers.simulated.palms import some_capture
from edge_agent.domain.moment import Moment
from edge_agent.domain.roster import build_roster
from edge_agent.palm.hand.region import FramedPalm, find_region
from edge_agent.palm.matching.enrolment import align
from edge_agent.palm.matching.gallery import Palm
from edge_agent.palm.matching.responses import respond
from edge_agent.palm.protection.school_key import SchoolKey
from edge_agent.palm.types import Hand
from edge_agent.palms.gallery import ErrorTarget, PalmGallery
from edge_agent.palms.recognition import PalmRecognition
from edge_agent.process.metrics import Counters
from edge_agent.process.supervision import Pulse
from edge_agent.runtime.inbox import Inbox, PalmScan
from edge_agent.settings.tables import PalmSettings
from sync.contract.event import ClockQuality
from tests.benchmarks import crowd
from tests.benchmarks.figures import Figure, Result, Run, high, middle
from tests.benchmarks.palm import PEOPLE, QUICK_PEOPLE, reading_ms
from tests.edge_agent.journal.samples import open_journal
from tests.outside import PALMS

SETS = ("full_hands11k", "full_nir_hand", "full_polyu2")
CHILDREN, QUICK_CHILDREN = 15 * 60, 4  # one a second
FPS = 15
HAND_PICTURES = 10  # of the fifteen
HEIGHT_MAX = 600  # px; a kiosk's camera gives no more
OF_EACH_SET, QUICK_OF_EACH_SET = 20, 2  # regions from which the crowd is derived
DRAWN = 8
IDENTITY_P95_MS_MAX = 150.0

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Child:
    name: str
    palm: Palm | None  # none where no picture could be enrolled
    shown: list[Image] = field(repr=False)


@dataclass(slots=True)
class _Seen:
    """What came out. Answers are matched with pictures by the time that both carry."""

    began_ms: list[int] = field(default_factory=list)  # of each child, in turn
    answers: list[tuple[int, float, int, str]] = field(default_factory=list)  # first seen, settled by, answered; who
    settling_ms: list[float] = field(default_factory=list)  # from the picture that settled it


def run(run: Run, count: int = 0) -> Result:
    """Plays `count` children; 0: as many as a break has."""
    scrambles = (key := SchoolKey(bytes(32))).scrambles()
    names = crowd.present(SETS)
    of_each = QUICK_OF_EACH_SET if run.quick else None
    children = [_child(name, pictures, key) for name, pictures in _hands(names, of_each)]
    children = [child for child in children if child.palm is not None]
    regions = crowd.present(crowd.SETS)
    some = QUICK_OF_EACH_SET if run.quick else OF_EACH_SET
    others = crowd.known(regions, some) if regions else crowd.drawn(DRAWN)
    count = count or (QUICK_CHILDREN if run.quick else CHILDREN)
    played = run.folder / "hands"
    _lay_out(played, children)
    with open_journal(run.folder / "flow.db") as journal:
        gallery = PalmGallery(journal, "school-1", key, ErrorTarget(0.001, 0.04))
        own = [child.palm for child in children if child.palm is not None]
        gallery.snapshot = crowd.school(others, QUICK_PEOPLE if run.quick else PEOPLE, scrambles, own)
        gallery.loaded = True
        seen, dropped = _played(played, gallery, count)
    outcome, first_ms = _judged(seen, [child.name for child in children], count)
    snapshot = gallery.snapshot
    floor_ms = reading_ms(snapshot.bytes_held)
    limit = None if run.quick else IDENTITY_P95_MS_MAX
    return Result(
        "palm_flow",
        f"{count} presentations of {len(children)} palms ({', '.join(names) or 'drawn'}), one a second, {FPS} pictures "
        f"a second, among {snapshot.templates:,} templates, beside the time that reading their "
        f"{snapshot.bytes_held / 1024**2:.0f} MiB once takes ({floor_ms:.1f} ms)",
        [
            Figure("named rightly", outcome["right"], ""),
            Figure("told that nobody is known", outcome["nobody"], ""),
            Figure("without an answer before the next one came", outcome["unanswered"], ""),
            Figure("named wrongly", outcome["wrong"], "", at_most=0),
            Figure("pictures passed over for newer ones", dropped, ""),
            Figure("picture to identity p50", middle(seen.settling_ms), "ms", floor=floor_ms),
            Figure("picture to identity p95", high(seen.settling_ms, 0.95), "ms", at_most=limit),
            Figure("first good picture to identity p50", middle(first_ms), "ms"),
            Figure("first good picture to identity p95", high(first_ms, 0.95), "ms"),
        ],
        listed=[f"named wrongly: {each}" for each in outcome if each.startswith("wrong ")],
    )


def _played(folder: Path, gallery: PalmGallery, count: int) -> tuple[_Seen, int]:
    """The kiosk's thread for palms, and the camera's, until so many children were there."""
    inbox, counters, seen = Inbox(), Counters(), _Seen()
    roster = build_roster((), school="school-1", version=0, confirmed_at=None, tz=UTC)
    palms = PalmRecognition(gallery, PalmSettings(), inbox, lambda: roster, _now, lambda feedback: None, counters)
    pulse = Pulse(time.monotonic)
    looking = threading.Thread(target=palms.run, args=(pulse,))
    looking.start()
    done = threading.Event()
    listening = threading.Thread(target=_listen, args=(inbox, counters, gallery, seen, done))
    listening.start()
    camera = Folder("camera", FolderSettings(folder=str(folder), fps=FPS, repeat=True))
    camera.open()
    shown = 0
    while shown < count * FPS:
        for event in camera.read(1.0):
            assert isinstance(event, PalmFrame), event
            moment = _now()
            if shown % FPS == 0:
                seen.began_ms.append(moment.mono_ms)
            shown += 1
            palms.offer(event, moment)
    camera.close()
    time.sleep(1.0)
    pulse.stop()
    looking.join()
    done.set()
    listening.join()
    dropped = palms.status().pictures_dropped
    assert isinstance(dropped, int)
    return seen, dropped


def _listen(inbox: Inbox, counters: Counters, gallery: PalmGallery, seen: _Seen, done: threading.Event) -> None:
    settled_s = 0.0
    while not done.is_set():
        scan = inbox.next_work(0.1)
        if not isinstance(scan, PalmScan):
            continue
        at_ms = _now().mono_ms
        total_s = counters.registry.get_sample_value("canteen_palm_seconds_sum") or 0.0
        seen.settling_ms.append(1000 * (total_s - settled_s))
        settled_s = total_s
        best = scan.presentation.scores[0] if scan.presentation.scores else None
        who = str(best.person) if best is not None and best.score >= scan.presentation.accept_score else ""
        seen.answers.append((scan.moment.mono_ms, at_ms - seen.settling_ms[-1], at_ms, who))


def _judged(seen: _Seen, names: list[str], count: int) -> tuple[Counter[str], list[float]]:
    """Of each child what came of it, and how long the named ones waited from their first good picture on."""
    outcome: Counter[str] = Counter()
    first_ms: list[float] = []
    answers: dict[int, list[tuple[int, float, int, str]]] = {}
    for answer in seen.answers:
        turn = int(np.searchsorted(seen.began_ms, answer[1], side="right")) - 1
        answers.setdefault(turn, []).append(answer)
    for turn in range(count):
        whose, said = names[turn % len(names)], answers.get(turn, [])
        named = [who for *_, who in said if who]
        wrong = [who for who in named if who != whose]
        outcome["wrong" if wrong else "right" if named else "nobody" if said else "unanswered"] += 1
        outcome.update(f"wrong {whose} as {who}" for who in wrong)
        first_ms += [float(answered - first) for first, _, answered, _ in said]
    return outcome, first_ms


def _now() -> Moment:
    return Moment(datetime.now(UTC), time.monotonic_ns() // 1_000_000, "boot", ClockQuality.SYNCHRONISED)


def _hands(names: list[str], of_each: int | None) -> list[tuple[str, list[Image]]]:
    if names:
        folders = [folder for name in names for folder in sorted((PALMS / name).iterdir())[:of_each]]
        return [(f"{at.parent.name}/{at.name}", [_read(path) for path in sorted(at.iterdir())[:6]]) for at in folders]
    found = []
    for n in range(DRAWN):
        dice = np.random.default_rng(n)
        found.append((f"drawn/{n}", [drawn_hand(f"hand {n}", "left", some_capture(dice), dice) for _ in range(6)]))
    return found


def _read(path: Path) -> Image:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None, path
    ratio = min(1.0, HEIGHT_MAX / picture.shape[0])
    return np.asarray(cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA), np.uint8)


def _child(name: str, pictures: list[Image], key: SchoolKey) -> _Child:
    """Enrolled by the earlier half of the pictures, shown by the others."""
    half = (len(pictures) + 1) // 2
    found = [seen.region for each in pictures[:half] if isinstance(seen := find_region(each), FramedPalm)]
    hands = {region.hand for region in found}
    hand = hands.pop() if len(hands) == 1 else Hand.UNKNOWN
    templates = align([respond(region) for region in found], hand, key.scrambles())
    palm = Palm.of(name, hand, templates) if templates else None
    return _Child(name, palm, pictures[half:] or pictures[-1:])


def _lay_out(folder: Path, children: list[_Child]) -> None:
    """A presentation a child: its pictures in turn, then nobody."""
    for n, child in enumerate(children):
        burst = folder / f"{n:04d}"
        burst.mkdir(parents=True)
        height, width = child.shown[0].shape[:2]
        nobody = np.full((height, width), 20, np.uint8)
        for at in range(FPS):
            picture = child.shown[at % len(child.shown)] if at < HAND_PICTURES else nobody
            cv2.imwrite(str(burst / f"{at:02d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
