"""The daemon as a process of its own, with a school that the test makes and devices on this side of the bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from edge_agent.control import ask
from edge_agent.control_api import JOURNAL_LIST, NO_ARGUMENTS, STATUS, JournalListArguments
from edge_agent.errors import AgentNotRunning, RequestRefused

START_S = 60.0
AGENT = (sys.executable, "-P", "-c", "from edge_agent.cli.main import main; main()")


def edge_agent(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Runs one command as a technician gives it."""
    done = subprocess.run([*AGENT, *arguments], capture_output=True, text=True, check=False, timeout=120)
    if check:
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def csv(header: str, rows: Iterable[Iterable[str]]) -> bytes:
    return "\n".join([header, *(",".join(f'"{cell}"' for cell in row) for row in rows)]).encode() + b"\n"


def school_export(
    folder: Path, school: str, cards: Mapping[str, tuple[str, str]], consents: Mapping[str, str] | None = None
) -> Path:
    """Writes an export of a school with one pupil for each of `cards` (person → technology, UID in hex), open all day.

    `consents`: whose parents have agreed to the palm, and when they took it back; empty: not.
    """
    folder.mkdir(parents=True)
    files = {"orgs": "bulk", "users": "bulk", "roles": "bulk"}
    absent = ("academicSessions", "courses", "classes", "enrollments", "demographics")
    manifest = [("manifest.version", "1.0"), ("oneroster.version", "1.2")]
    manifest += [(f"file.{name}", "bulk") for name in files] + [(f"file.{name}", "absent") for name in absent]
    record = "sourcedId,status,dateLastModified"
    contents = {
        "manifest": csv("propertyName,value", manifest),
        "orgs": csv(f"{record},name,type,identifier,parentSourcedId", [(school, "", "", "School", "school", "1", "")]),
        "users": csv(
            f"{record},enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,"
            "agentSourcedIds,grades,password,userMasterIdentifier,resourceSourcedIds,preferredGivenName,"
            "preferredMiddleName,preferredFamilyName,primaryOrgSourcedId,pronouns",
            [
                (p, "", "", "true", p, "", "Әлия", f"Family-{p}", "", "", "", "", "", "", "01", *[""] * 6, school, "")
                for p in cards
            ],
        ),
        "roles": csv(
            f"{record},userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId",
            [(f"r-{person}", "", "", person, "primary", "student", "", "", school, "") for person in cards],
        ),
        "cards": csv(
            "userSourcedId,number,notation,technology,status",
            [(person, number, "full", technology, "") for person, (technology, number) in cards.items()],
        ),
        "programmes": csv("sourcedId,name", [("state", "State meals")]),
        "entitlements": csv(
            "userSourcedId,programme,sessions,first,last,priority",
            [(person, "state", "", "", "", "0") for person in cards],
        ),
        "consents": csv(
            "userSourcedId,givenAt,withdrawnAt",
            [(person, "2026-09-01T08:00:00+05:00", withdrawn) for person, withdrawn in (consents or {}).items()],
        ),
        "sessions": csv("sourcedId,name,start,end,weekdays", [("day", "Day", "00:00", "00:00", "1234567")]),
    }
    for name, content in contents.items():
        (folder / f"{name}.csv").write_bytes(content)
    return folder


class Daemon:
    """`edge-agent run` under settings that the test writes."""

    def __init__(
        self,
        folder: Path,
        readers: str = "",
        *,
        kiosk: str = "",
        tables: str = "",
        screen_port: int = 0,
        hall: str = "off",
    ) -> None:
        self.folder = folder
        self.config = folder / "agent.toml"
        self.state_dir = folder / "state"
        self.run_dir = folder / "run"
        self.config.write_text(
            f'[kiosk]\nstate_dir = "{self.state_dir}"\nrun_dir = "{self.run_dir}"\n{kiosk}\n'
            f'[journal]\nballast_mib = 0\n[screen]\nport = {screen_port}\nhall = "{hall}"\noperators = ["Cook"]\n'
            f"[ledger]\nheartbeat_s = 0.5\nroster_interval_s = 1\nretry_max_s = 0.5\ntimeout_s = 5\n{tables}\n"
            f'{readers}\n[[indicators]]\nname = "light"\ndriver = "simulated-light"\nfile = "{folder}/light.jsonl"\n',
            "utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def journal(self) -> Path:
        return self.state_dir / "journal.db"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8")

    def launch(self, **environment: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*AGENT, "run", "--config", str(self.config)], stdout=log, stderr=log, env=os.environ | environment
            )

    def start(self, **environment: str) -> dict[str, Any]:
        """Returns the daemon's first status once it answers and every reader is there."""
        self.launch(**environment)
        return self.until(lambda status: all(reader["there"] for reader in status["readers"]))

    def status(self) -> dict[str, Any]:
        """Returns the status by its keys on the wire."""
        (status,) = ask(self.run_dir, STATUS, NO_ARGUMENTS, 10.0)
        return dict(msgspec.to_builtins(status))

    def rows(self) -> list[dict[str, Any]]:
        rows = ask(self.run_dir, JOURNAL_LIST, JournalListArguments(limit=10_000), 10.0)
        return [msgspec.to_builtins(row) for row in rows]

    def until(self, holds: Any, seconds: float = START_S) -> dict[str, Any]:
        """Returns the first status of which `holds` says yes; the limit only tells a hang from slowness."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self._process is not None
            assert self._process.poll() is None, f"the daemon ended by itself:\n{self.log}"
            try:
                status = self.status()
            except (AgentNotRunning, RequestRefused, OSError):
                status = {}
            if status and holds(status):
                return status
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s; last status {status}\n{self.log}")

    def lights(self) -> list[str]:
        try:
            text = (self.folder / "light.jsonl").read_text("utf-8")
        except FileNotFoundError:
            return []
        return [json.loads(line)["signal"] for line in text.splitlines() if line.endswith("}")]

    def wait_lights(self, count: int) -> list[str]:
        until = time.monotonic() + START_S
        while len(self.lights()) < count:
            assert time.monotonic() < until, f"only {self.lights()} after {START_S} s\n{self.log}"
            time.sleep(0.005)
        return self.lights()

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(60)

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


def serial_reader(name: str, driver: str, port: Path) -> str:
    return f'[[readers]]\nname = "{name}"\ndriver = "{driver}"\nport = "{port}"\n'


def facts(rows: Iterable[Mapping[str, Any]], kind: str) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        if row["event"]["kind"] == kind:
            yield row["event"]
