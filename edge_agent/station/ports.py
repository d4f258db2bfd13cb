"""The ports of the station to its neighbours, its policy, and the errors of its acts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from drivers.readings import CardRead, CodeRead
from edge_agent.domain.confirmation import ConfirmationLimits
from edge_agent.domain.decision import DecisionRules
from edge_agent.domain.identify import (
    Identity,
    PalmScore,
)
from edge_agent.domain.moment import Moment
from edge_agent.domain.roster import Roster
from edge_agent.domain.sighting import EarlierSighting
from edge_agent.journal.rows import AppendedEvent
from edge_agent.journal.terminal_runs import HeldRun
from sync.contract.chain import Epoch
from sync.contract.event import Event, PersonId
from sync.contract.movements import Direction


class HeldInMemory(Exception):
    """The entries of an act of the staff wait in memory until the journal can be written; `people` says how many."""

    def __init__(self, people: int) -> None:
        super().__init__(f"{people} entries wait until the journal can be written")
        self.people = people


class StationJournal(Protocol):
    """The part of the journal that the station uses."""

    def append(self, event: Event) -> AppendedEvent:
        """Appends the event, and returns its place once it is durable. Raises JournalError."""
        ...

    def append_all(self, events: Sequence[Event]) -> Sequence[AppendedEvent]:
        """Appends all of these events or none of them."""
        ...

    def earlier_sightings(self, person: PersonId, since: str) -> Sequence[EarlierSighting]:
        """Returns the person's sightings that `decide` needs, since this UTC date: `2026-11-22`."""
        ...

    def sighting(self, epoch: Epoch, seq: int) -> EarlierSighting | None:
        """Returns the sighting with this name, or None."""
        ...


class PalmAvailability(Protocol):
    """The two questions of the station before a card waits for a palm."""

    def has_template(self, person: PersonId) -> bool:
        """Returns True when this kiosk can recognise the person by the palm."""
        ...

    def has_camera(self) -> bool:
        """Returns True when a camera works."""
        ...


class NewCardTaker(Protocol):
    """The desk where cards are given in the place of lost ones. Called on the station's thread."""

    def offer_card(self, reading: CardRead, identity: Identity, moment: Moment) -> bool:
        """Returns True where this card was waited for and is somebody's new one from now on: it is no visit."""
        ...


class CodeJudge(Protocol):
    """The judge of changing codes. It has a memory, and so is asked once for each reading."""

    def identify(self, reading: CodeRead, roster: Roster, moment: Moment) -> Identity | None:
        """Returns whom the code shows; None for a text that is no changing code."""
        ...


class TerminalRunBook(Protocol):
    """The runs of terminals' wrong clocks, as the journal knows them."""

    def held(self) -> Sequence[HeldRun]:
        """Returns the runs whose rows are held."""
        ...

    def confirmed_ms(self, boot: str) -> int | None:
        """Returns how far a run's clock is ahead, as a person has confirmed it."""
        ...


@dataclass(frozen=True, slots=True)
class StationPolicy:
    """The settings of scans."""

    rules: DecisionRules
    confirmation_limits: ConfirmationLimits
    early_grace: timedelta
    late_grace: timedelta
    palm_with_card: bool  # before an entry by card, the owner is asked for the palm, if a template is here
    pairing_ms: int  # within this time card and palm belong to one visitor
    directions: Mapping[str, Direction]  # by reader, without readers for both ways
    keeps_rules: bool = False  # a terminal may tell late what it saw: each event says the rules, to be judged again


@dataclass(frozen=True, slots=True)
class PalmPresentation:
    """The result of one palm before the camera. Scores and bounds are in ten-thousandths."""

    reader: str
    scores: tuple[PalmScore, ...]  # of the most similar people
    accept_score: int  # the best score must reach it
    margin_score: int  # the best person must be so far ahead of every other one
    looks_copied: bool = False  # it looks like a print or a screen: no search was made
    expected_person: PersonId | None = None  # the owner of a waiting card: `scores` holds this person, compared 1:1
    confirm_score: int = 0  # the expected person's score must reach it


class NoSuchEntry(Exception):
    """The journal has no entry with this epoch and number."""


class NoMealNow(Exception):
    """Nobody can be entered at this time."""


class NoSuchRun(Exception):
    """No rows are held for this terminal's clock."""


class UncertainMoment(Exception):
    """The kiosk's own clock is not synchronised, and vouches for no other."""


class EntryAlreadyVoid(Exception):
    """The entry has been voided before."""
