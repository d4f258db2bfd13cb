"""When a single frame of an unknown card counts: noise makes phantom cards that pass every checksum.

A card on the roster counts at once: phantoms are on no roster, and some readers send a card only once. An unknown card
counts when an equal frame follows within the window, and only as often as the rate allows. So a noisy reader fills
neither the journal nor the screen. The state is a value, and time comes in as an argument.
"""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from drivers.readings import CardRead, Uid

RECENT_CARDS_MAX = 8  # cards remembered per reader; a hand holds fewer
_MINUTE_NS = 60_000_000_000


class ConfirmationVerdict(StrEnum):
    """The possible answers to one card frame."""

    COUNT = "count"  # decide about it
    WAIT = "wait"  # the screen may say "hold it there once more"
    DROP = "drop"  # already counted, or too many unknown ones


@dataclass(frozen=True, slots=True)
class ConfirmationLimits:
    """The limits within which frames of unknown cards count."""

    window_ns: int  # in which the second equal frame must come; 0: a single frame of an unknown card counts
    unknown_per_minute: int  # the rate, and also the size of one burst


class RecentCard(msgspec.Struct, frozen=True):
    """A card that the reader has shown lately."""

    uid: Uid
    monotonic_ns: int
    counted: bool


class Confirmation(msgspec.Struct, frozen=True):
    """The state of one reader: its recent cards, oldest first, and how many unknown cards may still count."""

    recent_cards: tuple[RecentCard, ...] = ()
    spent: int = 0  # the filling of a leaky bucket, in unknown cards × nanoseconds of a minute
    drained_ns: int = 0  # when the bucket was last drained

    def judge_frame(
        self, frame: CardRead, *, on_roster: bool, limits: ConfirmationLimits
    ) -> tuple["Confirmation", ConfirmationVerdict]:
        """Returns the state after this frame, and the verdict on the frame.

        `on_roster` says that the roster has the card's number or a part of it.
        """
        before = next((card for card in self.recent_cards if card.uid == frame.uid), None)
        if frame.again and before is not None and before.counted:
            return self, ConfirmationVerdict.DROP  # the second report of a held card
        if on_roster:
            return _remember(self, frame, counted=True), ConfirmationVerdict.COUNT
        fresh = before is not None and frame.monotonic_ns - before.monotonic_ns <= limits.window_ns
        if before is not None and before.counted and fresh:
            return _remember(self, frame, counted=True), ConfirmationVerdict.DROP
        drained = _drain(self, frame.monotonic_ns, limits)
        full = drained.spent + _MINUTE_NS > limits.unknown_per_minute * _MINUTE_NS
        if full:
            return _remember(drained, frame, counted=False), ConfirmationVerdict.DROP
        if fresh or limits.window_ns == 0:
            counted = Confirmation(drained.recent_cards, drained.spent + _MINUTE_NS, drained.drained_ns)
            return _remember(counted, frame, counted=True), ConfirmationVerdict.COUNT
        return _remember(drained, frame, counted=False), ConfirmationVerdict.WAIT


def _drain(state: Confirmation, now_ns: int, limits: ConfirmationLimits) -> Confirmation:
    passed_ns = max(0, now_ns - state.drained_ns)
    return Confirmation(state.recent_cards, max(0, state.spent - passed_ns * limits.unknown_per_minute), now_ns)


def _remember(state: Confirmation, frame: CardRead, *, counted: bool) -> Confirmation:
    others = [card for card in state.recent_cards if card.uid != frame.uid]
    recent_cards = (*others, RecentCard(frame.uid, frame.monotonic_ns, counted))[-RECENT_CARDS_MAX:]
    return Confirmation(recent_cards, state.spent, state.drained_ns)
