"""The guided enrolment: what operator and child are told, in whose language, and when nothing is looked at."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from drivers.readings import PalmFrame
from drivers.simulated.palms import hand, some_capture
from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind
from edge_agent.domain.moment import Moment
from edge_agent.errors import RequestRefused
from edge_agent.journal.journal import Journal
from edge_agent.palm.types import Hand
from edge_agent.palms.enrolment import EnrolmentLine, EnrolmentRequest, enrol
from edge_agent.palms.enrolment_words import ADVICE, PICTURE_STEPS, SAMPLE_STEPS, EnrolmentStep, Words
from edge_agent.palms.gallery import PalmGallery
from edge_agent.palms.recognition import PalmRecognition
from edge_agent.process.metrics import Counters
from edge_agent.runtime.inbox import Inbox
from edge_agent.screen.state import Language
from edge_agent.settings.tables import PalmSettings
from sync.contract.event import ClockQuality, PalmEnrolled, PersonId, decode
from tests.edge_agent.journal.samples import open_journal
from tests.edge_agent.palms.test_gallery import KEY, SCHOOL, TARGET, page, roster

WISH = EnrolmentRequest(PersonId("u1"), "Nurse")
EMPTY = np.full((480, 640), 12, np.uint8)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path / "j.db") as journal:
        journal.roster.apply([page("u1", "u2")], datetime(2026, 11, 23, tzinfo=UTC))
        yield journal


class Desk:
    """An operator and a child before one camera; the palms are drawn, and nobody's."""

    def __init__(self, journal: Journal) -> None:
        self.gallery = PalmGallery(journal, SCHOOL, KEY, TARGET)
        self.roster = roster("u1", "u2", "u3", agreed=frozenset({"u1", "u2"}))
        self.gallery.load(self.roster)
        self.palms = PalmRecognition(
            self.gallery, PalmSettings(), Inbox(), lambda: self.roster, self.now, lambda feedback: None, Counters()
        )
        self.at_ms = 0
        self.shown: list[Feedback] = []
        self.dice = np.random.default_rng(7)

    def now(self) -> Moment:
        utc = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(milliseconds=self.at_ms)
        return Moment(utc, self.at_ms, "boot", ClockQuality.SYNCHRONISED)

    def see(self, picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
        self.at_ms += 1_500
        self.palms.offer(PalmFrame("cam", picture, self.at_ms * 1_000_000), self.now())

    def enrol(self, wish: EnrolmentRequest, *pictures: str) -> list[EnrolmentLine]:
        """Each of `pictures` is shown in turn: `u1 left` is a hand, `nothing` none; at the end time runs out."""
        told = []
        left = list(pictures)
        for line in enrol(wish, "cam", self.palms, lambda: self.roster, self.now, lambda: False, self.shown.append):
            told.append(line)
            if not left:
                self.at_ms += 1_000_000
                continue
            who, _, which = left.pop(0).partition(" ")
            self.see(EMPTY if who == "nothing" else hand(who, which, some_capture(self.dice), self.dice))
        return told


def test_a_palm_is_made_known_step_by_step(journal: Journal) -> None:
    desk = Desk(journal)
    told = desk.enrol(WISH, "nothing", "u1 left", "u1 left", "u1 left")
    assert [line.step for line in told] == [
        EnrolmentStep.SHOW,
        EnrolmentStep.NO_HAND,
        EnrolmentStep.GOOD_AGAIN,
        EnrolmentStep.GOOD_AGAIN,
        EnrolmentStep.GOOD,
        EnrolmentStep.DONE_LEFT,
    ]
    assert [line.good for line in told] == [0, 0, 1, 2, 3, 3]
    assert told[-1].done
    assert {feedback.kind for feedback in desk.shown[:-1]} == {FeedbackKind.ENROL}
    assert [feedback.advice for feedback in desk.shown[2:4]] == [Advice.AWAY] * 2
    assert desk.shown[-1].kind is FeedbackKind.IDLE
    fact = decode(journal.recent(1)[0].payload)
    assert isinstance(fact, PalmEnrolled)
    assert (fact.person, fact.hand, fact.operator) == ("u1", "left", "Nurse")
    assert desk.gallery.snapshot.persons == 1


@pytest.mark.parametrize("language", Language)
def test_what_is_refused_is_said_in_the_operators_language(journal: Journal, language: Language) -> None:
    desk, words = Desk(journal), Words(language)
    for person, step in (("u3", EnrolmentStep.NOT_AGREED), ("u9", EnrolmentStep.NOT_LISTED)):
        with pytest.raises(RequestRefused, match="^" + words(step, person=person).split(":")[0]):
            desk.enrol(replace(WISH, person=PersonId(person), language=language), "u3 left")
    assert desk.shown == [], "no hand is looked at without consent"
    desk.enrol(WISH, "u1 left", "u1 left", "u1 left")
    with pytest.raises(RequestRefused) as known:
        desk.enrol(replace(WISH, person=PersonId("u2"), language=language), "u1 left")
    assert str(known.value) == words(EnrolmentStep.KNOWN_AS_ANOTHER, other="u1")
    with pytest.raises(RequestRefused) as late:
        desk.enrol(replace(WISH, language=language), "nothing")
    assert words(EnrolmentStep.NO_HAND) in str(late.value)
    assert desk.shown[-1].kind is FeedbackKind.IDLE


def test_another_hand_than_the_wanted_one_is_asked_to_be_changed(journal: Journal) -> None:
    desk = Desk(journal)
    with pytest.raises(RequestRefused):
        desk.enrol(replace(WISH, hand=Hand.RIGHT), "u1 left")
    assert Advice.OTHER_HAND in {feedback.advice for feedback in desk.shown}


def test_every_reason_has_a_step_and_every_advice_is_one_that_can_be_said() -> None:
    assert len(set(PICTURE_STEPS.values())) == len(PICTURE_STEPS)
    assert set(SAMPLE_STEPS.values()) <= set(ADVICE)
    assert Advice.NONE not in ADVICE.values()
