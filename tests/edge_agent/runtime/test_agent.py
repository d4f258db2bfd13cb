"""The agent in this process, under a clock of the test's own."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge_agent.control_api import COMMANDS
from edge_agent.domain.moment import Moment
from edge_agent.errors import ExitCode
from edge_agent.process.shutdown import ShutdownFlag
from edge_agent.runtime.agent import Agent
from edge_agent.runtime.compose import compose
from edge_agent.settings.reading import parse_settings
from sync.contract.event import Boot, ClockQuality, ClockStep, ConsentWithdrawn, RosterApplied, Stop, decode
from sync.contract.roster import Consent, Person, RosterPage

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


class Life:
    """One life of the daemon in this process, over a folder that outlives it."""

    def __init__(self, folder: Path, clock: HandClock) -> None:
        text = f"""
            [kiosk]
            school = "sch-1"
            state_dir = "{folder}/state"
            run_dir = "{folder}/run"
            [journal]
            ballast_mib = 0
            [screen]
            enabled = false
        """
        self.shutdown = ShutdownFlag()
        self.parts = compose(parse_settings(text, folder / "agent.toml"), clock, self.shutdown)
        self.agent = Agent(self.parts)
        self.agent.start()

    def events(self) -> list[object]:
        return [decode(row.payload) for row in reversed(self.parts.journal.recent(100))]


@pytest.fixture
def life(tmp_path: Path, clock: HandClock) -> Iterator[Life]:
    begun = Life(tmp_path, clock)
    yield begun
    begun.agent.stop()


def test_nothing_runs_and_nobody_is_answered_before_the_start(tmp_path: Path, clock: HandClock) -> None:
    text = f'[kiosk]\nstate_dir = "{tmp_path}/state"\nrun_dir = "{tmp_path}/run"\n[journal]\nballast_mib = 0\n'
    before = threading.active_count()
    parts = compose(parse_settings(text, tmp_path / "agent.toml"), clock, ShutdownFlag())
    assert threading.active_count() == before
    assert not (tmp_path / "run").exists()
    assert parts.control.commands == {command.name for command in COMMANDS}
    assert all(fault.endswith("has ended") for fault in parts.supervisor.find_faults())
    parts.journal.close()
    parts.control.server_close()


def test_a_wall_clock_jump_is_an_event_and_slewing_is_none(life: Life, clock: HandClock) -> None:
    life.agent.tick()
    clock.pass_(1.0, step_s=0.3)
    life.agent.tick()
    assert not [event for event in life.events() if isinstance(event, ClockStep)]
    clock.pass_(1.0, step_s=-14 * 86_400, clock=ClockQuality.UNSYNCHRONISED)
    life.agent.tick()
    (step,) = [event for event in life.events() if isinstance(event, ClockStep)]
    assert step.step_ms == -14 * 86_400_000
    assert step.before is ClockQuality.SYNCHRONISED
    assert step.clock is ClockQuality.UNSYNCHRONISED


def test_boot_and_stop_frame_a_life(tmp_path: Path, clock: HandClock) -> None:
    first = Life(tmp_path, clock)
    (boot,) = first.events()
    assert isinstance(boot, Boot)
    assert boot.clean  # nothing was before
    path = first.parts.journal.path
    first.agent.stop()
    next_life = Life(tmp_path, clock)
    _, stop, second = next_life.events()
    next_life.agent.stop()
    assert next_life.parts.journal.path == path
    assert isinstance(stop, Stop)
    assert isinstance(second, Boot)
    assert second.clean


def test_a_withdrawn_consent_leaves_a_receipt(life: Life, clock: HandClock) -> None:
    person = Person(id="u-1", given_name="A", family_name="B")
    consent = Consent(id="u-1.palm", person="u-1", given_at="2026-09-01T04:00:00Z")
    desk = life.parts.roster_desk
    page = RosterPage(school="sch-1", since=0, version=1, changes=(person, consent), whole=True)
    desk.apply_roster((page,), clock().utc)
    desk.apply_roster((replace_version(page, 2, (person,)),), clock().utc)
    events = life.events()
    (receipt,) = [event for event in events if isinstance(event, ConsentWithdrawn)]
    assert receipt.person == "u-1"
    assert [event.roster for event in events if isinstance(event, RosterApplied)] == [1, 2]


def replace_version(page: RosterPage, version: int, changes: tuple[Person, ...]) -> RosterPage:
    return RosterPage(school=page.school, since=0, version=version, changes=changes, whole=True)


def test_a_condemned_journal_ends_the_process_and_the_next_start_sets_it_aside(
    tmp_path: Path, clock: HandClock
) -> None:
    first = Life(tmp_path, clock)
    old = first.parts.journal.outbox.epoch
    first.parts.guard.condemn("row 3 is not what was kept")
    assert first.shutdown.is_set()
    assert first.agent.exit_code is ExitCode.FAILED
    first.agent.stop()
    next_life = Life(tmp_path, clock)
    next_life.agent.stop()
    assert next_life.parts.journal.outbox.epoch != old
    assert list(next_life.parts.journal.path.parent.glob("journal.db.damaged-*"))


def test_a_dead_part_is_a_fault_that_starves_the_watchdog(life: Life) -> None:
    assert life.agent.tick() == []
    station = life.parts.station_thread
    station.stop()
    assert station.thread is not None
    station.thread.join()
    assert life.agent.tick() == ["station has ended"]
