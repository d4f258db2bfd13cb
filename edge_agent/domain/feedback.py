"""Feedback: all that one scan makes visible to the child and to the staff.

A free meal and a paid meal give the same feedback to the child, field by field.
"""

from enum import StrEnum

import msgspec


class FeedbackKind(StrEnum):
    """The messages of the child's screen. None of them shows who pays."""

    IDLE = "idle"
    WELCOME = "welcome"
    GOODBYE = "goodbye"
    NOTED = "noted"  # already noted, go on
    WAITING = "waiting"  # known, and waits in memory for the journal: go on
    AGAIN = "again"  # hold the card or the hand there once more
    ENROL = "enrol"  # an enrolment of a palm runs: hold the hand as the advice says
    SHOW_PALM = "show_palm"  # the card was read, and the palm is asked for as well
    USE_CARD = "use_card"  # the palm was not recognised: the card is just as good
    ASK_STAFF = "ask_staff"  # amber: somebody will help
    NOT_RECORDED = "not_recorded"  # the journal could not be written: tell the staff


class Advice(StrEnum):
    """How to hold the hand, shown with AGAIN and ENROL; or why a reader refused what was held to it."""

    NONE = ""
    CLOSER = "closer"
    FARTHER = "farther"
    FLAT = "flat"  # facing the camera
    OPEN = "open"  # the fingers
    STILL = "still"
    ONE_HAND = "one_hand"
    OTHER_HAND = "other_hand"
    AWAY = "away"  # take it away, and show it again
    NO_PHONE = "no_phone"  # a phone was held to the reader: with USE_CARD
    UNREAD = "unread"  # a card or a code could not be read: with ASK_STAFF


class StaffFeedback(msgspec.Struct, frozen=True):
    """The staff's side of one feedback: the reason, the person, and what to look out for."""

    reason: str  # a `decision.DecisionReason`; the catalogues hold its words
    notes: tuple[str, ...] = ()  # further reasons, less weighty
    person: str = ""  # id
    name: str = ""  # given and family name
    group: str = ""  # class
    hints: tuple[str, ...] = ()  # neutral service signs: helper, longer_time, sound_off, diet
    candidates: tuple[str, ...] = ()  # names, when several people fit
    entry_epoch: str = ""  # with `entry_seq`: the entry just written, so that the staff can void it
    entry_seq: int = 0


class Feedback(msgspec.Struct, frozen=True):
    """One feedback: the staff's side in `staff`, the child's side in all other fields."""

    kind: FeedbackKind
    greeting: str = ""  # the given name, shown with WELCOME and GOODBYE
    language: str = ""  # kk, ru, en; empty: the kiosk's own
    silent: bool = False  # the child's hints ask for no sound
    advice: Advice = Advice.NONE  # where it says something, the journal was asked nothing
    staff: StaffFeedback | None = None
    longer: bool = False  # the child's hints ask for more time: the message stays twice as long
