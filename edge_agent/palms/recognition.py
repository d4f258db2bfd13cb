"""Recognises palms: from the pictures of a camera to a person, or to honest advice.

    newest picture → region → quality → (liveness) → code → search → two or three pictures as one → station

A palm that is shown for a card is compared with the card owner's (1:1), and searched for only where it is not theirs.

One thread for all cameras: it looks at one picture at a time, always the newest, and drops those it has no time for.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from drivers.readings import PalmFrame
from edge_agent.control_api import PalmStatus
from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind
from edge_agent.domain.identify import PalmScore
from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.domain.respond import respond_unread
from edge_agent.domain.roster import Roster
from edge_agent.errors import AgentError, RequestRefused
from edge_agent.journal.errors import JournalUnwritable, NoConsent
from edge_agent.journal.journal import Journal
from edge_agent.palm.hand.landmarks import LandmarkFinder
from edge_agent.palm.hand.refusal import UnfitPicture, UnfitReason
from edge_agent.palm.hand.region import FramedPalm, find_region
from edge_agent.palm.matching.code import encode
from edge_agent.palm.matching.enrolment import likeness_to
from edge_agent.palm.matching.fusion import fuse_frames
from edge_agent.palm.matching.gallery import Candidate, GalleryDecision, PalmMatch, Ranking, Snapshot, decide
from edge_agent.palm.matching.limits import FRAMES_MAX, QUALITY_MIN
from edge_agent.palm.matching.operating_point import OperatingPoint
from edge_agent.palm.matching.permutation import ProtectedCode, protect
from edge_agent.palm.matching.probe import Probe
from edge_agent.palm.matching.responses import Responses, respond
from edge_agent.palm.types import Hand
from edge_agent.palms import keys as palm_keys
from edge_agent.palms import models as palm_models
from edge_agent.palms.frames import NewestFrame, NewestFrames
from edge_agent.palms.gallery import ErrorTarget, PalmGallery
from edge_agent.palms.liveness import copied
from edge_agent.palms.presentation import Advise, Conclude, Presentation
from edge_agent.process.metrics import Counters
from edge_agent.process.repeated_faults import RepeatedFaults
from edge_agent.process.supervision import Pulse
from edge_agent.settings.tables import PalmSettings, Settings
from edge_agent.station.ports import PalmPresentation
from sync.client.ports import PalmStore
from sync.contract.event import PersonId

log = logging.getLogger(__name__)

FRAME_WAIT_S = 0.2  # between two looks at the clock, when no picture comes
TEN_THOUSAND = 10_000
CERTAIN_MORE = 0.1  # agreement beyond the threshold; strangers reach it a thousand times more rarely than that


@dataclass(frozen=True, slots=True)
class NoGallery:
    """A gallery in which nobody can be recognised, and why: the reason says what to do."""

    why: str

    def has_template(self, person: str) -> bool:
        """Returns False: without the school's key nobody is known."""
        return False


@dataclass(slots=True)
class _CameraState:
    """The memory of one camera's present hand."""

    presentation: Presentation
    first: Moment | None = None  # when it was first seen well
    looks: list[tuple[NDArray[np.uint8], FramedPalm]] = field(default_factory=list, repr=False)  # for liveness
    settled_as: ProtectedCode | None = field(default=None, repr=False)  # to tell it from the next hand
    asked_for: PersonId | None = None  # whose card waits for this palm
    copied: bool = False  # what was decided about last looked like a print or a screen


class PresentationQueue(Protocol):
    """The queue to the station, which decides about concluded presentations."""

    def add_presentation(self, presentation: PalmPresentation, moment: Moment) -> bool:
        """Returns False where the queue stayed full; the presentation was not taken."""
        ...


