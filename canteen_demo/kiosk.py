"""One kiosk of the demo: a real `edge-agent` process. Its card reader, palm terminal and camera are simulated here."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from canteen_demo.clock import FastClock
from drivers.base import Signal
from drivers.errors import DeviceGone
from drivers.simulated import palms
from drivers.simulated.card_peer import CardPeer, ReaderModel
from drivers.simulated.palm_terminal import PalmFeeder
from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, PALM_ENROL, STATUS, DaemonStatus, PalmEnrolArguments
from edge_agent.errors import AgentNotRunning, RequestRefused

START_S = 30.0
STATUS_S = 2.0
SIGNAL_TIMEOUT_S = 2.0
ENROLLING = "Demo"  # the operator who enrols
ENROL_WITHIN_S = 100_000.0  # simulated
LIGHT_POLL_S = 0.002
HOLD_S = 0.08

SETTINGS = """\
[kiosk]
name = "{name}"
language = "kk"
state_dir = "{folder}/state"
run_dir = "{folder}/run"

[ledger]
heartbeat_s = 1
roster_interval_s = 5
retry_max_s = 2
timeout_s = 5

[screen]
port = {port}
hall = "off"

[[readers]]
name = "cards"
driver = "em4100"
port = "{folder}/cards"
hold_ms = 50

[[readers]]
name = "palms"
driver = "simulated-palm-terminal"
socket = "{folder}/palms"

[[indicators]]
name = "light"
driver = "simulated-light"
file = "{folder}/light.jsonl"
"""

CAMERA = """
[palm]
frames = 1  # the clock runs fast: there is no time for a second picture

[[readers]]
name = "camera"
driver = "folder"
folder = "{folder}/pictures"
"""


class DrawnPalmCamera:
    """Holds drawn palms before the kiosk's camera. They belong to nobody, and prove nothing about real palms."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._dice = np.random.default_rng(seed)
        self._shown = 0
        folder.mkdir()

    def show(self, pupil: str) -> None:
        """Shows one picture of this pupil's left hand, held a little differently each time."""
        encoded, content = cv2.imencode(".png", palms.hand(pupil, "left", palms.some_capture(self._dice), self._dice))
        assert encoded
        self._shown += 1
        # The file gets its name only when it is whole.
        hidden = self._folder / f".{self._shown:06}"
        hidden.write_bytes(content.tobytes())
        hidden.rename(self._folder / f"{self._shown:06}.png")


class LightFollower:
    """The signals of the kiosk's light, read from the file that the simulated light writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def read_new(self) -> list[Signal]:
        """Returns the signals since the last call, without IDLE."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return []
        if size < self._read:
            self._read = 0  # the kiosk has started anew
        if size == self._read:
            return []
        with self._path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        signals = [Signal(json.loads(line)["signal"]) for line in whole.splitlines()]
        return [signal for signal in signals if signal is not Signal.IDLE]


