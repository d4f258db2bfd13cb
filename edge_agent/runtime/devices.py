"""One thread a device: open it, read it, hand over what it saw; when it goes away, open it again with backoff."""

import logging
import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from drivers import registry
from drivers.base import Indicator, Reader, Signal
from drivers.errors import DeviceBusy, DeviceError, DeviceGone, NotSupported, ProtocolError
from drivers.readings import CardRead, CardRemoved, CodeRead, DeviceEvent, PalmFrame, PersonMatched, StreamFault
from drivers.registry import DriverEntry
from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.process.metrics import Counters
from edge_agent.process.supervision import Pulse
from edge_agent.runtime.inbox import Inbox, Scan
from edge_agent.settings import DeviceSettings

log = logging.getLogger(__name__)

READ_S = 0.5
REOPEN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
UNSUPPORTED_S = 60.0  # a settings mistake does not mend itself, but a library may be installed meanwhile
SHOWS_WAITING_MAX = 16


@dataclass(slots=True)
class Presence:
    """Whether a device is there, as its thread last knew; read by others, written by that thread alone."""

    name: str
    driver: str
    there: bool = False
    why: str = "not opened yet"
    readings: int = 0
    faults: int = 0

    def came(self) -> None:
        self.there, self.why = True, ""
        log.info("%s (%s) is there", self.name, self.driver)

    def went(self, error: DeviceError) -> None:
        """Told once, not at every attempt."""
        if self.there or self.why != str(error):
            log.warning("%s (%s): %s", self.name, self.driver, error)
        self.there, self.why = False, str(error)


@dataclass(frozen=True, slots=True)
class ReaderPresences:
    """The presences of all readers in the order of the settings, and by what they bring."""

    everyone: tuple[Presence, ...]
    cameras: tuple[Presence, ...]  # they bring pictures
    palm_terminals: tuple[Presence, ...]  # they recognise palms by themselves
    cards: tuple[Presence, ...]  # all others

    @classmethod
    def of_settings(cls, readers: Sequence[DeviceSettings], drivers: Mapping[str, DriverEntry]) -> "ReaderPresences":
        """Returns a presence for each configured reader, not opened yet."""
        everyone = tuple(Presence(reader.name, reader.driver) for reader in readers)
        cameras = tuple(reader for reader in everyone if registry.entry(reader.driver, drivers).camera)
        terminals = tuple(reader for reader in everyone if "palm" in reader.driver and reader not in cameras)
        cards = tuple(reader for reader in everyone if reader not in cameras and reader not in terminals)
        return cls(everyone, cameras, terminals, cards)

    def gone(self) -> tuple[str, ...]:
        """Returns the names of the readers that are not there."""
        return tuple(reader.name for reader in self.everyone if not reader.there)


@dataclass(slots=True)
class ReaderLoop:
    reader: Reader
    presence: Presence
    inbox: Inbox
    now: MomentSource
    lost: Callable[[Feedback], None]  # shows that a reading could not be taken
    counters: Counters
    frames: Callable[[PalmFrame, Moment], None] | None = None  # where pictures go; must not block. None: nowhere

    def body(self, pulse: Pulse) -> None:
        failures = 0
        while not pulse.is_stopping():
            try:
                self.reader.open()
                self.presence.came()
                failures = 0
                while not pulse.is_stopping():
                    self._read()
                    pulse.beat()
            except (DeviceGone, DeviceBusy, ProtocolError, NotSupported) as error:
                self.presence.went(error)
                wait_s = UNSUPPORTED_S if isinstance(error, NotSupported) else _backoff(failures)
            else:
                wait_s = 0.0
            finally:
                self.reader.close()
            failures += 1
            pulse.wait(wait_s)

    def _read(self) -> None:
        for event in self.reader.read(READ_S):
            self._hand_over(event, self.now())

    def _hand_over(self, event: DeviceEvent, moment: Moment) -> None:
        match event:
            case CardRead() | CodeRead() | PersonMatched():
                taken = self.inbox.put(Scan(event, moment))
                self.presence.readings += 1
                self.counters.readings.labels(self.presence.name).inc()
                if not taken:
                    self.counters.readings_lost.inc()
                    log.error("%s: a reading could not be taken, the station does not keep up", self.presence.name)
                    self.lost(Feedback(FeedbackKind.NOT_RECORDED))
            case PalmFrame():
                self.counters.frames.labels(self.presence.name).inc()
                if self.frames is not None:
                    self.frames(event, moment)
            case StreamFault(what=what):
                self.presence.faults += 1
                self.counters.stream_faults.labels(self.presence.name).inc()
                log.debug("%s: %s", self.presence.name, what)
            case CardRemoved():
                pass  # a visit does not end by taking the card away
            case _:
                assert_never(event)


@dataclass(slots=True)
class IndicatorLoop:
    """A light, a buzzer, a relay. A signal that cannot be shown in time is dropped: the next child is already there."""

    indicator: Indicator
    presence: Presence
    _signals: "queue.SimpleQueue[Signal]" = field(default_factory=queue.SimpleQueue)

    def show(self, signal: Signal) -> None:
        """Never blocks."""
        if self._signals.qsize() < SHOWS_WAITING_MAX:
            self._signals.put(signal)
        else:
            log.debug("%s: too slow, a signal was dropped", self.presence.name)

    def body(self, pulse: Pulse) -> None:
        failures = 0
        while not pulse.is_stopping():
            try:
                self.indicator.open()
                self.presence.came()
                failures = 0
                while not pulse.is_stopping():
                    self._show_next()
                    pulse.beat()
            except (DeviceGone, DeviceBusy, ProtocolError, NotSupported) as error:
                self.presence.went(error)
            finally:
                self.indicator.close()
            failures += 1
            pulse.wait(_backoff(failures - 1))

    def _show_next(self) -> None:
        try:
            signal = self._signals.get(timeout=READ_S)
        except queue.Empty:
            return
        self.indicator.show(signal)


_SIGNALS = {
    FeedbackKind.IDLE: Signal.IDLE,
    FeedbackKind.WELCOME: Signal.WELCOME,
    FeedbackKind.GOODBYE: Signal.GOODBYE,
    FeedbackKind.NOTED: Signal.NOTED,
    FeedbackKind.AGAIN: Signal.ASK,
    FeedbackKind.ENROL: Signal.IDLE,
    FeedbackKind.SHOW_PALM: Signal.ASK,
    FeedbackKind.USE_CARD: Signal.ASK,
    FeedbackKind.ASK_STAFF: Signal.ASK,
    FeedbackKind.NOT_RECORDED: Signal.FAULT,
}


def signal_of(feedback: Feedback) -> Signal:
    """What a light says to a feedback; money has no part in it."""
    return _SIGNALS[feedback.kind]


def _backoff(failures: int) -> float:
    return REOPEN_S[min(failures, len(REOPEN_S) - 1)]
