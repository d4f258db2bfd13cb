"""Why a picture gives no palm, in words the screen can say."""

from dataclasses import dataclass
from enum import StrEnum


class UnfitReason(StrEnum):
    """The fault of a picture that gives no palm."""

    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    NO_HAND = "no_hand"
    TOO_FAR = "too_far"
    TOO_NEAR = "too_near"
    TURNED = "turned"
    FIST = "fist"
    TWO_HANDS = "two_hands"
    BLURRED = "blurred"
    OVER_EXPOSED = "over_exposed"
    UNDER_EXPOSED = "under_exposed"


@dataclass(frozen=True, slots=True)
class UnfitPicture:
    """A picture that gives no palm."""

    reason: UnfitReason
    detail: str = ""  # for the technician, never for the child: what was measured and what was wanted
