"""Identities: from a reading to a person, or to a plain statement that nobody is recognised.

An ambiguity is never resolved by luck. Two people who fit are two candidates, until a second factor decides.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import assert_never

import msgspec

from drivers.readings import CardRead, CodeRead, PersonMatched, Reading
from edge_agent.domain.roster import Roster
from sync.contract.event import Method, PersonId
from sync.contract.roster import Credential, Person

_BIOMETRIC = frozenset({"palm", "face", "finger"})  # what an outside terminal may have matched by: needs consent
USED_CODE = "used"  # the status of a changing code that was used before
_DIGEST_DIGITS = 6  # enough to see the same unknown card again in a day, too few to get its number back


class RecognitionNote(StrEnum):
    """A remark for the staff on how somebody was recognised."""

    PARTIAL = "partial"  # by a part of the card's number that today fits only one person
    UNCONFIRMED = "unconfirmed"  # the palm was asked for too, and none was read, or one that looks like others'


class RecognisedPerson(msgspec.Struct, frozen=True):
    """A person of the roster, and how the person was recognised."""

    person: Person
    credential: str  # the roster's id of it; empty when chosen by hand
    method: Method
    score: int = 0  # of a palm, in ten-thousandths
    notes: tuple[RecognitionNote, ...] = ()
    code_step: int = 0  # of a changing code, which is used with this recognition


class UnknownPerson(msgspec.Struct, frozen=True):
    """Nobody of the roster, or nobody who was recognised. `credential` is `#` and a short digest, never the number."""

    method: Method
    credential: str = ""
    no_consent: bool = False  # an outside terminal recognised a person whose parents have not agreed
    copied: bool = False  # the palm looks like a print or a screen


class AmbiguousPerson(msgspec.Struct, frozen=True):
    """Several people who fit equally well."""

    candidates: tuple[PersonId, ...]
    method: Method
    credential: str = ""


class BlockedCredential(msgspec.Struct, frozen=True):
    """A credential that the kiosk must not accept any more."""

    person: Person
    credential: str
    method: Method
    status: str  # the roster's word: `lost`, `stolen`, `replaced`


class PalmMismatch(msgspec.Struct, frozen=True):
    """The card of one person, shown with a palm that is not theirs."""

    card_person: Person
    palm_person: Person | None  # None: the palm is of nobody whom this kiosk knows by the palm
    credential: str  # the card's
    copied: bool = False  # the palm looks like a print or a screen


Identity = RecognisedPerson | UnknownPerson | AmbiguousPerson | BlockedCredential | PalmMismatch


class PalmScore(msgspec.Struct, frozen=True):
    """How well a template of a person fits the palm in the picture, in ten-thousandths."""

    person: PersonId
    credential: str
    score: int


def identify(reading: Reading, roster: Roster) -> Identity:
    """Returns whom this reading shows, by the credentials of the roster."""
    match reading:
        case CardRead(uid=uid):
            cards = roster.find_cards(uid)
            identity = _identify_by_credentials(
                cards, Method.CARD, roster, lambda: f"{uid.technology}:{uid.notation}:{uid.hex}"
            )
            partial = uid.partial or any(card.notation != "full" for card in cards)
            if partial and isinstance(identity, RecognisedPerson):
                return RecognisedPerson(
                    identity.person, identity.credential, Method.CARD, notes=(RecognitionNote.PARTIAL,)
                )
            return identity
        case CodeRead(text=text):
            codes = roster.find_codes(text)
            return _identify_by_credentials(codes, Method.CODE, roster, lambda: f"code:{text.strip()}")
        case PersonMatched():
            return _identify_by_terminal(reading, roster)
        case _:
            assert_never(reading)


def identify_by_hand(person_id: str, roster: Roster) -> Identity:
    """Returns the person whom the staff chose from the list, or UnknownPerson if a newer roster lacks them."""
    person = roster.people.get(person_id)
    return UnknownPerson(Method.MANUAL) if person is None else RecognisedPerson(person, "", Method.MANUAL)


def digest_number(school: str, number: str) -> str:
    """Returns a short name for a number that is on no roster: `#` and six hex digits, different in each school."""
    return "#" + sha256(f"unknown-credential\0{school}\0{number}".encode()).hexdigest()[:_DIGEST_DIGITS]


def _identify_by_credentials(
    credentials: Sequence[Credential], method: Method, roster: Roster, number: Callable[[], str]
) -> Identity:
    people = tuple(dict.fromkeys(PersonId(credential.person) for credential in credentials))
    match people:
        case ():
            return UnknownPerson(method, digest_number(roster.school, number()))
        case (person,):
            # A part of a number may fit a lost card and the one that replaced it: nobody can tell which is in hand.
            chosen = next((credential for credential in credentials if credential.blocked), credentials[0])
            if chosen.blocked:
                return BlockedCredential(roster.people[person], chosen.id, method, chosen.blocked)
            return RecognisedPerson(roster.people[person], chosen.id, method)
        case _:
            return AmbiguousPerson(people, method, digest_number(roster.school, number()))


def _identify_by_terminal(reading: PersonMatched, roster: Roster) -> Identity:
    number = reading.number.strip()
    identity = _identify_by_credentials(
        roster.find_terminal_numbers(reading.number), Method.TERMINAL, roster, lambda: f"terminal:{number}"
    )
    if not isinstance(identity, RecognisedPerson):
        return identity
    if reading.method in _BIOMETRIC and not roster.has_consent(identity.person.id, reading.method):
        digest = digest_number(roster.school, f"terminal:{number}")
        return UnknownPerson(Method.TERMINAL, digest, no_consent=True)
    return RecognisedPerson(identity.person, identity.credential, Method.TERMINAL, reading.score)


def identify_palm(scores: Sequence[PalmScore], roster: Roster, *, accept_score: int, margin_score: int) -> Identity:
    """Returns whose palm it is: the best person at or over `accept_score`, if all others are `margin_score` behind.

    All scores are in ten-thousandths. A person who is not on the roster, or whose parents have not agreed, is no
    candidate, whatever the score. Both palms of a person count as one candidate.
    """
    best_by_person: dict[PersonId, PalmScore] = {}
    for score in sorted(scores, key=lambda score: (-score.score, score.person, score.credential)):
        if score.person in roster.people and roster.has_consent(score.person):
            best_by_person.setdefault(score.person, score)
    ranked = list(best_by_person.values())
    if not ranked or ranked[0].score < accept_score:
        return UnknownPerson(Method.PALM)
    best = ranked[0]
    # Equal scores are a tie under any margin.
    rivals = tuple(score.person for score in ranked if best.score - score.score < max(margin_score, 1))
    if len(rivals) > 1:
        return AmbiguousPerson(rivals, Method.PALM)
    return RecognisedPerson(roster.people[best.person], best.credential, Method.PALM, best.score)
