"""When a single frame of an unknown card counts: phantoms that noise makes pass every checksum.

A card that the roster knows counts at once: phantoms are on no roster, and some readers send a card only once. An
unknown one counts when an equal frame follows within the window, and no more often than the rate allows, so that a
noisy reader fills neither the journal nor the screen. The state is a value; time comes in as an argument.
"""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from drivers.readings import CardRead, Uid

RECENT_CARDS_MAX = 8  # cards remembered per reader; a hand holds fewer
_MINUTE_NS = 60_000_000_000


class ConfirmationVerdict(StrEnum):
    COUNT = "count"  # decide about it
    WAIT = "wait"  # the screen may say "hold it there once more"
    DROP = "drop"  # already counted, or too many unknown ones


@dataclass(frozen=True, slots=True)
class ConfirmationLimits:
    window_ns: int  # in which the second equal frame must come; 0: a single frame of an unknown card counts
    unknown_per_minute: int  # also how many may come at once


class RecentCard(msgspec.Struct, frozen=True):
    uid: Uid
    monotonic_ns: int
    counted: bool


class Confirmation(msgspec.Struct, frozen=True):
    """What one reader has shown lately, oldest first, and how many unknown cards may still count."""

    recent_cards: tuple[RecentCard, ...] = ()
    spent: int = 0  # of the bucket, in unknown cards × nanoseconds of a minute
    spent_at_ns: int = 0

    def judge_frame(
        self, read: CardRead, *, known: bool, limits: ConfirmationLimits
    ) -> tuple["Confirmation", ConfirmationVerdict]:
        """What to do with this frame, and the state after it. `known`: the roster has the number, or a part of it."""
        before = next((each for each in self.recent_cards if each.uid == read.uid), None)
        if read.again and before is not None and before.counted:
            return self, ConfirmationVerdict.DROP  # the second report of a held card
        if known:
            return _remember(self, read, counted=True), ConfirmationVerdict.COUNT
        fresh = before is not None and read.monotonic_ns - before.monotonic_ns <= limits.window_ns
        if before is not None and before.counted and fresh:
            return _remember(self, read, counted=True), ConfirmationVerdict.DROP
        drained = _drain(self, read.monotonic_ns, limits)
        full = drained.spent + _MINUTE_NS > limits.unknown_per_minute * _MINUTE_NS
        if full:
            return _remember(drained, read, counted=False), ConfirmationVerdict.DROP
        if fresh or limits.window_ns == 0:
            counted = Confirmation(drained.recent_cards, drained.spent + _MINUTE_NS, drained.spent_at_ns)
            return _remember(counted, read, counted=True), ConfirmationVerdict.COUNT
        return _remember(drained, read, counted=False), ConfirmationVerdict.WAIT


def _drain(state: Confirmation, now_ns: int, limits: ConfirmationLimits) -> Confirmation:
    passed_ns = max(0, now_ns - state.spent_at_ns)
    return Confirmation(state.recent_cards, max(0, state.spent - passed_ns * limits.unknown_per_minute), now_ns)


def _remember(state: Confirmation, read: CardRead, *, counted: bool) -> Confirmation:
    others = [each for each in state.recent_cards if each.uid != read.uid]
    seen = (*others, RecentCard(read.uid, read.monotonic_ns, counted))[-RECENT_CARDS_MAX:]
    return Confirmation(seen, state.spent, state.spent_at_ns)
