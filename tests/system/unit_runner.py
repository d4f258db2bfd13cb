"""The agent's unit without systemd: the commands of the real unit file, run by hand as systemd would run them.

`systemctl` is a program in a folder of the test's; what it is asked for comes through a FIFO to the thread that stands
for systemd. What systemd does besides (sandbox, cgroup, watchdog, credentials) is not imitated.
"""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from tests.system import confined

UNIT = Path(__file__).parents[2] / "config/systemd/edge-agent.service"
UPDATE_UNIT = UNIT.with_name("edge-agent-update.service")
POLL_S = 0.02


class UnitRunner:
    """The service on a machine whose folders lie below `machine`; `config` is its settings file."""

    def __init__(self, machine: Path, config: Path, run_dir: Path) -> None:
        self._places = {"/etc/edge-agent/agent.toml": str(config), "/opt/": f"{machine}/opt/"}
        self._restart_s = float(confined.directives(UNIT, "RestartSec")[0])
        self._stop_s = float(confined.directives(UNIT, "TimeoutStopSec")[0])
        self._run_dir = run_dir
        self._update: subprocess.Popen[bytes] | None = None
        self._log = machine / "unit.log"
        self._fifo = machine / "systemctl.fifo"
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="unit", daemon=True)
        self._ending = threading.Event()
        self._restarts_paused = threading.Event()
        self.bin = machine / "bin"
        self.bin.mkdir()
        os.mkfifo(self._fifo)
        systemctl = self.bin / "systemctl"
        systemctl.write_text(f'#!/bin/sh\necho "$*" >"{self._fifo}"\n')
        systemctl.chmod(0o755)

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def cut_power(self) -> None:
        """Ends the agent and what its unit has started at once; `restore_power` is the next boot."""
        self._restarts_paused.set()
        process = self._process
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def restore_power(self) -> None:
        self._restarts_paused.clear()

    def _run(self) -> None:
        descriptor = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK)
        begins_at = time.monotonic()
        try:
            while not self._ending.is_set():
                if self._was_asked(descriptor):
                    self._end()
                    begins_at = time.monotonic()
                self._serve_request()
                process = self._process
                if self._restarts_paused.is_set():
                    self._process, begins_at = None, time.monotonic()
                elif process is None and time.monotonic() >= begins_at:
                    self._begin()
                elif process is not None and process.poll() is not None:
                    self._process = None
                    self._run_all("ExecStopPost", *_describe(process.returncode))
                    begins_at = time.monotonic() + self._restart_s
                time.sleep(POLL_S)
            self._end()
            if self._update is not None:
                self._update.wait()
        finally:
            os.close(descriptor)

    def _was_asked(self, descriptor: int) -> bool:
        try:
            asked = os.read(descriptor, 4096).decode().splitlines()
        except BlockingIOError:
            return False
        assert all(line == "restart --no-block edge-agent.service" for line in asked), asked
        return True

    def _serve_request(self) -> None:
        """Does what the path unit does: starts root's unit while there is a request."""
        if self._update is not None and self._update.poll() is None:
            return
        if (self._run_dir / "update-request").exists():
            (command,) = confined.directives(UPDATE_UNIT, "ExecStart")
            with self._log.open("ab") as log:
                words = [*self._words(command), "--patience", "60"]  # the tests' machine is shared
                self._update = subprocess.Popen(words, stdout=log, stderr=log, env=self._environment())

    def _begin(self) -> None:
        self._run_all("ExecStartPre", "", "")
        (command,) = confined.directives(UNIT, "ExecStart")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words(command), stdout=log, stderr=log, start_new_session=True, env=self._environment()
            )

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        result = _describe(process.poll() or 0)
        process.terminate()
        try:
            process.wait(self._stop_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            result = ("timeout", "KILL")
        self._run_all("ExecStopPost", *result)

    def _run_all(self, directive: str, result: str, status: str) -> None:
        environment = self._environment() | {"SERVICE_RESULT": result, "EXIT_STATUS": status}
        for command in confined.directives(UNIT, directive):
            words = self._words(command)
            if not Path(words[0]).exists():
                assert command.startswith("-"), f"systemd would not start the unit: {words[0]} is not there"
                continue
            with self._log.open("ab") as log:
                subprocess.run(words, stdout=log, stderr=log, check=False, env=environment)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def _words(self, command: str) -> list[str]:
        text = command.lstrip("-+")
        for place, instead in self._places.items():
            text = text.replace(place, instead)
        return text.split()


def _describe(returncode: int) -> tuple[str, str]:
    if returncode == 0:
        return "success", "0"
    return ("exit-code", str(returncode)) if returncode > 0 else ("signal", str(-returncode))
