"""The plan of the lunch break: for each child the times, the kiosk and the card or palm, drawn at random."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from canteen_demo.school import DemoPupil


class Means(StrEnum):
    """The ways in which a child can be recognised."""

    CARD = "card"
    TERMINAL = "terminal"  # palm, matched by the outside terminal
    PALM = "palm"  # drawn, before the only camera of the demo
    STRANGER = "stranger"  # a card that is on no roster


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """One approach to a kiosk, `planned_s` simulated seconds after the doors opened."""

    planned_s: float
    kiosk: int
    means: Means
    pupil: DemoPupil | None
    card_hex: str = ""
    leaving: bool = False


PALM_KIOSK = 1  # the kiosk with the camera; the demo kills the other one


def make_plan(
    pupils: Sequence[DemoPupil], minutes: float, kiosks: int, dice: random.Random, palms: Collection[str] = ()
) -> list[PlannedVisit]:
    """Returns all approaches of the break in the order of time.

    Most children come in the first third, eat for a third of the break and leave by the kiosk of their entry. Some are
    absent, some forget to sign out, a few tap twice, and a few come a second time. Now and then a child holds up the
    card of another building. `palms` holds the pupils with an enrolled palm.
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
    return sorted(visits, key=lambda visit: visit.planned_s)
