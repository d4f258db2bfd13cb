"""The host's side of a conversation with a PN532: what to send when, and what the answers mean. No port, no clock.

    wake, SAMConfiguration → GetFirmwareVersion → RFConfiguration (few tries) → ┌→ InListPassiveTarget, every poll_ms
                                                                                └── a card: field off, so that the
                                                                                    next poll finds it anew;
                                                                                    with keys it is asked before that
Rules for this file: one command at a time; whatever is not answered in time starts again at the wake-up, since a chip
that lost power has forgotten its configuration; after ATTEMPTS_MAX of these in a row the chip is `silent`, and only
`start` is of use.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import assert_never

from drivers.protocols import pn532
from drivers.protocols.card_keys import (
    BlockRead,
    CardKeyring,
    CardKind,
    CardOutcome,
    Conversation,
    Exchange,
    SectorLogin,
)
from drivers.protocols.card_proof import RandomBytes, RefusedCard
from drivers.protocols.fault import Fault
from drivers.protocols.pn532 import CHIP, Command, Pn532Target

ATTEMPTS_MAX = 5  # the first command after power-up is lost more often than not, the second seldom
ANSWER_MS = 300  # a poll with three tries takes 40 ms and its answer 3 ms on the wire
EMPTY_POLLS = 3  # in a row, before a card counts as gone: at the edge of the field it flickers
_TRIES_MORE = 2  # of one poll, beyond the first


@dataclass(frozen=True, slots=True)
class Ready:
    """The chip has answered and is set up. `firmware` has the form `PN532 1.6`."""

    firmware: str


@dataclass(frozen=True, slots=True)
class Pn532Card:
    """A card lies in the field. The event comes again at every poll while the card stays."""

    target: Pn532Target
    outcome: CardOutcome = None  # of a conversation with it


@dataclass(frozen=True, slots=True)
class Pn532CardRemoved:
    """The card that was there has left."""


Event = Ready | Pn532Card | Pn532CardRemoved | Fault


class _PollStep(Enum):
    WAKE = auto()
    FIRMWARE = auto()
    TRIES = auto()
    POLL = auto()
    EXCHANGE = auto()
    FIELD_OFF = auto()


@dataclass(slots=True)
class _Talk:
    """A conversation with the card in the field, and what it wants to send next."""

    target: Pn532Target
    conversation: Conversation
    wanted: Exchange


class Host:
    """`keyring`: the keys by which a card is asked for more than its number; `draw` gives fresh random bytes."""

    def __init__(
        self, *, poll_ms: int, power_down: bool = True, keyring: CardKeyring | None = None,
        draw: RandomBytes | None = None,
    ) -> None:  # fmt: skip
        self._poll_ns, self._power_down = poll_ms * 1_000_000, power_down
        if keyring is not None and draw is None:
            raise ValueError("a conversation with a card needs random bytes")
        self._keyring, self._draw = keyring, draw or bytes
        self.start(0)

    def start(self, now_ns: int) -> None:
        """Begins anew, with nothing known of the chip."""
        self._decoder = pn532.Decoder()
        self._step = _PollStep.WAKE
        self._waiting = False  # for the answer to what `_step` asked
        self._attempts = 0
        self.is_ready = False  # the chip has answered, and is set up
        self._card_present = False
        self._empty_polls = 0
        self._talk: _Talk | None = None
        self._last_refusal = ""  # of the card that still lies there: it is told once
        self.due_ns = now_ns  # when `send` has something to do, unless bytes come before
        self.silent = False  # the chip does not answer

    def send(self, now_ns: int) -> bytes:
        """Returns the bytes to write now; empty until `due_ns`."""
        if now_ns < self.due_ns or self.silent:
            return b""
        if self._waiting:
            self._attempts += 1
            self._step, self._waiting = _PollStep.WAKE, False
            self._decoder.flush()
            if self._attempts == ATTEMPTS_MAX:
                self.silent = True
                return b""
        self._waiting = True
        self.due_ns = now_ns + ANSWER_MS * 1_000_000
        return self._question()

    def receive(self, data: bytes, now_ns: int) -> Sequence[Event]:
        return [
            event
            for received in self._decoder.feed(data)
            for event in (
                (received,)
                if isinstance(received, Fault)
                else self._answered(received.code, received.body[1:], now_ns)
                if isinstance(received, pn532.Pn532Frame) and received.sender == CHIP
                else ()
            )
        ]

    def stop(self) -> bytes:
        """Returns the bytes that give up a command under way and, with `power_down`, let the chip sleep until the line
        moves. That spares most boards a reset at the next start, and deafens a few for good.
        """
        return pn532.ACK + (pn532.command(Command.POWER_DOWN, b"\x10") if self._power_down else b"")

    def _question(self) -> bytes:
        match self._step:
            case _PollStep.WAKE:
                return pn532.WAKE + pn532.command(Command.SAM_CONFIGURATION, b"\x01")
            case _PollStep.FIRMWARE:
                return pn532.command(Command.GET_FIRMWARE_VERSION)
            case _PollStep.TRIES:
                return pn532.command(Command.RF_CONFIGURATION, bytes((0x05, 0xFF, 0x01, _TRIES_MORE)))
            case _PollStep.POLL:
                return pn532.command(Command.IN_LIST_PASSIVE_TARGET, b"\x01\x00")
            case _PollStep.EXCHANGE:
                assert self._talk is not None, "the step begins with a conversation"
                return pn532.command(Command.IN_DATA_EXCHANGE, b"\x01" + _to_chip(self._talk.wanted, self._talk.target))
            case _PollStep.FIELD_OFF:
                return pn532.command(Command.RF_CONFIGURATION, b"\x01\x00")
            case _:
                assert_never(self._step)

    def _answered(self, code: int, response: bytes, now_ns: int) -> Iterator[Event]:
        # a recording answers what is due before we have asked it
        expected = self._waiting or now_ns >= self.due_ns
        if not expected or code != _COMMAND_BY_STEP[self._step] + 1:
            if self._step is not _PollStep.WAKE:  # there it may be the rest of an earlier conversation
                yield Fault("an answer that nobody asked for")
            return
        self._waiting = False
        self.due_ns = now_ns
        match self._step:
            case _PollStep.WAKE:
                self._step = _PollStep.FIRMWARE
            case _PollStep.FIRMWARE:
                self._step, self.is_ready = _PollStep.TRIES, True
                yield Ready(_firmware(response)) if len(response) == 4 else Fault("a firmware version of unknown form")
            case _PollStep.TRIES:
                self._step = _PollStep.POLL
            case _PollStep.POLL:
                self._attempts = 0
                yield from self._polled(response, now_ns)
            case _PollStep.EXCHANGE:
                yield from self._exchanged(response)
            case _PollStep.FIELD_OFF:
                self._step, self.due_ns = _PollStep.POLL, now_ns + self._poll_ns
            case _:
                assert_never(self._step)

    def _polled(self, response: bytes, now_ns: int) -> Iterator[Event]:
        cards = pn532.targets(response)
        if isinstance(cards, Fault):
            self.due_ns = now_ns + self._poll_ns
            yield cards
            return
        if cards:
            self._card_present, self._empty_polls, self._step = True, 0, _PollStep.FIELD_OFF
            if self._keyring is not None and len(cards) == 1:
                yield from self._begin_talk(self._keyring, cards[0])
            else:
                yield from map(Pn532Card, cards)
            return
        self.due_ns = now_ns + self._poll_ns
        self._empty_polls += 1
        if self._card_present and self._empty_polls == EMPTY_POLLS:
            self._card_present, self._last_refusal = False, ""
            yield Pn532CardRemoved()

    def _begin_talk(self, keyring: CardKeyring, target: Pn532Target) -> Iterator[Event]:
        conversation = keyring.ask(_kind(target), target.uid, self._draw)
        try:
            self._talk = _Talk(target, conversation, next(conversation))
            self._step = _PollStep.EXCHANGE
        except StopIteration as ended:
            yield from self._end_talk(target, ended.value)

    def _exchanged(self, response: bytes) -> Iterator[Event]:
        """Hands the card's answer on. A command of a chip card that failed means a card that moved: the next poll asks
        again.
        """
        talk, self._talk = self._talk, None
        assert talk is not None, "the step begins with a conversation"
        self._step = _PollStep.FIELD_OFF
        went_well = bool(response) and response[0] & _STATUS == 0
        if isinstance(talk.wanted, bytes) and not went_well:
            return
        said = _SAID if isinstance(talk.wanted, SectorLogin) else response[1:]
        try:
            talk.wanted = talk.conversation.send(said if went_well else b"")
            self._talk, self._step = talk, _PollStep.EXCHANGE
        except StopIteration as ended:
            yield from self._end_talk(talk.target, ended.value)

    def _end_talk(self, target: Pn532Target, outcome: CardOutcome) -> Iterator[Event]:
        refusal = outcome.why if isinstance(outcome, RefusedCard) else ""
        if not refusal or refusal != self._last_refusal:
            yield Pn532Card(target, outcome)
        self._last_refusal = refusal


def _kind(target: Pn532Target) -> CardKind:
    """Returns how a card is asked, by its SEL_RES (SAK): NXP AN10833."""
    if not target.iso14443a:
        return CardKind.OTHER
    if target.sel_res & 0x20:
        return CardKind.CHIP
    if target.sel_res & 0x08:
        return CardKind.CLASSIC
    return CardKind.NTAG if target.sel_res == 0 and len(target.uid) == 7 else CardKind.OTHER


def _to_chip(exchange: Exchange, target: Pn532Target) -> bytes:
    """Returns what goes to the card through InDataExchange: UM0701-02, 7.3.8."""
    match exchange:
        case bytes():
            return exchange
        case SectorLogin(block=block, key=key, is_key_b=is_key_b):
            return bytes((0x61 if is_key_b else 0x60, block)) + key + target.uid[-4:]
        case BlockRead(block=block):
            return bytes((0x30, block))
        case _:
            assert_never(exchange)


_STATUS = 0x3F
_SAID = b"\x90\x00"  # a login has no answer but that it went well
_COMMAND_BY_STEP = {
    _PollStep.WAKE: Command.SAM_CONFIGURATION,
    _PollStep.FIRMWARE: Command.GET_FIRMWARE_VERSION,
    _PollStep.TRIES: Command.RF_CONFIGURATION,
    _PollStep.POLL: Command.IN_LIST_PASSIVE_TARGET,
    _PollStep.EXCHANGE: Command.IN_DATA_EXCHANGE,
    _PollStep.FIELD_OFF: Command.RF_CONFIGURATION,
}


def _firmware(response: bytes) -> str:
    chip, version, revision, _ = response
    return f"PN5{chip:02X} {version}.{revision}"