class PalmRecognition:
    def __init__(
        self,
        gallery: PalmGallery | NoGallery,
        settings: PalmSettings,
        inbox: PresentationQueue,
        roster: Callable[[], Roster],
        now: MomentSource,
        show: Callable[[Feedback], None],
        counters: Counters,
        landmarks: Callable[[], LandmarkFinder | None] = lambda: None,
        awaited: Callable[[str], PersonId | None] = lambda reader: None,
    ) -> None:
        self._awaited = awaited  # whose palm is waited for at a camera
        self.landmarks = landmarks  # makes a second opinion for one thread, where one is installed
        self._landmarks: LandmarkFinder | None = None
        self.gallery = gallery
        self._settings = settings
        self._inbox = inbox
        self._faults = RepeatedFaults(log)
        self._roster = roster
        self._now = now
        self._show = show
        self._counters = counters
        self._newest = NewestFrames()
        self._cameras: dict[str, _CameraState] = {}
        self._borrowed: dict[str, NewestFrames] = {}
        self._borrowing = threading.Lock()

    def forget(self, people: Collection[str]) -> None:
        """Forgets people who are gone or have not agreed any more. Their sealed palms are deleted already."""
        if not isinstance(self.gallery, NoGallery):
            self.gallery.forget(people)

    def delete(self, person: PersonId) -> int:
        """Takes a person's palms away, on disk and in memory, and returns how many samples there were."""
        if isinstance(self.gallery, NoGallery):
            raise RequestRefused(self.gallery.why)
        return self.gallery.delete(person)

    @property
    def store(self) -> PalmStore | None:
        """Returns the palms that may be relayed to the school's other kiosks."""
        return self.gallery if isinstance(self.gallery, PalmGallery) else None

    @property
    def ready(self) -> bool:
        """Tells if a child may be asked for the palm, since somebody can be recognised."""
        return isinstance(self.gallery, PalmGallery) and self.gallery.snapshot.persons > 0

    def status(self) -> PalmStatus:
        """Returns if anybody can be recognised, or why not; how many people, and how strictly. It is for the
        technician.
        """
        gallery = self.gallery
        if isinstance(gallery, NoGallery):
            return PalmStatus(ready=False, why=gallery.why)
        snapshot = gallery.snapshot
        return PalmStatus(
            ready=self.ready,
            why="" if gallery.loaded else "the palms are being opened",
            key=gallery.fingerprint,
            people=snapshot.persons,
            templates=snapshot.templates,
            unreadable=gallery.unreadable,
            operating_point=str(gallery.point(snapshot)),
            pictures_dropped=self._newest.dropped,
        )

    def offer(self, frame: PalmFrame, moment: Moment) -> None:
        """Takes a picture of a camera, from the camera's thread. Never blocks."""
        self._borrowed.get(frame.reader, self._newest).put(frame, moment)

    @contextmanager
    def borrowed(self, reader: str) -> Iterator[NewestFrames]:
        """Lends this camera's pictures to an enrolment; nobody is recognised there meanwhile."""
        with self._borrowing:
            if reader in self._borrowed:
                raise RequestRefused(f"{reader}: somebody is being enrolled there; wait until that is done")
            frames = self._borrowed[reader] = NewestFrames()
        try:
            yield frames
        finally:
            del self._borrowed[reader]

    def run(self, pulse: Pulse) -> None:
        gallery = self.gallery
        if isinstance(gallery, NoGallery):
            while not pulse.is_stopping():
                pulse.beat()
                self._newest.get(FRAME_WAIT_S)  # no picture of anybody is kept waiting for a key that is not there
            return
        self._landmarks = self.landmarks()
        if not gallery.loaded:
            gallery.load(self._roster())
        while not pulse.is_stopping():
            pulse.beat()
            newest = self._newest.get(FRAME_WAIT_S)
            gallery.sweep()
            if newest is None:
                self._quiet(gallery)
            else:
                self._examine(newest, gallery)

    def _quiet(self, gallery: PalmGallery) -> None:
        """Notes cameras that bring nothing: their hands have gone."""
        now_ns = self._now().mono_ms * 1_000_000
        for reader, camera in self._cameras.items():
            self._act(reader, camera, camera.presentation.quiet(now_ns), gallery)

    def _examine(self, newest: NewestFrame, gallery: PalmGallery) -> None:
        frame = newest.frame
        camera = self._cameras.setdefault(frame.reader, _CameraState(self._fresh()))
        at_ns = newest.moment.mono_ms * 1_000_000
        result = find_region(frame.image, self._landmarks)
        match result:
            case UnfitPicture(reason=reason):
                self._counters.palms_unfit.labels(reason.value).inc()
                if reason is UnfitReason.TWO_HANDS:
                    camera.first, camera.looks = None, []
                self._act(frame.reader, camera, camera.presentation.bad(reason, at_ns), gallery)
            case FramedPalm() if camera.presentation.is_crowded(at_ns):
                pass
            case FramedPalm():
                self._recognise(newest, camera, result, at_ns, gallery)
            case _:
                assert_never(result)

    def _recognise(
        self, newest: NewestFrame, camera: _CameraState, palm: FramedPalm, at_ns: int, gallery: PalmGallery
    ) -> None:
        responses = respond(palm.region)
        probe = Probe(responses, gallery.scrambles)
        self._note_awaited(camera, self._awaited(newest.frame.reader))
        if camera.presentation.settled:
            if not camera.presentation.held(at_ns, same=self._is_settled(camera, probe, gallery)):
                return
            self._forget(camera)
        snapshot = gallery.snapshot
        ranking, point = _search(snapshot, probe, palm.region.hand, camera.asked_for, gallery), gallery.point(snapshot)
        if camera.asked_for is None and _somebody_else(camera.presentation.rankings, ranking, point):
            self._act(newest.frame.reader, camera, camera.presentation.left(), gallery)
        if camera.first is None:
            camera.first = newest.moment
        if self._settings.liveness == "on":
            camera.looks = [*camera.looks, (newest.frame.image, palm)][-FRAMES_MAX:]
        fused = self._fused(camera, ranking)
        own = gallery.point_of(snapshot, camera.asked_for) if camera.asked_for is not None else None
        verdict = camera.presentation.good(
            ranking,
            at_ns,
            sure=_named(fused, point, camera.asked_for, own),
            # A copy shows in how little two pictures differ, so there must be two.
            certain=self._settings.liveness == "off"
            and _named(fused, _far_beyond(point), camera.asked_for, own and _far_beyond(own)),
        )
        if verdict is not None:
            camera.settled_as = _code(responses, palm, gallery)
            self._counters.palm_s.observe((self._now().mono_ms - newest.moment.mono_ms) / 1000)
        self._act(newest.frame.reader, camera, verdict, gallery)
        if verdict is not None and self._settings.adapt == "on" and palm.quality.score >= QUALITY_MIN:
            self._adapt(camera, decide(fused, _far_beyond(point)), ranking, responses, gallery)

    def _adapt(
        self,
        camera: _CameraState,
        decision: GalleryDecision,
        ranking: Ranking,
        responses: Responses,
        gallery: PalmGallery,
    ) -> None:
        """Learns from a hand that nobody could doubt, after the child has had the answer."""
        if not isinstance(decision, PalmMatch) or camera.copied or camera.asked_for not in (None, decision.person):
            return
        hand = next((candidate.hand for candidate in ranking if candidate.person == decision.person), Hand.UNKNOWN)
        try:
            if gallery.adapt(decision.person, hand, responses, self._now(), self._roster()):
                log.info("the %s palm of %s was learned anew from a recognition", hand, decision.person)
        except (NoConsent, JournalUnwritable) as error:
            log.warning("nothing was learned from a recognition: %s", error)

    def _note_awaited(self, camera: _CameraState, person: PersonId | None) -> None:
        """Notes a card that waits for this palm: the hand before the camera is looked at anew."""
        if person is not None and person != camera.asked_for:
            camera.presentation.clear()
            self._forget(camera)
        camera.asked_for = person

    def _fused(self, camera: _CameraState, ranking: Ranking) -> Ranking:
        return fuse_frames([*camera.presentation.rankings, ranking][-FRAMES_MAX:])

    def _is_settled(self, camera: _CameraState, probe: Probe, gallery: PalmGallery) -> bool:
        """Tells if it still is the hand that was decided about; a hand that only got advice was not."""
        if camera.settled_as is None:
            return False
        point = gallery.point(gallery.snapshot)
        return likeness_to(probe, [camera.settled_as])[0].agreement >= point.threshold

    def _act(self, reader: str, camera: _CameraState, verdict: Advise | Conclude | None, gallery: PalmGallery) -> None:
        match verdict:
            case None:
                pass
            case Advise(advice=Advice.NONE) if camera.asked_for is not None:
                pass  # the card has been shown; it stands alone once its time is up
            case Advise():
                self._show(respond_unread(verdict.reason, verdict.advice))
            case Conclude():
                self._conclude(reader, camera, verdict, gallery)
            case _:
                assert_never(verdict)
        if not camera.presentation.there:
            self._forget(camera)

    def _conclude(self, reader: str, camera: _CameraState, verdict: Conclude, gallery: PalmGallery) -> None:
        ranking = fuse_frames(verdict.rankings[-FRAMES_MAX:])
        snapshot = gallery.snapshot
        sight = _sight(reader, ranking, gallery.point(snapshot))
        camera.copied = self._settings.liveness == "on" and copied(camera.looks)
        sight = replace(sight, looks_copied=camera.copied)
        if camera.asked_for is not None:
            enough = _ten_thousandths(gallery.point_of(snapshot, camera.asked_for).threshold)
            sight = replace(sight, expected_person=camera.asked_for, confirm_score=enough)
        moment = camera.first or self._now()
        camera.first, camera.looks = None, []
        if not self._inbox.add_presentation(sight, moment):
            self._counters.readings_lost.inc()
            self._faults.note(reader, logging.ERROR, "a palm could not be taken, the station does not keep up")
            self._show(Feedback(FeedbackKind.NOT_RECORDED))

    def _forget(self, camera: _CameraState) -> None:
        if camera.settled_as is not None:
            camera.settled_as.erase()
        camera.first, camera.looks, camera.settled_as = None, [], None

    def _fresh(self) -> Presentation:
        settings = self._settings
        return Presentation(settings.frames, FRAMES_MAX, int(settings.look_s * 1e9))


