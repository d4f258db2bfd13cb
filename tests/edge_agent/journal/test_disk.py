"""A disk is full or fails: every report is true, and the kiosk goes on when the disk does."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.journal.errors import JournalUnwritable
from edge_agent.journal.journal import Journal
from edge_agent.journal.verify import verify_journal
from sync.contract.event import PersonId
from tests.edge_agent.journal.samples import DAY, StandingClock, build_entry, open_journal
from tests.edge_agent.journal.test_migrate import make_older_journal, open_with_child

pytestmark = pytest.mark.slow

DISK_BYTES = 4 * 1024 * 1024
BALLAST_BYTES = 512 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def fill(folder: Path, spare_bytes: int) -> Path:
    """Fills the disk with logs, all but `spare_bytes`."""
    logs = folder / "logs"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with logs.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - spare_bytes))
    return logs


def append_until_unwritable(journal: Journal, start: int) -> int:
    for number in range(start, start + 20_000):
        before = journal.outbox.head
        try:
            journal.append(build_entry(number))
        except JournalUnwritable:
            assert journal.outbox.head == before
            return number
    raise AssertionError("the disk was never full")


def test_without_its_ballast_the_kiosk_goes_on_recording(small_disk: Path) -> None:
    path = small_disk / "j.db"
    clocks = StandingClock()
    with open_journal(path, now=clocks, ballast_bytes=BALLAST_BYTES) as journal:
        ballast = small_disk / "j.db.ballast"
        assert ballast.stat().st_size == BALLAST_BYTES
        assert ballast.stat().st_blocks * 512 >= BALLAST_BYTES  # it takes the room that it is to give
        journal.append(build_entry(1))
        logs = fill(small_disk, spare_bytes=64 * 1024)
        number = 2
        while ballast.exists():
            journal.append(build_entry(number))  # none of these fails
            number += 1
            assert number < 20_000
        refused = append_until_unwritable(journal, number)
        assert (
            journal.earlier_sightings(PersonId(f"p{refused}"), DAY) == ()
        )  # reading goes on, and the row is not there
        assert verify_journal(path).rows == journal.outbox.head.seq == refused - 1
        with pytest.raises(JournalUnwritable):
            journal.maintain()
        assert not ballast.exists()  # no room to put it back
        logs.unlink()
        assert journal.append(build_entry(refused)).seq == refused
        assert journal.maintain().ballast
        assert ballast.exists()
    assert verify_journal(path).whole


def test_a_full_disk_can_be_freed_from_inside(small_disk: Path) -> None:
    """With the ballast gone there is room to acknowledge and prune, and pruned rows make room for new ones."""
    path = small_disk / "j.db"
    clocks = StandingClock()
    with open_journal(path, now=clocks, ballast_bytes=BALLAST_BYTES) as journal:
        journal.append_all([build_entry(number) for number in range(1, 1_001)])
        journal.maintain()
        fill(small_disk, spare_bytes=32 * 1024)
        number = 1_001
        while (small_disk / "j.db.ballast").exists():
            journal.append(build_entry(number))
            number += 1
        journal.outbox.acknowledge(journal.outbox.head, b"receipt")
        clocks.forward(days=40)
        while journal.prune(before=clocks.utc, rows_max=200):
            journal.maintain()
        size = path.stat().st_size
        journal.append_all([build_entry(number) for number in range(1, 501)])
        journal.maintain()
        assert path.stat().st_size == size
    assert verify_journal(path).whole


def test_a_kiosk_starts_on_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "j.db"
    with open_journal(path, ballast_bytes=BALLAST_BYTES) as journal:
        journal.append(build_entry(1))
    fill(small_disk, spare_bytes=0)
    with open_journal(path, ballast_bytes=BALLAST_BYTES) as journal:
        assert journal.append(build_entry(2)).seq == 2
    assert verify_journal(path).whole


def test_an_older_journal_comes_up_to_date_on_a_full_disk(small_disk: Path) -> None:
    """The child has no room for its WAL: the daemon gives the ballast up, and the child tries again."""
    path = small_disk / "j.db"
    make_older_journal(path, 1)
    ballast = small_disk / "j.db.ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
    fill(small_disk, spare_bytes=0)
    with open_with_child(path) as journal:
        assert journal.append(build_entry(1)).seq == 1
    assert not ballast.exists()
    assert verify_journal(path).whole


def test_a_file_that_may_not_grow_is_no_lost_row(tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes writes fail with EFBIG, which SQLite takes for an I/O error."""
    path = tmp_path / "j.db"
    open_journal(path).close()
    bytes_max = path.stat().st_size + 64 * 1024  # some of the 400 rows fit in
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_max}, {resource.RLIM_INFINITY})); "
        f"import sys; sys.argv = ['appender', {str(path)!r}, '400']; "
        "from tests.edge_agent.journal.appender import main; main()"
    )
    reports = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert reports.splitlines()[-1].startswith("no ")
    check_reports(path, reports)


def test_rows_that_reappear_are_voided(tmp_path: Path) -> None:
    """fsync fails, and again when the file is opened anew: the staff see "not recorded". Then the disk returns."""
    assert append_on_failing_disk(tmp_path, "fdatasync", "21..23") > 0


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
@pytest.mark.parametrize("when", ["20..20", "21..23", "23..30", "30..61", "40+3"])
def test_a_failing_disk_makes_no_report_untrue(tmp_path: Path, call: str, when: str) -> None:
    """Whatever fails for however long: `ok` means that the row is there, `no` that it is absent or voided."""
    append_on_failing_disk(tmp_path, call, when)


def append_on_failing_disk(folder: Path, call: str, when: str) -> int:
    """Appends while the kernel answers EIO; returns how many rows had to be voided so that every report is true."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt install strace")
    path, trace = folder / "j.db", folder / "trace"
    open_journal(path).close()
    program = [sys.executable, "-m", "tests.edge_agent.journal.appender", str(path), "60"]
    files = [f"-P{path}{suffix}" for suffix in ("", "-wal")]
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={when}"]
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", str(trace), *files, *inject, *program],
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    assert "INJECTED" in trace.read_text()
    assert done.stdout.count("\n") == 60
    return check_reports(path, done.stdout)


def check_reports(path: Path, reports: str) -> int:
    """Checks that the journal holds what the appender reported; returns how many rows had to be voided for that."""
    with open_journal(path) as journal:
        for line in reports.splitlines():
            word, *rest = line.split()
            past = journal.earlier_sightings(PersonId(rest[-1]), DAY)
            if word == "ok":
                (sighting,) = past
                assert (str(sighting.seq), sighting.voided) == (rest[0], False), line
                own = journal.outbox.find_hash(sighting.seq)
                assert own is not None
                assert own.hex() == rest[1], line
            else:
                assert all(sighting.voided for sighting in past), line
        reappeared = sum(b"found on the disk" in row.payload for row in journal.recent(1_000))
    assert verify_journal(path).whole
    return reappeared
