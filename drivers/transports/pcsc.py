"""A PC/SC reader as a transport: lines of `drivers.protocols.pcsc` come out of it.

A card gets a connection of its own each time, since pcscd's knowledge of a card that left early goes stale. Whatever
talks to the reader can hang until it is replugged (old ACR122U do), so that it runs in a thread of its own for at most
CALL_S; a thread that hangs is given up, and the reader is not opened again before it has ended.

Only one kiosk uses a reader at a time; other programs may share it.
"""

import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from smartcard import scard

from drivers.errors import DeviceBusy, DeviceError, DeviceGone, NotSupported
from drivers.protocols import pcsc
from drivers.protocols.card_keys import CardKeyring
from drivers.protocols.card_proof import RandomBytes

CALL_S = 3.0
READERS_MAX = 16
TRIES_MAX = 4
_AWAY = scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE
_EITHER = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1

T = TypeVar("T")


class CardSlot:
    """A reader for smart cards. `reader` is a part of its name, as `pcsc_scan` shows it; empty: the only one there is.
    `shared`: for a lamp in a reader that another driver reads. `keyring`: the keys by which a card is asked for more
    than its number.
    """

    def __init__(
        self, reader: str, *, shared: bool = False, call_s: float = CALL_S, keyring: CardKeyring | None = None,
        draw: RandomBytes = secrets.token_bytes,
    ) -> None:  # fmt: skip
        self.reader = reader
        self._keyring, self._draw = keyring, draw
        self._shared = shared
        self._call_s = call_s
        self._in_use = threading.Lock()  # held by the thread that talks to pcscd; close wakes it, then waits
        self._closing = threading.Lock()
        self._context: int | None = None
        self._name = ""
        self._last_state = scard.SCARD_STATE_UNAWARE
        self._tries = 0  # of asking the card that lies there
        self._hanging: threading.Thread | None = None
        self._mine: socket.socket | None = None

    def open(self) -> None:
        with self._closing, self._in_use:
            if self._context is not None:
                raise RuntimeError(f"{self._name} is already open: close it first")
            if self._hanging is not None and self._hanging.is_alive():
                raise DeviceGone("the PC/SC reader hangs: replug it, or restart pcscd")
            context = self._bounded(_new_context)
            try:
                self._name = self._bounded(lambda: _named(context, self.reader))
                self._mine = None if self._shared else _reserved(self._name)
            except DeviceError:
                scard.SCardReleaseContext(context)
                raise
            self._context, self._last_state, self._tries = context, scard.SCARD_STATE_UNAWARE, 0

    def read(self, timeout_s: float) -> bytes:
        with self._in_use:
            context = self._need_context()
            result, states = scard.SCardGetStatusChange(
                context, int(timeout_s * 1000), [(self._name, self._last_state)]
            )
            if result in (scard.SCARD_E_TIMEOUT, scard.SCARD_E_CANCELLED):
                return b""
            _check(result, self._name)
            [(_, now, atr)] = states
            if now & _AWAY:
                raise DeviceGone(f"{self._name} was pulled: plug it in again")
            before, self._last_state = self._last_state, now & ~scard.SCARD_STATE_CHANGED
            if _presence(before) == _presence(now):
                return b""  # somebody connected or let go
            return self._to_line(context, now, bytes(atr), first=before == scard.SCARD_STATE_UNAWARE)

    def write(self, data: bytes) -> None:
        raise NotSupported("a PC/SC reader is only read here; its lamp is an indicator of its own")

    def close(self) -> None:
        with self._closing:
            context = self._context
            if context is None:
                return
            self._context = None
            scard.SCardCancel(context)
            with self._in_use:
                if self._hanging is None or not self._hanging.is_alive():
                    scard.SCardReleaseContext(context)
                if self._mine is not None:
                    self._mine.close()
                self._mine = None

    def transmit(self, command: bytes) -> bytes:
        """Returns the answer to a command for the reader itself: through the card that lies there, else past it."""
        with self._in_use:
            context = self._need_context()
            return self._bounded(lambda: _to_reader(context, self._name, command))

    def _need_context(self) -> int:
        if self._context is None:
            raise DeviceGone("the PC/SC reader is not open")
        return self._context

    def _to_line(self, context: int, state: int, atr: bytes, *, first: bool) -> bytes:
        if not state & scard.SCARD_STATE_PRESENT:
            self._tries = 0
            return b"" if first else pcsc.REMOVED
        if state & scard.SCARD_STATE_MUTE:
            return pcsc.MUTE
        line = self._bounded(lambda: _with_card(context, self._name, lambda card: self._ask(card, atr)))
        if line is not None:
            self._tries = 0
            return line
        self._tries += 1
        if self._tries == TRIES_MAX:  # some card that does not answer, or some program that holds it
            self._tries = 0
            return pcsc.MUTE
        self._last_state = scard.SCARD_STATE_UNAWARE  # it moved while it was asked: look again
        return b""

    def _ask(self, card: "_CardConnection", atr: bytes) -> bytes:
        """Returns the line of a card that is connected. Raises _CardLeft."""
        response = card.transmit(pcsc.GET_UID)
        if self._keyring is None or response[-2:] != b"\x90\x00":
            return pcsc.encode(atr, response)
        talk = self._keyring.ask(pcsc.kind(atr), response[:-2], self._draw)
        try:
            wanted = next(talk)
            while True:
                *before, last = pcsc.command(wanted)
                for command in before:
                    card.transmit(command)
                wanted = talk.send(pcsc.answer(wanted, card.transmit(last)))
        except StopIteration as ended:
            return pcsc.encode(atr, response, ended.value)

    def _bounded(self, call: Callable[[], T]) -> T:
        """Returns or raises what `call` does, and raises DeviceGone where that takes too long."""
        outcome: list[T] = []
        error: list[DeviceError] = []

        def run() -> None:
            try:
                outcome.append(call())
            except DeviceError as raised:
                error.append(raised)

        thread = threading.Thread(target=run, name="pcsc", daemon=True)
        thread.start()
        thread.join(self._call_s)
        if error:
            raise error[0]
        if not outcome:
            self._hanging = thread
            raise DeviceGone(f"{self._name or 'the PC/SC reader'} hangs: replug it, or restart pcscd")
        return outcome[0]


