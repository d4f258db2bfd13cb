"""A lunch's worst minute: five cards a second at one kiosk, over two readers."""

import json
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from drivers.simulated.card_peer import CardPeer
from tests.benchmarks import school
from tests.benchmarks.figures import Figure, Result, Run, high, middle, milliseconds
from tests.benchmarks.kiosk import BenchKiosk

PER_SECOND = 5
READERS = ("left", "right")
PEOPLE, QUICK_PEOPLE = 2_000, 200
ROWS, QUICK_ROWS = 12_000, 1_000
P95_MS = 200.0  # card to light, DOMAIN: what a queue of children does not notice


def run(run: Run) -> Result:
    seconds = 4 if run.quick else 60
    people, rows = (QUICK_PEOPLE, QUICK_ROWS) if run.quick else (PEOPLE, ROWS)
    folder = run.folder / "burst"
    folder.mkdir()
    dice = random.Random(5)
    brought: dict[str, list[str]] = {name: [] for name in READERS}
    sent: list[int] = []
    left, right = (CardPeer(folder / name) for name in READERS)
    with left, right, BenchKiosk(folder, [left, right], people=people, rows=rows) as kiosk:
        first = int(kiosk.start()["journal"]["head"])
        at = time.monotonic()
        for number in range(seconds * PER_SECOND):
            time.sleep(max(0.0, at - time.monotonic()))
            at += 1 / PER_SECOND
            peer = dice.choice((left, right))
            sent.append(time.monotonic_ns())
            peer.present(school.card(number))
            brought[peer.port.name].append(school.person(number))
        kiosk.wait_lights(len(sent))
        shown = [json.loads(line)["t_ns"] for line in (folder / "light.jsonl").read_text("utf-8").splitlines()]
        assert kiosk.status()["recording"]
        kept = _by_reader(kiosk.rows(), first)
        assert kiosk.stop() == 0
    lost = sum(len(set(people) - set(kept[reader])) for reader, people in brought.items())
    doubled = sum(len(people) - len(set(people)) for people in kept.values())
    moved = sum(
        one != other for reader, people in brought.items() for one, other in zip(people, kept[reader], strict=False)
    )
    waits = [milliseconds(after - before) for before, after in zip(sent, shown, strict=True)]
    figures = [
        Figure("scans", len(sent), ""),
        Figure("lost", lost, "", at_most=0),
        Figure("kept twice", doubled, "", at_most=0),
        Figure("not in their reader's order", moved, "", at_most=0),
        Figure("card to light p50", middle(waits), "ms"),
        Figure("card to light p95", high(waits, 0.95), "ms", at_most=P95_MS),
        Figure("card to light, the longest", max(waits), "ms"),
    ]
    return Result("burst", f"{seconds} s of {PER_SECOND} cards a second over two readers into one kiosk", figures)


def _by_reader(rows: Sequence[Mapping[str, object]], first: int) -> Mapping[str, list[str]]:
    kept: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        event = row["event"]
        assert isinstance(event, dict)
        assert isinstance(row["seq"], int)
        if row["seq"] > first and event["kind"] == "entry":
            kept[event["reader"]].append(event["person"])
    return kept
