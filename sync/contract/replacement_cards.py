"""Cards that a school's desk gave in the place of lost ones, on their way between the kiosks of that school.

    POST /v1/schools/{school}/replacement-cards          ReplacementCardMessage → 200 ReplacementCardReply
    GET  /v1/schools/{school}/replacement-cards?since=                          → 200 ReplacementCardPage

The number travels sealed under a key that the school's kiosks have and the ledger has not. The ledger sees whose card
it is and which former ones are blocked. A person has one replacement at a time; the ledger's order decides between two.
A ledger of an earlier version has no such page (404).
"""

from typing import Annotated, Final
from urllib.parse import quote

import msgspec
from msgspec import Meta

from sync.contract.wire import Count, check_canonical

SEALED_CARD_BYTES_MAX: Final = 4 * 1024
BLOCKED_MAX: Final = 20
PAGE_CARDS: Final = 100
CARD_MESSAGE_BYTES_MAX: Final = 16 * 1024
CARD_PAGE_BYTES_MAX: Final = PAGE_CARDS * CARD_MESSAGE_BYTES_MAX
CARD_NAME_CHARS_MAX: Final = 256

_Name = Annotated[str, Meta(min_length=1, max_length=CARD_NAME_CHARS_MAX)]


class ReplacementCardMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One card in the place of former ones; or, with `ended`, the news that the school's roster has it by itself."""

    id: _Name  # the credential's
    person: _Name
    made_at: str
    blocked: Annotated[tuple[_Name, ...], Meta(max_length=BLOCKED_MAX)] = ()  # the roster's ids of the former cards
    sealed: bytes = b""  # empty: the number stays at its kiosk, or it has ended
    ended: bool = False

    def __post_init__(self) -> None:
        if len(self.sealed) > SEALED_CARD_BYTES_MAX:
            raise ValueError(f"a sealed card of {len(self.sealed)} bytes; at most {SEALED_CARD_BYTES_MAX} are taken")
        if any("\0" in name for name in (self.id, self.person, *self.blocked)):
            raise ValueError("an id with a zero byte")
        check_canonical(self.made_at)

    def __repr__(self) -> str:
        return f"ReplacementCardMessage(id={self.id!r}, ended={self.ended}, {len(self.sealed)} sealed bytes)"


class ReplacementCardReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a card. With `stored` False its person is not on the roster, and nothing was kept."""

    version: Count
    stored: bool = msgspec.field(name="kept")


class ReplacementCardPage(msgspec.Struct, frozen=True, kw_only=True):
    """The cards behind the number `since`. `roster`: the version in force at the ledger."""

    school: str
    since: Count
    version: Count  # of the last one in it; the next page begins behind it
    roster: Count
    cards: tuple[ReplacementCardMessage, ...] = ()
    more: bool = False


def replacement_cards_path(school: str) -> str:
    """Returns the path at which a kiosk leaves and fetches its school's replacement cards."""
    return f"/v1/schools/{quote(school, safe='')}/replacement-cards"
