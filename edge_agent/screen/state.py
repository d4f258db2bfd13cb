"""The state of the screen: pure, from feedback, health and the time.

The newest child is always the big notice, at once: a screen with a queue would greet a child who has already left. The
notices before it stay beside it as a trail of small notices until their own time is up. So in a burst of five scans a
second each child still sees its name for a second or more. Two rules bound the trail. It keeps the newest `CALM_MAX`
quiet notices, and the newest `ATTENTION_MAX` notices that ask for a person: neither kind can push out the other.

The child's view is made from `Feedback.kind`, `greeting`, `language`, `silent`, `advice` and `longer` alone. The
staff's side (reason, hints) cannot change a byte of it: so free and paid meals look the same.

Times are monotonic milliseconds, and always an argument.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

import msgspec

from edge_agent.domain.decision import DecisionReason
from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind, StaffFeedback
from edge_agent.domain.health import HealthLine, KioskHealth, ReaderReport, judge_health

CALM_MAX = 4
ATTENTION_MAX = 2
LONGER = 2  # times as long as usual, for a child whose hints ask for it
STAFF_NOTICES_MAX = 30
STAFF_NOTICE_MS = 30 * 60_000  # names leave the staff's page after half an hour
NAME_CHARS_MAX = 40


class Language(StrEnum):
    """The languages of the screen."""

    KK = "kk"
    RU = "ru"
    EN = "en"


class Icon(StrEnum):
    """The drawings. Each message has its own shape: colour alone never carries a meaning."""

    HAND = "hand"
    FRAME = "frame"  # a hand in the camera's picture
    PLUS = "plus"  # a hand that is being added
    CHECK = "check"
    DOOR = "door"
    CLIPBOARD = "clipboard"
    HOURGLASS = "hourglass"  # waits in memory for the journal
    REPEAT = "repeat"
    CARD = "card"
    NO_PHONE = "no_phone"  # a phone that is struck out, and a card beside it
    PERSON = "person"
    MARK = "mark"


class SoundLevel(StrEnum):
    """How loud the child's page is, by the kiosk's settings."""

    ON = "on"
    QUIET = "quiet"
    OFF = "off"


class Sound(StrEnum):
    """The kinds of sound. The page composes a melody for each state; it plays none where the sound is NONE."""

    NONE = ""
    UP = "up"
    DOWN = "down"
    SHORT = "short"
    ASK = "ask"
    LOW = "low"


class Invite(StrEnum):
    """The invitation of the idle screen: it asks for nothing that no working reader can read."""

    PALM_OR_CARD = "palm_or_card"
    PALM = "palm"
    CARD = "card"
    STAFF = "staff"  # no reader works: the staff enter by hand


@dataclass(frozen=True, slots=True)
class ChildNotice:
    """One feedback on the child's screen, for its time."""

    number: int  # rises with each feedback; the page plays one sound for each number
    state: FeedbackKind
    greeting: str
    language: Language
    icon: Icon
    sound: Sound
    left_ms: int  # the rest of its time; 0: until the next feedback comes
    advice: Advice = Advice.NONE  # its words stand in place of the kind's own


@dataclass(frozen=True, slots=True)
class ChildView:
    """The whole state of the child's page."""

    big: ChildNotice
    trail: tuple[ChildNotice, ...]  # newest first
    invite: Invite


@dataclass(frozen=True, slots=True)
class StaffNotice:
    """One feedback on the staff's page."""

    number: int
    age_s: int
    state: FeedbackKind
    staff: StaffFeedback


@dataclass(frozen=True, slots=True)
class StaffView:
    """The whole state of the staff's page."""

    notices: tuple[StaffNotice, ...]  # newest first
    health: tuple[HealthLine, ...]
    recording: bool
    unrecorded: int  # how often "not recorded" was shown since the start: to be counted by hand
    waiting: int = 0  # scans in memory, until the journal can be written
    hand_count: int = 0  # people whom the staff counted meanwhile
    readers: tuple[ReaderReport, ...] = ()  # readers that are away or have refused something
    named: bool = True  # False: names are held back until somebody signs in

    def without_names(self) -> "StaffView":
        """Returns this view for a screen where nobody has signed in: with reasons, and without people."""
        bare = tuple(replace(notice, staff=StaffFeedback(reason=notice.staff.reason)) for notice in self.notices)
        return replace(self, notices=bare, named=False)

    def for_hall(self) -> "StaffView":
        """Returns this view for a screen that children see: it does not tell for whom nobody pays."""
        return replace(self, notices=tuple(replace(notice, staff=_for_hall(notice.staff)) for notice in self.notices))


def _for_hall(staff: StaffFeedback) -> StaffFeedback:
    reason = "" if staff.reason == DecisionReason.NO_ENTITLEMENT else staff.reason
    notes = tuple(note for note in staff.notes if note != DecisionReason.NO_ENTITLEMENT)
    return msgspec.structs.replace(staff, reason=reason, notes=notes)


@dataclass(frozen=True, slots=True)
class _NoticeStyle:
    """The icon, the sound and the time of a kind of notice."""

    icon: Icon
    sound: Sound
    hold_ms: int


