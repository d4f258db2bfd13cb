"""Card and palm of one visitor: what each says of the other, and how long one waits for the other.

    card, palm wanted ──▶ CardWaits ──palm, 1:1──▶ confirmed: the card's owner, or a mismatch
                              └──────no palm─────▶ unconfirmed: the child eats, the row is marked
    palm, look-alikes ──▶ PalmWaits ──card───────▶ settled: the card says which of them it is
                              └──────no card─────▶ nothing: the palm was refused when it was seen

A palm alone needs no card: it is what a borrowed card lacks.
"""

from dataclasses import dataclass

from msgspec.structs import replace

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


@dataclass(frozen=True, slots=True)
class WaitingPalm:
    """A palm that fits several people."""

    palm: AmbiguousPerson
    moment: Moment


Waiting = WaitingCard | WaitingPalm


def is_overdue(waiting: Waiting, now: Moment, within_ms: int) -> bool:
    """Both were seen by this process: the monotonic clock alone counts."""
    return now.mono_ms - waiting.moment.mono_ms >= within_ms


def awaited_person(waiting: Waiting | None) -> PersonId | None:
    """Whose palm is waited for."""
    return PersonId(waiting.card.person.id) if isinstance(waiting, WaitingCard) else None


def confirm_card(card: RecognisedPerson, palm: Identity, *, score: int, accept: int) -> Identity:
    """A card and the palm that was shown for it. `score`: of the palm with the card owner's own templates, and
    `accept` what is enough of it, both in ten-thousandths; `palm`: whose it is among everybody."""
    if isinstance(palm, UnknownPerson) and palm.copied:
        return PalmMismatch(card.person, None, card.credential, copied=True)
    if score >= accept or (isinstance(palm, RecognisedPerson) and palm.person.id == card.person.id):
        return replace(_drop_partial_mark(card), score=score)
    return PalmMismatch(card.person, palm.person if isinstance(palm, RecognisedPerson) else None, card.credential)


def mark_unconfirmed(card: RecognisedPerson) -> RecognisedPerson:
    """No palm came, or another's before it. A palm that cannot be read costs nobody the meal; the row is marked."""
    return replace(card, notes=(*card.notes, RecognitionNote.UNCONFIRMED))


def settle_by_card(card: RecognisedPerson, palm: AmbiguousPerson) -> RecognisedPerson | None:
    """The card says which of the look-alikes it is; None: none of them."""
    return _drop_partial_mark(card) if card.person.id in palm.candidates else None


def _drop_partial_mark(card: RecognisedPerson) -> RecognisedPerson:
    """A part of a card's number is enough once the palm has said the rest."""
    return replace(card, notes=tuple(note for note in card.notes if note is not RecognitionNote.PARTIAL))
