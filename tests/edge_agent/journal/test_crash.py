"""A process that is killed, a power cut: no row that was confirmed is missing, and the chain is whole."""

import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_agent.journal.store import connect_read_only
from edge_agent.journal.verify import verify_journal
from tests.edge_agent.journal.samples import open_journal

pytestmark = pytest.mark.slow

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = struct.pack("I", 2)  # nothing more reaches the disk, as when the power goes


class Child:
    """An appending process, and what it has confirmed so far."""

    def __init__(self, path: Path) -> None:
        program = [sys.executable, "-m", "tests.edge_agent.journal.appender", str(path), "1000000"]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE)
        self.confirmed: list[tuple[int, str]] = []
        self.first = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(b"ok ") and line.endswith(b"\n"):
                _, seq, own, _ = line.decode().split()
                self.confirmed.append((int(seq), own))
                self.first.set()
        self.first.set()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


def check_rows(path: Path, confirmed: list[tuple[int, str]]) -> None:
    """Every confirmed row is there with its hash; the chain is whole and goes on."""
    with open_journal(path) as journal:
        head = journal.outbox.head.seq
    connection = connect_read_only(path)
    hashes = {seq: own.hex() for seq, own in connection.execute("SELECT seq, hash FROM event")}
    connection.close()
    assert sorted(hashes) == list(range(1, head + 1))
    assert [seq for seq, own in confirmed if hashes.get(seq) != own] == []
    assert verify_journal(path).whole


def kill_rounds(path: Path, rounds: int) -> None:
    dice = random.Random(20261122)
    confirmed: list[tuple[int, str]] = []
    for _ in range(rounds):
        child = Child(path)
        assert child.first.wait(timeout=60)
        # The moment is what the test is about; it is drawn within the work, not waited for.
        time.sleep(dice.uniform(0, 0.03))
        child.kill()
        assert child.confirmed
        assert not confirmed or child.confirmed[0][0] > confirmed[-1][0]
        confirmed += child.confirmed
        check_rows(path, confirmed)


@pytest.mark.timeout(300)
def test_kill_9_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    kill_rounds(tmp_path / "j.db", rounds=20)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_kill_9_two_hundred_times(tmp_path: Path) -> None:
    kill_rounds(tmp_path / "j.db", rounds=200)


@contextmanager
def ext4(folder: Path) -> Iterator[Path]:
    """A small file system of its own, on a loop device."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("cutting the power needs root and mkfs.ext4 (apt install e2fsprogs)")
    image, mount = folder / "disk.img", folder / "disk"
    with image.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    mount.mkdir()
    if subprocess.run(["mount", "-o", "loop", image, mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("no loop device can be mounted here")
    try:
        yield mount
    finally:
        subprocess.run(["umount", mount], check=False, capture_output=True)


def cut_power(mount: Path) -> None:
    descriptor = os.open(mount, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, SHUTDOWN, NO_LOG_FLUSH)
    finally:
        os.close(descriptor)


def power_cuts(folder: Path, rounds: int) -> None:
    dice = random.Random(456)
    confirmed: list[tuple[int, str]] = []
    with ext4(folder) as mount:
        path = mount / "j.db"
        for _ in range(rounds):
            child = Child(path)
            assert child.first.wait(timeout=60)
            time.sleep(dice.uniform(0, 0.05))
            # Only what was confirmed before the cut counts: a commit in flight may be told and lost.
            before = list(child.confirmed)
            cut_power(mount)
            child.kill()
            subprocess.run(["umount", mount], check=True)
            subprocess.run(["mount", "-o", "loop", folder / "disk.img", mount], check=True)
            confirmed += before
            check_rows(path, confirmed)


@pytest.mark.timeout(300)
def test_a_power_cut_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    power_cuts(tmp_path, rounds=4)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_a_hundred_power_cuts(tmp_path: Path) -> None:
    power_cuts(tmp_path, rounds=100)
