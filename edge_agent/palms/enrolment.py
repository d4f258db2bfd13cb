"""Guides an enrolment: after each picture, operator and child read what to do next, each in a language of their own.

Consent is asked before the first picture is looked at, and again by the transaction that keeps the palm. The gallery
is searched at every sample: a palm that is known under another name is refused at once, and the other name is told.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind
from edge_agent.domain.moment import MomentSource
from edge_agent.domain.record import EventContext, build_origin
from edge_agent.domain.roster import Roster
from edge_agent.errors import RequestRefused
from edge_agent.journal.errors import NoConsent
from edge_agent.journal.sealed_palms import SealedPalm
from edge_agent.palm.hand.landmarks import LandmarkFinder
from edge_agent.palm.hand.quality import PalmQuality
from edge_agent.palm.hand.refusal import UnfitPicture, UnfitReason
from edge_agent.palm.hand.region import FramedPalm, find_region
from edge_agent.palm.matching import enrolment
from edge_agent.palm.matching.enrolment import PalmEnrolment
from edge_agent.palm.matching.gallery import Palm
from edge_agent.palm.matching.limits import QUALITY_MIN, SAMPLES_MAX, SAMPLES_MIN
from edge_agent.palm.matching.responses import respond
from edge_agent.palm.types import Hand
from edge_agent.palms.enrolment_words import ADVICE, PICTURE_STEPS, SAMPLE_STEPS, EnrolmentStep, Words
from edge_agent.palms.frames import NewestFrames
from edge_agent.palms.gallery import PalmGallery
from edge_agent.palms.recognition import NoGallery, PalmRecognition
from edge_agent.screen.state import Language
from sync.contract.event import PalmEnrolled, PersonId

log = logging.getLogger(__name__)

BETWEEN_MS = 700  # between two samples of a hand that stays: time to move it
HAND_AWAY_MS = 400
SAY_EVERY_MS = 1_000
PICTURE_WAIT_S = 0.5
FRUITLESS_MAX = 200  # pictures in a row that gave no sample

Show = Callable[[Feedback], None]


class EnrolmentRefused(RequestRefused):
    """Nothing of this hand was kept. `known_as` is the person who is known by the palm already, or empty."""

    def __init__(self, step: EnrolmentStep, words: str, known_as: str = "") -> None:
        super().__init__(words)
        self.step = step
        self.known_as = known_as


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """A person's palm that is to be made known. `hand` UNKNOWN takes the hand that is shown first."""

    person: PersonId
    operator: str
    hand: Hand = Hand.UNKNOWN
    samples: int = SAMPLES_MIN
    within_s: float = 90.0
    language: Language = Language.EN  # of the operator's lines

    def __post_init__(self) -> None:
        if not self.operator.strip():
            raise RequestRefused("an enrolment names its operator: --operator NAME")
        if not SAMPLES_MIN <= self.samples <= SAMPLES_MAX:
            raise RequestRefused(f"samples: found {self.samples}; accepted is {SAMPLES_MIN} to {SAMPLES_MAX}")


@dataclass(frozen=True, slots=True)
class EnrolmentLine:
    """One line for the operator. `good` counts the samples so far."""

    good: int
    step: EnrolmentStep
    say: str  # the same in the operator's language
    hand: str = ""
    done: bool = False


def enrol(
    request: EnrolmentRequest,
    reader: str,
    palms: PalmRecognition,
    roster: Callable[[], Roster],
    now: MomentSource,
    stopping: Callable[[], bool],
    show: Show = lambda feedback: None,
) -> Iterator[EnrolmentLine]:
    """Yields the lines of a guided enrolment; the last one is `done`. Raises `EnrolmentRefused`, or `RequestRefused`
    where the kiosk cannot enrol at all; then nothing was kept.

    `show`: the screen, which says the same to the child in the child's language.
    """
    gallery = palms.gallery
    if isinstance(gallery, NoGallery):
        raise RequestRefused(gallery.why)
    if not gallery.loaded:
        raise RequestRefused("the palms of this kiosk are being opened; try again in a minute")
    words = Words(request.language)
    _need_consent(request.person, roster(), words)
    language = roster().people[request.person].language
    with palms.borrowed(reader) as frames:
        session = _SampleSession(request, words, gallery, frames, palms.landmarks(), now, stopping)
        try:
            for line in session.samples():
                show(Feedback(FeedbackKind.ENROL, language=language, advice=ADVICE.get(line.step, Advice.NONE)))
                yield line
        finally:
            show(Feedback(FeedbackKind.IDLE))
    _need_consent(request.person, roster(), words)
    yield _keep(request, words, session, gallery, roster(), now)


def _need_consent(person: PersonId, roster: Roster, words: Words) -> None:
    """Raises `RequestRefused` where the person has not agreed. It runs before anything of a hand is looked at."""
    if person not in roster.people:
        raise EnrolmentRefused(EnrolmentStep.NOT_LISTED, words(EnrolmentStep.NOT_LISTED, person=person))
    if not roster.has_consent(person):
        raise EnrolmentRefused(EnrolmentStep.NOT_AGREED, words(EnrolmentStep.NOT_AGREED, person=person))


