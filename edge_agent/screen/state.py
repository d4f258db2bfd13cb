"""What is shown next: pure, from feedback, health and the time.

The newest child is always the big notice, at once: a screen that queues would greet a child who has already walked on.
Those before stay beside it as a trail of small notices until their own time is up, so that in a burst of five scans a
second each child still finds its name for a second or more. Two rules bound the trail: it keeps the newest `CALM_MAX`
quiet notices and the newest `ATTENTION_MAX` that ask for a person, so that neither kind can push out the other.

The child's view is made from `Feedback.child`, `greeting`, `language`, `silent` and `advice` alone. Whatever stands on
the staff's side (reason, hints) cannot change a byte of it: that is how free and paid look the same.

Times are monotonic milliseconds and always an argument.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind, StaffFeedback
from edge_agent.domain.health import HealthLine, KioskHealth, judge_health

CALM_MAX = 4
ATTENTION_MAX = 2
STAFF_NOTICES_MAX = 30
STAFF_NOTICE_MS = 30 * 60_000  # names leave the staff's page after half an hour
NAME_CHARS_MAX = 40


class Language(StrEnum):
    KK = "kk"
    RU = "ru"
    EN = "en"


class Icon(StrEnum):
    """One drawing, with a shape of its own, for each thing that can be said: colour is never alone."""

    HAND = "hand"
    FRAME = "frame"  # a hand in the camera's picture
    PLUS = "plus"  # a hand that is being added
    CHECK = "check"
    DOOR = "door"
    CLIPBOARD = "clipboard"
    REPEAT = "repeat"
    CARD = "card"
    PERSON = "person"
    MARK = "mark"


class Sound(StrEnum):
    NONE = ""
    UP = "up"
    DOWN = "down"
    SHORT = "short"
    ASK = "ask"
    LOW = "low"


class Invite(StrEnum):
    """What the idle screen asks for: only what a working reader can take."""

    PALM_OR_CARD = "palm_or_card"
    PALM = "palm"
    CARD = "card"
    STAFF = "staff"  # no reader works: the staff enter by hand


@dataclass(frozen=True, slots=True)
class ChildNotice:
    """What one child is told."""

    number: int  # rises with each feedback; the page plays a sound once a number
    state: FeedbackKind
    greeting: str
    language: Language
    icon: Icon
    sound: Sound
    left_ms: int  # how long from now; 0: until something else comes
    advice: Advice = Advice.NONE  # how to hold the hand


@dataclass(frozen=True, slots=True)
class ChildView:
    big: ChildNotice
    trail: tuple[ChildNotice, ...]  # newest first
    invite: Invite


@dataclass(frozen=True, slots=True)
class StaffNotice:
    number: int
    age_s: int
    state: FeedbackKind
    staff: StaffFeedback


@dataclass(frozen=True, slots=True)
class StaffView:
    notices: tuple[StaffNotice, ...]  # newest first
    health: tuple[HealthLine, ...]
    recording: bool
    unrecorded: int  # children told "not recorded" since the start: to be counted by hand
    named: bool = True  # False: names are held back until somebody signs in

    def without_names(self) -> "StaffView":
        """The same, for a screen at which nobody has signed in: reasons, but no person."""
        bare = tuple(replace(notice, staff=StaffFeedback(reason=notice.staff.reason)) for notice in self.notices)
        return replace(self, notices=bare, named=False)


@dataclass(frozen=True, slots=True)
class _NoticeStyle:
    icon: Icon
    sound: Sound
    hold_ms: int


_STYLES = {
    FeedbackKind.IDLE: _NoticeStyle(Icon.HAND, Sound.NONE, 0),
    FeedbackKind.WELCOME: _NoticeStyle(Icon.CHECK, Sound.UP, 2_500),
    FeedbackKind.GOODBYE: _NoticeStyle(Icon.DOOR, Sound.DOWN, 2_500),
    FeedbackKind.NOTED: _NoticeStyle(Icon.CLIPBOARD, Sound.SHORT, 2_500),
    FeedbackKind.AGAIN: _NoticeStyle(Icon.REPEAT, Sound.SHORT, 3_000),
    FeedbackKind.ENROL: _NoticeStyle(Icon.PLUS, Sound.NONE, 15_000),
    FeedbackKind.SHOW_PALM: _NoticeStyle(Icon.FRAME, Sound.SHORT, 30_000),  # what comes of it is shown before
    FeedbackKind.USE_CARD: _NoticeStyle(Icon.CARD, Sound.ASK, 5_000),
    FeedbackKind.ASK_STAFF: _NoticeStyle(Icon.PERSON, Sound.ASK, 8_000),
    FeedbackKind.NOT_RECORDED: _NoticeStyle(Icon.MARK, Sound.LOW, 10_000),
}
_ATTENTION = frozenset({FeedbackKind.ASK_STAFF, FeedbackKind.NOT_RECORDED})
# Meant for whoever stands there now: no trail.
_FOR_THE_NEXT = frozenset(
    {FeedbackKind.IDLE, FeedbackKind.AGAIN, FeedbackKind.ENROL, FeedbackKind.SHOW_PALM, FeedbackKind.USE_CARD}
)


@dataclass(frozen=True, slots=True)
class _TimedNotice:
    number: int
    state: FeedbackKind
    greeting: str
    language: Language
    silent: bool
    until_ms: int
    advice: Advice


@dataclass(frozen=True, slots=True)
class _TimedStaffNotice:
    number: int
    shown_ms: int
    state: FeedbackKind
    staff: StaffFeedback


@dataclass(frozen=True, slots=True)
class ScreenBoard:
    """Everything that the screen knows. Each change gives a new one."""

    language: Language = Language.KK  # the kiosk's own
    health: KioskHealth = field(default_factory=KioskHealth)
    number: int = 0
    unrecorded: int = 0
    shown: tuple[_TimedNotice, ...] = ()  # newest first
    staff: tuple[_TimedStaffNotice, ...] = ()  # newest first

    def with_feedback(self, feedback: Feedback, now_ms: int) -> "ScreenBoard":
        """Show this one, now."""
        number = self.number + 1
        fresh = _TimedNotice(
            number=number,
            state=feedback.kind,
            greeting=_plain(feedback.greeting),
            language=_language(feedback.language, self.language),
            silent=feedback.silent,
            until_ms=now_ms + _STYLES[feedback.kind].hold_ms,
            advice=feedback.advice,
        )
        staff = tuple(kept for kept in self.staff if now_ms - kept.shown_ms < STAFF_NOTICE_MS)
        if feedback.staff is not None:
            staff = (_TimedStaffNotice(number, now_ms, feedback.kind, feedback.staff), *staff)[:STAFF_NOTICES_MAX]
        return replace(
            self,
            number=number,
            unrecorded=self.unrecorded + (feedback.kind is FeedbackKind.NOT_RECORDED),
            shown=(fresh, *_trail(self.shown, now_ms)),
            staff=staff,
        )

    def with_health(self, health: KioskHealth) -> "ScreenBoard":
        return replace(self, health=health)

    def child_view(self, now_ms: int) -> ChildView:
        alive = [shown for shown in self.shown if shown.until_ms > now_ms]
        newest = alive[0] if alive and alive[0].number == self.number else None
        rest = alive[1:] if newest else alive
        return ChildView(
            big=_notice(newest, now_ms) if newest else self._idle(),
            trail=tuple(_notice(shown, now_ms) for shown in rest),
            invite=_invite(self.health),
        )

    def staff_view(self, now_ms: int) -> StaffView:
        return StaffView(
            notices=tuple(
                StaffNotice(shown.number, (now_ms - shown.shown_ms) // 1000, shown.state, shown.staff)
                for shown in self.staff
                if now_ms - shown.shown_ms < STAFF_NOTICE_MS
            ),
            health=judge_health(self.health),
            recording=self.health.recording,
            unrecorded=self.unrecorded,
        )

    def next_change_ms(self, now_ms: int) -> int | None:
        """When a view next changes by time alone; None: not before something new comes."""
        ends = [shown.until_ms for shown in self.shown] + [shown.shown_ms + STAFF_NOTICE_MS for shown in self.staff]
        return min((end for end in ends if end > now_ms), default=None)

    def _idle(self) -> ChildNotice:
        manner = _STYLES[FeedbackKind.IDLE]
        return ChildNotice(self.number, FeedbackKind.IDLE, "", self.language, manner.icon, manner.sound, 0)


def _trail(shown: tuple[_TimedNotice, ...], now_ms: int) -> tuple[_TimedNotice, ...]:
    """What stays beside a new notice."""
    alive = [one for one in shown if one.until_ms > now_ms and one.state not in _FOR_THE_NEXT]
    calm = [one for one in alive if one.state not in _ATTENTION][:CALM_MAX]
    attention = [one for one in alive if one.state in _ATTENTION][:ATTENTION_MAX]
    return tuple(one for one in alive if one in calm or one in attention)


def _notice(shown: _TimedNotice, now_ms: int) -> ChildNotice:
    manner = _STYLES[shown.state]
    return ChildNotice(
        number=shown.number,
        state=shown.state,
        greeting=shown.greeting,
        language=shown.language,
        icon=manner.icon,
        sound=Sound.NONE if shown.silent else manner.sound,
        left_ms=shown.until_ms - now_ms,
        advice=shown.advice,
    )


def _plain(name: str) -> str:
    """A name on one line, without control characters, cut to a length that a screen can hold."""
    return "".join(letter for letter in " ".join(name.split()) if letter.isprintable())[:NAME_CHARS_MAX]


def _language(wanted: str, fallback: Language) -> Language:
    return Language(wanted) if wanted in set(Language) else fallback


def _invite(health: KioskHealth) -> Invite:
    match health.palm, health.card:
        case True, True:
            return Invite.PALM_OR_CARD
        case True, False:
            return Invite.PALM
        case False, True:
            return Invite.CARD
        case _:
            return Invite.STAFF