_STYLES = {
    FeedbackKind.IDLE: _NoticeStyle(Icon.HAND, Sound.NONE, 0),
    FeedbackKind.WELCOME: _NoticeStyle(Icon.CHECK, Sound.UP, 2_500),
    FeedbackKind.GOODBYE: _NoticeStyle(Icon.DOOR, Sound.DOWN, 2_500),
    FeedbackKind.NOTED: _NoticeStyle(Icon.CLIPBOARD, Sound.SHORT, 2_500),
    FeedbackKind.WAITING: _NoticeStyle(Icon.HOURGLASS, Sound.SHORT, 2_500),
    FeedbackKind.AGAIN: _NoticeStyle(Icon.REPEAT, Sound.SHORT, 3_000),
    FeedbackKind.ENROL: _NoticeStyle(Icon.PLUS, Sound.NONE, 15_000),
    FeedbackKind.SHOW_PALM: _NoticeStyle(Icon.FRAME, Sound.SHORT, 30_000),  # the next feedback comes earlier
    FeedbackKind.USE_CARD: _NoticeStyle(Icon.CARD, Sound.ASK, 5_000),
    FeedbackKind.ASK_STAFF: _NoticeStyle(Icon.PERSON, Sound.ASK, 8_000),
    FeedbackKind.NOT_RECORDED: _NoticeStyle(Icon.MARK, Sound.LOW, 10_000),
}
_ATTENTION = frozenset({FeedbackKind.ASK_STAFF, FeedbackKind.NOT_RECORDED})
# These ask the child at the reader for something; the trail has no use for them.
_REQUESTS = frozenset(
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
    """Everything that the screen knows. Each change returns a new board."""

    language: Language = Language.KK  # the kiosk's own
    health: KioskHealth = field(default_factory=KioskHealth)
    number: int = 0
    unrecorded: int = 0
    shown: tuple[_TimedNotice, ...] = ()  # newest first
    staff: tuple[_TimedStaffNotice, ...] = ()  # newest first

    def with_feedback(self, feedback: Feedback, now_ms: int) -> "ScreenBoard":
        """Returns the board with this feedback as the newest one."""
        number = self.number + 1
        fresh = _TimedNotice(
            number=number,
            state=feedback.kind,
            greeting=_clean_name(feedback.greeting),
            language=_language(feedback.language, self.language),
            silent=feedback.silent,
            until_ms=now_ms + _STYLES[feedback.kind].hold_ms * (LONGER if feedback.longer else 1),
            advice=feedback.advice,
        )
        staff = tuple(notice for notice in self.staff if now_ms - notice.shown_ms < STAFF_NOTICE_MS)
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
        """Returns the board with this health."""
        return replace(self, health=health)

    def child_view(self, now_ms: int) -> ChildView:
        """Returns what the child's page shows at this time."""
        alive = [shown for shown in self.shown if shown.until_ms > now_ms]
        newest = alive[0] if alive and alive[0].number == self.number else None
        rest = alive[1:] if newest else alive
        return ChildView(
            big=_notice(newest, now_ms) if newest else self._idle(),
            trail=tuple(_notice(shown, now_ms) for shown in rest),
            invite=_invite(self.health),
        )

    def staff_view(self, now_ms: int) -> StaffView:
        """Returns what the staff's page shows at this time."""
        return StaffView(
            notices=tuple(
                StaffNotice(shown.number, (now_ms - shown.shown_ms) // 1000, shown.state, shown.staff)
                for shown in self.staff
                if now_ms - shown.shown_ms < STAFF_NOTICE_MS
            ),
            health=judge_health(self.health),
            recording=self.health.recording,
            unrecorded=self.unrecorded,
            waiting=self.health.waiting,
            hand_count=self.health.hand_count,
            readers=self.health.readers,
        )

    def next_change_ms(self, now_ms: int) -> int | None:
        """Returns the time when a view changes without a new feedback, or None if it never does."""
        ends = [shown.until_ms for shown in self.shown] + [shown.shown_ms + STAFF_NOTICE_MS for shown in self.staff]
        return min((end for end in ends if end > now_ms), default=None)

    def _idle(self) -> ChildNotice:
        style = _STYLES[FeedbackKind.IDLE]
        return ChildNotice(self.number, FeedbackKind.IDLE, "", self.language, style.icon, style.sound, 0)


def _trail(shown: tuple[_TimedNotice, ...], now_ms: int) -> tuple[_TimedNotice, ...]:
    """Returns the notices that stay beside a new one."""
    alive = [notice for notice in shown if notice.until_ms > now_ms and notice.state not in _REQUESTS]
    calm = [notice for notice in alive if notice.state not in _ATTENTION][:CALM_MAX]
    attention = [notice for notice in alive if notice.state in _ATTENTION][:ATTENTION_MAX]
    return tuple(notice for notice in alive if notice in calm or notice in attention)


def _notice(shown: _TimedNotice, now_ms: int) -> ChildNotice:
    style = _STYLES[shown.state]
    return ChildNotice(
        number=shown.number,
        state=shown.state,
        greeting=shown.greeting,
        language=shown.language,
        icon=Icon.NO_PHONE if shown.advice is Advice.NO_PHONE else style.icon,
        sound=Sound.NONE if shown.silent else style.sound,
        left_ms=shown.until_ms - now_ms,
        advice=shown.advice,
    )


def _clean_name(name: str) -> str:
    """Returns a name on one line, without control characters, cut to a length that fits the screen."""
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
