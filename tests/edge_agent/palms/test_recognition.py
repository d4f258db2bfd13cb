"""From pictures of real hands to what the station is told; the pictures' times are the test's own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.protocols.picture import decode
from drivers.readings import PalmFrame
from edge_agent.domain.decision import DecisionReason
from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind
from edge_agent.domain.moment import Moment
from edge_agent.domain.roster import Roster
from edge_agent.journal.journal import Journal
from edge_agent.palm.hand.region import FramedPalm, find_region
from edge_agent.palm.matching.enrolment import align
from edge_agent.palm.matching.gallery import Palm
from edge_agent.palm.matching.responses import Responses, respond
from edge_agent.palm.types import Hand
from edge_agent.palms.frames import NewestFrame, NewestFrames
from edge_agent.palms.gallery import PalmGallery
from edge_agent.palms.presentation import Advise
from edge_agent.palms.recognition import PalmRecognition, _CameraState
from edge_agent.process.metrics import Counters
from edge_agent.runtime.inbox import Inbox, PalmScan
from edge_agent.settings.tables import PalmSettings
from edge_agent.station.ports import PalmPresentation
from sync.contract.event import ClockQuality, PersonId
from tests.edge_agent.journal.samples import open_journal
from tests.edge_agent.palms.test_gallery import KEY, TARGET, roster
from tests.outside import find_palms

LEFT, RIGHT = "0000061_L", "0000559_R"


def picture(hand: str, number: int) -> NDArray[np.uint8]:
    made = decode(sorted((find_palms("full_hands11k") / hand).iterdir())[number].read_bytes())
    assert isinstance(made, np.ndarray)
    return made


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path / "j.db") as journal:
        yield journal


class Bench:
    """The palms' part without its thread: one picture after the other, at the test's times."""

    def __init__(self, journal: Journal, **settings: object) -> None:
        self.gallery = PalmGallery(journal, "school-1", KEY, TARGET)
        self.inbox = Inbox()
        self.shown: list[Feedback] = []
        self.at_ms = 0
        known = msgspec.convert(settings, PalmSettings)
        self.awaited: PersonId | None = None
        self.palms = PalmRecognition(
            self.gallery,
            known,
            self.inbox,
            lambda: roster("u1"),
            self.now,
            self.shown.append,
            Counters(),
            awaited=lambda reader: self.awaited,
        )

    def now(self) -> Moment:
        return Moment(datetime(2026, 11, 23, tzinfo=UTC), self.at_ms, "boot", ClockQuality.SYNCHRONISED)

    def know(self, person: str, hand: str, *numbers: int) -> None:
        responses = []
        for number in numbers:
            seen = find_region(picture(hand, number))
            assert isinstance(seen, FramedPalm)
            responses.append(respond(seen.region))
        templates = align(responses, Hand.LEFT, self.gallery.scrambles)
        self.gallery._replace([Palm.of(person, Hand.LEFT, templates)], ())

    def show(self, image: NDArray[np.uint8], at_ms: int) -> list[PalmPresentation]:
        self.at_ms = at_ms
        self.palms._examine(NewestFrame(PalmFrame("cam", image, at_ms * 1_000_000), self.now()), self.gallery)
        return self.decided()

    def quiet(self, at_ms: int) -> list[PalmPresentation]:
        self.at_ms = at_ms
        self.palms._quiet(self.gallery)
        return self.decided()

    def decided(self) -> list[PalmPresentation]:
        found = []
        while (work := self.inbox.next_work(0)) is not None:
            assert isinstance(work, PalmScan)
            found.append(work.presentation)
        return found


EMPTY = np.full((480, 640, 3), 30, np.uint8)


def test_a_hand_that_stays_is_decided_about_once_and_the_next_one_in_its_place_again(journal: Journal) -> None:
    bench = Bench(journal, frames=2)
    bench.know("u1", LEFT, 0, 1)
    decided = [sight for at in range(4) for sight in bench.show(picture(LEFT, 2 + at % 2), at * 200)]
    ((first,),) = [sight.scores[:1] for sight in decided]
    assert first.person == "u1"
    assert first.score >= decided[0].accept_score
    decided = [sight for at in range(6) for sight in bench.show(picture(RIGHT, at % 3), 800 + at * 200)]
    ((sight),) = decided
    assert all(score.score < sight.accept_score for score in sight.scores)
    assert bench.shown == []


def test_a_hand_that_is_gone_at_once_is_still_judged(journal: Journal) -> None:
    bench = Bench(journal, frames=3)
    bench.know("u1", LEFT, 0, 1)
    bench.palms._settings = PalmSettings(frames=3, liveness="on")  # which keeps one picture from being enough
    assert bench.show(picture(LEFT, 3), 0) == []
    assert bench.quiet(300) == []
    ((sight),) = bench.quiet(700)
    assert sight.scores[0].person == "u1"
    assert bench.quiet(5_000) == []


def test_two_hands_between_which_no_picture_was_looked_at_are_two_children(journal: Journal) -> None:
    bench = Bench(journal, frames=3, liveness="on")  # which keeps one picture from being enough
    bench.know("u1", LEFT, 0, 1)
    bench.know("u2", RIGHT, 0, 1)
    assert bench.show(picture(LEFT, 2), 0) == []
    (first,) = bench.show(picture(RIGHT, 2), 200)
    assert (first.scores[0].person, first.scores[0].score >= first.accept_score) == ("u1", True)
    (second,) = [sight for at in range(3) for sight in bench.show(picture(RIGHT, at), 300 + at * 100)]
    assert (second.scores[0].person, second.scores[0].score >= second.accept_score) == ("u2", True)


def test_the_next_hand_that_comes_while_the_first_one_leaves_is_named_by_itself(journal: Journal) -> None:
    bench = Bench(journal, frames=3, liveness="on")  # which keeps one picture from being enough
    bench.know("u1", LEFT, 0, 1)
    bench.know("u2", RIGHT, 0, 1)
    together = np.asarray(np.hstack([picture(LEFT, 2), picture(RIGHT, 2)]), np.uint8)
    assert bench.show(picture(LEFT, 2), 0) == []
    assert bench.show(together, 100) + bench.show(together, 200) == [], "the picture before counts no more"
    assert bench.show(picture(RIGHT, 0), 300) == [], "the other one may still be there"
    (sight,) = [sight for at in range(3) for sight in bench.show(picture(RIGHT, at), 700 + at * 100)]
    assert (sight.scores[0].person, sight.scores[0].score >= sight.accept_score) == ("u2", True)


def test_one_picture_is_enough_where_nobody_could_doubt_it(journal: Journal) -> None:
    bench = Bench(journal, frames=3)
    bench.know("u1", LEFT, 0, 1, 2)
    assert len(bench.show(picture(LEFT, 1), 0)) == 1


def test_a_card_asks_about_its_owner_alone_and_looks_at_a_hand_anew(journal: Journal) -> None:
    bench = Bench(journal, frames=2)
    bench.know("u1", LEFT, 0, 1)
    bench.know("u2", RIGHT, 0, 1)
    assert len(bench.show(picture(LEFT, 2), 0) + bench.show(picture(LEFT, 3), 200)) == 1
    assert bench.show(picture(LEFT, 2), 400) == [], "the hand stays"
    bench.awaited = PersonId("u1")
    (own,) = bench.show(picture(LEFT, 3), 600) + bench.show(picture(LEFT, 2), 800)
    assert (own.expected_person, own.confirm_score) == ("u1", 3_000)
    assert [score.person for score in own.scores] == ["u1"], "nobody else was looked for"
    assert own.scores[0].score >= own.confirm_score
    assert bench.show(picture(LEFT, 3), 1_000) == [], "asked about once"


def test_a_palm_that_is_not_the_card_owners_is_looked_for_among_all(journal: Journal) -> None:
    bench = Bench(journal, frames=2)
    bench.know("u1", LEFT, 0, 1)
    bench.know("u2", RIGHT, 0, 1)
    bench.awaited = PersonId("u1")
    (seen,) = [sight for at in range(3) for sight in bench.show(picture(RIGHT, at), at * 200)]
    scores: dict[str, int] = {score.person: score.score for score in seen.scores}
    assert seen.expected_person == "u1"
    assert scores["u1"] < seen.confirm_score
    assert scores["u2"] >= seen.accept_score


def test_nobody_is_sent_back_to_the_card_who_has_just_shown_it(journal: Journal) -> None:
    bench = Bench(journal)
    bench.know("u1", LEFT, 0, 1)
    bench.palms._note_awaited(camera := _CameraState(bench.palms._fresh()), PersonId("u1"))
    for advice in (Advice.CLOSER, Advice.NONE):
        bench.palms._act("cam", camera, Advise(DecisionReason.PALM_TOO_FAR, advice), bench.gallery)
    assert [each.advice for each in bench.shown] == [Advice.CLOSER]


class Pupil(PalmGallery):
    """Notes what it is asked to learn."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal, "school-1", KEY, TARGET)
        self.asked: list[tuple[str, Hand]] = []

    def adapt(self, person: str, hand: Hand, responses: Responses, now: Moment, roster: Roster) -> bool:
        self.asked.append((person, hand))
        return True


