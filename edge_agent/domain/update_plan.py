"""The rules of an update: when to apply it, if it is healthy, and which version is to run. Pure.

    staged ─▶ TRIAL ─────────▶ FIRST_SESSION ─────────▶ CONFIRMED
       │        │ no self-test      │ it does not record
       ▼        ▼                   ▼
    REFUSED   ROLLED_BACK      ROLLED_BACK

The record of the last update is the truth, and the link follows it: whatever a power cut leaves, the next start finds
the version that the record wants. Decision 71 gives the reasons.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from sync.contract.sessions import Timetable

FIRST_ANSWER_S = (
    12.0  # from the restart to the agent's first answer; with the way back, children wait for less than 20 s
)
SELF_TESTS = 2  # of a version that answers; what is not recorded by then will not be
CRASHES_MAX = 3  # of the agent in its first session
SESSION_GAP = timedelta(minutes=30)  # no update begins so shortly before a session, or after it
NOT_RECORDING_S = 60.0  # of a version in its first session
POWER_CUT = "the power was cut before the version had passed its self-test"


class UpdateState(StrEnum):
    """How far the last update of this kiosk has come."""

    NONE = "none"
    TRIAL = "trial"  # the link is changed; the self-test has not passed yet
    FIRST_SESSION = "first-session"  # it has passed; no session is over yet
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled-back"
    REFUSED = "refused"  # nothing was changed


class UpdateCause(StrEnum):
    """Why a version was rolled back, as the staff's screen says it."""

    NO_START = "no-start"  # it ended, or never answered
    NO_RECORD = "no-record"  # it answered, and recorded nothing
    CRASHES = "crashes"  # before its first session was over
    POWER_CUT = "power-cut"  # before it had passed its self-test
    BY_HAND = "by-hand"  # a person went back
    NO_RECORDING = "no-recording"  # in its first session the journal took no rows


@dataclass(frozen=True, slots=True)
class UpdateFault:
    """Why a version must be rolled back: the cause for the staff, and the reason in words for a technician."""

    cause: UpdateCause
    reason: str


class UpdateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The last update of this kiosk. Root writes it, and everybody may read it."""

    state: UpdateState = UpdateState.NONE
    version: str = ""  # the update's
    previous: str = ""  # the version that ran before
    at: str = ""  # UTC, when this state began
    reason: str = ""  # why it was rolled back or refused
    cause: UpdateCause | None = None  # of a version that was rolled back
    crashes: int = 0  # of the agent, since the self-test has passed
    serial: int = 0  # the highest release that was confirmed: no older one is taken

    @property
    def is_on_trial(self) -> bool:
        """Returns True until the first session with the version is over."""
        return self.state in {UpdateState.TRIAL, UpdateState.FIRST_SESSION}

    @property
    def wanted_version(self) -> str:
        """Returns the version that is to run; empty where no update has changed it."""
        if self.state in {UpdateState.TRIAL, UpdateState.FIRST_SESSION, UpdateState.CONFIRMED}:
            return self.version
        return self.previous if self.state is UpdateState.ROLLED_BACK else ""


def judge_start(record: UpdateRecord) -> UpdateFault | None:
    """Returns why the version must be rolled back before the agent starts; None: it may start.

    It is asked where nobody is waiting for a self-test: then the trial was cut off.
    """
    return UpdateFault(UpdateCause.POWER_CUT, POWER_CUT) if record.state is UpdateState.TRIAL else None


def judge_crashes(record: UpdateRecord) -> UpdateFault | None:
    """Returns why a version must be rolled back after the agent's last crash; None: it may go on."""
    if record.state is UpdateState.FIRST_SESSION and record.crashes >= CRASHES_MAX:
        why = f"the agent ended by itself {record.crashes} times before its first session was over"
        return UpdateFault(UpdateCause.CRASHES, why)
    return None


def is_session_near(timetable: Timetable, now: datetime) -> bool:
    """Returns True in a session, and shortly before and after one: then no update begins."""
    return bool(timetable.find_slots(now, early=SESSION_GAP, late=SESSION_GAP).slots)


def has_had_session(timetable: Timetable, since: datetime, now: datetime) -> bool:
    """Returns True once a whole session lies between the two moments, and none is under way."""
    if is_session_near(timetable, now):
        return False
    day, days = since, (now - since).days + 2
    for _ in range(min(days, 400)):
        slots = timetable.find_slots(day, early=timedelta(days=1), late=timedelta(days=1)).slots
        if any(since <= slot.starts and slot.ends <= now for slot in slots):
            return True
        day += timedelta(days=1)
    return False


class UpdateRequest(StrEnum):
    """The one word that the agent asks root's unit with. It says when, and never what: root judges the rest itself."""

    APPLY = "apply"  # the release that is staged
    CONFIRM = "confirm"  # the first session is over
    ROLL_BACK = "roll-back"  # the journal takes no rows in the first session


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """The facts that the running agent chooses its request by."""

    is_staged: bool  # a release waits
    is_session_near: bool
    has_had_session: bool  # a whole one, since the version has passed its self-test
    is_clock_trusted: bool
    not_recording_s: float  # for how long the journal has taken no rows; 0: it takes them


def choose_request(record: UpdateRecord, facts: UpdateFacts) -> UpdateRequest | None:
    """Returns what is to be asked for now; None: nothing. Being offline is healthy, and plays no part."""
    if record.state is UpdateState.FIRST_SESSION:
        if facts.not_recording_s >= NOT_RECORDING_S:
            return UpdateRequest.ROLL_BACK
        return UpdateRequest.CONFIRM if facts.has_had_session and not facts.not_recording_s else None
    if record.state is UpdateState.TRIAL or not facts.is_staged:
        return None
    if facts.is_session_near or not facts.is_clock_trusted or facts.not_recording_s:
        return None  # without the time, nobody knows if children are about to come
    return UpdateRequest.APPLY
