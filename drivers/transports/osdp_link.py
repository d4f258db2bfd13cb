"""The line to one OSDP reader: libosdp's control panel on one of our transports, driven by the thread that reads.

libosdp's own thread is not used: `turn` moves the control panel on with what has come in, in the thread that reads.
So there is no thread to die unseen, and an error of the line is raised where it can be dealt with. libosdp demands
that its channel never raises (an error there ends its work without a word), so `_LibosdpChannel` keeps errors for
`turn`.

Two things libosdp does not do: once it calls a reader offline it waits 300 seconds, so that the link ends instead and
is opened anew with a new control panel; and it does not say why a secure channel fails, so that an ear of our own
follows the frames: nothing heard is no reader, a cryptogram that our key does not give is another key.

Bytes are polled by question and answer: the line needs a `turn` every second or so, or the reader gives up.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import osdp as libosdp
import osdp_sys

from drivers.base import Monotonic, Transport
from drivers.errors import DeviceError, DeviceGone, NotSupported
from drivers.protocols import osdp
from drivers.protocols.fault import Fault
from drivers.protocols.osdp_secure import SecureSession

TURN_S = 0.02  # libosdp wants to be called this often
REPLY_S = 0.25  # libosdp calls a reply overdue after 0.2 s
OSDP_ANSWER_S = 3.0  # to find a reader and to agree on a secure channel takes 0.2 to 1.5 s
OPENING_TURNS_MAX = 1_000  # even when the clock stands still
SILENCE_S = 3.0  # a reader that says nothing for so long, though asked 20 times a second, is away
COMMANDS_MAX = 16
LINK_EVENTS_MAX = 64
_Notification = libosdp.EventNotification

T = TypeVar("T")

Command = Mapping[str, int | bool | str | bytes]
"""A command in libosdp's own words."""


@dataclass(frozen=True, slots=True)
class Access:
    """The address of a reader, and the way it is trusted. Without a key it speaks in clear. `installing`: a reader in
    install mode, which is opened with the key that everybody knows and then gets this one.
    """

    port: str
    address: int = 0
    scbk: bytes | None = field(default=None, repr=False)
    installing: bool = False


class _Ear:
    """Follows the bytes that pass: finds broken frames, and whether the reader answers at all and has our key."""

    def __init__(self, access: Access, clock: Monotonic) -> None:
        self._address, self._clock = access.address, clock
        self._decoders = {"RECV": osdp.Decoder(), "SEND": osdp.Decoder()}
        self.session: SecureSession | None = SecureSession(access.scbk)  # None once it has served
        self.last_answer_ns = clock()
        self.answers = 0
        self._question_ns: int | None = None  # when; None: nothing is asked
        self.refusal = ""
        self.faults: deque[Fault] = deque(maxlen=LINK_EVENTS_MAX)

    def awaits(self) -> bool:
        """Tells if a question of ours may still be answered."""
        return self._question_ns is not None and self._clock() - self._question_ns < REPLY_S * 1_000_000_000

    def hear(self, direction: str, data: bytes) -> None:
        if direction == "SEND":
            self._question_ns = self._clock()
        for event in self._decoders[direction].feed(data):
            if isinstance(event, Fault):
                self.faults.append(event)
                continue
            if self.session is not None:
                self.session.open(event)
            if event.reply and event.address == self._address:
                self.last_answer_ns = self._clock()
                self._question_ns = None
                self.answers += 1
                self.refusal = osdp.refusal(event) or self.refusal


class _LibosdpChannel(libosdp.Channel):  # type: ignore[misc]  # libosdp has no types
    """The channel that libosdp reads from and writes to. Only `receive` raises."""

    def __init__(self, transport: Transport, ear: _Ear) -> None:
        super().__init__()
        self._transport, self._ear = transport, ear
        self._received = bytearray()
        self.failed: DeviceError | None = None

    def receive(self, timeout_s: float) -> None:
        """Waits for bytes. Raises DeviceGone, unlike the methods that libosdp calls."""
        data = self._transport.read(timeout_s)
        self._ear.hear("RECV", data)
        self._received += data

    def read(self, max_bytes: int) -> bytes:
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        return data

    def write(self, buf: bytes) -> int:
        try:
            self._ear.hear("SEND", bytes(buf))
            self._transport.write(bytes(buf))
        except DeviceError as error:
            self.failed = error
        return len(buf)

    def flush(self) -> None:
        """Throws away what came unasked: libosdp calls this before each command, and such bytes are no answer to it."""
        self._received.clear()


