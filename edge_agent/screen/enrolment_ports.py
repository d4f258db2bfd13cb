"""The port of enrolment day: what the screen shows of it, and the acts that the runtime offers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol

from edge_agent.domain.consents import ConsentPaper
from edge_agent.screen.state import Language
from sync.contract.event import PersonId


class EnrolmentMark(StrEnum):
    """The reason why a helper need not call this child again."""

    ABSENT = "absent"
    REFUSED = "refused"
    ONE_HAND = "one_hand"  # the other one cannot be shown
    NONE = ""


class EnrolmentFailure(StrEnum):
    """The reason why an act of enrolment day changed nothing. The catalogues hold its words, and what to do next."""

    UNKNOWN_PERSON = "unknown_person"
    UNKNOWN_GROUP = "unknown_group"
    NO_CAMERA = "no_camera"
    ENROLLING = "enrolling"  # somebody is before the camera
    HAS_PALM = "has_palm"  # whoever refuses after that withdraws
    NAMES_SOMEBODY = "names_somebody"
    NOT_RECORDED = "not_recorded"


class EnrolmentFailed(Exception):
    """An act that changed nothing. `why` is a key of the catalogues."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class ClassProgress:
    """A class on enrolment day. Whoever is absent comes again; whoever refused uses the card."""

    group: str
    people: int
    done: int  # with all palms that they can show
    refused: int
    absent: int


@dataclass(frozen=True, slots=True)
class EnrolmentRow:
    """A person on enrolment day."""

    person: PersonId
    name: str
    group: str
    apart: str
    hands: tuple[str, ...]  # known by these
    agreed: bool
    paper: str  # the number of the paper that was noted here; empty: the roster says so, or nobody does
    given_by: str
    mark: EnrolmentMark


@dataclass(frozen=True, slots=True)
class EnrolmentProgress:
    """The enrolment that goes on, or the last one."""

    person: str = ""
    group: str = ""
    hand: str = ""
    good: int = 0
    wanted: int = 0
    step: str = ""  # the catalogues have its words under `enrol.`
    say: str = ""  # the operator's line
    running: bool = False
    failed: bool = False
    done: tuple[str, ...] = ()  # hands of this enrolment that are kept
    known_as: str = ""  # name and class of the person who is known by the palm already


@dataclass(frozen=True, slots=True)
class WithdrawalReceipt:
    """The receipt of a withdrawal, for paper. The person's name is on it, and in no event."""

    name: str
    group: str
    at: str  # the school's local time: `2026-11-22 09:41`
    samples: int
    epoch: str  # names the receipt's event
    seq: int


class EnrolmentActions(Protocol):
    """The acts of enrolment day. The screen's worker threads call it. Acts raise `EnrolmentFailed`."""

    def list_classes(self) -> Sequence[ClassProgress]:
        """Returns every class, in the order of `domain.name_order`."""
        ...

    def list_class(self, group: str) -> Sequence[EnrolmentRow]:
        """Returns everybody of a class in the order of names."""
        ...

    def find_people(self, text: str) -> Sequence[EnrolmentRow]:
        """Returns everybody whom `text` may mean, the likeliest first."""
        ...

    def read_today(self) -> date:
        """Returns the school's date."""
        ...

    def note_consent(self, person: PersonId, paper: ConsentPaper, operator: str) -> None:
        """Notes a signed paper."""
        ...

    def withdraw_consent(self, person: PersonId, operator: str) -> WithdrawalReceipt:
        """Ends the consent and destroys the templates."""
        ...

    def set_mark(self, person: PersonId, mark: EnrolmentMark) -> None:
        """Marks a person, or takes the mark away."""
        ...

    def start(self, person: PersonId, hands: Sequence[str], operator: str, language: Language) -> None:
        """Begins to take these hands, one after the other. Each is kept as soon as it is complete."""
        ...

    def stop(self) -> None:
        """Ends what goes on; the hand in progress is not kept."""
        ...

    def progress(self) -> EnrolmentProgress:
        """Returns what goes on, or how the last one ended."""
        ...
