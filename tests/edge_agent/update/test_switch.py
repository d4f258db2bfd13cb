"""Root's part of an update: what it takes, what it refuses, and what it finds after a power cut."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.domain.update_plan import POWER_CUT, UpdateCause, UpdateFault, UpdateRecord, UpdateRequest, UpdateState
from edge_agent.update import switch
from edge_agent.update.errors import UpdateRefused
from edge_agent.update.packing import pack_release
from edge_agent.update.probe import AgentProbe
from edge_agent.update.requests import REQUEST_NAME, RequestFolder
from edge_agent.update.switch import VersionSwitch
from edge_agent.update.versions import PENDING_NAME, InstalledVersions

KEY = Ed25519PrivateKey.generate()
KEYS = [KEY.public_key().public_bytes_raw()]


@dataclass(frozen=True)
class GivenVerdict(AgentProbe):
    """A probe that finds what the test gives it."""

    run_dir: Path = Path("/nowhere")
    journal: Path = Path("/nowhere")
    why: str = ""
    obstacles: list[str] = field(default_factory=list)  # told one after the other

    def find_obstacle(self) -> str:
        return self.obstacles.pop(0) if self.obstacles else ""

    def judge(self, version: str, read_crash: Callable[[], str]) -> UpdateFault | None:
        return UpdateFault(UpdateCause.NO_RECORD, self.why) if self.why else None


@dataclass
class Machine:
    folder: Path
    starts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.versions = InstalledVersions(self.folder)
        (self.folder / "versions/1").mkdir(parents=True)
        for link in ("current", "good"):
            self.versions.point(link, "1")

    def switch(self, why: str = "", obstacles: Sequence[str] = ()) -> VersionSwitch:
        return VersionSwitch(
            self.versions,
            GivenVerdict(why=why, obstacles=list(obstacles)),
            lambda: self.starts.append(self.versions.version_at("current")),
        )

    def links(self) -> tuple[str, str]:
        return self.versions.version_at("current"), self.versions.version_at("good")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "opt")


def release(folder: Path, version: str = "2", serial: int = 2, key: Ed25519PrivateKey = KEY, python: str = "") -> Path:
    tree, target = folder / "tree", folder / f"{version}.release"
    (tree / "bin").mkdir(parents=True, exist_ok=True)
    (tree / "bin/edge-agent").write_text("#!/bin/sh\n")
    (tree / "bin/edge-agent").chmod(0o755)
    pack_release(tree, target, key, version=version, serial=serial, python=python)
    return target


def test_a_healthy_version_runs_and_judges_after_its_first_session(machine: Machine, tmp_path: Path) -> None:
    record = machine.switch().apply(release(tmp_path), KEYS)
    assert (record.state, machine.links(), machine.starts) == (UpdateState.FIRST_SESSION, ("2", "1"), ["2"])
    assert (machine.folder / PENDING_NAME).exists()
    assert (machine.folder / "current/bin/edge-agent").stat().st_mode & 0o777 == 0o755
    assert machine.switch().confirm().state is UpdateState.CONFIRMED
    assert machine.links() == ("2", "2")
    assert not (machine.folder / PENDING_NAME).exists()


def test_a_version_that_is_not_healthy_leaves_the_one_before(machine: Machine, tmp_path: Path) -> None:
    record = machine.switch("it records nothing").apply(release(tmp_path), KEYS)
    assert (record.state, record.reason) == (UpdateState.ROLLED_BACK, "it records nothing")
    assert (machine.links(), machine.starts) == (("1", "1"), ["2", "1"])


def test_no_restart_loses_scans_that_wait_in_memory(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = release(tmp_path)
    with pytest.raises(UpdateRefused, match="3 scans wait"):
        machine.switch(obstacles=["3 scans wait"]).apply(path, KEYS)
    assert machine.starts == []
    monkeypatch.setattr(switch, "CALM_POLL_S", 0)
    tried = machine.switch("it records nothing", obstacles=["", "2 scans wait", "1 scan waits"])
    tried.apply(path, KEYS)
    assert machine.starts == ["2", "1"]
    assert tried.probe.find_obstacle() == ""


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda folder: release(folder, key=Ed25519PrivateKey.generate()), "not signed by a release key"),
        (lambda folder: release(folder, python="2.7"), "for Python 2.7"),
        (lambda folder: release(folder, version="1"), "runs already"),
        (lambda folder: alter(release(folder), -1), "its hash is another one"),
        (lambda folder: alter(release(folder), 30), "not signed by a release key"),
        (lambda folder: cut(release(folder)), "its hash is another one"),
        (lambda folder: lay_link(release(folder)), "Too many levels of symbolic links"),
    ],
    ids=["key", "python", "same", "payload", "manifest", "cut", "link"],
)
def test_what_is_refused_changes_nothing(
    machine: Machine, tmp_path: Path, make: Callable[[Path], Path], why: str
) -> None:
    with pytest.raises(UpdateRefused, match=why):
        machine.switch().apply(make(tmp_path), KEYS)
    assert (machine.links(), machine.starts) == (("1", "1"), [])
    assert [path.name for path in (machine.folder / "versions").iterdir()] == ["1"]
    record = machine.versions.read_record()
    assert record.state is UpdateState.REFUSED
    assert why in record.reason


def alter(path: Path, place: int) -> Path:
    body = bytearray(path.read_bytes())
    body[place] ^= 1
    path.write_bytes(body)
    return path


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-10])
    return path


def lay_link(path: Path) -> Path:
    link = path.with_suffix(".link")
    link.symlink_to(path)
    return link


def test_a_release_older_than_one_that_ran_is_not_taken_unasked(machine: Machine, tmp_path: Path) -> None:
    machine.switch().apply(release(tmp_path, "3", 3), KEYS)
    machine.switch().confirm()
    older = release(tmp_path, "2", 2)
    with pytest.raises(UpdateRefused, match="older than one that ran here"):
        machine.switch().apply(older, KEYS)
    machine.switch().apply(older, KEYS, takes_older=True)
    assert machine.links() == ("2", "3")


@pytest.mark.parametrize("linked", ["1", "2"])
def test_a_trial_that_a_power_cut_ended_is_rolled_back_before_the_agent_starts(machine: Machine, linked: str) -> None:
    (machine.folder / "versions/2").mkdir()
    machine.versions.write_record(UpdateRecord(state=UpdateState.TRIAL, version="2", previous="1"))
    machine.versions.point("current", linked)
    record = machine.switch().guard_start()
    assert (record.state, record.reason) == (UpdateState.ROLLED_BACK, POWER_CUT)
    assert (machine.links(), machine.starts) == (("1", "1"), [])


def test_a_rollback_that_a_power_cut_ended_is_finished_before_the_agent_starts(machine: Machine) -> None:
    (machine.folder / "versions/2").mkdir()
    machine.versions.point("current", "2")
    machine.versions.write_record(UpdateRecord(state=UpdateState.ROLLED_BACK, version="2", previous="1", reason="no"))
    assert machine.switch().guard_start().reason == "no"
    assert machine.links() == ("1", "1")


def test_whoever_judges_a_version_is_not_disturbed_by_its_start(machine: Machine) -> None:
    machine.versions.write_record(UpdateRecord(state=UpdateState.TRIAL, version="2", previous="1"))
    with machine.versions.lock():
        assert machine.switch().guard_start().state is UpdateState.TRIAL


def test_three_crashes_before_the_first_session_is_over_roll_back(machine: Machine, tmp_path: Path) -> None:
    machine.switch().apply(release(tmp_path), KEYS)
    for result in ("success", "exit-code", "signal"):
        assert machine.switch().guard_end(result).state is UpdateState.FIRST_SESSION
    record = machine.switch().guard_end("watchdog")
    assert record.state is UpdateState.ROLLED_BACK
    assert "ended by itself 3 times" in record.reason
    assert machine.links() == ("1", "1")


def test_a_technician_goes_back_to_the_version_before(machine: Machine, tmp_path: Path) -> None:
    machine.switch().apply(release(tmp_path), KEYS)
    machine.switch().confirm()
    assert machine.switch().go_back("wanted").state is UpdateState.ROLLED_BACK
    assert (machine.links(), machine.starts) == (("1", "1"), ["2", "1"])


@pytest.mark.parametrize("word", ["reboot", "", "apply /tmp/other.release"])
def test_root_knows_three_words_and_no_other(machine: Machine, tmp_path: Path, word: str) -> None:
    requests = RequestFolder(tmp_path, tmp_path)
    (tmp_path / REQUEST_NAME).write_text(word)
    with pytest.raises(UpdateRefused, match="nobody knows the request"):
        machine.switch().serve(requests, KEYS)
    assert not (tmp_path / REQUEST_NAME).exists()
    assert machine.starts == []


def test_root_judges_a_staged_release_itself(machine: Machine, tmp_path: Path) -> None:
    requests = RequestFolder(tmp_path, tmp_path)
    requests.stage(release(tmp_path, key=Ed25519PrivateKey.generate()))
    requests.ask(UpdateRequest.APPLY)
    with pytest.raises(UpdateRefused, match="not signed"):
        machine.switch().serve(requests, KEYS)
    assert (machine.starts, requests.staged.exists()) == ([], False)


def test_a_staged_release_runs_and_goes_where_it_records_nothing(machine: Machine, tmp_path: Path) -> None:
    requests = RequestFolder(tmp_path, tmp_path)
    requests.stage(release(tmp_path))
    requests.ask(UpdateRequest.APPLY)
    assert machine.switch().serve(requests, KEYS).state is UpdateState.FIRST_SESSION
    requests.ask(UpdateRequest.ROLL_BACK)
    record = machine.switch().serve(requests, KEYS)
    assert (record.state, record.cause) == (UpdateState.ROLLED_BACK, UpdateCause.NO_RECORDING)
