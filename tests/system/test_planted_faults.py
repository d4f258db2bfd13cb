"""Faults that are really planted on a kiosk, and the doctor's next step for each.

First those of a kiosk at rest: a whole small machine below `root` is sound, one thing of it is broken, and the doctor
finds what it did not find before. Then those of running daemons with readers, lines and ledgers.
"""

import fcntl
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from drivers.simulated.card_peer import CardPeer, ReaderModel, frame
from edge_agent.cli.checks.finding import ExaminedKiosk, Finding, FindingState
from edge_agent.cli.doctor import ask_status, examine, read_settings
from edge_agent.cli.phrases import say
from edge_agent.identity import Registration, read_registration, write_registration
from sync.client.keys import DeviceKey
from sync.contract.roster import School
from sync.ledger.registry import rosters, schools
from sync.ledger.server import LedgerServer
from tests.drivers.uart import line_levels, receive
from tests.edge_agent.cli.checks.kiosk import write_file
from tests.edge_agent.cli.control_peer import serve_status
from tests.edge_agent.journal.samples import build_entry, open_journal
from tests.sync.client import loopback
from tests.sync.client.test_http import certificate
from tests.system.daemon import Daemon, edge_agent

FAILS, LOOK = FindingState.FAILURE, FindingState.ATTENTION
SHARE = Path(sys.prefix) / "share" / "edge-agent"
NOBODY = 65_534
PHONE = b"Mifare[08A1B2C3] 4K (0004,20) 178,41224\r\n"
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away and mount")


@dataclass(frozen=True)
class Machine:
    """A kiosk at rest: its settings, and the root of its machine."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "agent.toml"

    @property
    def state(self) -> Path:
        return self.root / "state"

    def configure(self, more: str = "", kiosk: str = "") -> None:
        """Writes the settings file: folders of this machine, and what a test adds."""
        text = f'[kiosk]\nstate_dir = "{self.state}"\nrun_dir = "{self.root}/run"\n{kiosk}\n{more}'
        self.config.write_text(text, "utf-8")

    def examine(self) -> list[Finding]:
        """Returns all findings, as `edge-agent doctor` has them."""
        loaded, settings = read_settings(self.config)
        status, daemon = ask_status(loaded.settings.kiosk.run_dir)
        groups = frozenset(os.getgroups())
        kiosk = ExaminedKiosk(loaded, status, root=self.root, agent_uid=os.getuid(), agent_groups=groups)
        return [*settings, *daemon, *examine(kiosk)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that was set up by the guide, whose agent is stopped."""
    kiosk = Machine(tmp_path)
    kiosk.configure()
    kiosk.state.mkdir(mode=0o750)
    (tmp_path / "run").mkdir(mode=0o750)
    journal = open_journal(kiosk.state / "journal.db")
    for number in range(3):
        journal.append(build_entry(number, f"p{number}"))
    journal.close()
    write_file(kiosk.state, "journal.db.ballast")
    write_file(kiosk.state, "operators.json", "[]", 0o600)
    DeviceKey.make().write(kiosk.state / "device.key")
    write_registration(
        kiosk.state, Registration(device="k-1", school="s-1", ledger="https://ledger.example", server_key="00")
    )
    write_file(tmp_path, "proc/self/mounts", "/dev/root / ext4 rw,noatime 0 0\n")
    write_file(tmp_path, "run/systemd/system/x")
    for source, target in (
        ("systemd/edge-agent.service", "etc/systemd/system"),
        ("udev/70-edge-agent.rules", "etc/udev/rules.d"),
        ("modules-load.d/edge-agent.conf", "etc/modules-load.d"),
        ("modprobe.d/edge-agent.conf", "etc/modprobe.d"),
    ):
        (tmp_path / target).mkdir(parents=True)
        shutil.copy(SHARE / source, tmp_path / target)
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    (wants / "edge-agent.service").symlink_to("/etc/systemd/system/edge-agent.service")
    return kiosk


