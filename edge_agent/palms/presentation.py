"""One hand before one camera, from its coming to its leaving: one presentation, one decision.

    away ──hand seen──▶ looking ──enough good pictures, or no more time──▶ settled ──gone, or another hand──▶ away
                           │ only bad ones: advice, up to three times; then "use your card"

A hand that stays is not asked again, however long it lies there; another hand in its place is. While two hands are
seen, and shortly after, nothing is compared, and the pictures before count no more. Times are the pictures' own,
monotonic nanoseconds: how long a picture took to be looked at makes no difference to what it means.
"""

from collections import Counter
from dataclasses import dataclass, field

from edge_agent.domain.decision import DecisionReason
from edge_agent.domain.feedback import Advice
from edge_agent.palm.hand.refusal import UnfitReason
from edge_agent.palm.matching.gallery import Ranking

LEAVE_NS = 600_000_000  # without a hand, or without a picture: it is gone
ADVISE_AFTER_NS = 1_000_000_000  # a hand on its way to its place is bad in every picture, and needs no advice
ADVISE_EVERY_NS = 2_500_000_000  # time to read it and to do it
ADVICES_MAX = 3
ALONE_AFTER_NS = (
    400_000_000  # after a picture of two hands; of the one that stays nobody knows yet if the other has gone
)
SWAPPED_PICTURES = 2  # of another hand in a row; one may be a bad picture of the same

SAID = {
    UnfitReason.TOO_FAR: (DecisionReason.PALM_TOO_FAR, Advice.CLOSER),
    UnfitReason.TOO_NEAR: (DecisionReason.PALM_TOO_NEAR, Advice.FARTHER),
    UnfitReason.TURNED: (DecisionReason.PALM_TURNED, Advice.FLAT),
    UnfitReason.FIST: (DecisionReason.PALM_FIST, Advice.OPEN),
    UnfitReason.TWO_HANDS: (DecisionReason.PALM_TWO_HANDS, Advice.ONE_HAND),
    UnfitReason.BLURRED: (DecisionReason.PALM_BLURRED, Advice.STILL),
    UnfitReason.OVER_EXPOSED: (DecisionReason.PALM_OVER_EXPOSED, Advice.FARTHER),
    UnfitReason.UNDER_EXPOSED: (DecisionReason.PALM_UNDER_EXPOSED, Advice.CLOSER),
}
NOT_A_HAND = frozenset({UnfitReason.NO_HAND, UnfitReason.UNREADABLE, UnfitReason.TOO_LARGE})


@dataclass(frozen=True, slots=True)
class Advise:
    reason: DecisionReason
    advice: Advice  # none left: the card is just as good


@dataclass(frozen=True, slots=True)
class Conclude:
    """An order to decide by these rankings: one for each good picture, the newest last."""

    rankings: tuple[Ranking, ...] = field(repr=False)


@dataclass(slots=True)
class Presentation:
    """The state of the hand before one camera. It belongs to one thread."""

    frames: int  # good pictures that are wanted
    frames_max: int  # good pictures after which no more are waited for
    look_ns: int
    settled: bool = False
    _came_ns: int | None = None
    _last_hand_ns: int = 0
    _rankings: list[Ranking] = field(default_factory=list, repr=False)
    _good_ns: int = 0  # the first good picture
    _bad: Counter[UnfitReason] = field(default_factory=Counter)
    _advised: int = 0
    _advised_ns: int = 0
    _others: int = 0
    _two_ns: int | None = None  # when two hands were seen last

    @property
    def rankings(self) -> tuple[Ranking, ...]:
        """Returns the rankings of the good pictures so far."""
        return tuple(self._rankings)

    @property
    def there(self) -> bool:
        return self._came_ns is not None

    def good(self, ranking: Ranking, at_ns: int, *, sure: bool, certain: bool = False) -> Conclude | None:
        """Notes a good picture and who is alike. `sure`: together with those before it names somebody. `certain`: so
        far beyond the threshold that another picture could change nothing.
        """
        self._saw(at_ns)
        if not self._rankings:
            self._good_ns = at_ns
        self._rankings.append(ranking)
        count = len(self._rankings)
        late = at_ns - self._good_ns >= self.look_ns
        enough = certain or (sure and count >= self.frames)
        return self._conclude() if enough or late or count >= self.frames_max else None

    def bad(self, reason: UnfitReason, at_ns: int) -> Advise | Conclude | None:
        """Notes a picture that cannot be used."""
        if reason in NOT_A_HAND:
            return self.quiet(at_ns)
        self._saw(at_ns)
        if reason is UnfitReason.TWO_HANDS:
            self._two_ns, self._rankings = at_ns, []  # nobody knows whose hand the pictures before showed
        if self.settled:
            return None
        self._bad[reason] += 1
        if self._rankings:
            return self._conclude() if at_ns - self._good_ns >= self.look_ns else None
        came_ns = at_ns if self._came_ns is None else self._came_ns
        waited = at_ns - (self._advised_ns + ADVISE_EVERY_NS if self._advised else came_ns + ADVISE_AFTER_NS)
        return self._advise(at_ns) if waited >= 0 else None

    def is_crowded(self, at_ns: int) -> bool:
        """Notes a picture of one hand. True where it comes so soon after two hands that it must not be compared."""
        self._saw(at_ns)
        return self._two_ns is not None and at_ns - self._two_ns < ALONE_AFTER_NS

    def quiet(self, at_ns: int) -> Conclude | None:
        """Notes that nothing was before the camera, or no picture came, at this time."""
        return self.left() if self._came_ns is not None and at_ns - self._last_hand_ns >= LEAVE_NS else None

    def left(self) -> Conclude | None:
        """Notes that the hand has left. A hand that was not decided about is now, by the pictures so far."""
        conclusion = self._conclude() if self._rankings and not self.settled else None
        self.clear()
        return conclusion

    def held(self, at_ns: int, *, same: bool) -> bool:
        """Notes a good picture after the decision. True when another hand has taken the place: begin anew with it."""
        self._saw(at_ns)
        self._others = 0 if same else self._others + 1
        if self._others < SWAPPED_PICTURES:
            return False
        self.clear()
        return True

    def clear(self) -> None:
        """Forgets the hand, which has left."""
        self.settled, self._came_ns, self._rankings, self._others = False, None, [], 0
        # `_two_ns` stays: a hand that takes another's place does not make the crowd go away.
        self._bad.clear()
        self._advised = self._advised_ns = self._last_hand_ns = self._good_ns = 0

    def _saw(self, at_ns: int) -> None:
        if self._came_ns is None:
            self._came_ns = at_ns
        self._last_hand_ns = at_ns

    def _conclude(self) -> Conclude:
        self.settled = True
        rankings, self._rankings = tuple(self._rankings), []
        return Conclude(rankings)

    def _advise(self, at_ns: int) -> Advise:
        (worst, _), *_ = self._bad.most_common(1)
        reason, advice = SAID.get(worst, (DecisionReason.PALM_UNREAD, Advice.NONE))
        self._advised, self._advised_ns = self._advised + 1, at_ns
        self._bad.clear()
        if self._advised > ADVICES_MAX or not advice:
            self.settled = True
            return Advise(reason, Advice.NONE)
        return Advise(reason, advice)
