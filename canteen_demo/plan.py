"""Who comes when, to which kiosk, with what: the lunch break as the demo's dice see it, and what must come of it."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from canteen_demo.school import Pupil


class Means(StrEnum):
    CARD = "card"
    TERMINAL = "terminal"  # palm, matched by the outside terminal
    PALM = "palm"  # drawn, before the camera of the one kiosk that has one
    STRANGER = "stranger"  # a card that is on no roster


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """One approach to a kiosk, `at_s` simulated seconds after the doors opened."""

    at_s: float
    kiosk: int
    means: Means
    pupil: Pupil | None
    card_hex: str = ""
    leaving: bool = False


PALM_KIOSK = 1  # which is not the one that is killed


def make_plan(
    pupils: Sequence[Pupil], minutes: float, kiosks: int, dice: random.Random, palms: Collection[str] = ()
) -> list[PlannedVisit]:
    """All approaches of the break in the order of time.

    Most come in the first third, eat for a third of the break and leave by the kiosk they came in by. Some are away,
    some forget to sign out, a few tap twice at once, a few come a second time, and now and then a card of some
    other building turns up. `palms`: pupils who are known by the palm.
    """
    length = minutes * 60.0
    visits: list[PlannedVisit] = []
    for pupil in pupils:
        if dice.random() < 0.05:
            continue
        means = Means.TERMINAL if pupil.consent and dice.random() < 0.6 else Means.CARD
        kiosk = dice.randrange(kiosks)
        if pupil.id in palms:
            means, kiosk = Means.PALM, PALM_KIOSK
        enters = length * dice.uniform(0.01, 0.45)
        visits.append(PlannedVisit(enters, kiosk, means, pupil))
        if dice.random() < 0.04:
            visits.append(PlannedVisit(enters + dice.uniform(1.0, 3.0), kiosk, means, pupil))
        if dice.random() < 0.9:
            leaves = enters + length * dice.uniform(0.25, 0.4)
            visits.append(PlannedVisit(leaves, kiosk, means, pupil, leaving=True))
            if dice.random() < 0.03:
                visits.append(PlannedVisit(leaves + length * dice.uniform(0.08, 0.12), kiosk, means, pupil))
    strangers = max(1, len(pupils) // 100)
    visits += [
        PlannedVisit(
            length * dice.random(), dice.randrange(kiosks), Means.STRANGER, None, f"{dice.getrandbits(40):010X}"
        )
        for _ in range(strangers)
    ]
    return sorted(visits, key=lambda visit: visit.at_s)
