"""The agent in this process, under a clock of the test's own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge_agent.domain.moment import Moment
from edge_agent.process.shutdown import Ending
from edge_agent.runtime.agent import Agent
from edge_agent.settings import loads
from sync.contract.event import Boot, ClockQuality, ClockStep, ConsentWithdrawn, RosterApplied, Stop, decode
from sync.contract.roster import Consent, Page, Person

START = Moment(datetime(2026, 11, 20, 7, 0, tzinfo=UTC), 1_000, "boot", ClockQuality.SYNCHRONISED)


class HandClock:
    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> Moment:
        return self.moment

    def pass_(self, seconds: float, step_s: float = 0.0, clock: ClockQuality = ClockQuality.SYNCHRONISED) -> None:
        wall = self.moment.utc + timedelta(seconds=seconds + step_s)
        self.moment = replace(self.moment, utc=wall, mono_ms=self.moment.mono_ms + int(seconds * 1000), clock=clock)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def agent(tmp_path: Path, clock: HandClock) -> Iterator[Agent]:
    text = f"""
        [kiosk]
        school = "sch-1"
        state_dir = "{tmp_path}/state"
        run_dir = "{tmp_path}/run"
        [journal]
        ballast_mib = 0
        [screen]
        enabled = false
    """
    made = Agent(loads(text, tmp_path / "agent.toml"), now=clock)
    made.start({})
    yield made
    made.stop()


def kept(agent: Agent) -> list[object]:
    return [decode(row.payload) for row in reversed(agent.journal.recent(100))]


def test_a_jump_of_the_wall_clock_is_an_event_and_slewing_is_none(agent: Agent, clock: HandClock) -> None:
    agent.tick()
    clock.pass_(1.0, step_s=0.3)
    agent.tick()
    assert not [event for event in kept(agent) if isinstance(event, ClockStep)]
    clock.pass_(1.0, step_s=-14 * 86_400, clock=ClockQuality.UNSYNCHRONISED)
    agent.tick()
    (step,) = [event for event in kept(agent) if isinstance(event, ClockStep)]
    assert step.step_ms == -14 * 86_400_000
    assert step.before is ClockQuality.SYNCHRONISED
    assert step.clock is ClockQuality.UNSYNCHRONISED


def test_boot_and_stop_frame_a_life(tmp_path: Path, agent: Agent) -> None:
    (boot,) = kept(agent)
    assert isinstance(boot, Boot)
    assert boot.clean  # nothing was before
    path = agent.journal.path
    agent.stop()
    agent.start({})
    _, stop, second = kept(agent)
    assert agent.journal.path == path
    assert isinstance(stop, Stop)
    assert isinstance(second, Boot)
    assert second.clean


def test_a_withdrawn_consent_leaves_a_receipt(agent: Agent, clock: HandClock) -> None:
    person = Person(id="u-1", given_name="A", family_name="B")
    consent = Consent(id="u-1.palm", person="u-1", given_at="2026-09-01T04:00:00Z")
    page = Page(school="sch-1", since=0, version=1, changes=(person, consent), whole=True)
    agent.new_roster((page,), clock().utc)
    agent.new_roster((replace_version(page, 2, (person,)),), clock().utc)
    events = kept(agent)
    (receipt,) = [event for event in events if isinstance(event, ConsentWithdrawn)]
    assert receipt.person == "u-1"
    assert [event.roster for event in events if isinstance(event, RosterApplied)] == [1, 2]


def replace_version(page: Page, version: int, changes: tuple[Person, ...]) -> Page:
    return Page(school=page.school, since=0, version=version, changes=changes, whole=True)


def test_a_condemned_journal_ends_the_process_and_the_next_start_sets_it_aside(agent: Agent) -> None:
    old = agent.journal.epoch
    agent.condemn("row 3 is not what was kept")
    assert agent.ending.is_set()
    agent.stop()
    agent.ending = Ending()
    agent.start({})
    assert agent.journal.epoch != old
    assert list(agent.journal.path.parent.glob("journal.db.damaged-*"))


def test_a_dead_part_is_a_fault_that_starves_the_watchdog(agent: Agent) -> None:
    assert agent.tick() == []
    agent._station_part.pulse.stop()
    assert agent._station_part.thread is not None
    agent._station_part.thread.join()
    assert agent.tick() == ["station has ended"]
