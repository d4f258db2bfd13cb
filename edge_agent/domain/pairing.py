"""Card and palm of one visitor: what one tells about the other, and how long one waits for the other.

    card, palm wanted ──▶ WaitingCard ──palm, 1:1──▶ confirm_card: the card's owner, or a mismatch
                               └───────no palm─────▶ mark_unconfirmed: the child eats, the row is marked
    palm, look-alikes ──▶ WaitingPalm ──card───────▶ settle_by_card: the card tells which of them it is
                               └───────no card─────▶ nothing: the palm was refused when it was shown

A palm alone needs no card: it proves what a borrowed card cannot.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from drivers.readings import Authenticity
from edge_agent.domain.identify import (
    AmbiguousPerson,
    Identity,
    PalmMismatch,
    RecognisedPerson,
    RecognitionNote,
    UnknownPerson,
)
from edge_agent.domain.moment import Moment
from sync.contract.event import PersonId


@dataclass(frozen=True, slots=True)
class WaitingCard:
    """A card whose owner is asked for the palm as well."""

    card: RecognisedPerson
    reader: str
    moment: Moment
    authenticity: Authenticity = Authenticity.BARE


@dataclass(frozen=True, slots=True)
class WaitingPalm:
    """A palm that fits several people, and waits for a card that chooses one of them."""

    palm: AmbiguousPerson
    moment: Moment


Waiting = WaitingCard | WaitingPalm


def is_overdue(waiting: Waiting, now: Moment, within_ms: int) -> bool:
    """Returns True when the wait has lasted `within_ms` or longer.

    This process made both moments, so the monotonic clock alone counts.
    """
    return now.mono_ms - waiting.moment.mono_ms >= within_ms


def awaited_person(waiting: Waiting | None) -> PersonId | None:
    """Returns the person whose palm a card waits for, or None."""
    return PersonId(waiting.card.person.id) if isinstance(waiting, WaitingCard) else None


def confirm_card(card: RecognisedPerson, palm: Identity, *, owner_score: int, accept_score: int) -> Identity:
    """Returns the card's owner if the palm proves them, else a PalmMismatch.

    `palm` is whose palm it is among everybody. `owner_score` compares the palm with the owner's own templates, and
    `accept_score` is enough for that; both are in ten-thousandths.
    """
    if isinstance(palm, UnknownPerson) and palm.copied:
        return PalmMismatch(card.person, None, card.credential, copied=True)
    if owner_score >= accept_score or (isinstance(palm, RecognisedPerson) and palm.person.id == card.person.id):
        return replace(_drop_partial_mark(card), score=owner_score)
    return PalmMismatch(card.person, palm.person if isinstance(palm, RecognisedPerson) else None, card.credential)


def mark_unconfirmed(card: RecognisedPerson) -> RecognisedPerson:
    """Returns the card's owner, marked: no palm came, or another person's palm came before it.

    A palm that cannot be read costs nobody the meal.
    """
    return replace(card, notes=(*card.notes, RecognitionNote.UNCONFIRMED))


def settle_by_card(card: RecognisedPerson, palm: AmbiguousPerson) -> RecognisedPerson | None:
    """Returns the card's owner if the palm fits them; None if the owner is none of the look-alikes."""
    return _drop_partial_mark(card) if card.person.id in palm.candidates else None


def _drop_partial_mark(card: RecognisedPerson) -> RecognisedPerson:
    """Returns the card's owner without the mark PARTIAL: card and palm together leave no doubt."""
    return replace(card, notes=tuple(note for note in card.notes if note is not RecognitionNote.PARTIAL))
