"""The city's keys for cards, and the conversation with a card by them: who proves itself, who only holds a number.

A keyring is tried entry by entry. `Exchange` says what is to be sent; a transport knows how its reader says it.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, assert_never

from drivers.protocols.card_proof import (
    CARD_KEY_BYTES,
    NTAG424_APPLICATION,
    ProofKey,
    ProvenCard,
    RandomBytes,
    RefusedCard,
    prove,
)

SECTOR_KEY_BYTES = 6
MEMORY_BLOCK_BYTES = 16  # a block of MIFARE Classic, or four pages of an NTAG


class CardKind(StrEnum):
    """The kinds of cards that are asked differently."""

    CHIP = "chip"  # speaks ISO/IEC 14443-4
    CLASSIC = "mifare-classic"
    NTAG = "ntag"  # NTAG 21x, Ultralight: pages that anybody may read
    OTHER = ""


@dataclass(frozen=True, slots=True)
class SectorLogin:
    """Opens the sector of this block with a key of MIFARE Classic. Its cipher has been broken since 2008."""

    block: int
    key: bytes = field(repr=False)
    is_key_b: bool = False


@dataclass(frozen=True, slots=True)
class BlockRead:
    """Asks for sixteen bytes from a block, or from a page on."""

    block: int


Exchange = bytes | SectorLogin | BlockRead  # bytes: a command of ISO/IEC 7816-4


@dataclass(frozen=True, slots=True)
class MemoryPlace:
    """Where a number stands in a card's memory, and how. Whoever can read it can copy it."""

    kind: Literal["mifare-classic", "ntag"]
    block: int  # counted over the whole card; of an NTAG, the page
    form: Literal["ascii", "decimal", "hex"]
    offset: int = 0
    length: int = MEMORY_BLOCK_BYTES
    key: bytes = field(default=b"", repr=False)
    is_key_b: bool = False


@dataclass(frozen=True, slots=True)
class StoredNumber:
    """A number that stood in a card's memory: it can be copied, and names its person as a code does."""

    text: str = field(repr=False)


CardOutcome = ProvenCard | StoredNumber | RefusedCard | None  # None: a card that is none of the city's, and is let pass
Conversation = Generator[Exchange, bytes, CardOutcome]

_NOT_OURS = RefusedCard("a card of another kind than the city's: use the card that the school has given out")