def open_gallery(settings: Settings, journal: Journal, school: str) -> "PalmGallery | NoGallery":
    """Returns the palms of this kiosk, not loaded yet. Without the school's key it returns none, and why."""
    try:
        key = palm_keys.load(settings.kiosk.state_dir)
    except AgentError as error:
        log.error("no palm is recognised: %s", error)  # noqa: TRY400
        return NoGallery(str(error))
    return PalmGallery(journal, school, key, ErrorTarget(settings.palm.fpir, settings.palm.margin))


def landmarks(state_dir: Path) -> LandmarkFinder | None:
    """Returns the second opinion on where a hand is. Files that cannot be used are reported, and the kiosk works
    without them.
    """
    try:
        return palm_models.load(state_dir)
    except RequestRefused as error:
        log.error("hands are found without landmarks: %s", error)  # noqa: TRY400
        return None


def _far_beyond(point: OperatingPoint) -> OperatingPoint:
    return replace(point, threshold=point.threshold + CERTAIN_MORE, margin=point.margin + CERTAIN_MORE)


def _code(responses: Responses, palm: FramedPalm, gallery: PalmGallery) -> ProtectedCode:
    return protect(encode(responses, palm.region.hand), gallery.scrambles)


def _search(snapshot: Snapshot, probe: Probe, hand: Hand, asked_for: PersonId | None, gallery: PalmGallery) -> Ranking:
    """Returns who is alike. With a card its owner is compared first, and everybody else only where the palm is not
    theirs.
    """
    if asked_for is None:
        return snapshot.search(probe, hand=hand)
    own = Candidate(asked_for, snapshot.verify(asked_for, probe))
    if own.agreement >= gallery.point_of(snapshot, asked_for).threshold:
        return (own,)
    others = snapshot.search(probe, without=asked_for, hand=hand)
    return tuple(sorted((own, *others), key=lambda candidate: -candidate.agreement))


