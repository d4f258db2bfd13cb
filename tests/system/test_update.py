"""Updates with real processes, a real journal and a burst of cards: nothing is lost, and a kiosk goes back alone."""

import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.simulated.card_peer import CardPeer
from edge_agent.domain.update_plan import POWER_CUT, UpdateRequest, UpdateState
from edge_agent.journal.verify import verify_journal
from edge_agent.update.requests import RequestFolder
from tests.system.daemon import edge_agent, school_export, serial_reader
from tests.system.versioned_kiosk import FIRST, VersionedKiosk

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("update")]

SCHOOL = "sch-update"
CARDS = {f"u-{number}": ("em4100", f"01{number:08X}") for number in range(1, 2_001)}
TAP_S = 0.1


class Burst:
    """Cards at one reader, one after the other; only a light tells whether the scan was taken."""

    def __init__(self, kiosk: VersionedKiosk, peer: CardPeer) -> None:
        self._kiosk, self._peer = kiosk, peer
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.taps: Counter[str] = Counter()
        self.confirmed: Counter[str] = Counter()
        self.longest_wait_s = 0.0

    def _run(self) -> None:
        lights = Lights(self._kiosk.folder / "light.jsonl")
        last_light = time.monotonic()
        people = [(person, bytes.fromhex(number)) for person, (_, number) in CARDS.items()]
        while not self._ending.is_set():
            for person, uid in people:
                if self._ending.is_set():
                    return
                self.taps[person] += 1
                self._peer.present(uid)
                until = time.monotonic() + 1.0
                while time.monotonic() < until and not (lit := lights.new()):
                    time.sleep(0.005)
                if lit:
                    self.confirmed[person] += lit
                    self.longest_wait_s = max(self.longest_wait_s, time.monotonic() - last_light)
                    last_light = time.monotonic()
                time.sleep(TAP_S)

    def __enter__(self) -> "Burst":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()


