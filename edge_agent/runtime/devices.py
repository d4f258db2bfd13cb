"""One thread a device: open it, use it, and open it again with backoff when it goes away."""

import logging
import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from drivers.base import QuestionedReader, Signal
from drivers.bench import line_signs
from drivers.bench.line_signs import LineSigns
from drivers.errors import DeviceBusy, DeviceGone, NotSupported, ProtocolError
from drivers.readings import CardRead, CardRemoved, CodeRead, DeviceEvent, PalmFrame, PersonMatched, StreamFault
from drivers.registry import DriverEntry
from drivers.terminals import DoubtedClock, TerminalSource
from edge_agent.domain.feedback import Feedback, FeedbackKind
from edge_agent.domain.moment import Moment, MomentSource
from edge_agent.process.journald import FIELDS
from edge_agent.process.metrics import Counters
from edge_agent.process.repeated_faults import RepeatedFaults
from edge_agent.process.supervision import Pulse
from edge_agent.runtime.guarded import ReadableDevice, ShowingDevice
from edge_agent.runtime.inbox import Inbox, Scan
from edge_agent.runtime.refusals import RefusalBook
from edge_agent.runtime.unread_requests import UnreadRequests
from edge_agent.settings.tables import DeviceSettings

log = logging.getLogger(__name__)

READING_LOST = "a reading could not be taken, the station does not keep up"

DEVICE_WAIT_S = 0.5
REOPEN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
UNSUPPORTED_S = 60.0  # a settings mistake does not mend itself, but a library may be installed meanwhile
SIGNALS_WAITING_MAX = 16


@dataclass(slots=True)
class DevicePresence:
    """A device as its thread last knew it; that thread alone writes here, others read."""

    name: str
    driver: str
    is_present: bool = False
    why: str = "not opened yet"  # the reason of the absence, and what to do; empty while it is present
    readings: int = 0
    faults: int = 0
    refusals: RefusalBook = field(init=False)
    terminals: TerminalSource | None = None  # of a reader that terminals call
    questioned: QuestionedReader | None = None  # a reader that is there once it has answered
    doubted_clocks: tuple[DoubtedClock, ...] = ()
    unread_requests: UnreadRequests | None = None  # of a reader that may be told what it does not understand
    protocol: str = ""  # of its bytes, as the table of drivers names it

    def __post_init__(self) -> None:
        signs = LineSigns(self.protocol) if self.protocol in line_signs.PROTOCOLS else None
        self.refusals = RefusalBook(self.name, signs)

    @property
    def unread(self) -> int:
        """Counts the requests that nobody understood yet."""
        return 0 if self.unread_requests is None else len(self.unread_requests)

    def mark_opened(self) -> None:
        """Notes that the device was opened. A terminal that calls us is there once it has called, a device that is
        asked once it has answered.
        """
        if self.terminals is not None:
            self.watch_terminals()
        elif self.questioned is None:
            self.mark_present()

    def watch_answer(self) -> None:
        """Notes that a device which is asked has answered."""
        if self.questioned is not None and not self.is_present and self.questioned.has_answered:
            self.mark_present()

    def watch_terminals(self) -> None:
        """Notes which terminals are there, and whose clock is doubted; logs each change once."""
        if self.terminals is None:
            return
        absence = self.terminals.absence()
        if absence:
            self.mark_absent(absence)
        elif not self.is_present:
            self.mark_present()
        clocks = tuple(self.terminals.doubted_clocks())
        for clock in clocks:
            if clock not in self.doubted_clocks:
                self._log(logging.ERROR, f"the clock of {clock.terminal} is doubted: {clock.why}")
        self.doubted_clocks = clocks

    def mark_present(self) -> None:
        """Notes that the device was opened."""
        self.is_present, self.why = True, ""
        self._log(logging.INFO, "it is there")

    def mark_absent(self, why: str) -> None:
        """Notes that the device is gone; logs it once, not at every attempt."""
        if self.is_present or self.why != why:
            self._log(logging.ERROR, why)
        self.is_present, self.why = False, why

    def _log(self, level: int, text: str) -> None:
        fields = {"CANTEEN_SUBJECT": self.name, "CANTEEN_DRIVER": self.driver}
        log.log(level, "%s (%s): %s", self.name, self.driver, text, extra={FIELDS: fields})


@dataclass(frozen=True, slots=True)
class ReaderPresences:
    """The presences of all readers in the order of the settings, and by what they bring."""

    everyone: tuple[DevicePresence, ...]
    cameras: tuple[DevicePresence, ...]  # they bring pictures
    palm_terminals: tuple[DevicePresence, ...]  # they recognise palms by themselves
    cards: tuple[DevicePresence, ...]  # all others

    @classmethod
    def from_settings(cls, readers: Sequence[DeviceSettings], drivers: Mapping[str, DriverEntry]) -> "ReaderPresences":
        """Returns a presence for each configured reader, not opened yet."""
        everyone = tuple(
            DevicePresence(reader.name, reader.driver, protocol=_protocol(reader, drivers)) for reader in readers
        )
        cameras = tuple(reader for reader in everyone if reader.driver in drivers and drivers[reader.driver].camera)
        terminals = tuple(reader for reader in everyone if "palm" in reader.driver and reader not in cameras)
        cards = tuple(reader for reader in everyone if reader not in cameras and reader not in terminals)
        return cls(everyone, cameras, terminals, cards)

    def absent_names(self) -> tuple[str, ...]:
        """Returns the names of the readers that do not answer."""
        return tuple(reader.name for reader in self.everyone if not reader.is_present)


