"""A kiosk whose program lies in versions side by side, with releases that the test builds, sound and broken."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_agent.domain.update_plan import UpdateRecord, UpdateState
from edge_agent.errors import AgentNotRunning, RequestRefused
from edge_agent.update.packing import pack_release
from edge_agent.update.versions import InstalledVersions
from tests.system.daemon import START_S, Daemon
from tests.system.unit_runner import UnitRunner

ROOT = Path(__file__).parents[2]
FIRST = "1.0"

# What is wrong with a release: a file of it, what stands there, and what is put in its place.
FAULTS = {
    "does not start": ("edge_agent/runtime/daemon.py", "    agent.start()\n", "    raise RuntimeError('broken')\n"),
    "records nothing": (
        "edge_agent/runtime/station_loop.py",
        "            case Scan() if self._self_test.is_test",
        "            case Scan():\n                pass\n            case Scan() if self._self_test.is_test",
    ),
}


def build_tree(folder: Path, fault: str = "") -> Path:
    """Writes a version's folder of this checkout: its own code, and the launcher and guard of the package."""
    site, programs = folder / "site", folder / "bin"
    programs.mkdir(parents=True)
    for package in ("edge_agent", "drivers", "sync", "canteen_demo"):
        shutil.copytree(ROOT / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("launcher", "guard"):
        text = (ROOT / "packaging/kiosk" / name).read_text("utf-8")
        program = programs / ("edge-agent" if name == "launcher" else name)
        program.write_text(text.replace("/usr/bin/python3", sys.executable), "utf-8")
        program.chmod(0o755)
    if fault == "broken migration":
        (site / "edge_agent/journal/schema/9998_kitchen.sql").write_text("CREATE TABLE kitchen (dish TEXT) STRICT;\n")
        (site / "edge_agent/journal/schema/9999_broken.sql").write_text("CREATE TABLE dish (name TEXT;\n);\n")
        steps = site / "edge_agent/journal/schema/migrations.py"
        for number, step in enumerate(("9998_kitchen", "9999_broken")):
            decorated = f'\n\n@migrations(name="{step}")\ndef take_{number}(database: Database) -> None:\n'
            steps.write_text(steps.read_text("utf-8") + decorated + f'    _execute_step(database, "{step}")\n')
    elif fault:
        path, there, instead = FAULTS[fault]
        text = (site / path).read_text("utf-8")
        assert there in text
        (site / path).write_text(text.replace(there, instead, 1), "utf-8")
    return folder


class VersionedKiosk(Daemon):
    """A kiosk with the version `FIRST` under /opt of a machine of its own, run by the commands of its unit."""

    def __init__(self, folder: Path, readers: str, *, kiosk: str = "", tables: str = "") -> None:
        super().__init__(folder, readers, kiosk=kiosk, tables=tables)
        self.versions = InstalledVersions(folder / "opt/edge-agent")
        build_tree(self.versions.folder / "versions" / FIRST)
        for link in ("current", "good"):
            self.versions.point(link, FIRST)
        (self.versions.folder / "bin").symlink_to("current/bin")
        self.key = Ed25519PrivateKey.generate()
        keys = folder / "release-keys"
        keys.mkdir()
        public = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (keys / "city.pem").write_bytes(public)
        self.unit = UnitRunner(folder, self.config, self.run_dir)
        self.serial = 0

    def __enter__(self) -> Self:
        return self

    @property
    def log(self) -> str:
        return self.unit.log

    def release(self, version: str, fault: str = "", key: Ed25519PrivateKey | None = None) -> Path:
        """Returns the file of a signed release."""
        self.serial += 1
        tree, target = self.folder / f"tree-{version}", self.folder / f"{version}.release"
        pack_release(build_tree(tree, fault), target, key or self.key, version=version, serial=self.serial)
        shutil.rmtree(tree)
        return target

    def update(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs `edge-agent update` of the good version, as the root unit does."""
        command = [str(self.versions.folder / "good/bin/edge-agent"), "update", *arguments]
        environment = {**os.environ, "PATH": f"{self.unit.bin}:{os.environ['PATH']}"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    def apply(self, release: Path) -> UpdateRecord:
        """Applies a release, and returns the record of it."""
        done = self.update(*self._apply_arguments(release))
        assert "Traceback" not in done.stderr, done.stderr
        return self.record()

    def apply_until_power_cut(self, release: Path) -> None:
        """Applies a release; the power is cut as soon as the link is changed."""
        command = [str(self.versions.folder / "good/bin/edge-agent"), "update", *self._apply_arguments(release)]
        environment = {**os.environ, "PATH": f"{self.unit.bin}:{os.environ['PATH']}"}
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as root:
            while self.record().state is not UpdateState.TRIAL:
                assert root.poll() is None
                time.sleep(0.005)
            root.kill()
            self.unit.cut_power()
        self.unit.restore_power()

    def _apply_arguments(self, release: Path) -> list[str]:
        return ["apply", str(release), "--config", str(self.config), "--patience", str(START_S)]

    def doctor(self) -> str:
        """Returns what the doctor of the good version says."""
        command = [str(self.versions.folder / "good/bin/edge-agent"), "doctor", "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def until_serving(self) -> None:
        """Waits until the agent answers, with reader and light."""
        self.until(lambda status: status["readers"][0]["there"] and status["indicators"][0]["there"])

    def until(self, holds: Any, seconds: float = START_S) -> dict[str, Any]:
        """Returns the first status of which `holds` says yes; systemd starts the agent again meanwhile."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                status = self.status()
            except (AgentNotRunning, RequestRefused, OSError):
                status = {}
            if status and holds(status):
                return status
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s\n{self.log}")

    def record(self) -> UpdateRecord:
        return self.versions.read_record()

    def until_running(self, version: str) -> None:
        """Waits until this version answers, with reader and light: the one before may still be on its way out."""
        until = time.monotonic() + START_S
        while self.running() != version:
            assert time.monotonic() < until, f"not within {START_S} s\n{self.log}"
        self.until_serving()

    def running(self) -> str:
        """Returns the version of the agent that answers; empty where none does."""
        done = self.update("self-test", "--config", str(self.config), "--json")
        return str(json.loads(done.stdout)["version"]) if done.returncode == 0 else ""
