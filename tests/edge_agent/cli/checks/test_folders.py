"""Checks of folders: owner, mode, free space, file system, key and registration."""

import os
from pathlib import Path

import pytest

from edge_agent.cli.checks import folders
from edge_agent.cli.checks.finding import FindingState
from edge_agent.identity import Registration, write_registration
from edge_agent.settings.tables import JournalSettings
from sync.client.keys import DeviceKey
from tests.edge_agent.cli.checks.kiosk import kiosk, states, write_file

MIB = 1024 * 1024
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o750)
    return folder


def test_a_kiosk_that_never_started_fails_nothing(tmp_path: Path) -> None:
    checks = (
        folders.check_state_folder,
        folders.check_disk,
        folders.check_run_folder,
        folders.check_device_key,
        folders.check_registration,
    )
    findings = [finding for check in checks for finding in check(kiosk(tmp_path))]
    assert FindingState.FAILURE not in states(findings)


def test_a_sound_state_folder(tmp_path: Path, state: Path) -> None:
    assert states(folders.check_state_folder(kiosk(tmp_path, agent_uid=os.getuid()))) == [FindingState.GOOD]


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_other_users_may_read_it(tmp_path: Path, state: Path, mode: int) -> None:
    state.chmod(mode)
    [finding] = folders.check_state_folder(kiosk(tmp_path))
    assert (finding.state, finding.next_step) == (FindingState.ATTENTION, f"chmod 750 {state}")


def test_it_belongs_to_another_user(tmp_path: Path, state: Path) -> None:
    [finding] = folders.check_state_folder(kiosk(tmp_path, agent_uid=os.getuid() + 1))
    assert finding.state is FindingState.FAILURE


@needs_root
def test_a_file_of_root_is_named(tmp_path: Path, state: Path) -> None:
    write_file(state, "journal.db")
    os.chown(write_file(state, "journal.db.lock"), 4711, 4711)
    assert any("journal.db.lock" in finding.detail for finding in folders.check_state_folder(kiosk(tmp_path)))


def test_journals_that_were_set_aside_or_condemned(tmp_path: Path, state: Path) -> None:
    write_file(state, "journal.condemned", "row 3")
    write_file(state, "journal.db.damaged-20261120T100000Z")
    assert states(folders.check_state_folder(kiosk(tmp_path)))[1:] == [FindingState.FAILURE, FindingState.ATTENTION]


@pytest.mark.parametrize(
    ("free", "files", "state"),
    [
        (10 * MIB, 9_999, FindingState.FAILURE),
        (100 * MIB, 9_999, FindingState.ATTENTION),
        (9_000 * MIB, None, FindingState.GOOD),
        (9_000 * MIB, 3, FindingState.FAILURE),
    ],
)
def test_free_space(free: int, files: int | None, state: FindingState) -> None:
    assert states([folders.judge_free_space(free, files)]) == [state]


@pytest.mark.parametrize(
    ("mounts", "state"),
    [
        ("/dev/root / ext4 rw,noatime 0 0", FindingState.GOOD),
        ("/dev/root / ext4 rw 0 0\ntmpfs /var/lib tmpfs rw 0 0", FindingState.FAILURE),
        ("/dev/root / ext4 ro,noatime 0 0", FindingState.FAILURE),
        ("/dev/root / ext4 rw 0 0\nserver:/x /var nfs4 rw 0 0", FindingState.FAILURE),
        ("/dev/root / ext4 rw 0 0\n/dev/sda1 /var/lib/edge-agent vfat rw 0 0", FindingState.FAILURE),
        ("overlay / overlay rw 0 0", FindingState.ATTENTION),
        ("tmpfs / tmpfs rw 0 0\n/dev/root / ext4 rw 0 0", FindingState.GOOD),
        ("/dev/root / ext4 rw 0 0\ntmpfs /var/li tmpfs rw 0 0", FindingState.GOOD),
        ("/dev/root / ext4 rw 0 0\ntmpfs /my\\040stick tmpfs rw 0 0", FindingState.GOOD),
        ("", FindingState.ATTENTION),
        ("rubbish", FindingState.ATTENTION),
    ],
)
def test_the_file_system_below_it(mounts: str, state: FindingState) -> None:
    assert states([folders.judge_file_system(Path("/var/lib/edge-agent"), mounts)]) == [state]


def test_a_mount_point_with_blanks_and_letters() -> None:
    mounts = "/dev/root / ext4 rw 0 0\ntmpfs /мой\\040диск tmpfs rw 0 0"
    assert states([folders.judge_file_system(Path("/мой диск/state"), mounts)]) == [FindingState.FAILURE]


def test_the_ballast(tmp_path: Path, state: Path) -> None:
    write_file(tmp_path, "proc/self/mounts", "/dev/root / ext4 rw 0 0")
    write_file(state, "journal.db")
    assert states(folders.check_disk(kiosk(tmp_path)))[-1] is FindingState.ATTENTION, "given up"
    write_file(state, "journal.db.ballast")
    assert states(folders.check_disk(kiosk(tmp_path)))[-1] is FindingState.GOOD
    assert JournalSettings().ballast_mib > 0
    assert states(folders.check_disk(kiosk(tmp_path, "[journal]\nballast_mib = 0\n")))[-1] is FindingState.ATTENTION


def test_the_key_and_who_may_read_it(tmp_path: Path, state: Path) -> None:
    key = DeviceKey.make()
    key.write(state / "device.key")
    [finding] = folders.check_device_key(kiosk(tmp_path))
    assert finding.state is FindingState.GOOD
    (state / "device.key").chmod(0o644)
    [finding] = folders.check_device_key(kiosk(tmp_path))
    assert (finding.state, "chmod 600" in finding.next_step) == (FindingState.FAILURE, True)


def test_registered_without_a_password_in_the_address(tmp_path: Path, state: Path) -> None:
    registration = Registration(device="k1", school="s1", ledger="https://u:hunter2@ledger.example/", server_key="00")
    write_registration(state, registration)
    [finding] = folders.check_registration(kiosk(tmp_path))
    assert (finding.state, "ledger.example" in finding.detail, "hunter2" in finding.detail) == (
        FindingState.GOOD,
        True,
        False,
    )
    assert states(folders.check_registration(kiosk(tmp_path, 'school = "s2"\n'))) == [FindingState.FAILURE]


def test_a_socket_that_everybody_may_ask(tmp_path: Path) -> None:
    write_file(tmp_path, "run/control.sock", mode=0o666)
    assert states(folders.check_run_folder(kiosk(tmp_path))) == [FindingState.FAILURE]
