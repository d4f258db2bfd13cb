"""Clock, zone files, unit and the files that a technician installs."""

import io
import shutil
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_agent.cli.checks import machine
from edge_agent.cli.checks.finding import State
from sync.contract.event import ClockQuality
from tests.edge_agent.cli.checks.given import kiosk, put, states

CONFIG = Path(__file__).parents[4] / "config"


@pytest.mark.parametrize("clock", list(ClockQuality))
def test_only_a_disciplined_clock_is_well(clock: ClockQuality) -> None:
    assert states([machine.quality(clock)]) == [State.OK if clock is ClockQuality.SYNCHRONISED else State.LOOK]


def test_zone_files_from_before_the_change_of_2024() -> None:
    old = ZoneInfo.from_file(io.BytesIO(_fixed(6 * 3600)), "Asia/Almaty")
    assert states([machine.zone(old, old)]) == [State.FAILS]
    assert states([machine.zone(ZoneInfo("Asia/Almaty"), ZoneInfo("Asia/Almaty"))]) == [State.OK]


def _fixed(offset: int) -> bytes:
    """A zone file (RFC 9636, version 1) of one offset."""
    counts = (0).to_bytes(4, "big") * 4 + (1).to_bytes(4, "big") + (4).to_bytes(4, "big")
    return b"TZif\0" + bytes(15) + counts + offset.to_bytes(4, "big") + b"\0\0" + b"+06\0"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The root of a machine as docs/technician.md leaves it."""
    put(tmp_path, "run/systemd/system/x")
    for source, folder in (
        ("systemd/edge-agent.service", "systemd/system"),
        ("udev/70-edge-agent.rules", "udev/rules.d"),
        ("modules-load.d/edge-agent.conf", "modules-load.d"),
        ("modprobe.d/edge-agent.conf", "modprobe.d"),
    ):
        (tmp_path / "etc" / folder).mkdir(parents=True)
        shutil.copy(CONFIG / source, tmp_path / "etc" / folder)
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    (wants / "edge-agent.service").symlink_to("/etc/systemd/system/edge-agent.service")
    return tmp_path


def test_all_is_installed(installed: Path) -> None:
    assert set(states(machine.compared(CONFIG, installed))) == {State.OK}


def test_a_machine_without_systemd(tmp_path: Path) -> None:
    assert states(machine.compared(CONFIG, tmp_path)) == [State.OK]


@pytest.mark.parametrize(
    ("gone", "state", "words"),
    [
        ("systemd/system/edge-agent.service", State.FAILS, "daemon-reload"),
        ("systemd/system/multi-user.target.wants/edge-agent.service", State.FAILS, "enable"),
        ("udev/rules.d/70-edge-agent.rules", State.LOOK, "cp "),
        ("modprobe.d/edge-agent.conf", State.LOOK, "cp "),
    ],
)
def test_something_was_forgotten(installed: Path, gone: str, state: State, words: str) -> None:
    (installed / "etc" / gone).unlink()
    [trouble] = [each for each in machine.compared(CONFIG, installed) if each.state is not State.OK]
    assert trouble.state is state
    assert words in trouble.next_step


def test_a_unit_of_another_version(installed: Path) -> None:
    put(installed, "etc/systemd/system/edge-agent.service", "[Unit]\n")
    assert State.LOOK in states(machine.compared(CONFIG, installed))


def test_the_staffs_pin(tmp_path: Path) -> None:
    assert states(machine.staff_pin(kiosk(tmp_path))) == [State.LOOK]
    path = put(tmp_path, "etc/credstore/edge-agent.staff-pin", "4711", 0o644)
    assert states(machine.staff_pin(kiosk(tmp_path))) == [State.FAILS]
    path.chmod(0o600)
    [found] = machine.staff_pin(kiosk(tmp_path))
    assert (found.state, "4711" in found.detail) == (State.OK, False)