class Turns(Protocol):
    """The right to ask, where readers share a line. See `drivers.transports.osdp_bus`."""

    def begin(self, timeout_s: float) -> bool: ...

    def end(self) -> None: ...


class Alone:
    """A line with one reader."""

    def begin(self, timeout_s: float) -> bool:
        return True

    def end(self) -> None:
        """Does nothing, since no other reader waits."""


class Link:
    def __init__(self, access: Access, transport: Transport, *, clock: Monotonic, turns: Turns | None = None) -> None:
        self.access = access
        self._transport, self._clock = transport, clock
        self._turns = turns or Alone()
        self._in_use = threading.Lock()  # held by the thread that drives the panel; close wakes it, then waits
        self._panel: osdp_sys.ControlPanel | None = None
        self._ear = _Ear(access, clock)
        self._channel = _LibosdpChannel(transport, self._ear)
        self._events: deque[Mapping[str, int | bytes]] = deque(maxlen=LINK_EVENTS_MAX)
        self._commands: deque[Command] = deque(maxlen=COMMANDS_MAX)
        self._wishes = threading.Lock()
        self._closing = threading.Event()
        self.online = False
        self._gave_up = False
        self.keyed = False  # the secure channel is up, and not with the key that everybody knows
        self.done = 0  # commands that the reader has carried out since the opening
        self.openings = 0  # a reader that was away may have forgotten how its lamp rests

    def open(self, access: Access) -> None:
        """Opens the line and waits for the reader. Raises DeviceGone while it is silent, NotSupported for another
        key.
        """
        self._transport.open()
        self._closing.clear()
        self.access = access
        with self._in_use:
            try:
                self._begin()
            except DeviceError:
                self._end()
                self._transport.close()
                raise
        with _links_lock:
            _links[self.access.port, self.access.address] = self

    def turn(self, timeout_s: float) -> tuple[Sequence[osdp.OsdpReport | Fault], Sequence[Fault]]:
        """Returns the reader's reports, and the faults on the line, after at most `timeout_s`. Raises DeviceGone once
        the reader is away.
        """
        with self._in_use:
            # Counted, not timed: each round waits for TURN_S at most, and an early end is allowed.
            for turns in range(int(timeout_s / TURN_S), -1, -1):
                self._move(TURN_S if turns else 0.0)
                if not self.online:
                    raise DeviceGone(f"{self._who()} is away: check its cable and its power")
                if self._events or self._ear.faults:
                    break
            cards = [card for event in _drain(self._events) if (card := _card(event))]
            return cards, _drain(self._ear.faults)

    def submit(self, commands: Sequence[Command]) -> None:
        """Plans commands for the next turn, from any thread. The oldest that still wait give way to newer ones. Raises
        DeviceGone while the reader is away.
        """
        if not self.online:
            raise DeviceGone(f"{self._who()} is not there: see the reader of the same port")
        with self._wishes:
            self._commands.extend(commands)

    def close(self) -> None:
        self._closing.set()
        self._transport.close()  # wakes the thread that waits in `turn` or `open`
        with _links_lock:
            place = self.access.port, self.access.address
            if _links.get(place) is self:
                del _links[place]
        with self._in_use:
            self._end()

    def _begin(self) -> None:
        osdp_sys.set_loglevel(libosdp.LogLevel.Emergency)  # it writes to standard error; we say what matters
        self._ear = _Ear(self.access, self._clock)
        self.done, self.keyed, self._gave_up = 0, False, True
        began_ns = self._clock()
        for _ in range(OPENING_TURNS_MAX):
            if self._clock() - began_ns > OSDP_ANSWER_S * 1_000_000_000:
                break
            if self._gave_up:
                self._new_panel()
            self._move(TURN_S)
            if self.online:
                self.openings += 1
                self._ear.session = None
                self._ear.faults.clear()  # the first bytes after an opening are often half a frame
                return
            if self._has_another_key():
                break
        raise self._why_not()

    def _new_panel(self) -> None:
        """Makes a control panel that knows nothing of earlier tries; the reader begins anew with sequence 0."""
        self._channel = _LibosdpChannel(self._transport, self._ear)
        enforced = self.access.scbk is not None and not self.access.installing
        trust = libosdp.LibFlag.EnforceSecure if enforced else libosdp.LibFlag.InstallMode
        info = libosdp.PDInfo(
            self.access.address,
            self._channel,
            scbk=self.access.scbk,
            flags=[trust, libosdp.LibFlag.EnableNotification],
        )
        self._panel = osdp_sys.ControlPanel([info.get()])
        self._panel.set_event_callback(self._note)
        self._panel.set_command_completion_callback(self._count)
        self._gave_up = False

    def _end(self) -> None:
        self._panel, self.online, self.keyed = None, False, False
        self._events.clear()
        with self._wishes:
            self._commands.clear()

    def _move(self, timeout_s: float) -> None:
        """Moves the control panel on by one step, with the bytes that have come in meanwhile."""
        if self._panel is None:
            raise DeviceGone(f"{self._who()} is not open")
        if self._turns.begin(timeout_s):
            awaited = self._ear.awaits()
            self._step(self._panel, timeout_s if awaited else 0.0)
            if not self._ear.awaits():
                self._turns.end()
                if not awaited:  # nothing to ask yet
                    self._closing.wait(timeout_s)
        silent = self._clock() - self._ear.last_answer_ns > SILENCE_S * 1_000_000_000
        secure = bool(self._panel.sc_status()) or self.access.scbk is None
        self.online = bool(self._panel.status()) and secure and not silent

    def _step(self, panel: osdp_sys.ControlPanel, timeout_s: float) -> None:
        self._channel.receive(timeout_s)
        with self._wishes:
            wishes, self._commands = self._commands, deque(maxlen=COMMANDS_MAX)
        for command in wishes:
            panel.submit_command(0, command)
        panel.refresh()
        if self._channel.failed is not None:
            raise self._channel.failed

    def _note(self, _pd: int, event: Mapping[str, int | bytes]) -> int:
        """Notes an event. It is called by libosdp inside `refresh`, and must not raise."""
        match event:
            case {"event": libosdp.Event.Notification, "type": _Notification.PeripheralDeviceStatus, "arg0": 0}:
                self._gave_up = True  # and would now wait for 300 seconds
            case {
                "event": libosdp.Event.Notification,
                "type": _Notification.SecureChannelStatus,
                "arg0": on,
                "arg1": is_default_key,
            }:
                self.keyed = bool(on) and not is_default_key
            case {"event": libosdp.Event.CardRead | libosdp.Event.KeyPress}:
                self._events.append(event)
        return 0

    def _count(self, _pd: int, _command: Command, status: int) -> None:
        """Counts a finished command. It is called by libosdp inside `refresh`, and must not raise."""
        self.done += status == libosdp.CompletionStatus.Ok

    def _who(self) -> str:
        return f"the OSDP reader at address {self.access.address} on {self.access.port}"

    def _has_another_key(self) -> bool:
        if self.access.installing or self._ear.session is None:
            return False
        return self._ear.session.key_fits is False

    def _why_not(self) -> DeviceError:
        who = self._who()
        if not self._ear.answers:
            return DeviceGone(f"{who} does not answer: check its power, the wires A and B, its address and its speed")
        if self._has_another_key():
            return NotSupported(
                f"{who} answers, but has another key than key_file: commission it anew, or find its key"
            )
        because = f" ({self._ear.refusal})" if self._ear.refusal else ""
        return DeviceGone(f"{who} answers, but no secure channel comes up{because}: commission it, or update it")


