"""The samples of a day: every five minutes of monotonic time, and no more than a day of them."""

from datetime import timedelta

from edge_agent.domain.moment import Moment
from edge_agent.runtime.day_history import DAY_SAMPLES_MAX, SAMPLE_MS, DayHistory
from edge_agent.runtime.devices import DevicePresence
from tests.edge_agent.journal.samples import StandingClock


def test_a_sample_is_due_every_five_minutes_whatever_the_wall_clock_does() -> None:
    clock, history = StandingClock(), DayHistory()
    door = DevicePresence("door", "em4100")
    moment = clock()
    assert history.is_due(moment)
    history.note(moment, 7, 3 * 1024 * 1024, [door])
    stepped = Moment(moment.utc + timedelta(hours=3), moment.mono_ms, moment.boot, moment.clock)
    assert not history.is_due(stepped), "the wall clock moved"
    clock.forward(seconds=SAMPLE_MS / 1000)
    assert history.is_due(clock())
    (sample,) = history.samples()
    assert (sample.queue, sample.readings, sample.free_mib) == (7, 0, 3)


def test_a_day_is_kept_and_the_oldest_goes() -> None:
    clock, history = StandingClock(), DayHistory()
    for number in range(DAY_SAMPLES_MAX + 3):
        history.note(clock(), number, 0, [])
    assert [sample.queue for sample in history.samples()][:1] == [3]
    assert len(history.samples()) == DAY_SAMPLES_MAX
