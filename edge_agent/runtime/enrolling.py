"""Making a palm known, guided: the operator is told after each picture what to do next.

Consent is asked before the first picture is looked at, and again by the transaction that keeps the palm. The gallery
is searched at every sample: a palm that is known under another name is refused at once, and the other name is told.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge_agent.domain.moment import Now
from edge_agent.domain.record import Context, where
from edge_agent.domain.roster import Roster
from edge_agent.errors import Refused
from edge_agent.journal.errors import NoConsent
from edge_agent.journal.template_store import SealedPalm
from edge_agent.palm import enrolment, refusal
from edge_agent.palm.enrolment import SAMPLES_MAX, SAMPLES_MIN, Enrolment
from edge_agent.palm.gallery import Palm
from edge_agent.palm.landmarks import Landmarks
from edge_agent.palm.quality import Quality
from edge_agent.palm.refusal import Refused as Unfit
from edge_agent.palm.region import Found, find_region
from edge_agent.palm.responses import respond
from edge_agent.palm.types import Hand
from edge_agent.runtime.frames import NewestFrames
from edge_agent.runtime.palm_gallery import PalmGallery, need_consent
from edge_agent.runtime.palms import NoGallery, Palms
from sync.contract.event import PalmEnrolled, PersonId

log = logging.getLogger(__name__)

QUALITY_MIN = 0.45  # a template is for a year; a recognition may do with less
BETWEEN_MS = 700  # between two samples of a hand that stays: time to move it
GONE_MS = 400
SAY_EVERY_MS = 1_000
PICTURE_WAIT_S = 0.5
FRUITLESS_MAX = 200  # pictures in a row that gave no sample

SAY = {
    refusal.Reason.UNREADABLE: "the picture cannot be read; check the camera",
    refusal.Reason.TOO_LARGE: "the camera's pictures are too large; set a smaller size",
    refusal.Reason.NO_HAND: "no hand is seen; hold it before the camera, palm towards it",
    refusal.Reason.TOO_FAR: "too far away; closer",
    refusal.Reason.TOO_NEAR: "too near; a little farther away",
    refusal.Reason.TURNED: "the hand is tilted or cut off; flat towards the camera, all fingers in the picture",
    refusal.Reason.FIST: "open the hand, fingers a little apart",
    refusal.Reason.TWO_HANDS: "two hands are seen; only one, please",
    refusal.Reason.BLURRED: "blurred; hold still",
    refusal.Reason.OVER_EXPOSED: "too bright; farther from the lamp, or darken the place",
    refusal.Reason.UNDER_EXPOSED: "too dark; closer to the lamp",
}
SAY_OF_SAMPLE = {
    enrolment.Refusal.TOO_LITTLE_PALM: "too little of the palm is seen; no sleeve, no ring, flat towards the camera",
    enrolment.Refusal.SAME_PICTURE: "the same picture again; take the hand away and show it anew",
    enrolment.Refusal.OTHER_PALM: "not the palm of the samples before; the same hand, please",
    enrolment.Refusal.OTHER_HAND: "the other hand; the same one as before, please",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `hand` UNKNOWN: whichever is shown first."""

    person: PersonId
    operator: str
    hand: Hand = Hand.UNKNOWN
    samples: int = SAMPLES_MIN
    within_s: float = 90.0

    def __post_init__(self) -> None:
        if not self.operator.strip():
            raise Refused("an enrolment names its operator: --operator NAME")
        if not SAMPLES_MIN <= self.samples <= SAMPLES_MAX:
            raise Refused(f"samples: found {self.samples}; accepted is {SAMPLES_MIN} to {SAMPLES_MAX}")


@dataclass(frozen=True, slots=True)
class Told:
    """One line for the operator. `good`: samples so far."""

    good: int
    say: str
    hand: str = ""
    done: bool = False


def enrol(
    wish: Wish, reader: str, palms: Palms, roster: Callable[[], Roster], now: Now, stopping: Callable[[], bool]
) -> Iterator[Told]:
    """The guided enrolment; its last line is `done`. Raises `Refused` with the reason; then nothing was kept."""
    gallery = palms.gallery
    if isinstance(gallery, NoGallery):
        raise Refused(gallery.why)
    if not gallery.loaded:
        raise Refused("the palms of this kiosk are being opened; try again in a minute")
    need_consent(wish.person, roster())
    with palms.borrowed(reader) as frames:
        session = _Session(wish, gallery, frames, palms.landmarks(), now, stopping)
        yield Told(0, "show the palm: flat, fingers a little apart, a hand's length from the camera")
        yield from session.samples()
    need_consent(wish.person, roster())
    yield _keep(wish, session, gallery, roster(), now)