@dataclass(slots=True)
class ReaderLoop:
    """A reader's thread. It hands readings to the inbox, and pictures to `frames`, which must not block.

    `show` tells people that a reading could not be taken. `frames` None: nobody looks at pictures.
    """

    reader: ReadableDevice
    presence: DevicePresence
    inbox: Inbox
    now: MomentSource
    show: Callable[[Feedback], None]
    counters: Counters
    frames: Callable[[PalmFrame, Moment], None] | None = None
    report: Callable[[Sequence[DeviceEvent]], None] | None = None  # to a technician who watches, after each read
    faults: RepeatedFaults = field(default_factory=lambda: RepeatedFaults(log))
    readings_lost: int = 0  # for which the station had no room

    def run(self, pulse: Pulse) -> None:
        """Reads until the stop; opens the reader again, with backoff, each time it goes away."""
        failures = 0
        while not pulse.is_stopping():
            try:
                self.reader.open()
                self.presence.mark_opened()
                failures = 0
                while not pulse.is_stopping():
                    self._read()
                    pulse.beat()
            except (DeviceGone, DeviceBusy, ProtocolError, NotSupported) as error:
                self.presence.mark_absent(str(error))
                wait_s = UNSUPPORTED_S if isinstance(error, NotSupported) else _backoff_s(failures)
            else:
                wait_s = 0.0
            finally:
                self.reader.close()
            failures += 1
            pulse.wait(wait_s)

    def _read(self) -> None:
        events = self.reader.read(DEVICE_WAIT_S)
        lost_before = self.readings_lost
        for event in events:
            self._hand_over(event, self.now())
        feedback = self.presence.refusals.judge_line(self.now())
        if feedback is not None:
            self.show(feedback)
        if self.report is not None:
            self.report(events)
        self.presence.watch_terminals()
        self.presence.watch_answer()
        if self.readings_lost > lost_before and self.presence.terminals is not None:
            # Read again, it would tell its terminal that all was taken; closed, it lets the terminal send anew.
            raise DeviceBusy(f"{self.presence.name}: the station does not keep up: look at the disk and `doctor`")

    def _hand_over(self, event: DeviceEvent, moment: Moment) -> None:
        match event:
            case CardRead() | CodeRead() | PersonMatched():
                self.presence.refusals.note_reading()
                is_queued = self.inbox.add_work(Scan(event, moment))
                self.presence.readings += 1
                self.counters.readings.labels(self.presence.name).inc()
                if not is_queued:
                    self.readings_lost += 1
                    self.counters.readings_lost.inc()
                    self.faults.note(self.presence.name, logging.ERROR, READING_LOST)
                    self.show(Feedback(FeedbackKind.NOT_RECORDED))
            case PalmFrame():
                self.counters.frames.labels(self.presence.name).inc()
                if self.frames is not None:
                    self.frames(event, moment)
            case StreamFault():
                self.presence.faults += 1
                self.counters.stream_faults.labels(self.presence.name).inc()
                feedback = self.presence.refusals.note(event, moment)
                if feedback is not None:
                    self.show(feedback)
            case CardRemoved():
                pass  # a visit does not end by taking the card away
            case _:
                assert_never(event)


@dataclass(slots=True)
class IndicatorLoop:
    """The thread of a light, a buzzer or a relay.

    A signal that cannot be shown in time is dropped: the next child is already there.
    """

    indicator: ShowingDevice
    presence: DevicePresence
    _signals: "queue.SimpleQueue[Signal]" = field(default_factory=queue.SimpleQueue)

    def show(self, signal: Signal) -> None:
        """Queues the signal; never blocks."""
        if self._signals.qsize() < SIGNALS_WAITING_MAX:
            self._signals.put(signal)
        else:
            log.debug("%s: too slow, a signal was dropped", self.presence.name)

    def run(self, pulse: Pulse) -> None:
        """Shows signals until the stop; opens the indicator again, with backoff, each time it goes away."""
        failures = 0
        while not pulse.is_stopping():
            try:
                self.indicator.open()
                self.presence.mark_present()
                failures = 0
                while not pulse.is_stopping():
                    self._show_next()
                    pulse.beat()
            except (DeviceGone, DeviceBusy, ProtocolError, NotSupported) as error:
                self.presence.mark_absent(str(error))
            finally:
                self.indicator.close()
            failures += 1
            pulse.wait(_backoff_s(failures - 1))

    def _show_next(self) -> None:
        try:
            signal = self._signals.get(timeout=DEVICE_WAIT_S)
        except queue.Empty:
            return
        self.indicator.show(signal)


def _protocol(reader: DeviceSettings, drivers: Mapping[str, DriverEntry]) -> str:
    return drivers[reader.driver].protocol if reader.driver in drivers else ""


_SIGNALS = {
    FeedbackKind.IDLE: Signal.IDLE,
    FeedbackKind.WELCOME: Signal.WELCOME,
    FeedbackKind.GOODBYE: Signal.GOODBYE,
    FeedbackKind.NOTED: Signal.NOTED,
    FeedbackKind.WAITING: Signal.NOTED,  # never green: its row is not on the disk yet
    FeedbackKind.AGAIN: Signal.ASK,
    FeedbackKind.ENROL: Signal.IDLE,
    FeedbackKind.SHOW_PALM: Signal.ASK,
    FeedbackKind.USE_CARD: Signal.ASK,
    FeedbackKind.ASK_STAFF: Signal.ASK,
    FeedbackKind.NOT_RECORDED: Signal.FAULT,
}


def choose_signal(feedback: Feedback) -> Signal:
    """Returns the signal that goes with a feedback; money has no part in it."""
    return _SIGNALS[feedback.kind]


def _backoff_s(failures: int) -> float:
    return REOPEN_S[min(failures, len(REOPEN_S) - 1)]
