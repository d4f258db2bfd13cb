"""Who is this: from a reading to a person, or to the honest statement that we do not know.

An ambiguity is never resolved by luck: two people who fit are two candidates, until a second factor says which.
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
_DIGEST_DIGITS = 6  # enough to see the same unknown card again in a day, too few to get its number back


class RecognitionNote(StrEnum):
    """What the staff should know of how somebody was recognised."""

    PARTIAL = "partial"  # by a part of the card's number that today fits only one person
    UNCONFIRMED = "unconfirmed"  # the palm was asked for too, and none was read, or one that looks like others'


class RecognisedPerson(msgspec.Struct, frozen=True):
    person: Person
    credential: str  # the roster's id of it; empty when chosen by hand
    method: Method
    score: int = 0  # of a palm, in ten-thousandths
    notes: tuple[RecognitionNote, ...] = ()


class UnknownPerson(msgspec.Struct, frozen=True):
    """On no roster, or not recognised. `credential` is `#` and a short digest, never the number."""

    method: Method
    credential: str = ""
    no_consent: bool = False  # an outside terminal recognised a person whose parents have not agreed
    copied: bool = False  # of a palm: a print or a screen, by its looks


class AmbiguousPerson(msgspec.Struct, frozen=True):
    """Several people fit equally well."""

    candidates: tuple[PersonId, ...]
    method: Method
    credential: str = ""


class BlockedCredential(msgspec.Struct, frozen=True):
    """A credential that must not be taken any more; `why` in the roster's word: `lost`, `stolen`, `replaced`."""

    person: Person
    credential: str
    method: Method
    status: str


class PalmMismatch(msgspec.Struct, frozen=True):
    """The card of one person with a palm that is not theirs."""

    card_person: Person
    palm_person: Person | None  # None: of nobody who is known by the palm here
    credential: str  # the card's
    copied: bool = False  # by its looks a print or a screen


Identity = RecognisedPerson | UnknownPerson | AmbiguousPerson | BlockedCredential | PalmMismatch


class PalmScore(msgspec.Struct, frozen=True):
    """How well a template of a person fits the palm that was seen, in ten-thousandths."""

    person: PersonId
    credential: str
    score: int


def identify(reading: Reading, roster: Roster) -> Identity:
    match reading:
        case CardRead(uid=uid):
            found = roster.find_cards(uid)
            identity = _by_credentials(found, Method.CARD, roster, lambda: f"{uid.technology}:{uid.notation}:{uid.hex}")
            partial = uid.partial or any(card.notation != "full" for card in found)
            if partial and isinstance(identity, RecognisedPerson):
                return RecognisedPerson(
                    identity.person, identity.credential, Method.CARD, notes=(RecognitionNote.PARTIAL,)
                )
            return identity
        case CodeRead(text=text):
            return _by_credentials(roster.find_codes(text), Method.CODE, roster, lambda: f"code:{text.strip()}")
        case PersonMatched():
            return _by_terminal(reading, roster)
        case _:
            assert_never(reading)


def identify_by_hand(person: str, roster: Roster) -> Identity:
    """A person whom the staff chose from the list."""
    found = roster.people.get(person)
    return UnknownPerson(Method.MANUAL) if found is None else RecognisedPerson(found, "", Method.MANUAL)


def digest_number(school: str, number: str) -> str:
    """A short name for a number that is on no roster, different in each school."""
    return "#" + sha256(f"unknown-credential\0{school}\0{number}".encode()).hexdigest()[:_DIGEST_DIGITS]


def _by_credentials(found: Sequence[Credential], method: Method, roster: Roster, number: Callable[[], str]) -> Identity:
    people = tuple(dict.fromkeys(PersonId(each.person) for each in found))
    match people:
        case ():
            return UnknownPerson(method, digest_number(roster.school, number()))
        case (person,):
            # A part of a number may fit a lost card and the one that replaced it: nobody can tell which is in hand.
            chosen = next((each for each in found if each.blocked), found[0])
            if chosen.blocked:
                return BlockedCredential(roster.people[person], chosen.id, method, chosen.blocked)
            return RecognisedPerson(roster.people[person], chosen.id, method)
        case _:
            return AmbiguousPerson(people, method, digest_number(roster.school, number()))


def _by_terminal(reading: PersonMatched, roster: Roster) -> Identity:
    identity = _by_credentials(
        roster.find_terminal_numbers(reading.number),
        Method.TERMINAL,
        roster,
        lambda: f"terminal:{reading.number.strip()}",
    )
    if not isinstance(identity, RecognisedPerson):
        return identity
    if reading.method in _BIOMETRIC and not roster.has_consent(identity.person.id, reading.method):
        return UnknownPerson(
            Method.TERMINAL, digest_number(roster.school, f"terminal:{reading.number.strip()}"), no_consent=True
        )
    return RecognisedPerson(identity.person, identity.credential, Method.TERMINAL, reading.score)


def identify_palm(scores: Sequence[PalmScore], roster: Roster, *, accept: int, margin: int) -> Identity:
    """Whose palm it is: the best at or over `accept`, ahead of every other person by at least `margin`.

    Who is not on the roster, or whose parents have not agreed, is no candidate, whatever the score. Both palms of a
    person count as one candidate. `accept` and `margin` in ten-thousandths.
    """
    best: dict[PersonId, PalmScore] = {}
    for each in sorted(scores, key=lambda score: (-score.score, score.person, score.credential)):
        if each.person in roster.people and roster.has_consent(each.person):
            best.setdefault(each.person, each)
    ranked = list(best.values())
    if not ranked or ranked[0].score < accept:
        return UnknownPerson(Method.PALM)
    first = ranked[0]
    # Equal scores are a tie under any margin.
    close = tuple(each.person for each in ranked if first.score - each.score < max(margin, 1))
    if len(close) > 1:
        return AmbiguousPerson(close, Method.PALM)
    return RecognisedPerson(roster.people[first.person], first.credential, Method.PALM, first.score)
