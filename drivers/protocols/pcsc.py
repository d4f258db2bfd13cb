"""Lines that say what a PC/SC reader saw, to be watched, captured and played again; `drivers.transports.pcsc` makes
them.

    card <ATR in hex> <answer to FF CA 00 00 00 in hex>      number and 90 00; 63 00 or 6A 81 where there is none
    card <ATR> <answer> proven <number in hex>               it has shown that it has the city's key
    card <ATR> <answer> stored <text in hex>                 what stood in its memory
    card <ATR> <answer> refused <sentence in hex>            it could not show it
    removed
    mute                                                     something lies there that does not answer

The ATR of a card without a chip of its own says what it is (PC/SC part 3, 3.1.3.2.3):

    3B 8n 80 01 80 4F 0C A0 00 00 03 06 SS NN NN 00 00 00 00 TCK    SS 01-03: ISO 14443 A, NN the card's name
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from drivers.protocols.card_keys import BlockRead, CardKind, CardOutcome, Exchange, SectorLogin, StoredNumber
from drivers.protocols.card_proof import ProvenCard, RefusedCard
from drivers.protocols.fault import Fault
from drivers.readings import FaultCause, Technology

GET_UID = bytes.fromhex("FFCA000000")
PCSC_LINE_BYTES_MAX = 512
REMOVED, MUTE = b"removed\n", b"mute\n"

_LINE = re.compile(
    rb"card ((?:[0-9A-F]{2}){2,33}) ((?:[0-9A-F]{2}){2,34})(?: (proven|stored|refused) ((?:[0-9A-F]{2}){1,150}))?"
)
_PART3 = re.compile(rb"\x3B.\x80\x01\x80\x4F\x0C\xA0\x00\x00\x03\x06(.)(..)\x00{4}.", re.DOTALL)
_ISO14443A = (b"\x01", b"\x02", b"\x03")
_CHIP_CARDS = {bytes.fromhex("3B8180018080"): Technology.ISO14443A}  # DESFire; a chip's ATR says nothing of its number
_MEMORY_KINDS = {b"\x00\x01": CardKind.CLASSIC, b"\x00\x02": CardKind.CLASSIC, b"\x00\x03": CardKind.NTAG}
_FELICA = b"\xf0\x11"  # pcscd reports it as ISO 14443 A all the same
_DONE = b"\x90\x00"
_ATR_HEAD = 4
_DRAWN = 0x08  # the first byte of a number of four bytes that is drawn anew each time


@dataclass(frozen=True, slots=True)
class PcscCard:
    technology: Technology
    uid: bytes = field(repr=False)
    outcome: CardOutcome = None


@dataclass(frozen=True, slots=True)
class PcscCardRemoved:
    """The card has left the reader."""


Event = PcscCard | PcscCardRemoved | Fault


def encode(atr: bytes, response: bytes, outcome: CardOutcome = None) -> bytes:
    """Returns the line of a card. `outcome`: what a conversation with it has ended with."""
    line = f"card {atr.hex().upper()} {response.hex().upper()}"
    match outcome:
        case None:
            return f"{line}\n".encode("ascii")
        case ProvenCard(uid=uid):
            word, content = "proven", uid
        case StoredNumber(text=text):
            word, content = "stored", text.encode("ascii")
        case RefusedCard(why=why):
            word, content = "refused", why.encode("ascii")
        case _:
            assert_never(outcome)
    return f"{line} {word} {content.hex().upper()}\n".encode("ascii")


def kind(atr: bytes) -> CardKind:
    """Returns how the card with this ATR is asked for more than its number."""
    part3 = _PART3.fullmatch(atr)
    if part3 is not None:
        return _MEMORY_KINDS.get(part3[2], CardKind.OTHER)
    return CardKind.CHIP if _is_contactless(atr) else CardKind.OTHER


def command(exchange: Exchange) -> Sequence[bytes]:
    """Returns the commands, in the words of PC/SC part 3, that say this; the answer to the last one is the answer."""
    match exchange:
        case bytes():
            return (exchange,)
        case SectorLogin(block=block, key=key, is_key_b=is_key_b):
            login = bytes((0xFF, 0x86, 0, 0, 5, 1, 0, block, 0x61 if is_key_b else 0x60, 0))
            return (bytes((0xFF, 0x82, 0, 0, len(key))) + key, login)
        case BlockRead(block=block):
            return (bytes((0xFF, 0xB0, 0, block, 16)),)
        case _:
            assert_never(exchange)


def answer(exchange: Exchange, response: bytes) -> bytes:
    """Returns a card's answer as a conversation takes it: of a memory its bytes, or nothing where it refused."""
    match exchange:
        case bytes():
            return response
        case SectorLogin():
            return response if response[-2:] == _DONE else b""
        case BlockRead():
            return response[:-2] if response[-2:] == _DONE else b""
        case _:
            assert_never(exchange)


