"""The words that operator and child read while a palm is made known: codes here, words in the screen's catalogues."""

from enum import StrEnum

from edge_agent.domain.feedback import Advice
from edge_agent.palm.hand.refusal import UnfitReason
from edge_agent.palm.matching import enrolment
from edge_agent.palms.presentation import SAID
from edge_agent.screen.assets import read_catalogue
from edge_agent.screen.state import Language


class EnrolmentStep(StrEnum):
    """The next step, or why this picture was none. The operator's line in the catalogues has this name behind
    `enrol.`.
    """

    SHOW = "show"
    GOOD_AGAIN = "good_again"
    GOOD = "good"
    DONE_LEFT = "done_left"
    DONE_RIGHT = "done_right"
    DONE_UNKNOWN = "done_unknown"
    # a picture that is no sample
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
    NOT_CLEAR = "not_clear"
    WRONG_HAND_LEFT = "wrong_hand_left"  # the left one is wanted
    WRONG_HAND_RIGHT = "wrong_hand_right"
    TOO_LITTLE_PALM = "too_little_palm"
    SAME_PICTURE = "same_picture"
    OTHER_PALM = "other_palm"
    OTHER_HAND = "other_hand"
    # the end of it, nothing was kept
    NO_PICTURE = "no_picture"
    GAVE_UP = "gave_up"
    KNOWN_AS_ANOTHER = "known_as_another"
    NOT_LISTED = "not_listed"
    NOT_AGREED = "not_agreed"


PICTURE_STEPS = {reason: EnrolmentStep(reason.value.replace("-", "_")) for reason in UnfitReason}
SAMPLE_STEPS = {
    enrolment.SampleRefusal.TOO_LITTLE_PALM: EnrolmentStep.TOO_LITTLE_PALM,
    enrolment.SampleRefusal.SAME_PICTURE: EnrolmentStep.SAME_PICTURE,
    enrolment.SampleRefusal.OTHER_PALM: EnrolmentStep.OTHER_PALM,
    enrolment.SampleRefusal.OTHER_HAND: EnrolmentStep.OTHER_HAND,
}
ADVICE = {PICTURE_STEPS[reason]: advice for reason, (_, advice) in SAID.items()} | {
    EnrolmentStep.GOOD_AGAIN: Advice.AWAY,
    EnrolmentStep.SAME_PICTURE: Advice.AWAY,
    EnrolmentStep.NOT_CLEAR: Advice.STILL,
    EnrolmentStep.TOO_LITTLE_PALM: Advice.FLAT,
    EnrolmentStep.WRONG_HAND_LEFT: Advice.OTHER_HAND,
    EnrolmentStep.WRONG_HAND_RIGHT: Advice.OTHER_HAND,
    EnrolmentStep.OTHER_HAND: Advice.OTHER_HAND,
    EnrolmentStep.OTHER_PALM: Advice.OTHER_HAND,
}
"""What the child's screen says of a step; nothing: how to hold the palm."""


class Words:
    """One language's lines for the operator."""

    def __init__(self, language: Language) -> None:
        self._catalogue = read_catalogue(language)

    def __call__(self, step: EnrolmentStep, **blanks: object) -> str:
        return self._catalogue[f"enrol.{step}"].format(**blanks)