def _new_context() -> int:
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    _check(result, "PC/SC")
    established: int = context
    return established


def _named(context: int, part: str) -> str:
    """Returns the one reader whose name has this part."""
    result, listed = scard.SCardListReaders(context, [])
    if result != scard.SCARD_E_NO_READERS_AVAILABLE:
        _check(result, "PC/SC")
    names: Sequence[str] = list(listed)[:READERS_MAX]
    fitting = [name for name in names if name == part] or [name for name in names if part in name]
    if not fitting:
        raise DeviceGone(
            f"no PC/SC reader {part!r}, there are: {', '.join(names) or 'none'}; plug it in, and see that the kernel's "
            "pn533_usb does not hold it (our modprobe.d file keeps it away)"
        )
    if len(fitting) > 1:
        raise NotSupported(f"reader: {part!r} fits several, name one of: {', '.join(fitting)}")
    return fitting[0]


def _reserved(name: str) -> socket.socket:
    """Returns an abstract socket named after the reader. Only one process of ours can have it, and it goes with its
    process.
    """
    mine = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mine.bind(b"\0edge-agent/pcsc/" + name.encode()[:64])
    except OSError as error:
        mine.close()
        raise DeviceBusy(
            f"{name} is read by another kiosk process: `lsof -U | grep edge-agent/pcsc` says by which"
        ) from error
    return mine


class _CardLeft(Exception):
    """The card is away, or another program holds it: look again."""


@dataclass(frozen=True, slots=True)
class _CardConnection:
    """One connection to the card that lies there."""

    card: int
    protocol: int
    reader: str

    def transmit(self, command: bytes) -> bytes:
        """Returns the card's answer. Raises _CardLeft, DeviceGone."""
        header = scard.SCARD_PCI_T1 if self.protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
        result, response = scard.SCardTransmit(self.card, header, list(command))
        if result in _CARD_AWAY:
            raise _CardLeft
        _check(result, self.reader)
        return bytes(response)


def _with_card(context: int, name: str, call: Callable[[_CardConnection], T]) -> T | None:
    """Returns what `call` does over a connection made for it; None when the card has left meanwhile."""
    result, card, protocol = scard.SCardConnect(context, name, scard.SCARD_SHARE_SHARED, _EITHER)
    if result in _CARD_AWAY:
        return None
    _check(result, name)
    try:
        return call(_CardConnection(card, protocol, name))
    except _CardLeft:
        return None
    finally:
        scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)


def _to_reader(context: int, name: str, command: bytes) -> bytes:
    response = _with_card(context, name, lambda card: card.transmit(command))
    if response is not None:
        return response
    result, card, _ = scard.SCardConnect(context, name, scard.SCARD_SHARE_DIRECT, 0)
    _check(result, name)
    try:
        result, escaped = scard.SCardControl(card, scard.SCARD_CTL_CODE(3500), list(command))
    finally:
        scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
    if result != scard.SCARD_S_SUCCESS:
        raise NotSupported(
            f"{name} takes no commands without a card: set ifdDriverOptions to 0x0001 in /etc/libccid_Info.plist and "
            "restart pcscd"
        )
    return bytes(escaped)


def _presence(state: int) -> tuple[int, int]:
    """Returns the two numbers that change when a card comes or goes, even between two looks: the flag, and pcscd's
    count.
    """
    return state & (scard.SCARD_STATE_PRESENT | scard.SCARD_STATE_EMPTY), state >> 16


_CARD_AWAY = (
    scard.SCARD_E_NO_SMARTCARD,
    scard.SCARD_W_REMOVED_CARD,
    scard.SCARD_W_RESET_CARD,
    scard.SCARD_W_UNPOWERED_CARD,
    scard.SCARD_W_UNRESPONSIVE_CARD,
    scard.SCARD_E_NOT_TRANSACTED,
    scard.SCARD_E_PROTO_MISMATCH,
    scard.SCARD_E_SHARING_VIOLATION,
)
_NO_SERVICE = (scard.SCARD_E_NO_SERVICE, scard.SCARD_E_SERVICE_STOPPED, scard.SCARD_F_COMM_ERROR)


def _check(result: int, what: str) -> None:
    """Raises an error that the caller can act on, unless the call went well."""
    if result == scard.SCARD_S_SUCCESS:
        return
    if result in _NO_SERVICE:
        raise DeviceGone("pcscd does not answer: systemctl enable --now pcscd.socket")
    if result == scard.SCARD_W_SECURITY_VIOLATION:
        raise DeviceGone(
            "polkit lets this user not to the readers: allow org.debian.pcsc-lite.access_pcsc and access_card for it"
        )
    if result in (scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE):
        raise DeviceGone(f"{what} was pulled: plug it in again")
    raise DeviceGone(f"{what}: {scard.SCardGetErrorMessage(result)}; replug the reader")
