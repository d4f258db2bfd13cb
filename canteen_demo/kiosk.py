"""One kiosk of the demo: a real `edge-agent` process; its card reader, palm terminal and camera are on this side."""

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
ANSWER_S = 2.0
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


class Camera:
    """Holds drawn palms before the kiosk's camera: nobody's, and no proof of how real ones are recognised."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._dice = np.random.default_rng(seed)
        self._shown = 0
        folder.mkdir()

    def show(self, pupil: str) -> None:
        """One picture of this pupil's left hand, held a little differently each time."""
        made, content = cv2.imencode(".png", palms.hand(pupil, "left", palms.some_capture(self._dice), self._dice))
        assert made
        self._shown += 1
        # Under its name only when it is whole.
        laid = self._folder / f".{self._shown:06}"
        laid.write_bytes(content.tobytes())
        laid.rename(self._folder / f"{self._shown:06}.png")


class Light:
    """The signals of the kiosk's light, read from the file that the simulated light writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new(self) -> list[Signal]:
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


class Kiosk:
    def __init__(self, name: str, folder: Path, port: int, *, palms_seed: int | None = None) -> None:
        """`palms_seed`: of the pictures before its camera; None: it has no camera."""
        self.name = name
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}/"
        folder.mkdir(parents=True)
        self.config = folder / "agent.toml"
        settings = SETTINGS if palms_seed is None else SETTINGS + CAMERA
        self.config.write_text(settings.format(name=name, folder=folder, port=port), "utf-8")
        self.camera = None if palms_seed is None else Camera(folder / "pictures", palms_seed)
        self.peer = CardPeer(folder / "cards", ReaderModel.RDM6300)
        self._light = Light(folder / "light.jsonl")
        self._feeder: PalmFeeder | None = None
        self._shown: dict[str, float] = {}  # cards, and when they were last held to the reader
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def journal(self) -> Path:
        return self.folder / "state" / "journal.db"

    def register(self, ledger: str, code: str) -> None:
        _run(["register", ledger, code, "--config", str(self.config)])
        if self.camera is not None:
            _run(["palm", "key", "make", "--yes", "--config", str(self.config)])

    def enrol(self, pupil: str) -> None:
        """Make a pupil's drawn palm known, through the real enrolment, while the kiosk runs."""
        assert self.camera is not None
        arguments = PalmEnrolArguments(person=pupil, operator="demo", within_s=ENROL_WITHIN_S)
        for step in ask(self.folder / "run", PALM_ENROL, arguments, START_S):
            if not step.done and step.step != "good":
                self.camera.show(pupil)

    def start(self, clock: FastClock) -> None:
        """Returns when the kiosk answers, its readers included."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*AGENT, "demo-kiosk", *clock.arguments(), "--config", str(self.config)], stdout=log, stderr=log
            )
        until = time.monotonic() + START_S
        while not self._ready():
            if not self.alive or time.monotonic() > until:
                raise RequestRefused(f"kiosk {self.name} does not start; its log is {self.folder / 'log'}")
            time.sleep(0.05)
        self._light.new()

    def kill(self) -> None:
        """Kills the process with SIGKILL, without a word before: the power goes."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self.alive:
            assert self._process is not None
            self._process.terminate()
            self._process.wait(START_S)

    def close(self) -> None:
        """At the end, or in the middle of an error."""
        if self.alive:
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

    def card(self, card_hex: str, frames: int = 1) -> bool:
        """Hold a card to the reader; False where there is none."""
        # Within the reader's hysteresis it would be the same presentation, and no second tap.
        time.sleep(max(0.0, HOLD_S - (time.monotonic() - self._shown.get(card_hex, 0.0))))
        self._shown[card_hex] = time.monotonic()
        try:
            self.peer.present(bytes.fromhex(card_hex), frames)
        except DeviceGone:
            return False
        return True

    def palm(self, number: str) -> bool:
        """Have the palm terminal recognise somebody; False where it is not there."""
        try:
            if self._feeder is None:
                self._feeder = PalmFeeder(self.folder / "palms")
            self._feeder.match(number, 9_700)
        except DeviceGone:
            self._feeder = None
            return False
        return True

    def show_palm(self, pupil: str) -> bool:
        """Hold a pupil's drawn palm before the camera."""
        assert self.camera is not None
        self.camera.show(pupil)
        return True

    def answer(self, signals: int = 1, within_s: float = ANSWER_S) -> Signal | None:
        """The last of so many signals; None when the kiosk stays dark."""
        seen: list[Signal] = []
        until = time.monotonic() + within_s
        while len(seen) < signals:
            seen += self._light.new()
            if time.monotonic() > until or not self.alive:
                break
            time.sleep(LIGHT_POLL_S)
        return seen[-1] if len(seen) >= signals else None

    def _ready(self) -> bool:
        status = self.status()
        return status is not None and all(reader.is_present for reader in status.readers)


AGENT = [sys.executable, "-P", "-c", "from edge_agent.cli.main import main; main()"]


def free_port() -> int:
    """A loopback port that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _run(arguments: Sequence[str]) -> str:
    """One command of the command line, as a technician would give it."""
    done = subprocess.run([*AGENT, *arguments], capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode != 0:
        raise RequestRefused(f"edge-agent {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
