"""Checks of the machine: clock, zone files, unit and the files that a technician installs."""

import io
import shutil
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_agent.cli.checks import machine
from edge_agent.cli.checks.finding import FindingState
from sync.contract.event import ClockQuality
from tests.edge_agent.cli.checks.kiosk import kiosk, states, write_file

CONFIG = Path(__file__).parents[4] / "config"


@pytest.mark.parametrize("clock", list(ClockQuality))
def test_only_a_disciplined_clock_is_well(clock: ClockQuality) -> None:
    assert states([machine.judge_clock_quality(clock)]) == [
        FindingState.GOOD if clock is ClockQuality.SYNCHRONISED else FindingState.ATTENTION
    ]


def test_zone_files_from_before_the_change_of_2024() -> None:
    old = ZoneInfo.from_file(io.BytesIO(_fixed(6 * 3600)), "Asia/Almaty")
    assert states([machine.judge_zone_files(old, old)]) == [FindingState.FAILURE]
    assert states([machine.judge_zone_files(ZoneInfo("Asia/Almaty"), ZoneInfo("Asia/Almaty"))]) == [FindingState.GOOD]


def _fixed(offset: int) -> bytes:
    """Returns a zone file (RFC 9636, version 1) with a single offset."""
    counts = (0).to_bytes(4, "big") * 4 + (1).to_bytes(4, "big") + (4).to_bytes(4, "big")
    return b"TZif\0" + bytes(15) + counts + offset.to_bytes(4, "big") + b"\0\0" + b"+06\0"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Returns the root of a machine that was set up by docs/technician.md."""
    write_file(tmp_path, "run/systemd/system/x")
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


def test_everything_is_installed(installed: Path) -> None:
    assert set(states(machine.compare_files(CONFIG, installed))) == {FindingState.GOOD}


def test_files_of_the_package_count_and_those_by_hand_are_in_force_before_them(installed: Path) -> None:
    for place in ("systemd/system/edge-agent.service", "udev/rules.d/70-edge-agent.rules"):
        packaged = installed / "usr/lib" / place
        packaged.parent.mkdir(parents=True, exist_ok=True)
        (installed / "etc" / place).rename(packaged)
    assert set(states(machine.compare_files(CONFIG, installed))) == {FindingState.GOOD}
    write_file(installed, "etc/systemd/system/edge-agent.service", "[Unit]\n")
    [finding] = [
        finding for finding in machine.compare_files(CONFIG, installed) if finding.state is not FindingState.GOOD
    ]
    assert "/etc/systemd/system/edge-agent.service differs" in finding.detail


def test_a_machine_without_systemd(tmp_path: Path) -> None:
    assert states(machine.compare_files(CONFIG, tmp_path)) == [FindingState.GOOD]


@pytest.mark.parametrize(
    ("missing", "state", "words"),
    [
        ("systemd/system/edge-agent.service", FindingState.FAILURE, "daemon-reload"),
        ("systemd/system/multi-user.target.wants/edge-agent.service", FindingState.FAILURE, "enable"),
        ("udev/rules.d/70-edge-agent.rules", FindingState.ATTENTION, "cp "),
        ("modprobe.d/edge-agent.conf", FindingState.ATTENTION, "cp "),
    ],
)
def test_something_was_forgotten(installed: Path, missing: str, state: FindingState, words: str) -> None:
    (installed / "etc" / missing).unlink()
    [finding] = [
        finding for finding in machine.compare_files(CONFIG, installed) if finding.state is not FindingState.GOOD
    ]
    assert finding.state is state
    assert words in finding.next_step


def test_a_unit_of_another_version(installed: Path) -> None:
    write_file(installed, "etc/systemd/system/edge-agent.service", "[Unit]\n")
    assert FindingState.ATTENTION in states(machine.compare_files(CONFIG, installed))


def test_the_staffs_pin(tmp_path: Path) -> None:
    assert states(machine.check_staff_pin(kiosk(tmp_path))) == [FindingState.ATTENTION]
    path = write_file(tmp_path, "etc/credstore/edge-agent.staff-pin", "4711", 0o644)
    assert states(machine.check_staff_pin(kiosk(tmp_path))) == [FindingState.FAILURE]
    path.chmod(0o600)
    [finding] = machine.check_staff_pin(kiosk(tmp_path))
    assert (finding.state, "4711" in finding.detail) == (FindingState.ATTENTION, False)
    write_file(tmp_path, "state/operators.json", "[]")
    assert states(machine.check_staff_pin(kiosk(tmp_path))) == [FindingState.GOOD]
