"""Between device and station: what is queued, what happens when the queue is full, how a device comes and goes."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime

import pytest

from drivers.base import Signal
from drivers.errors import DeviceBusy, DeviceGone
from drivers.readings import CardRead, CardRemoved, DeviceEvent, FaultCause, StreamFault, Technology, Uid
from drivers.simulated.light import SimulatedLight, SimulatedLightSettings
from drivers.terminals import DoubtedClock
from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind
from edge_agent.domain.moment import Moment
from edge_agent.process.metrics import Counters
from edge_agent.process.supervision import Pulse, Supervisor
from edge_agent.runtime.devices import DevicePresence, IndicatorLoop, ReaderLoop, choose_signal
from edge_agent.runtime.inbox import Inbox, Scan, StationJob
from sync.contract.event import ClockQuality
from tests.edge_agent.process.test_supervision import eventually

CARD = CardRead("door", Uid(Technology.EM4100, bytes(5), 40), 0)


def now() -> Moment:
    return Moment(datetime(2026, 11, 20, 7, 0, tzinfo=UTC), 0, "boot", ClockQuality.SYNCHRONISED)


class Scripted:
    """A reader that plays a list: events to report, or an error to raise, one a call."""

    name = "door"

    def __init__(self, script: Sequence[Sequence[DeviceEvent] | Exception]) -> None:
        self._script = list(script)
        self.opened = 0
        self.closed = 0

    def open(self) -> None:
        self.opened += 1
        if self._script and isinstance(self._script[0], DeviceBusy):
            raise self._script.pop(0)  # type: ignore[misc]  # it was just seen to be an error

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        if not self._script:
            threading.Event().wait(0.01)
            return ()
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.closed += 1


def loop(reader: Scripted, inbox: Inbox, lost: list[Feedback]) -> ReaderLoop:
    presence = DevicePresence("door", "scripted")
    return ReaderLoop(reader, presence, inbox, now, lost.append, Counters())


def test_readings_reach_the_inbox_with_the_moment_of_their_arrival() -> None:
    inbox, lost = Inbox(), list[Feedback]()
    reader = Scripted([[StreamFault("door", "noise", 0), CARD], [CardRemoved("door", 0)], [CARD]])
    reader_loop = loop(reader, inbox, lost)
    supervisor = Supervisor()
    supervisor.add("reader", reader_loop.run)
    supervisor.start()
    assert [inbox.next_work(30), inbox.next_work(30)] == [Scan(CARD, now()), Scan(CARD, now())]
    assert supervisor.stop() == []
    assert (reader_loop.presence.readings, reader_loop.presence.faults) == (2, 1)
    assert lost == []


def test_a_device_that_goes_or_is_held_is_opened_again(caplog: pytest.LogCaptureFixture) -> None:
    inbox = Inbox()
    unplugged = DeviceGone("pulled")
    reader = Scripted([DeviceBusy("held by another"), unplugged, unplugged, [CARD]])
    supervisor = Supervisor()
    supervisor.add("reader", loop(reader, inbox, []).run)
    supervisor.start()
    assert inbox.next_work(30) == Scan(CARD, now())
    assert supervisor.stop() == []
    assert reader.opened == 4
    assert reader.closed == reader.opened
    assert caplog.text.count("pulled") == 2  # each time it went, not at every attempt


def test_a_phone_is_told_to_child_and_staff_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    phone = StreamFault("door", "a random number (08…), as phones give: use a card", 0, FaultCause.PHONE)
    shown: list[Feedback] = []
    reader_loop = loop(Scripted([[StreamFault("door", "noise", 0)], [phone] * 3, [CARD]]), inbox := Inbox(), shown)
    supervisor = Supervisor()
    supervisor.add("reader", reader_loop.run)
    supervisor.start()
    assert inbox.next_work(30) == Scan(CARD, now())
    assert supervisor.stop() == []
    [feedback] = shown  # a phone that lies there is refused at each poll, and said once
    assert (feedback.kind, feedback.advice) == (FeedbackKind.USE_CARD, Advice.NO_PHONE)
    assert choose_signal(feedback) is Signal.ASK
    last = reader_loop.presence.refusals.last
    assert last is not None
    assert (last.what, last.cause, last.count, last.seen_utc) == (phone.what, FaultCause.PHONE, 3, now().utc)
    assert [record.levelname for record in caplog.records if "random number" in record.message] == ["WARNING"]


def test_a_full_queue_is_shown_on_the_screen_and_never_silently_dropped() -> None:
    inbox = Inbox(waiting_max=1)
    assert inbox.add_work(Scan(CARD, now()), 0)
    assert not inbox.add_work(Scan(CARD, now()), 0)
    lost: list[Feedback] = []
    reader_loop = loop(Scripted([[CARD]]), inbox, lost)
    supervisor = Supervisor()
    supervisor.add("reader", reader_loop.run)
    supervisor.start()
    eventually(lambda: bool(lost))
    assert supervisor.stop() == []
    assert [feedback.kind for feedback in lost] == [FeedbackKind.NOT_RECORDED]


class CallingTerminals:
    """Terminals that are all there."""

    wall = staticmethod(lambda: datetime.now(UTC))
    trusts_wall = staticmethod(lambda: True)

    def absence(self) -> str:
        return ""

    def doubted_clocks(self) -> Sequence[DoubtedClock]:
        return ()


def test_a_terminal_whose_reading_found_no_room_is_not_read_again_but_closed() -> None:
    inbox = Inbox(waiting_max=1)
    assert inbox.add_work(Scan(CARD, now()), 0)
    reader = Scripted([[CARD, CARD]])
    reader_loop = loop(reader, inbox, [])
    reader_loop.presence.terminals = CallingTerminals()
    with pytest.raises(DeviceBusy, match="does not keep up"):
        reader_loop._read()
    assert reader_loop.readings_lost == 2


class SilentThenAwake:
    """A device behind a port that opens at once; it answers later."""

    has_answered = False


def test_an_open_port_is_no_device_that_has_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    device = SilentThenAwake()
    presence = DevicePresence("door", "pn532", questioned=device)
    for _ in range(3):  # the port opens, nobody answers, the port is closed
        presence.mark_opened()
        presence.watch_answer()
        assert not presence.is_present
        presence.mark_absent("does not answer")
    assert caplog.text.count("is there") == 0
    assert caplog.text.count("does not answer") == 1
    presence.mark_opened()
    device.has_answered = True
    presence.watch_answer()
    assert presence.is_present
    presence.watch_answer()
    assert caplog.text.count("is there") == 1


def test_a_job_that_nobody_waits_for_any_more_is_not_done() -> None:
    done: list[int] = []
    result: Future[Feedback | int] = Future()

    def work() -> int:
        done.append(1)
        return 1

    job = StationJob(work, result)
    assert result.cancel()
    job.run(lambda feedback: None)
    assert done == []


def test_a_job_shows_its_feedback_before_it_answers() -> None:
    result: Future[Feedback | int] = Future()
    shown: list[tuple[Feedback, bool]] = []
    StationJob(lambda: Feedback(FeedbackKind.WELCOME), result).run(
        lambda feedback: shown.append((feedback, result.done()))
    )
    assert shown == [(Feedback(FeedbackKind.WELCOME), False)]
    assert result.result(0) == Feedback(FeedbackKind.WELCOME)


def test_what_a_job_raises_goes_to_whoever_waits() -> None:
    result: Future[Feedback | int] = Future()

    def fails() -> int:
        raise ValueError("no")

    StationJob(fails, result).run(lambda feedback: None)
    with pytest.raises(ValueError, match="no"):
        result.result(0)


def test_every_feedback_has_a_signal_and_none_speaks_about_money() -> None:
    assert {choose_signal(Feedback(child)) for child in FeedbackKind} == set(Signal)


def test_a_light_that_is_too_slow_never_blocks() -> None:
    light = SimulatedLight("light", SimulatedLightSettings())
    indicator = IndicatorLoop(light, DevicePresence("light", "simulated-light"))
    for _ in range(100):
        indicator.show(Signal.WELCOME)

    pulse = Pulse(lambda: 0.0)
    thread = threading.Thread(target=indicator.run, args=(pulse,))
    thread.start()
    eventually(lambda: len(light.shown) > 0)
    pulse.stop()
    thread.join()
    assert indicator.presence.is_present
