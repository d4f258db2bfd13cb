"""The files that a technician installs: sound, hardened, and the agent works behind them."""

import ctypes
import json
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.bench import pcsc_checks
from edge_agent.process.clock import read_clock_quality
from edge_agent.settings.tables import ScreenSettings
from tests.drivers.relay_board import RelayBoard
from tests.system import confined

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
UNITS = sorted((CONFIG / "systemd").glob("*.service"))
UNIT = CONFIG / "systemd" / "edge-agent.service"
AGENT = Path(sys.executable).with_name("edge-agent")
SECURITY_MAX = 2.0

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt install systemd"
)


def has_seccomp() -> bool:
    try:
        ctypes.CDLL(confined.LIBRARY)
    except OSError:
        return False
    return True


needs_seccomp = pytest.mark.skipif(not has_seccomp(), reason="no libseccomp.so.2: apt install libseccomp2")


def installed(unit: Path, folder: Path) -> Path:
    """A copy whose programs exist: /opt/edge-agent, cage and chromium are on kiosks only."""
    text = re.sub(r"^(Exec\w+=[-+]*)(/opt/|/usr/)\S+", rf"\g<1>{sys.executable}", unit.read_text(), flags=re.MULTILINE)
    copy = folder / unit.name
    copy.write_text(text)
    return copy


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_nothing_to_say(unit: Path, tmp_path: Path) -> None:
    for neighbour in UNITS:
        installed(neighbour, tmp_path)
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    own = [line for line in (said.stdout + said.stderr).splitlines() if "edge-agent" in line]
    assert (said.returncode, own) == (0, [])


@needs_systemd
@pytest.mark.parametrize("name", ["edge-agent", "edge-agent-ledger"])
def test_the_units_are_hardened(name: str, tmp_path: Path) -> None:
    unit = installed(CONFIG / "systemd" / f"{name}.service", tmp_path)
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    exposure = re.search(r"exposure level.*?: ([\d.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= SECURITY_MAX, said


def test_what_the_agent_needs_stays_open() -> None:
    lines = UNIT.read_text().splitlines()
    allowed = {line.removeprefix("DeviceAllow=").split()[0] for line in lines if line.startswith("DeviceAllow=")}
    assert allowed == {
        "char-ttyUSB",
        "char-ttyACM",
        "char-hidraw",
        "char-input",
        "char-video4linux",
        "char-gpiochip",
    }
    shut = ("ProtectClock=yes", "ProcSubset=pid", "PrivateUsers=yes", "PrivateDevices=yes", "PrivateNetwork=yes")
    assert not set(shut) & set(lines)
    modules = (CONFIG / "modules-load.d" / "edge-agent.conf").read_text().split()
    assert {"usbserial", "cdc_acm", "videodev"} <= set(modules)


@pytest.mark.parametrize("unit", [UNIT, CONFIG / "systemd" / "edge-agent-ledger.service"], ids=lambda unit: unit.stem)
def test_our_own_programs_start_safely(unit: Path) -> None:
    text = unit.read_text()
    assert "PYTHONSAFEPATH=1" in text
    assert "ExecStart=/opt/edge-agent/bin/edge-agent " in text
    assert "StartLimitIntervalSec=0" in text
    assert "LimitCORE=0" in text


def test_every_user_that_a_unit_names_is_created() -> None:
    users = set()
    for file in (CONFIG / "sysusers.d").glob("*.conf"):
        users |= set(re.findall(r"^u (\S+)", file.read_text(), flags=re.MULTILINE))
    for unit in UNITS:
        assert set(confined.directives(unit, "User")) <= users


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="no systemd-sysusers: apt install systemd")
def test_users_and_folders_are_created_in_an_empty_system(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for kind in ("sysusers.d", "tmpfiles.d"):
        shutil.copytree(CONFIG / kind, tmp_path / "etc" / kind)
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True)
    assert {line.split(":")[0] for line in (tmp_path / "etc" / "passwd").read_text().splitlines()} >= {
        "canteen",
        "canteen-screen",
        "canteen-ledger",
    }
    command = ["systemd-tmpfiles", "--create", f"--root={tmp_path}"]
    said = subprocess.run(command, check=False, capture_output=True, text=True)
    if os.getuid() != 0:
        pytest.skip("only root can give folders away")
    assert "edge-agent" not in said.stderr
    assert (tmp_path / "etc" / "credstore").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "var" / "lib" / "edge-agent").stat().st_mode & 0o777 == 0o750