def test_a_sound_machine_at_rest_has_one_failure(machine: Machine) -> None:
    """The daemon does not run: that alone. The clock is this machine's own."""
    found = [(finding.part, finding.state) for finding in machine.examine() if finding.state is not FindingState.GOOD]
    assert [row for row in found if row[0] != "clock"] == [("daemon", FAILS)]


def corrupt_row(machine: Machine) -> None:
    with closing(sqlite3.connect(machine.state / "journal.db")) as connection, connection:
        connection.execute("DROP TRIGGER event_is_never_changed")
        connection.execute("UPDATE event SET payload = CAST(replace(payload, 'state', 'paid') AS BLOB) WHERE seq = 3")


def plug_in(machine: Machine, mode: int | None) -> None:
    """Plugs a CH341 adapter in; `mode` of its port, None: its kernel module is not loaded."""
    write_file(machine.root, "sys/bus/usb/devices/1-2/idVendor", "1a86")
    write_file(machine.root, "sys/bus/usb/devices/1-2/idProduct", "7523")
    if mode is not None:
        (machine.root / "sys/bus/usb/devices/1-2/1-2:1.0/ttyUSB0").mkdir(parents=True)
        os.chown(write_file(machine.root, "dev/ttyUSB0", mode=mode), NOBODY, NOBODY)
    machine.configure('[[readers]]\nname = "door"\ndriver = "em4100"\nport = "/dev/ttyUSB0"\n')


def reader(driver: str, keys: str) -> str:
    return f'[[readers]]\nname = "door"\ndriver = "{driver}"\n{keys}\n'