class BadKeyring(ValueError):
    """A file of keys that cannot be used; the message names the entry and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class CardKeyring:
    """The keys and places by which cards are asked, in the order of trying.

    `lets_others_pass`: a card that is none of these counts by its bare number, as long as a city exchanges its cards.
    """

    proofs: tuple[ProofKey, ...] = ()
    places: tuple[MemoryPlace, ...] = ()
    lets_others_pass: bool = False

    def ask(self, kind: CardKind, uid: bytes, draw: RandomBytes) -> Conversation:
        """Asks the card that lies there. `uid`: the number that it has shown; `draw`: fresh random bytes."""
        refused: RefusedCard | None = None
        if kind is CardKind.CHIP:
            for entry in self.proofs:
                outcome = yield from prove(entry, uid, draw)
                if isinstance(outcome, ProvenCard):
                    return outcome
                refused = outcome or refused
        for place in self.places:
            if place.kind == kind.value:
                stored = yield from _read_place(place)
                if isinstance(stored, StoredNumber):
                    return stored
                refused = stored
        return refused or (None if self.lets_others_pass else _NOT_OURS)


def _read_place(place: MemoryPlace) -> Generator[Exchange, bytes, StoredNumber | RefusedCard]:
    if place.kind == "mifare-classic":
        opened = yield SectorLogin(place.block, place.key, place.is_key_b)
        if not opened:
            return RefusedCard("a card whose memory has another key than the city's: have the card replaced")
    content = yield BlockRead(place.block)
    number = content[place.offset : place.offset + place.length]
    if len(number) < place.length:
        return RefusedCard("a card whose memory could not be read to its end: hold it longer, one card at a time")
    text = _to_text(number, place.form)
    return StoredNumber(text) if text else RefusedCard("a card with no number in its memory: have it written again")


def _to_text(number: bytes, form: Literal["ascii", "decimal", "hex"]) -> str:
    match form:
        case "ascii":
            text = number.split(b"\x00")[0].decode("ascii", "replace").strip()
            return text if text.isascii() and text.isprintable() else ""
        case "decimal":
            return str(int.from_bytes(number, "big")) if any(number) else ""
        case "hex":
            return number.hex().upper() if any(number) else ""
        case _:
            assert_never(form)


def read_keyring(settings: Mapping[str, object]) -> CardKeyring:
    """Returns the keyring in a file of keys, as `tomllib` reads it. Raises BadKeyring."""
    if unknown := set(settings) - {"card", "memory", "others"}:
        raise BadKeyring(f"unknown key {min(unknown)!r}: there are [[card]], [[memory]] and others")
    others = settings.get("others", "refuse")
    if others not in ("refuse", "accept"):
        raise BadKeyring("others is 'refuse' or 'accept'")
    proofs = tuple(_read_proof(entry) for entry in _tables(settings, "card"))
    places = tuple(_read_memory(entry) for entry in _tables(settings, "memory"))
    if not proofs and not places:
        raise BadKeyring("no [[card]] and no [[memory]]: it names no card at all")
    return CardKeyring(proofs, places, lets_others_pass=others == "accept")


def _tables(settings: Mapping[str, object], name: str) -> Iterator["_Entry"]:
    listed = settings.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise BadKeyring(f"{name} is a list of tables: write [[{name}]]")
    for number, each in enumerate(listed, 1):
        yield _Entry(f"[[{name}]] number {number}", each)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One table of the file, read key by key."""

    name: str
    values: Mapping[str, object] = field(repr=False)

    def check_keys(self, allowed: Sequence[str]) -> None:
        if unknown := set(self.values) - set(allowed):
            raise BadKeyring(f"{self.name}: unknown key {min(unknown)!r}; there are {', '.join(allowed)}")

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        value = self.values.get(key)
        if value not in allowed:
            raise BadKeyring(f"{self.name}: {key} is one of {', '.join(allowed)}")
        return str(value)

    def whole(self, key: str, default: int | None, highest: int) -> int:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= highest:
            raise BadKeyring(f"{self.name}: {key} is a whole number from 0 to {highest}")
        return value

    def hex(self, key: str, default: bytes | None, sizes: Sequence[int]) -> bytes:
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        try:
            content = bytes.fromhex(value if isinstance(value, str) else "-")
        except ValueError:
            content = b"\xff" * 99
        if len(content) not in sizes:
            wanted = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
            raise BadKeyring(f"{self.name}: {key} is {wanted} bytes in hexadecimal digits")
        return content

    def flag(self, key: str) -> bool:
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise BadKeyring(f"{self.name}: {key} is true or false")
        return value


def _read_proof(entry: _Entry) -> ProofKey:
    entry.check_keys(("kind", "application", "key_number", "key", "diversified", "diversifier"))
    kind = entry.choice("kind", ("ntag424", "desfire", "desfire-ev1"))
    assert kind in ("ntag424", "desfire", "desfire-ev1")
    is_ntag = kind == "ntag424"
    return ProofKey(
        kind,  # type: ignore[arg-type]  # one of the three, as asserted
        entry.hex("application", NTAG424_APPLICATION if is_ntag else None, range(1, 17) if is_ntag else (3,)),
        entry.whole("key_number", 0, 13),
        entry.hex("key", None, (CARD_KEY_BYTES,)),
        entry.flag("diversified"),
        entry.hex("diversifier", b"", range(25)),
    )


def _read_memory(entry: _Entry) -> MemoryPlace:
    entry.check_keys(("kind", "block", "form", "offset", "length", "key", "key_b"))
    is_classic = entry.choice("kind", ("mifare-classic", "ntag")) == "mifare-classic"
    if "key" in entry.values and "key_b" in entry.values:
        raise BadKeyring(f"{entry.name}: key or key_b, not both")
    name = "key_b" if "key_b" in entry.values else "key"
    if not is_classic and name in entry.values:
        raise BadKeyring(f"{entry.name}: an NTAG's pages need no key")
    offset = entry.whole("offset", 0, MEMORY_BLOCK_BYTES - 1)
    length = entry.whole("length", MEMORY_BLOCK_BYTES - offset, MEMORY_BLOCK_BYTES - offset)
    if not length:
        raise BadKeyring(f"{entry.name}: length is at least 1")
    form = entry.choice("form", ("ascii", "decimal", "hex"))
    assert form in ("ascii", "decimal", "hex")
    return MemoryPlace(
        "mifare-classic" if is_classic else "ntag",
        entry.whole("block", None, 255),
        form,  # type: ignore[arg-type]  # one of the three, as asserted
        offset,
        length,
        entry.hex(name, None, (SECTOR_KEY_BYTES,)) if is_classic else b"",
        name == "key_b",
    )