class Lights:
    """Counts the new lights of a file that begins anew when the light is opened again."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def new(self) -> int:
        try:
            body = self._path.read_bytes()
        except FileNotFoundError:
            return 0
        if len(body) < self._read:
            self._read = 0
        fresh, self._read = body[self._read :], len(body)
        return fresh.count(b"welcome") + fresh.count(b"noted") + fresh.count(b"goodbye")


@contextmanager
def serving(folder: Path, *, imports: bool = True) -> Iterator[tuple[VersionedKiosk, CardPeer]]:
    """A kiosk of version FIRST with a roster, that serves."""
    export = school_export(folder / "export", SCHOOL, CARDS)
    with (
        CardPeer(folder / "door") as peer,
        VersionedKiosk(
            folder,
            serial_reader("door", "em4100", folder / "door"),
            kiosk=f'school = "{SCHOOL}"',
            tables="[rules]\nstay_min_s = 7200\n",
        ) as kiosk,
    ):
        kiosk.unit.start()
        try:
            kiosk.until_serving()
            if imports:
                edge_agent("roster", "import", str(export), "--local", "--config", str(kiosk.config))
            yield kiosk, peer
        finally:
            kiosk.unit.stop()


def check_rows(kiosk: VersionedKiosk, burst: Burst) -> None:
    """Every light has its row, and the chain holds in one epoch."""
    rows = [row["event"] for row in kiosk.rows()]
    seen = Counter(str(row["person"]) for row in rows if row["kind"] in {"entry", "repeat", "exit"})
    assert burst.confirmed.total() > 0
    assert {person for person, count in burst.confirmed.items() if seen[person] < count} == set()
    assert {person for person, count in seen.items() if count > burst.taps[person]} == set()
    assert len({row["epoch"] for row in kiosk.rows()}) == 1


def test_three_upgrades_under_a_burst_lose_no_row(tmp_path: Path) -> None:
    with serving(tmp_path) as (kiosk, peer):
        with Burst(kiosk, peer) as burst:
            for version in ("1.1", "1.2", "1.3"):
                record = kiosk.apply(kiosk.release(version))
                assert (record.state, record.reason) == (UpdateState.FIRST_SESSION, "")
                assert kiosk.running() == version
                assert kiosk.update("confirm", "--config", str(kiosk.config)).returncode == 0
        check_rows(kiosk, burst)
        assert sorted(path.name for path in (kiosk.versions.folder / "versions").iterdir()) == ["1.2", "1.3"]
    assert verify_journal(kiosk.journal).whole


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("does not start", "the agent ended by itself (exit-code, 1)"),
        ("records nothing", "its self-test is not in the journal"),
        ("broken migration", "the agent ended by itself (exit-code, 1)"),
    ],
)
def test_a_version_that_is_not_healthy_is_rolled_back(tmp_path: Path, fault: str, reason: str) -> None:
    with serving(tmp_path) as (kiosk, peer):
        release = kiosk.release("2.0", fault)
        with Burst(kiosk, peer) as burst:
            record = kiosk.apply(release)
            assert record.state is UpdateState.ROLLED_BACK
            assert reason in record.reason
            check_service(kiosk, burst)
        check_rows(kiosk, burst)
        assert f"2.0 was rolled back, and {FIRST} runs: {record.reason}" in kiosk.doctor()
    assert verify_journal(kiosk.journal).whole


def test_a_staged_release_is_applied_by_roots_unit_on_a_request(tmp_path: Path) -> None:
    """The word comes from the test: the agent asks with a synchronised clock only, and this machine may have none."""
    with serving(tmp_path, imports=False) as (kiosk, _):
        release = kiosk.release("2.0")
        assert kiosk.update("stage", str(release), "--config", str(kiosk.config)).returncode == 0
        RequestFolder(kiosk.run_dir, kiosk.state_dir).ask(UpdateRequest.APPLY)
        kiosk.until(lambda _: kiosk.record().state is UpdateState.FIRST_SESSION)
        kiosk.until_serving()
        assert kiosk.running() == "2.0"
        assert not (kiosk.state_dir / "update/staged.release").exists()


def test_a_power_cut_in_the_middle_is_rolled_back_by_the_next_start(tmp_path: Path) -> None:
    with serving(tmp_path) as (kiosk, peer):
        release = kiosk.release("2.0")
        with Burst(kiosk, peer) as burst:
            kiosk.apply_until_power_cut(release)
            check_service(kiosk, burst)
            record = kiosk.record()
            assert (record.state, record.reason) == (UpdateState.ROLLED_BACK, POWER_CUT)
        check_rows(kiosk, burst)
        assert POWER_CUT in kiosk.doctor()
    assert verify_journal(kiosk.journal).whole


def test_a_disk_that_is_full_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("a small disk can be mounted by root only")
    disk = tmp_path / "opt"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(disk)], check=True)
    try:
        with serving(tmp_path) as (kiosk, peer):
            release = kiosk.release("2.0")
            with Burst(kiosk, peer) as burst, filling(disk):
                record = kiosk.apply(release)
                assert record.state is UpdateState.REFUSED
                assert "could not be unpacked" in record.reason
                check_service(kiosk, burst)
            check_rows(kiosk, burst)
            assert "could not be unpacked" in kiosk.doctor()
            assert [path.name for path in (kiosk.versions.folder / "versions").iterdir()] == [FIRST]
        assert verify_journal(kiosk.journal).whole
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@contextmanager
def filling(disk: Path) -> Iterator[None]:
    """Fills the disk as soon as a release is unpacked on it, until it is full."""
    ending = threading.Event()

    def fill() -> None:
        while not ending.is_set() and not list(disk.glob("edge-agent/versions/.part*")):
            time.sleep(0.001)
        with (disk / "filler").open("wb", buffering=0) as file:
            try:
                while not ending.is_set():
                    file.write(bytes(1024 * 1024))
            except OSError:
                return

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def check_service(kiosk: VersionedKiosk, burst: Burst) -> None:
    """The version FIRST runs again and gives lights."""
    kiosk.until_running(FIRST)
    served = burst.confirmed.total()
    kiosk.until(lambda _: burst.confirmed.total() > served)


@pytest.mark.soak
@pytest.mark.timeout(5_400)
def test_fifty_upgrades_and_fifty_rollbacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rounds = int(os.environ.get("UPDATES_SOAK", "50"))
    faults = ("does not start", "records nothing", "broken migration", "power cut")
    causes: Counter[str] = Counter()
    with serving(tmp_path) as (kiosk, peer):
        with Burst(kiosk, peer) as burst:
            for number in range(rounds):
                runs = kiosk.versions.version_at("current")
                fault = faults[number % len(faults)]
                broken = kiosk.release(f"{number}.1", "" if fault == "power cut" else fault)
                if fault == "power cut":
                    kiosk.apply_until_power_cut(broken)
                else:
                    kiosk.apply(broken)
                kiosk.until_running(runs)
                record = kiosk.record()
                assert record.state is UpdateState.ROLLED_BACK
                assert record.reason
                causes[str(record.cause)] += 1
                assert kiosk.apply(kiosk.release(f"{number}.2")).state is UpdateState.FIRST_SESSION
                assert kiosk.update("confirm", "--config", str(kiosk.config)).returncode == 0
        check_rows(kiosk, burst)
    assert verify_journal(kiosk.journal).whole
    with capsys.disabled():
        print(
            f"\n{rounds} upgrades, {rounds} rollbacks {dict(causes)}: {burst.taps.total()} taps,"
            f" {burst.confirmed.total()} lights, at most {burst.longest_wait_s:.1f} s without a light"
        )