AtRest = Callable[[Machine], object]
AT_REST: dict[str, tuple[AtRest, str, FindingState, str]] = {
    "settings: an unknown key": (lambda m: m.configure("[jurnal]\n"), "settings", FAILS, "correct the file"),
    "settings: a wrong value": (
        lambda m: m.configure('[log]\nlevel = "loud"\n'), "settings", FAILS, "correct the file",
    ),
    "settings: no TOML": (lambda m: m.configure("kiosk = ["), "settings", FAILS, "correct the file"),
    "settings: no file": (lambda m: m.config.unlink(), "settings", FAILS, "correct the file"),
    "settings: a zone that is none": (
        lambda m: m.configure(kiosk='timezone = "Asia/Almata"'), "settings", FAILS, "correct the file",
    ),
    "a driver that nobody has": (lambda m: m.configure(reader("em4001", "")), "device door", FAILS, "correct it in"),
    "a driver's key that nobody knows": (
        lambda m: m.configure(reader("em4100", 'prot = "/dev/x"')), "device door", FAILS, "correct it in",
    ),
    "a port that does not exist": (
        lambda m: m.configure(reader("em4100", 'port = "/dev/serial/by-id/x"')), "device door", FAILS, "plug it in",
    ),
    "a kernel module that is not loaded": (lambda m: plug_in(m, None), "plugged in", LOOK, "modprobe ch341"),
    "a port that the agent may not open": (lambda m: plug_in(m, 0o600), "plugged in", FAILS, "install the udev rules"),
    "an OSDP reader without a key": (
        lambda m: m.configure(reader("osdp", 'port = "/dev/x"\ncommissioning = true')),
        "key of door", LOOK, "edge-agent devices commission",
    ),
    "a state folder that others read": (lambda m: m.state.chmod(0o755), "state folder", LOOK, "chmod 750"),
    "a state folder of somebody else": (lambda m: os.chown(m.state, NOBODY, NOBODY), "state folder", FAILS, "chown -R"),
    "a file of root in it": (
        lambda m: os.chown(m.state / "journal.db.ballast", NOBODY, NOBODY),
        "state folder", FAILS, "chown -R --reference",
    ),
    "no state folder": (lambda m: shutil.rmtree(m.state), "state folder", LOOK, "systemctl start edge-agent"),
    "a condemned journal": (
        lambda m: write_file(m.state, "journal.condemned", "row 3"), "state folder", FAILS, "restart the daemon",
    ),
    "a journal that was set aside": (
        lambda m: write_file(m.state, "journal.db.damaged-20261120T100000Z"), "state folder", LOOK, "send them to",
    ),
    "a journal of rubbish": (
        lambda m: (m.state / "journal.db").write_bytes(b"rubbish" * 4_096), "journal", FAILS, "keep it",
    ),
    "a changed row": (corrupt_row, "journal", FAILS, "keep it"),
    "the ballast given up": (lambda m: (m.state / "journal.db.ballast").unlink(), "ballast", LOOK, "free the disk"),
    "no ballast at all": (
        lambda m: m.configure("[journal]\nballast_mib = 0\n"), "ballast", LOOK, "journal.ballast_mib",
    ),
    "a state folder in memory": (
        lambda m: write_file(m.root, "proc/self/mounts", f"tmpfs {m.root} tmpfs rw 0 0\n"),
        "file system", FAILS, "put kiosk.state_dir on a disk",
    ),
    "a dying card": (
        lambda m: write_file(m.root, "proc/self/mounts", "/dev/mmcblk0p2 / ext4 ro,noatime 0 0\n"),
        "file system", FAILS, "look at dmesg",
    ),
    "a state folder on a share": (
        lambda m: write_file(m.root, "proc/self/mounts", f"nas:/x {m.root} nfs4 rw 0 0\n"),
        "file system", FAILS, "local ext4",
    ),
    "a run folder that anybody writes": (lambda m: (m.root / "run").chmod(0o777), "run folder", LOOK, "chmod 750"),
    "a control socket for everybody": (
        lambda m: write_file(m.root, "run/control.sock", mode=0o666),
        "run folder", FAILS, "systemctl restart edge-agent",
    ),
    "a device key that others read": (
        lambda m: (m.state / "device.key").chmod(0o644), "device key", FAILS, "chmod 600",
    ),
    "a device key of rubbish": (
        lambda m: (m.state / "device.key").write_text("rubbish"), "device key", FAILS, "restore it, or register",
    ),
    "no registration": (lambda m: (m.state / "identity.json").unlink(), "registered", LOOK, "edge-agent register"),
    "a registration of rubbish": (
        lambda m: (m.state / "identity.json").write_text("{"), "registered", FAILS, "do as it says",
    ),
    "another school in the settings": (
        lambda m: m.configure(kiosk='school = "s-2"'), "registered", FAILS, "leave kiosk.school out",
    ),
    "no unit": (
        lambda m: (m.root / "etc/systemd/system/edge-agent.service").unlink(), "unit", FAILS, "daemon-reload",
    ),
    "a unit of another version": (
        lambda m: write_file(m.root, "etc/systemd/system/edge-agent.service", "[Unit]\n"), "unit", LOOK, "cp ",
    ),
    "a unit that does not start with the machine": (
        lambda m: (m.root / "etc/systemd/system/multi-user.target.wants/edge-agent.service").unlink(),
        "unit", FAILS, "systemctl enable --now edge-agent",
    ),
    "no udev rules": (lambda m: (m.root / "etc/udev/rules.d/70-edge-agent.rules").unlink(), "files", LOOK, "cp "),
    "a PIN that others read": (
        lambda m: write_file(m.root, "etc/credstore/edge-agent.staff-pin", "4711", 0o644),
        "staff's PIN", FAILS, "chmod 600",
    ),
    "no operators": (lambda m: (m.state / "operators.json").unlink(), "staff's PIN", LOOK, "edge-agent operators add"),
}  # fmt: skip
OWNERS = {"a state folder of somebody else", "a file of root in it", "a port that the agent may not open"}
LIBRARIES = {"an OSDP reader without a key": "osdp_sys"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[needs_root] if name in OWNERS else []) for name in AT_REST])
def test_a_fault_of_a_kiosk_at_rest_is_found_with_its_next_step(machine: Machine, name: str) -> None:
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name], reason="the driver's library is not installed: readers.lock has it")
    plant, part, state, words = AT_REST[name]
    before = {(finding.part, finding.detail) for finding in machine.examine()}
    plant(machine)
    fresh = [finding for finding in machine.examine() if (finding.part, finding.detail) not in before]
    check_finding([finding for finding in fresh if finding.part == part], state, words)