def test_the_polkit_rule_names_a_user_that_is_created_and_the_doctor_finds_it(tmp_path: Path) -> None:
    shutil.copytree(CONFIG / "polkit-1", tmp_path / "etc" / "polkit-1")
    assert not any("polkit" in str(problem) for problem in pcsc_checks.problems(tmp_path))
    rule = (tmp_path / "etc" / "polkit-1" / "rules.d" / "50-edge-agent.rules").read_text()
    assert set(re.findall(r'subject\.user == "([^"]+)"', rule)) == set(confined.directives(UNIT, "User"))


def test_the_unit_hands_over_the_secrets_that_the_documents_name() -> None:
    credentials = {line.partition(":")[0] for line in confined.directives(UNIT, "LoadCredential")}
    assert credentials == {"staff-pin", "osdp-key", "palm-key", "code-key"}


def test_every_udev_rule_is_whole() -> None:
    """Operators and quotes in their places; the driver is told of the 0403:1234 adapter."""
    part = re.compile(r'[A-Z_]+(?:\{[^}]+\})?(?:==|!=|\+=|:=|=)"[^"]*"')
    rules = [
        line for line in (CONFIG / "udev" / "70-edge-agent.rules").read_text().splitlines() if line and line[0] != "#"
    ]
    assert rules
    for rule in rules:
        assert ", ".join(part.findall(rule)) == rule
    assert any("new_id" in rule and "0403 1234" in rule for rule in rules)


@pytest.mark.skipif(shutil.which("udevadm") is None, reason="no udevadm: apt install udev")
def test_udev_itself_takes_the_rules() -> None:
    said = subprocess.run(
        ["udevadm", "verify", CONFIG / "udev" / "70-edge-agent.rules"], capture_output=True, text=True, check=False
    )
    if "Unknown command" in said.stderr or "Unknown operation" in said.stderr:
        pytest.skip("this udevadm is older than 254 and cannot verify rules")
    # Groups that exist on kiosks only cannot be known here.
    faults = [line for line in said.stderr.splitlines() if "canteen" not in line and "udev rules" not in line]
    assert said.returncode == 0 or faults == [], said.stderr


# ---- behind the filter


def inside(code: str) -> str:
    """Returns what this Python code prints, run as the unit confines the agent."""
    command = [sys.executable, confined.__file__, str(UNIT), sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 0, said.stderr
    return said.stdout.strip()


@needs_systemd
@needs_seccomp
def test_clock_quality_and_boot_can_be_read() -> None:
    code = "from edge_agent.process.clock import KernelClock; m = KernelClock()(); print(m.clock, m.boot)"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert inside(code) == f"{read_clock_quality()} {boot}"


@needs_systemd
@needs_seccomp
def test_a_certificate_is_made_and_addresses_are_found_behind_the_filter(tmp_path: Path) -> None:
    code = f"""
import datetime, pathlib, ssl
from edge_agent.runtime.kiosk_authority import FileAuthority
from edge_agent.runtime.lan_addresses import read_lan_addresses
found = [address for address in read_lan_addresses() if address.is_loopback]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
FileAuthority(pathlib.Path({str(tmp_path)!r}), "door").renew(
    context, "kiosk.local", found, datetime.datetime.now(datetime.UTC))
print(found[0])"""
    assert inside(code) == "127.0.0.1"


@needs_systemd
@needs_seccomp
@pytest.mark.parametrize(
    "forbidden",
    [
        "time.clock_settime(time.CLOCK_REALTIME, time.time())",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "os.chroot('/')",
        "os.chown('/tmp', 0, 0)",
        "os.setpriority(os.PRIO_PROCESS, 0, -5)",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)",
    ],
)
def test_what_the_agent_has_no_business_with_is_refused(forbidden: str) -> None:
    code = f"import mmap, os, socket, time\ntry:\n    {forbidden}\nexcept PermissionError:\n    print('refused')"
    if "mmap" in forbidden and ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) < 0:  # PR_GET_MDWE
        pytest.skip("this kernel is older than 6.3 and has no PR_SET_MDWE")
    assert inside(code) == "refused"


