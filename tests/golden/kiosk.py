"""A kiosk under a scripted clock, seen only from outside: process, terminals, sockets, HTTP, files.

Nothing here imports the project. Its names may change; its bytes may not.
"""

import http.client
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.golden.seams import SLOT, SLOT_BYTES

SEAMS = Path(__file__).with_name("seams.py")
WAIT_S = 60.0  # tells a hang from slowness
PIN = "2468"
BOOT = "00000000-0000-4000-8000-000000000001"
DEVICE_KEY = bytes(range(32))  # a test's own: it signs for no kiosk


class Script:
    """The clock's file: two slots, and the number of the one that holds."""

    def __init__(self, path: Path, wall_ns: int) -> None:
        self.path = path
        self.wall_ns, self.mono_ns, self.synchronised, self.boot = wall_ns, 60_000_000_000, True, BOOT
        path.write_bytes(bytes(SLOT_BYTES * 3))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.write()

    def write(self) -> None:
        slot = 1 - self._map[0]
        state = (self.wall_ns, self.mono_ns, self.synchronised, self.boot.encode("ascii"))
        SLOT.pack_into(self._map, SLOT_BYTES * (1 + slot), *state)
        self._map[0] = slot

    def advance(self, seconds: float) -> None:
        self.wall_ns += int(seconds * 1e9)
        self.mono_ns += int(seconds * 1e9)
        self.write()

    def close(self) -> None:
        self._map.close()


class SerialPort:
    """The far end of a reader's cable, behind a name that stays."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._master = -1
        self.plug()

    def plug(self) -> None:
        master, slave = os.openpty()
        tty.setraw(slave)
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.symlink_to(os.ttyname(slave))
        fresh.replace(self.path)
        os.close(slave)
        self._master = master

    def pull(self) -> None:
        if self._master >= 0:
            self.path.unlink()
            os.close(self._master)
            self._master = -1

    def send(self, data: bytes) -> None:
        assert os.write(self._master, data) == len(data)


class Kiosk:
    """`edge-agent run` with three serial readers, a palm terminal and a light that writes down what it shows."""

    def __init__(self, folder: Path, wall_ns: int) -> None:
        self.folder = folder
        self.config = folder / "agent.toml"
        self.state_dir = folder / "state"
        self.run_dir = folder / "run"
        self.journal = self.state_dir / "journal.db"
        self.script = Script(folder / "clock", wall_ns)
        self.ports = {name: SerialPort(folder / name) for name in ("door", "exit", "scan", "gate")}
        self.palm_socket = folder / "palm"
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._cookie = ""
        self.notified: set[str] = set()  # the words that systemd was told
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._notify.settimeout(WAIT_S)
        self._write_files()

    def _write_files(self) -> None:
        self.config.write_text(
            f"""\