def check_finding(findings: list[Finding], state: FindingState, words: str) -> None:
    """Checks that one of the findings is as pressing as this and has this next step, in three languages."""
    assert any(finding.state is state and words in finding.next_step for finding in findings), findings
    for finding in findings:
        for language in ("kk", "ru"):
            assert say(finding.part, language), finding


@needs_root
def test_a_full_disk(machine: Machine) -> None:
    """A real file system of 32 MiB."""
    disk = machine.root / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a file system")
    try:
        machine.config.write_text(f'[kiosk]\nstate_dir = "{disk}"\nrun_dir = "{machine.root}/run"\n')
        found = [finding for finding in machine.examine() if finding.part == "free space"]
        check_finding(found, FAILS, "free the disk: journalctl --vacuum-size=50M")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_something_else_answers_on_the_socket(machine: Machine) -> None:
    with serve_status(machine.root / "run", {"recording": "perhaps"}):
        found = [finding for finding in machine.examine() if finding.part == "daemon"]
    check_finding(found, FAILS, "systemctl restart edge-agent")


# Running daemons


def find_part(daemon: Daemon, part: str) -> list[Finding]:
    """Returns the doctor's findings on one part of the kiosk of this daemon."""
    loaded, settings = read_settings(daemon.config)
    status, answered = ask_status(daemon.run_dir)
    findings = [*settings, *answered, *examine(ExaminedKiosk(loaded, status))]
    return [finding for finding in findings if finding.part == part]