class _SampleSession:
    """Takes pictures until there are enough good samples."""

    def __init__(
        self,
        request: EnrolmentRequest,
        words: Words,
        gallery: PalmGallery,
        frames: NewestFrames,
        landmarks: LandmarkFinder | None,
        now: MomentSource,
        stopping: Callable[[], bool],
    ) -> None:
        self._landmarks = landmarks
        self._request = request
        self._words = words
        self._gallery = gallery
        self._frames = frames
        self._now = now
        self._stopping = stopping
        self._until_ms = now().mono_ms + int(request.within_s * 1000)
        self._sample_ms = self._last_hand_ms = self._said_ms = 0
        self.enrolment: PalmEnrolment | None = None
        self.qualities: list[PalmQuality] = []
        self._said = self._tell(EnrolmentStep.NO_PICTURE)  # of all that was said last, what a refusal at the end names

    def samples(self) -> Iterator[EnrolmentLine]:
        fruitless = 0
        yield self._tell(EnrolmentStep.SHOW)
        while len(self.qualities) < self._request.samples:
            now_ms = self._now().mono_ms
            if now_ms > self._until_ms or fruitless >= FRUITLESS_MAX or self._stopping():
                last = self._said.say
                raise EnrolmentRefused(
                    EnrolmentStep.GAVE_UP,
                    self._words(
                        EnrolmentStep.GAVE_UP, good=len(self.qualities), wanted=self._request.samples, last=last
                    ),
                )
            newest = self._frames.get(PICTURE_WAIT_S)
            if newest is None:
                continue
            before = len(self.qualities)
            line = self._take(find_region(newest.frame.image, self._landmarks), newest.moment.mono_ms)
            fresh = len(self.qualities) > before
            fruitless = 0 if fresh else fruitless + 1
            if line and (fresh or line.step is not self._said.step or now_ms - self._said_ms >= SAY_EVERY_MS):
                self._said, self._said_ms = line, now_ms
                yield line

    def _tell(self, step: EnrolmentStep, **blanks: object) -> EnrolmentLine:
        return EnrolmentLine(len(self.qualities), step, self._words(step, **blanks), self._hand)

    @property
    def _hand(self) -> str:
        return self.enrolment.hand.value if self.enrolment else ""

    def _take(self, picture: FramedPalm | UnfitPicture, at_ms: int) -> EnrolmentLine | None:
        """Takes one picture. Returns the line to show; None means to wait for the next picture."""
        if isinstance(picture, UnfitPicture):
            if picture.reason is UnfitReason.NO_HAND and at_ms - self._last_hand_ms > HAND_AWAY_MS:
                self._sample_ms = 0  # the hand was taken away: what is shown next is a fresh look
            return self._tell(PICTURE_STEPS[picture.reason])
        self._last_hand_ms, before_ms = at_ms, self._last_hand_ms
        if self._sample_ms and at_ms - before_ms <= HAND_AWAY_MS and at_ms - self._sample_ms < BETWEEN_MS:
            return None
        if picture.quality.score < QUALITY_MIN:
            return self._tell(EnrolmentStep.NOT_CLEAR, score=f"{picture.quality.score:.2f}", wanted=QUALITY_MIN)
        hand = picture.region.hand
        if self.enrolment is None:
            wanted = self._request.hand
            if wanted is not Hand.UNKNOWN and hand not in (wanted, Hand.UNKNOWN):
                return self._tell(
                    EnrolmentStep.WRONG_HAND_LEFT if wanted is Hand.LEFT else EnrolmentStep.WRONG_HAND_RIGHT
                )
            chosen = hand if wanted is Hand.UNKNOWN else wanted
            self.enrolment = PalmEnrolment(self._request.person, chosen, self._gallery.scrambles)
        return self._add(self.enrolment, picture, at_ms)

    def _add(self, so_far: PalmEnrolment, picture: FramedPalm, at_ms: int) -> EnrolmentLine:
        added = so_far.add(respond(picture.region), picture.region.hand, self._gallery.snapshot)
        match added:
            case PalmEnrolment():
                self.enrolment, self._sample_ms = added, at_ms
                self.qualities.append(picture.quality)
                missing = self._request.samples - len(self.qualities)
                return self._tell(EnrolmentStep.GOOD_AGAIN if missing else EnrolmentStep.GOOD)
            case enrolment.RefusedSample(reason=enrolment.SampleRefusal.KNOWN_AS_ANOTHER, known_as=other_person):
                log.warning(
                    "an enrolment of %s was refused: the palm is known as %s", self._request.person, other_person
                )
                words = self._words(EnrolmentStep.KNOWN_AS_ANOTHER, other=other_person)
                raise EnrolmentRefused(EnrolmentStep.KNOWN_AS_ANOTHER, words, other_person or "")
            case enrolment.RefusedSample(reason=reason):
                if not so_far.samples:
                    self.enrolment = None
                return self._tell(SAMPLE_STEPS[reason])


def _keep(
    request: EnrolmentRequest,
    words: Words,
    session: _SampleSession,
    gallery: PalmGallery,
    roster: Roster,
    now: MomentSource,
) -> EnrolmentLine:
    assert session.enrolment is not None
    palm = session.enrolment.finish()
    assert isinstance(palm, Palm), "as many samples as were wanted, and no fewer than needed"
    moment = now()
    sealed = SealedPalm(
        person=request.person,
        hand=palm.hand.value,
        samples=len(palm.fine),
        sealed=gallery.sealed(palm),
        quality=int(100 * min(quality.score for quality in session.qualities)),
        made_at=moment.utc,
    )
    event = PalmEnrolled(
        **build_origin(EventContext(moment, roster)),
        person=request.person,
        hand=sealed.hand,
        templates=sealed.samples,
        operator=" ".join(request.operator.split()),
    )
    try:
        gallery.enrol(palm, sealed, event)
    except NoConsent as error:
        raise RequestRefused(str(error)) from error
    log.info("%s is known by the %s palm: %d samples", request.person, sealed.hand, sealed.samples)
    step = EnrolmentStep(f"done_{sealed.hand}")
    return EnrolmentLine(sealed.samples, step, words(step, person=request.person), sealed.hand, done=True)