def test_a_gate_is_closed_however_the_agent_ended() -> None:
    """Its guardian is left the time to switch off, and what was killed all at once is switched off after that."""
    assert confined.directives(UNIT, "KillMode") == ["control-group"]
    after, _ = confined.directives(UNIT, "ExecStopPost")
    [start] = confined.directives(UNIT, "ExecStart")
    assert after.removeprefix("-").replace("devices off", "run") == start


@needs_systemd
@needs_seccomp
def test_a_gates_guardian_starts_behind_the_filter(tmp_path: Path) -> None:
    board = RelayBoard(tmp_path / "gate")
    code = (
        "from drivers.base import Signal; from drivers.indicators.turnstile import *\n"
        f"gate = Turnstile('gate', TurnstileSettings(port={str(board.port)!r}, way_in=1, pulse_ms=100))\n"
        "gate.open(); gate.show(Signal.WELCOME); gate.close(); print('shown')"
    )
    assert inside(code) == "shown"
    assert board.on == set()
    assert any(event.on for event in board.switched)
    board.unplug()


SETTINGS = """
[kiosk]
school = "school-1"
state_dir = "{folder}/state"
run_dir = "{folder}/run"

[screen]
port = {port}

[[readers]]
name = "door"
driver = "em4100"
port = "{port_of_reader}"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def notifications(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(60)
        yield systemd


def wait_for(systemd: socket.socket, word: str) -> None:
    """Pass over what else is told; a message comes about twice a second."""
    for _ in range(60):
        if word in systemd.recv(4096).decode().splitlines():
            return
    pytest.fail(f"the agent never said {word}")


def frame(card: str) -> bytes:
    """Returns the bytes that an RDM6300 sends for a card of ten hex digits."""
    checksum = 0
    for byte in bytes.fromhex(card):
        checksum ^= byte
    return b"\x02" + f"{card}{checksum:02X}".encode() + b"\x03"


@needs_systemd
@needs_seccomp
def test_the_agent_runs_behind_the_filter(tmp_path: Path) -> None:
    """From a card on a serial reader to the row on disk, the control socket and the page: nothing is forbidden it."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    settings = tmp_path / "agent.toml"
    settings.write_text(SETTINGS.format(folder=tmp_path, port=free_port(), port_of_reader=os.ttyname(theirs)))
    with notifications(tmp_path / "notify") as systemd, running_inside(settings, tmp_path / "notify") as agent:
        wait_for(systemd, "READY=1")
        wait_for(systemd, "WATCHDOG=1")
        os.write(ours, frame("0A00B1C2D3") * 2)
        wait_for(systemd, "WATCHDOG=1")
        wait_for(systemd, "WATCHDOG=1")
        rows = [row["event"] for row in read_json(settings, "journal", "list")]
        [status] = read_json(settings, "sync", "status")
        agent.terminate()
        wait_for(systemd, "STOPPING=1")
        _, log = agent.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert [row["kind"] for row in rows] == ["boot", "refusal"]
    assert {row["clock"] for row in rows} == {read_clock_quality().value}
    assert status
    assert agent.returncode == 0, log
    assert "Traceback" not in log


@contextmanager
def running_inside(settings: Path, notify: Path) -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, "NOTIFY_SOCKET": str(notify), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, confined.__file__, str(UNIT), str(AGENT), "run", "--config", str(settings)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as agent:
        try:
            yield agent
        finally:
            if agent.poll() is None:
                agent.kill()


def read_json(settings: Path, *noun_and_verb: str) -> list[dict[str, Any]]:
    """Returns the lines of a command that asks the running agent over the control socket (SO_PEERCRED)."""
    command = [str(AGENT), *noun_and_verb, "--json", "--config", str(settings)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [json.loads(line) for line in lines.splitlines()]


def test_the_screens_page_is_where_its_unit_looks() -> None:
    text = (CONFIG / "systemd" / "edge-agent-screen.service").read_text()
    assert f"http://127.0.0.1:{ScreenSettings().port}/" in text