def technology(atr: bytes) -> Technology:
    part3 = _PART3.fullmatch(atr)
    if part3 is None:
        return _CHIP_CARDS.get(atr, Technology.UNKNOWN)
    return Technology.ISO14443A if part3[1] in _ISO14443A and part3[2] != _FELICA else Technology.UNKNOWN


def _is_contactless(atr: bytes) -> bool:
    """Returns True for a contactless card with a chip of its own; PC/SC part 3 gives it 3B 8n 80 01 …."""
    return len(atr) > _ATR_HEAD and atr[0] == 0x3B and atr[1] >> 4 == 8 and atr[2:4] == b"\x80\x01"


def _is_drawn(atr: bytes, uid: bytes) -> bool:
    """Tells if a contactless chip card, or a phone that plays one, has drawn its number for this touch: ISO 14443-3.

    Its answer to reset is the same whatever it is, so that its kind does not show there.
    """
    return _is_contactless(atr) and len(uid) == 4 and uid[0] == _DRAWN


def renumber(line: bytes, change: Callable[[Technology, bytes], bytes]) -> bytes | None:
    """Puts another number into a whole line (without its end). Returns None when it is no such line."""
    event = _meaning(line)
    match event:
        case PcscCardRemoved():
            return line
        case Fault():
            return line if line + b"\n" == MUTE else None
        case PcscCard(technology=technology, uid=uid, outcome=outcome):
            atr = bytes.fromhex(line.split(b" ")[1].decode("ascii"))
            response = change(technology, uid) + _DONE
            match outcome:
                case ProvenCard(uid=proven):
                    outcome = ProvenCard(change(Technology.ISO14443A, proven))
                case StoredNumber(text=text):
                    outcome = StoredNumber(change(Technology.UNKNOWN, text.encode("ascii")).hex().upper())
                case _:
                    pass
            return encode(atr, response, outcome).rstrip(b"\n")
        case _:
            assert_never(event)


class Decoder:
    """Turns lines into cards, removals and faults, however the bytes are cut."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Sequence[Event]:
        events: list[Event] = []
        for byte in data:
            if byte == ord("\n"):
                if not self._skipping:
                    events.append(_meaning(bytes(self._line)))
                self._line.clear()
                self._skipping = False
            elif not self._skipping:
                self._line.append(byte)
                if len(self._line) > PCSC_LINE_BYTES_MAX:
                    self._skipping = True
                    events.append(Fault("a line is too long"))
        return events

    def flush(self) -> Sequence[Event]:
        broken = bool(self._line)
        self._line.clear()
        self._skipping = False
        return [Fault("a line broke off")] if broken else []


def _meaning(line: bytes) -> Event:
    if line + b"\n" == REMOVED:
        return PcscCardRemoved()
    if line + b"\n" == MUTE:
        return Fault(
            "something lies on the reader that does not answer: take it away, one card at a time", FaultCause.CARD
        )
    match = _LINE.fullmatch(line)
    if match is None:
        return Fault("a line of unknown form")
    atr, response = (bytes.fromhex(part.decode("ascii")) for part in match.groups()[:2])
    if not response.endswith(_DONE):
        return Fault(
            "a card that does not tell its number: it is no contactless card, or it left too early", FaultCause.CARD
        )
    uid = response[:-2]
    drawn = _is_drawn(atr, uid)
    return PcscCard(Technology.ISO14443A if drawn else technology(atr), uid, _outcome(match[3], match[4]))


def _outcome(word: bytes | None, content: bytes | None) -> CardOutcome:
    if word is None or content is None:
        return None
    said = bytes.fromhex(content.decode("ascii"))
    match word:
        case b"proven":
            return ProvenCard(said)
        case b"stored":
            return StoredNumber(said.decode("ascii", "replace"))
        case _:
            return RefusedCard(said.decode("ascii", "replace"))