def _somebody_else(before: Sequence[Ranking], now: Ranking, point: OperatingPoint) -> bool:
    """Tells if this picture names another person than the last one: a slow kiosk may not have seen the hands change."""
    former, present = (decide(ranking, point) for ranking in (before[-1] if before else (), now))
    return isinstance(former, PalmMatch) and isinstance(present, PalmMatch) and former.person != present.person


def _named(fused: Ranking, point: OperatingPoint, asked_for: PersonId | None, own: OperatingPoint | None) -> bool:
    """Tells if these pictures say whose palm it is: that of the card's owner, 1:1, or of somebody among all."""
    if own is not None and any(
        candidate.person == asked_for and candidate.agreement >= own.threshold for candidate in fused
    ):
        return True
    return isinstance(decide(fused, point), PalmMatch)


def _sight(reader: str, ranking: Ranking, point: OperatingPoint) -> PalmPresentation:
    scores = tuple(
        PalmScore(PersonId(candidate.person), f"palm-{candidate.hand}", round(candidate.agreement * TEN_THOUSAND))
        for candidate in ranking
    )
    return PalmPresentation(reader, scores, _ten_thousandths(point.threshold), _ten_thousandths(point.margin))


def _ten_thousandths(agreement: float) -> int:
    return ceil(agreement * TEN_THOUSAND)
