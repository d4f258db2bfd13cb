"""The port of the desk's new cards: what the screen asks of the runtime."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sync.contract.event import PersonId

CARD_WAIT_S = 60  # for a card to be shown


class CardProblem(StrEnum):
    """The reason why a card did not become somebody's. The catalogues hold its words, and what to do next."""

    TAKEN = "card_taken"  # it is somebody else's: `group` says of which class
    OWN = "card_own"  # it is this person's already
    BLOCKED = "card_blocked"  # it was blocked before
    NO_NUMBER = "card_no_number"  # what was typed is no printed number
    NOT_RECORDED = "not_recorded"  # the journal cannot be written
    UNKNOWN_PERSON = "unknown_person"
    BUSY = "busy"  # somebody else gives a card just now, or the station has no time
    NOT_WAITING = "card_not_waiting"  # the time is up: begin again


class CardState(StrEnum):
    """The state of the desk's new card."""

    NONE = "none"
    WAITING = "waiting"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class CardProgress:
    """How far a new card is. A `problem` while it waits is of the last card that was shown."""

    state: CardState = CardState.NONE
    name: str = ""
    group: str = ""
    seconds: int = 0  # that are left while it waits
    blocked: int = 0  # former cards that were blocked, when it is done
    problem: str = ""  # a `CardProblem`
    owner_group: str = ""  # with TAKEN: the class of whose card it is


class CardActions(Protocol):
    """The desk's new cards. The screen's worker threads call it, one call at a time."""

    def start_card(self, person: PersonId, operator: str) -> CardProgress | CardProblem:
        """Waits from now on for a card to be shown, which becomes this person's."""
        ...

    def read_card(self) -> CardProgress:
        """Returns how far it is."""
        ...

    def type_card(self, number: str, operator: str) -> CardProgress | CardProblem:
        """Gives the card with this printed number to the person for whom one is waited."""
        ...

    def stop_card(self, operator: str) -> CardProgress:
        """Waits no longer."""
        ...
