"""A school with a past: its roster and its journal, put into a kiosk's state folder before the measuring begins."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from drivers.simulated.palms import hand as drawn_hand
from drivers.simulated.palms import some_capture
from edge_agent import identity
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.journal.sealed_palms import SealedPalm
from edge_agent.palm.types import Hand
from edge_agent.palms import keys as palm_keys
from edge_agent.palms.gallery import ErrorTarget, PalmGallery
from edge_agent.process.clock import KernelClock
from edge_agent.runtime.opening import JOURNAL_NAME
from sync.contract.event import Claim, ClockQuality, Entry, PalmEnrolled, PersonId
from sync.contract.roster import (
    Consent,
    Credential,
    Entitlement,
    MealSession,
    Person,
    Programme,
    Record,
    RosterPage,
    School,
)
from tests.benchmarks import crowd

SCHOOL = "s-12"
SESSION = "day"
STRANGE_HANDS, VIEWS = 8, 3  # that lie before the camera, and pictures of each
FIRST_DAY_AGO = 4  # the rows before today's are older than the rules look back: nobody's visit is open


def person(number: int) -> str:
    return f"u-{number}"


def card(number: int) -> bytes:
    """Of the EM kind; every number has its own."""
    return b"\x01" + number.to_bytes(4, "big")


def roster(people: int, *, consents: bool = False) -> tuple[Record, ...]:
    """So many pupils, each with a card and a programme, in a school that is open all day."""
    records: list[Record] = [
        School(id=SCHOOL, name="School"),
        Programme(id="state", name="State meals"),
        MealSession(id=SESSION, name="Day", start="00:00", end="00:00", weekdays=(1, 2, 3, 4, 5, 6, 7)),
    ]
    for number in range(people):
        pupil = person(number)
        records += [
            Person(id=pupil, given_name="Әлия", family_name=f"Family-{number}", grade=f"{1 + number % 11:02}"),
            Credential(id=f"c-{number}", person=pupil, value=card(number).hex().upper(), technology="em4100"),
            Entitlement(id=f"e-{number}", person=pupil, programme="state"),
        ]
        if consents:
            records.append(Consent(id=f"a-{number}", person=pupil, given_at="2026-09-01T03:00:00Z"))
    return tuple(records)


def entries(rows: int, people: int, today: datetime) -> Sequence[Entry]:
    """The meals of the days before: everybody once a day, the newest day last."""
    days = -(-rows // people)
    found = []
    for row in range(rows):
        day = today - timedelta(days=FIRST_DAY_AGO + days - row // people)
        number = row % people
        found.append(
            Entry(
                school=SCHOOL, at=f"{day:%Y-%m-%d}T04:{row // 60 % 60:02}:{row % 60:02}.123Z",
                boot="7a1c2f5e-0f8b-4c55-9a51-b1a9f2f0c3de", mono_ms=row * 700,
                clock=ClockQuality.SYNCHRONISED, roster=1, roster_age_s=60,
                person=person(number), session=SESSION, service_date=f"{day:%Y-%m-%d}", reader="door",
                credential=f"c-{number}", programme="state", claim=Claim.CLAIMABLE,
            )
        )  # fmt: skip
    return found


def prepare(state_dir: Path, *, people: int, rows: int, palms: int = 0) -> Path:
    """A kiosk's state folder with this roster and these rows; the path of its journal."""
    me = identity.read_identity(state_dir, SCHOOL)
    path = state_dir / JOURNAL_NAME
    now = datetime.now(UTC)
    past = entries(rows, people, now)
    with Journal.open(
        path, KioskIdentity(me.device, me.key.public_bytes, me.school), now=KernelClock(), ballast_bytes=0
    ) as journal:
        journal.roster.apply(
            (RosterPage(school=SCHOOL, since=0, version=1, changes=roster(people, consents=palms > 0), whole=True),),
            now,
        )
        for first in range(0, rows, 1_000):
            journal.append_all(past[first : first + 1_000])
        if palms:
            _enrol_palms(journal, state_dir, palms, now)
        journal.maintain()
    return path


def draw_hands(folder: Path) -> Path:
    """Lays pictures of drawn hands into this folder, several of each; nobody in the school has one of them."""
    for number in range(STRANGE_HANDS):
        hand = folder / f"{number:02}"
        hand.mkdir(parents=True)
        for view in range(VIEWS):
            generator = np.random.default_rng([number, view])
            picture = drawn_hand(f"stranger {number}", "left", some_capture(generator), generator)
            assert cv2.imwrite(str(hand / f"{view}.png"), picture)
    return folder


def _enrol_palms(journal: Journal, state_dir: Path, palms: int, now: datetime) -> None:
    """Enrols a palm, derived from drawn ones, for each of the first people of the roster."""
    key = palm_keys.make(state_dir)
    gallery = PalmGallery(journal, SCHOOL, key, ErrorTarget(0.001, 0.04))
    codes = islice(crowd.strangers(crowd.drawn(STRANGE_HANDS)), palms)
    moment = KernelClock()()
    for number, (fine, coarse) in enumerate(codes):
        template = crowd.palm(person(number), Hand.LEFT, fine, coarse, key.scrambles())
        samples = len(template.fine)
        event = PalmEnrolled(
            school=SCHOOL, at=moment.text, boot=moment.boot, mono_ms=moment.mono_ms, clock=moment.clock, roster=1,
            person=person(number), hand=Hand.LEFT.value, templates=samples, operator="Nurse",
        )  # fmt: skip
        row = SealedPalm(PersonId(person(number)), Hand.LEFT.value, samples, gallery.sealed(template), 90, now)
        gallery.enrol(template, row, event)