class DemoKiosk:
    """A kiosk of the demo, with its settings, its simulated devices and its process.

    `palms_seed` is the seed of the pictures before its camera; with None it has no camera.
    """

    def __init__(self, name: str, folder: Path, port: int, *, palms_seed: int | None = None) -> None:
        self.name = name
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}/"
        folder.mkdir(parents=True)
        self.config = folder / "agent.toml"
        settings = SETTINGS if palms_seed is None else SETTINGS + CAMERA
        self.config.write_text(settings.format(name=name, folder=folder, port=port), "utf-8")
        self.camera = None if palms_seed is None else DrawnPalmCamera(folder / "pictures", palms_seed)
        self.peer = CardPeer(folder / "cards", ReaderModel.RDM6300)
        self._light = LightFollower(folder / "light.jsonl")
        self._feeder: PalmFeeder | None = None
        self._shown: dict[str, float] = {}  # cards, and when they were last held to the reader
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_alive(self) -> bool:
        """True while the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def journal(self) -> Path:
        """The file of its journal."""
        return self.folder / "state" / "journal.db"

    def register(self, ledger: str, code: str) -> None:
        """Registers the kiosk with the ledger; a kiosk with a camera makes the school's key as well."""
        _run(["register", ledger, code, "--config", str(self.config)])
        if self.camera is not None:
            _run(["palm", "key", "make", "--yes", "--config", str(self.config)])

    def add_operator(self) -> None:
        """Makes the operator of a running kiosk who enrols palms."""
        _run(["operators", "add", ENROLLING, "--role", "head", "--config", str(self.config)])

    def enrol(self, pupil: str, person: str) -> None:
        """Enrols a pupil's drawn palm as this person of the roster, through the real enrolment of a running kiosk."""
        assert self.camera is not None
        arguments = PalmEnrolArguments(person=person, operator=ENROLLING, within_s=ENROL_WITHIN_S)
        for step in ask(self.folder / "run", PALM_ENROL, arguments, START_S):
            if not step.done and step.step != "good":
                self.camera.show(pupil)

    def start(self, clock: FastClock) -> None:
        """Starts the process, and returns when it answers and all its readers are present. Raises RequestRefused."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*AGENT, "demo-kiosk", *clock.arguments(), "--config", str(self.config)], stdout=log, stderr=log
            )
        until = time.monotonic() + START_S
        while not self._is_ready():
            if not self.is_alive or time.monotonic() > until:
                raise RequestRefused(f"kiosk {self.name} does not start", f"see its log {self.folder / 'log'}")
            time.sleep(0.05)
        self._light.read_new()

    def kill(self) -> None:
        """Kills the process with SIGKILL, as if the power failed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Stops the process in an orderly way."""
        if self.is_alive:
            assert self._process is not None
            self._process.terminate()
            self._process.wait(START_S)

    def close(self) -> None:
        """Ends process and devices, at the end of the demo or after an error."""
        if self.is_alive:
            self.kill()
        self.peer.unplug()
        if self._feeder is not None:
            self._feeder.close()

    def status(self) -> DaemonStatus | None:
        """Returns the kiosk's own account of itself, or None while it does not answer."""
        try:
            (status,) = ask(self.folder / "run", STATUS, NO_ARGUMENTS, STATUS_S)
        except (AgentNotRunning, RequestRefused, OSError):
            return None
        return status

    def present_card(self, card_hex: str, frames: int = 1) -> bool:
        """Holds a card to the reader. Returns False while the reader is unplugged."""
        # Within the reader's hysteresis a second tap would belong to the first presentation.
        time.sleep(max(0.0, HOLD_S - (time.monotonic() - self._shown.get(card_hex, 0.0))))
        self._shown[card_hex] = time.monotonic()
        try:
            self.peer.present(bytes.fromhex(card_hex), frames)
        except DeviceGone:
            return False
        return True

    def match_palm(self, number: str) -> bool:
        """Makes the palm terminal recognise a person. Returns False while the terminal is absent."""
        try:
            if self._feeder is None:
                self._feeder = PalmFeeder(self.folder / "palms")
            self._feeder.match(number, 9_700)
        except DeviceGone:
            self._feeder = None
            return False
        return True

    def show_palm(self, pupil: str) -> bool:
        """Holds a pupil's drawn palm before the camera. Returns True."""
        assert self.camera is not None
        self.camera.show(pupil)
        return True

    def wait_signal(self, count: int = 1, within_s: float = SIGNAL_TIMEOUT_S) -> Signal | None:
        """Waits for so many signals of the light. Returns the last one, or None if they do not come in time."""
        signals: list[Signal] = []
        until = time.monotonic() + within_s
        while len(signals) < count:
            signals += self._light.read_new()
            if time.monotonic() > until or not self.is_alive:
                break
            time.sleep(LIGHT_POLL_S)
        return signals[-1] if len(signals) >= count else None

    def _is_ready(self) -> bool:
        status = self.status()
        return status is not None and all(reader.is_present for reader in status.readers)


AGENT = [sys.executable, "-P", "-c", "from edge_agent.cli.main import main; main()"]


def find_free_port() -> int:
    """Returns a loopback port that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _run(arguments: Sequence[str]) -> str:
    """Runs one command of the command line, and returns its output. Raises RequestRefused with its error."""
    done = subprocess.run([*AGENT, *arguments], capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode != 0:
        raise RequestRefused(f"edge-agent {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