@contextmanager
def held_port(port: Path) -> Iterator[None]:
    """Another program has this port for itself."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
        yield
    finally:
        fcntl.ioctl(descriptor, termios.TIOCNXCL)
        os.close(descriptor)


def test_readers_that_do_not_read(tmp_path: Path) -> None:
    """One daemon, and a reader for each fault of a reader."""
    with ExitStack() as stack:
        garbled, other, phone, held = (
            stack.enter_context(CardPeer(tmp_path / name, model))
            for name, model in (
                ("garbled", ReaderModel.RDM6300),
                ("other", ReaderModel.IRONLOGIC),
                ("fast", ReaderModel.IRONLOGIC),
                ("held", ReaderModel.RDM6300),
            )
        )
        stack.enter_context(held_port(held.port))
        (tmp_path / "file").write_text("no port")
        settings = {
            "garbled": ("em4100", garbled.port), "wrong-driver": ("em4100", other.port),
            "fast": ("ironlogic", phone.port),
            "held": ("em4100", held.port), "gone": ("em4100", tmp_path / "gone"), "file": ("em4100", tmp_path / "file"),
        }  # fmt: skip
        tables = "".join(
            f'[[readers]]\nname = "{name}"\ndriver = "{driver}"\nport = "{port}"\n'
            for name, (driver, port) in settings.items()
        )
        tables += '[[readers]]\nname = "camera"\ndriver = "camera"\nsource = "/dev/v4l/by-id/none"\n'
        daemon = stack.enter_context(Daemon(tmp_path, tables))
        daemon.launch()
        daemon.until(lambda status: sum(reader["there"] for reader in status["readers"]) == 3)
        for number in range(4):
            garbled.send(frame(ReaderModel.RDM6300, bytes((1, 10, 27, 44, number))).replace(b"0A", b"0B"))
            other.send(b"Em-Marine[5500] 001,%05d\r\n" % number)
        phone.send(receive(line_levels(PHONE * 2), sent_baud=9_600, read_baud=38_400))

        def is_told(status: dict[str, Any]) -> bool:
            readers = {reader["name"]: reader for reader in status["readers"]}
            misset = [readers[name]["refusal"] for name in ("wrong-driver", "fast")]
            return readers["garbled"]["faults"] >= 3 and all(last and last["cause"] == "settings" for last in misset)

        daemon.until(is_told)
        for name, state, words in (
            ("garbled", FAILS, "compare driver and speed with the reader's label"),
            ("wrong-driver", FAILS, "do as it says; edge-agent devices watch wrong-driver"),
            ("fast", FAILS, "do as it says; edge-agent devices watch fast"),
            ("held", FAILS, "stop it"),
            ("gone", FAILS, "check that the reader is plugged in and has power"),
            ("file", FAILS, "`edge-agent devices probe` lists them"),
            ("camera", FAILS, "check that the camera is plugged in"),
        ):
            check_finding(find_part(daemon, f"device {name}"), state, words)
        assert 'set driver = "ironlogic"' in find_part(daemon, "device wrong-driver")[0].detail
        assert "set a lower baud" in find_part(daemon, "device fast")[0].detail
        check_finding(find_part(daemon, "roster"), FAILS, "edge-agent roster import --local")
        check_finding(find_part(daemon, "ledger"), LOOK, "register: edge-agent register URL CODE")


def registered(folder: Path, server: LedgerServer, db: psycopg.Connection, school: str) -> Daemon:
    """Returns a daemon whose kiosk is registered with the ledger; it is not started."""
    folder.mkdir()
    daemon = Daemon(folder)
    code = schools.issue_code(db, school, "door", datetime.now(UTC))
    edge_agent("register", server.url, code, "--config", str(daemon.config))
    return daemon


def move_ledger(daemon: Daemon, url: str) -> None:
    """Lets the kiosk look for its ledger at another address."""
    known = read_registration(daemon.state_dir)
    assert known is not None
    moved = Registration(device=known.device, school=known.school, ledger=url, server_key=known.server_key)
    write_registration(daemon.state_dir, moved)


def test_a_registered_kiosk_whose_school_has_no_roster_yet_and_then_another_zone(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str
) -> None:
    with registered(tmp_path / "kiosk", server, db, school) as daemon:
        daemon.launch()
        daemon.until(lambda status: status["ledger"] is not None and status["ledger"]["state"] == "reachable")
        check_finding(find_part(daemon, "roster"), FAILS, "the turn of the ledger's operator: edge-agent roster import")
        rosters.apply_changes(db, school, [School(id=school, name="School", timezone="Asia/Tashkent")])
        daemon.until(lambda status: status["roster"]["timezone"] == "Asia/Tashkent")
        check_finding(find_part(daemon, "time zones"), FAILS, f"set kiosk.timezone in {daemon.config}")


def test_a_suspended_kiosk(tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str) -> None:
    with registered(tmp_path / "kiosk", server, db, school) as daemon:
        known = read_registration(daemon.state_dir)
        assert known is not None
        schools.set_status(db, known.device, "suspended")
        daemon.launch()
        daemon.until(lambda status: status["ledger"] is not None and status["ledger"]["alarm"] == "unauthorised")
        check_finding(find_part(daemon, "ledger"), FAILS, "ask the ledger's operator if this kiosk is suspended")


def test_a_ledger_that_is_away(tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str) -> None:
    with registered(tmp_path / "kiosk", server, db, school) as daemon:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        move_ledger(daemon, f"http://127.0.0.1:{port}")
        daemon.launch()
        daemon.until(lambda status: status["ledger"] is not None and status["ledger"]["last"] == "unreachable")
        check_finding(find_part(daemon, "ledger"), LOOK, "check network and address")
        check_finding(find_part(daemon, "roster"), FAILS, "your turn: the line to the ledger first")


@pytest.mark.parametrize("days", [(-2, -1), (-1, 1)], ids=["expired", "of an unknown authority"])
def test_a_certificate_that_does_not_hold(
    tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str, days: tuple[int, int]
) -> None:
    now = datetime.now(UTC)
    tls = certificate(tmp_path, now + timedelta(days=days[0]), now + timedelta(days=days[1]))
    with (
        loopback.server(lambda request: None, tls) as (url, _),
        registered(tmp_path / "kiosk", server, db, school) as daemon,
    ):
        move_ledger(daemon, url)
        daemon.launch()
        daemon.until(lambda status: status["ledger"] is not None and status["ledger"]["alarm"] == "untrusted")
        check_finding(find_part(daemon, "ledger"), FAILS, "check the kiosk's clock, then the ledger's certificate")