_links: dict[tuple[str, int], Link] = {}
_links_lock = threading.Lock()


def on(port: str, address: int) -> Link:
    """Returns the open link to this reader, for a light that sits in it. Raises DeviceGone while there is none."""
    with _links_lock:
        if (port, address) in _links:
            return _links[port, address]
    raise DeviceGone(
        f"no OSDP reader with address {address} is open on {port}: its light needs a reader with the same port and "
        "address in the settings"
    )


def _card(event: Mapping[str, int | bytes]) -> osdp.OsdpReport | Fault | None:
    """Returns a card or keys from libosdp's event, whose length is not trusted."""
    match event:
        case {"event": libosdp.Event.KeyPress, "data": bytes(keys)}:
            return osdp.parse_card(osdp.KEYPAD, bytes((0, len(keys))) + keys) if len(keys) <= 0xFF else None
        case {"format": libosdp.CardFormat.ASCII, "data": bytes(text)}:
            return osdp.parse_card(osdp.FMT, bytes((0, 0, len(text))) + text) if len(text) <= 0xFF else None
        case {"format": int(form), "length": int(bits), "data": bytes(data)}:
            return osdp.parse_card(osdp.RAW, bytes((0, form & 0xFF)) + (bits & 0xFFFF).to_bytes(2, "little") + data)
    return None


def _drain(queue: deque[T]) -> list[T]:
    drained = list(queue)
    queue.clear()
    return drained