@pytest.mark.parametrize(
    ("adapt", "hand", "learned"), [("on", LEFT, [("u1", Hand.LEFT)]), ("off", LEFT, []), ("on", RIGHT, [])]
)
def test_a_hand_is_learned_anew_only_where_that_is_wanted_and_nobody_could_doubt_it(
    journal: Journal, adapt: str, hand: str, learned: list[tuple[str, Hand]]
) -> None:
    bench = Bench(journal, adapt=adapt)
    bench.palms.gallery = bench.gallery = pupil = Pupil(journal)
    bench.know("u1", LEFT, 0, 1, 2)
    assert len([sight for at in range(3) for sight in bench.show(picture(hand, at), at * 200)]) == 1
    assert pupil.asked == learned


def test_a_picture_without_a_hand_asks_nobody_anything(journal: Journal) -> None:
    bench = Bench(journal)
    assert [bench.show(EMPTY, at * 100) for at in range(30)] == [[]] * 30
    assert bench.shown == []


def test_a_hand_in_the_dark_gets_advice_and_in_the_end_the_card(journal: Journal) -> None:
    bench = Bench(journal)
    dark = (picture(LEFT, 1) // 24).astype(np.uint8)
    for at in range(0, 12_000, 500):
        assert bench.show(dark, at) == []
    said = [(each.kind, each.advice) for each in bench.shown]
    if said:  # a darker picture than this may show no hand at all
        assert said[-1] == (FeedbackKind.USE_CARD, Advice.NONE)
        assert {child for child, _ in said[:-1]} == {FeedbackKind.AGAIN}


@pytest.mark.parametrize("looked_for", ["on", "off"])
def test_a_picture_that_stands_still_is_a_copy_where_that_is_looked_for(journal: Journal, looked_for: str) -> None:
    bench = Bench(journal, frames=2, liveness=looked_for)
    bench.know("u1", LEFT, 0, 1)
    (copy,) = [sight for at in range(3) for sight in bench.show(picture(LEFT, 2), at * 100)]
    assert copy.looks_copied is (looked_for == "on")
    assert bench.quiet(5_000) == []
    (hand,) = [sight for at in range(3) for sight in bench.show(picture(LEFT, 2 + at), 6_000 + at * 100)]
    assert not hand.looks_copied


def test_only_the_newest_picture_of_each_camera_waits() -> None:
    frames = NewestFrames()
    moment = Moment(datetime(2026, 11, 23, tzinfo=UTC), 0, "boot", ClockQuality.SYNCHRONISED)
    for number in range(5):
        for reader in ("one", "two"):
            frames.put(PalmFrame(reader, EMPTY, number), moment)
    taken = [each for _ in range(3) if (each := frames.get(0)) is not None]
    assert [(each.frame.reader, each.frame.monotonic_ns) for each in taken] == [("one", 4), ("two", 4)]
    assert frames.dropped == 8