class _Session:
    """Pictures until there are enough good samples."""

    def __init__(
        self,
        wish: Wish,
        gallery: PalmGallery,
        frames: NewestFrames,
        landmarks: Landmarks | None,
        now: Now,
        stopping: Callable[[], bool],
    ) -> None:
        self._landmarks = landmarks
        self._wish = wish
        self._gallery = gallery
        self._frames = frames
        self._now = now
        self._stopping = stopping
        self._until_ms = now().mono_ms + int(wish.within_s * 1000)
        self._sample_ms = self._seen_ms = self._said_ms = 0
        self._said = ""
        self.enrolment: Enrolment | None = None
        self.qualities: list[Quality] = []

    def samples(self) -> Iterator[Told]:
        fruitless = 0
        while len(self.qualities) < self._wish.samples:
            now_ms = self._now().mono_ms
            if now_ms > self._until_ms or fruitless >= FRUITLESS_MAX or self._stopping():
                last = self._said or "no picture came; is the camera there?"
                raise Refused(
                    f"{len(self.qualities)} of {self._wish.samples} good samples, nothing was kept; last: {last}; "
                    "begin again when the hand can be shown well"
                )
            taken = self._frames.get(PICTURE_WAIT_S)
            if taken is None:
                continue
            before = len(self.qualities)
            say = self._take(find_region(taken.frame.image, self._landmarks), taken.moment.mono_ms)
            fresh = len(self.qualities) > before
            fruitless = 0 if fresh else fruitless + 1
            if say and (fresh or say != self._said or now_ms - self._said_ms >= SAY_EVERY_MS):
                self._said, self._said_ms = say, now_ms
                yield Told(len(self.qualities), say, self._hand)

    @property
    def _hand(self) -> str:
        return self.enrolment.hand.value if self.enrolment else ""

    def _take(self, seen: Found | Unfit, at_ms: int) -> str:
        """What to say of one picture; nothing: wait for the next."""
        if isinstance(seen, Unfit):
            if seen.reason is refusal.Reason.NO_HAND and at_ms - self._seen_ms > GONE_MS:
                self._sample_ms = 0  # the hand was taken away: what is shown next is a fresh look
            return SAY[seen.reason]
        self._seen_ms, before_ms = at_ms, self._seen_ms
        if self._sample_ms and at_ms - before_ms <= GONE_MS and at_ms - self._sample_ms < BETWEEN_MS:
            return ""
        if seen.quality.score < QUALITY_MIN:
            return f"not clear enough ({seen.quality.score:.2f} of {QUALITY_MIN}); hold still, flat, in even light"
        hand = seen.region.hand
        if self.enrolment is None:
            wanted = self._wish.hand
            if wanted is not Hand.UNKNOWN and hand not in (wanted, Hand.UNKNOWN):
                return f"this is the {hand} hand; the {wanted} one, please"
            chosen = hand if wanted is Hand.UNKNOWN else wanted
            self.enrolment = Enrolment(self._wish.person, chosen, self._gallery.scrambles)
        return self._add(self.enrolment, seen, at_ms)

    def _add(self, so_far: Enrolment, seen: Found, at_ms: int) -> str:
        added = so_far.add(respond(seen.region), seen.region.hand, self._gallery.snapshot)
        match added:
            case Enrolment():
                self.enrolment, self._sample_ms = added, at_ms
                self.qualities.append(seen.quality)
                left = self._wish.samples - len(self.qualities)
                return "good; take the hand away and show it again" if left else "good"
            case enrolment.Refused(reason=enrolment.Refusal.KNOWN_AS_ANOTHER, known_as=other):
                log.warning("an enrolment of %s was refused: the palm is known as %s", self._wish.person, other)
                raise Refused(
                    f"this palm is known here already, as {other}; find out who that is, and take the wrong enrolment "
                    f"back with `edge-agent palm forget {other}`"
                )
            case enrolment.Refused(reason=reason):
                if not so_far.samples:
                    self.enrolment = None
                return SAY_OF_SAMPLE[reason]


def _keep(wish: Wish, session: _Session, gallery: PalmGallery, roster: Roster, now: Now) -> Told:
    assert session.enrolment is not None
    palm = session.enrolment.finish()
    if not isinstance(palm, Palm):
        raise Refused(f"{len(session.qualities)} good samples are too few; begin again")
    moment = now()
    sealed = SealedPalm(
        person=wish.person,
        hand=palm.hand.value,
        samples=len(palm.fine),
        sealed=gallery.sealed(palm),
        quality=int(100 * min(quality.score for quality in session.qualities)),
        made_at=moment.utc,
    )
    event = PalmEnrolled(
        **where(Context(moment, roster)),
        person=wish.person,
        hand=sealed.hand,
        templates=sealed.samples,
        operator=" ".join(wish.operator.split()),
    )
    try:
        gallery.enrol(palm, sealed, event)
    except NoConsent as error:
        raise Refused(str(error)) from error
    log.info("%s is known by the %s palm: %d samples", wish.person, sealed.hand, sealed.samples)
    return Told(sealed.samples, f"{wish.person} is known by the {sealed.hand} palm", sealed.hand, done=True)
