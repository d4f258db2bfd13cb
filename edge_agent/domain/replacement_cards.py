"""Replacement cards: cards that the desk gave in the place of lost ones, laid over the roster until it agrees.

The roster of the source comes again and again, and knows nothing of the desk. So a replacement is no change of the
roster but a layer over it: it adds the new card, and blocks the former ones of this person. Rules, by what the source
lists:

- the person's new card, and none of the former ones in force: the source agrees, and the replacement has ended
- a former card, still in force: it stays blocked, under whatever id it comes
- a former card as another person's: it is that person's. Nobody is blocked for what somebody else has lost
- the new card as another person's: both have it, so that it recognises neither and a person must look
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.structs import replace

from drivers.readings import Technology, Uid, UidNotation
from drivers.uid import RejectedNumber, from_roster, own, same_card
from sync.contract.roster import Credential, CredentialKind, Notation, Record

REPLACED: Final = "replaced"  # a credential's `blocked`
_HEX_LENGTHS: Final = (8, 14, 20)  # digits of a UID of 4, 7 or 10 bytes
_EM_HEX_LENGTH: Final = 10


class CardNumber(msgspec.Struct, frozen=True, omit_defaults=True):
    """A card's number as a credential has it."""

    value: str
    notation: Notation = Notation.FULL
    technology: str = ""

    def __repr__(self) -> str:
        return f"CardNumber({self.notation.value})"

    def read(self) -> Uid | RejectedNumber:
        """Returns the canonical number, or why it is none."""
        try:
            technology = Technology(self.technology) if self.technology else Technology.UNKNOWN
        except ValueError:
            technology = Technology.UNKNOWN
        return from_roster(UidNotation(self.notation.value), self.value.strip(), technology)


@dataclass(frozen=True, slots=True)
class ReplacementCard:
    """A card in the place of former ones of its person. `number` None: this kiosk cannot open it, and only blocks."""

    id: str
    person: str
    blocked: tuple[str, ...]  # the roster's ids of the former cards
    number: CardNumber | None = None
    replaced: tuple[CardNumber, ...] = ()  # the former cards' numbers


@dataclass(frozen=True, slots=True)
class OverlaidRecords:
    """The records under replacement cards, and the ids of those with which the source agrees."""

    records: Sequence[Record]
    settled: frozenset[str] = frozenset()


def write_number(uid: Uid) -> CardNumber:
    """Returns a number that was read as a credential has it."""
    technology = "" if uid.technology is Technology.UNKNOWN else uid.technology.value
    return CardNumber(str(own(uid)), Notation(uid.notation.value), technology)


def copy_number(credential: Credential) -> CardNumber:
    """Returns the number of a credential."""
    return CardNumber(credential.value, credential.notation, credential.technology)


def parse_printed_number(text: str) -> CardNumber | None:
    """Returns the number that is printed on a card; None where these digits are none.

    Ten decimal digits, or facility and number with a comma, stand on EM cards; 8, 14 or 20 hex digits on others.
    """
    plain = text.upper().replace(" ", "").replace(":", "").replace("-", "")
    if not plain.isascii():
        return None
    facility, comma, low = plain.partition(",")
    if comma and facility.isdecimal() and low.isdecimal():
        number = CardNumber(f"{int(facility)},{int(low)}", Notation.W26)
    elif plain.isdecimal() and len(plain) == _EM_HEX_LENGTH:
        number = CardNumber(plain, Notation.DEC10)
    elif len(plain) in (*_HEX_LENGTHS, _EM_HEX_LENGTH) and set(plain) <= set("0123456789ABCDEF"):
        number = CardNumber(plain)
    else:
        return None
    return None if isinstance(number.read(), RejectedNumber) else number


def lay_over(records: Sequence[Record], replacements: Iterable[ReplacementCard]) -> OverlaidRecords:
    """Returns the roster's records with the replacement cards over them."""
    by_person = {replacement.person: replacement for replacement in replacements}
    if not by_person:
        return OverlaidRecords(records)
    cards = [record for record in records if isinstance(record, Credential) and record.kind is CredentialKind.CARD]
    numbers = {card.id: uid for card in cards if isinstance(uid := copy_number(card).read(), Uid)}
    by_owner: dict[str, list[Credential]] = defaultdict(list)
    for card in cards:
        if card.person in by_person:
            by_owner[card.person].append(card)
    changed: dict[str, Credential | None] = {}
    added: list[Credential] = []
    settled = set()
    for person, replacement in by_person.items():
        former = [card for card in by_owner[person] if _is_former(card, replacement, numbers)]
        has_new = any(
            not card.blocked and card.id in numbers and _is_number(numbers[card.id], replacement.number)
            for card in by_owner[person]
        )
        if has_new and all(card.blocked for card in former):
            settled.add(replacement.id)
            continue
        for card in former:
            # Of another person by the source's newer word, it must not count against them.
            is_given_away = card.id in numbers and any(
                other.person != person and other.id in numbers and same_card(numbers[other.id], numbers[card.id])
                for other in cards
            )
            changed[card.id] = None if is_given_away else replace(card, blocked=card.blocked or REPLACED)
        if replacement.number is not None and not has_new:
            added.append(_build_credential(replacement.id, person, replacement.number))
    return OverlaidRecords(_merge(records, changed, added), frozenset(settled))


def _is_former(card: Credential, replacement: ReplacementCard, numbers: dict[str, Uid]) -> bool:
    if not replacement.replaced:
        return card.id in replacement.blocked  # nobody here can read the number: the id is all there is
    return card.id in numbers and any(_is_number(numbers[card.id], number) for number in replacement.replaced)


def _is_number(uid: Uid, number: CardNumber | None) -> bool:
    other = number.read() if number is not None else None
    return isinstance(other, Uid) and same_card(uid, other)


def _build_credential(name: str, person: str, number: CardNumber) -> Credential:
    return Credential(
        id=name, person=person, value=number.value, notation=number.notation, technology=number.technology
    )


def _merge(
    records: Sequence[Record], changed: dict[str, Credential | None], added: Sequence[Credential]
) -> list[Record]:
    merged: list[Record] = []
    for record in records:
        after = changed.get(record.id, record) if isinstance(record, Credential) else record
        if after is not None:
            merged.append(after)
    return [*merged, *added]
