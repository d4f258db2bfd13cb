"""Owner, mode, room, kind of disk, key and identity."""

import os
from pathlib import Path

import pytest

from edge_agent.cli.checks import folders
from edge_agent.cli.checks.finding import State
from edge_agent.identity import Registration, write_registration
from edge_agent.settings import JournalSettings
from sync.client.keys import DeviceKey
from tests.edge_agent.cli.checks.given import kiosk, put, states

MIB = 1024 * 1024
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o750)
    return folder


def test_a_kiosk_that_never_started_fails_nothing(tmp_path: Path) -> None:
    checks = (folders.state_folder, folders.disk, folders.run_folder, folders.device_key, folders.registration)
    found = [each for check in checks for each in check(kiosk(tmp_path))]
    assert State.FAILS not in states(found)


def test_a_sound_state_folder(tmp_path: Path, state: Path) -> None:
    assert states(folders.state_folder(kiosk(tmp_path, agent_uid=os.getuid()))) == [State.OK]


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_others_may_look_into_it(tmp_path: Path, state: Path, mode: int) -> None:
    state.chmod(mode)
    [found] = folders.state_folder(kiosk(tmp_path))
    assert (found.state, found.next_step) == (State.LOOK, f"chmod 750 {state}")


def test_it_is_not_the_agents(tmp_path: Path, state: Path) -> None:
    [found] = folders.state_folder(kiosk(tmp_path, agent_uid=os.getuid() + 1))
    assert found.state is State.FAILS


@needs_root
def test_a_file_that_root_left_there_is_named(tmp_path: Path, state: Path) -> None:
    put(state, "journal.db")
    os.chown(put(state, "journal.db.lock"), 4711, 4711)
    assert any("journal.db.lock" in each.detail for each in folders.state_folder(kiosk(tmp_path)))


def test_journals_that_were_set_aside_or_condemned(tmp_path: Path, state: Path) -> None:
    put(state, "journal.condemned", "row 3")
    put(state, "journal.db.damaged-20261120T100000Z")
    assert states(folders.state_folder(kiosk(tmp_path)))[1:] == [State.FAILS, State.LOOK]


@pytest.mark.parametrize(
    ("free", "files", "state"),
    [
        (10 * MIB, 9_999, State.FAILS),
        (100 * MIB, 9_999, State.LOOK),
        (9_000 * MIB, None, State.OK),
        (9_000 * MIB, 3, State.FAILS),
    ],
)
def test_room(free: int, files: int | None, state: State) -> None:
    assert states([folders.space(free, files)]) == [state]


@pytest.mark.parametrize(
    ("mounts", "state"),
    [
        ("/dev/root / ext4 rw,noatime 0 0", State.OK),
        ("/dev/root / ext4 rw 0 0\ntmpfs /var/lib tmpfs rw 0 0", State.FAILS),
        ("/dev/root / ext4 ro,noatime 0 0", State.FAILS),
        ("/dev/root / ext4 rw 0 0\nserver:/x /var nfs4 rw 0 0", State.FAILS),
        ("/dev/root / ext4 rw 0 0\n/dev/sda1 /var/lib/edge-agent vfat rw 0 0", State.FAILS),
        ("overlay / overlay rw 0 0", State.LOOK),
        ("tmpfs / tmpfs rw 0 0\n/dev/root / ext4 rw 0 0", State.OK),
        ("/dev/root / ext4 rw 0 0\ntmpfs /var/li tmpfs rw 0 0", State.OK),
        ("/dev/root / ext4 rw 0 0\ntmpfs /my\\040stick tmpfs rw 0 0", State.OK),
        ("", State.LOOK),
        ("rubbish", State.LOOK),
    ],
)
def test_the_disk_below_it(mounts: str, state: State) -> None:
    assert states([folders.file_system(Path("/var/lib/edge-agent"), mounts)]) == [state]


def test_a_mount_point_with_blanks_and_letters() -> None:
    mounts = "/dev/root / ext4 rw 0 0\ntmpfs /мой\\040диск tmpfs rw 0 0"
    assert states([folders.file_system(Path("/мой диск/state"), mounts)]) == [State.FAILS]


def test_the_ballast(tmp_path: Path, state: Path) -> None:
    put(tmp_path, "proc/self/mounts", "/dev/root / ext4 rw 0 0")
    put(state, "journal.db")
    assert states(folders.disk(kiosk(tmp_path)))[-1] is State.LOOK, "given up"
    put(state, "journal.db.ballast")
    assert states(folders.disk(kiosk(tmp_path)))[-1] is State.OK
    assert JournalSettings().ballast_mib > 0
    assert states(folders.disk(kiosk(tmp_path, "[journal]\nballast_mib = 0\n")))[-1] is State.LOOK


def test_the_key_and_who_may_read_it(tmp_path: Path, state: Path) -> None:
    key = DeviceKey.make()
    key.write(state / "device.key")
    [found] = folders.device_key(kiosk(tmp_path))
    assert found.state is State.OK
    (state / "device.key").chmod(0o644)
    [found] = folders.device_key(kiosk(tmp_path))
    assert (found.state, "chmod 600" in found.next_step) == (State.FAILS, True)


def test_registered_without_a_password_in_the_address(tmp_path: Path, state: Path) -> None:
    given = Registration(device="k1", school="s1", ledger="https://u:hunter2@ledger.example/", server_key="00")
    write_registration(state, given)
    [found] = folders.registration(kiosk(tmp_path))
    assert (found.state, "ledger.example" in found.detail, "hunter2" in found.detail) == (State.OK, True, False)
    assert states(folders.registration(kiosk(tmp_path, 'school = "s2"\n'))) == [State.FAILS]


def test_a_socket_that_everybody_may_ask(tmp_path: Path) -> None:
    put(tmp_path, "run/control.sock", mode=0o666)
    assert states(folders.run_folder(kiosk(tmp_path))) == [State.FAILS]