[kiosk]
name = "golden"
school = "sch-1"
timezone = "Asia/Almaty"
language = "kk"
state_dir = "{self.state_dir}"
run_dir = "{self.run_dir}"
[journal]
ballast_mib = 0
[screen]
port = 0
operators = ["Cook"]
[ledger]
heartbeat_s = 86400
roster_interval_s = 86400
retry_max_s = 0.5
[[readers]]
name = "door"
driver = "em4100"
port = "{self.folder}/door"
[[readers]]
name = "exit"
driver = "ironlogic"
port = "{self.folder}/exit"
direction = "out"
[[readers]]
name = "scan"
driver = "line"
form = "code"
port = "{self.folder}/scan"
[[readers]]
name = "gate"
driver = "line"
form = "w26-hex"
port = "{self.folder}/gate"
[[readers]]
name = "palm"
driver = "simulated-palm-terminal"
socket = "{self.palm_socket}"
[[indicators]]
name = "light"
driver = "simulated-light"
file = "{self.folder}/light.jsonl"
""",
            "utf-8",
        )
        credentials = self.folder / "credentials"
        credentials.mkdir()
        (credentials / "staff-pin").write_text(PIN + "\n", "ascii")
        self.state_dir.mkdir()
        key = Ed25519PrivateKey.from_private_bytes(DEVICE_KEY)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.state_dir / "device.key").write_bytes(pem)
        for secret in (credentials / "staff-pin", self.state_dir / "device.key"):
            secret.chmod(0o600)

    def environment(self, **more: str) -> dict[str, str]:
        own = {
            "GOLDEN_CLOCK": str(self.script.path),
            "GOLDEN_DICE": f"start-{self._starts}",
            "CREDENTIALS_DIRECTORY": str(self.folder / "credentials"),
        }
        return {**os.environ, **own, **more}

    # The process.

    def start(self) -> None:
        """Until it has said READY and every reader is there."""
        self._starts += 1
        self._cookie = ""
        (self.folder / "light.jsonl").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(SEAMS), "run", "--config", str(self.config)],
                stdout=log, stderr=log, env=self.environment(NOTIFY_SOCKET=str(self.folder / "notify")),
            )  # fmt: skip
        self._told("READY=1")
        self.until(lambda: all(reader["there"] for reader in self.status()["readers"]))

    def _told(self, word: str) -> None:
        while True:
            try:
                message = self._notify.recv(4096).decode()
            except TimeoutError:
                raise AssertionError(f"no {word} from the daemon\n{self.log}") from None
            self.notified |= {line.partition("=")[0] for line in message.splitlines()}
            if word in message.splitlines():
                return

    def wait_tick(self) -> None:
        """Until the daemon has looked at its clock: a jump is measured from its last look.

        The first word may come of a look that had begun before; the second cannot.
        """
        self._forget_told()
        self._told("WATCHDOG=1")
        self._told("WATCHDOG=1")

    def _forget_told(self) -> None:
        self._notify.setblocking(False)
        try:
            while True:
                self._notify.recv(4096)
        except BlockingIOError:
            self._notify.settimeout(WAIT_S)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        return self._end(signal.SIGKILL)

    def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(WAIT_S)
        self._process = None
        self._forget_told()
        return code

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8")

    def command(
        self, *arguments: str, check: bool = True, dice: str = "command", typed: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """One command of the command line, under the same clock. `dice`: equal ones draw equal numbers."""
        done = subprocess.run(
            [sys.executable, "-P", str(SEAMS), *arguments], input=typed,
            capture_output=True, text=True, check=False, timeout=WAIT_S, env=self.environment(GOLDEN_DICE=dice),
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    # What it answers.

    def ask(self, command: str, **arguments: object) -> list[dict[str, Any]]:
        """The lines of an answer on the control socket, the last one too."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT_S)
            connection.connect(str(self.run_dir / "control.sock"))
            connection.sendall(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                return [json.loads(line) for line in lines]

    def status(self) -> dict[str, Any]:
        row: dict[str, Any] = self.ask("status")[0]["row"]
        return row

    def head(self) -> int:
        return int(self.status()["journal"]["head"])

    def readings(self, reader: str) -> int:
        return next(int(each["readings"]) for each in self.status()["readers"] if each["name"] == reader)

    def there(self, reader: str) -> bool:
        return next(bool(each["there"]) for each in self.status()["readers"] if each["name"] == reader)

    def lights(self) -> list[str]:
        try:
            text = (self.folder / "light.jsonl").read_text("utf-8")
        except FileNotFoundError:
            return []
        return [json.loads(line)["signal"] for line in text.splitlines() if line.endswith("}")]

    def until(self, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + WAIT_S
        while not holds():
            assert self._process is not None
            assert self._process.poll() is None, f"the daemon ended by itself\n{self.log}"
            assert time.monotonic() < until, f"not within {WAIT_S} s\n{self.log}"
            time.sleep(0.01)

    # The screen and the staff's page.

    def http(self, method: str, path: str, body: Mapping[str, object] | None = None) -> tuple[int, str, bytes]:
        """Status, content type, body; of a stream of events, its first state."""
        port = int(self.status()["screen"].rstrip("/").rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        try:
            headers = {"Cookie": self._cookie} if self._cookie else {}
            if body is not None:
                headers |= {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{port}"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            cookie = answer.getheader("Set-Cookie", "")
            if cookie:
                self._cookie = cookie.partition(";")[0]
            kind = answer.getheader("Content-Type", "")
            content = _first_state(answer) if kind.startswith("text/event-stream") else answer.read()
            return answer.status, kind, content
        finally:
            connection.close()

    def sign_in(self) -> None:
        if not self._cookie:
            assert self.http("POST", "/staff/sign-in", {"pin": PIN, "operator": "Cook"})[0] == 200

    def shown(self, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The child's big notice of this number, and the newest of the staff's."""
        self.sign_in()
        child: dict[str, Any] = {}

        def is_there() -> bool:
            child.update(json.loads(self.http("GET", "/events")[2])["big"])
            return bool(child["number"] >= number)

        self.until(is_there)
        assert child["number"] == number, f"notice {number} is gone: {child}"
        staff = json.loads(self.http("GET", "/events/staff")[2])["notices"]
        return child, next((each for each in staff if each["number"] == number), {})

    def palm(self, **line: object) -> None:
        with socket.socket(socket.AF_UNIX) as terminal:
            terminal.connect(str(self.palm_socket))
            terminal.sendall(json.dumps(line).encode() + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()
        for port in self.ports.values():
            port.pull()
        self._notify.close()
        self.script.close()


def _first_state(answer: http.client.HTTPResponse) -> bytes:
    event = ""
    for line in answer:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            event = value
        elif name == "data" and event == "state":
            return value.encode()
    raise AssertionError("the stream ended before its first state")
