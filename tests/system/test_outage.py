"""A disk that is full for a whole lunch: the real daemon on a small disk, one reader, and the real ledger."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from drivers.simulated.card_peer import CardPeer
from edge_agent.journal.verify import verify_journal
from sync.ledger.judgement.days import read_visits, settle_days
from sync.ledger.registry import schools
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.surrogates import find_surrogates
from sync.ledger.server import LedgerServer
from tests.system.daemon import Daemon, edge_agent, school_export, serial_reader

CHILDREN = 60
CARDS = {f"u-{number}": ("em4100", f"01{0x5A3C9600 + number:08X}") for number in range(1, CHILDREN + 2)}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.getuid() != 0:
        pytest.skip("a small disk can be mounted by root only")
    disk = tmp_path / "state"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_sixty_children_of_a_full_disk_are_recorded_once_in_order_with_their_times(
    tmp_path: Path, small_disk: Path, server: LedgerServer, db: psycopg.Connection, school: str
) -> None:
    export = school_export(tmp_path / "export", school, CARDS)
    import_export(db, read_export(export), [school], date=datetime.now(UTC).date().isoformat())
    code = schools.issue_code(db, school, "door", datetime.now(UTC))
    with (
        CardPeer(tmp_path / "door") as peer,
        Daemon(tmp_path, serial_reader("door", "em4100", tmp_path / "door")) as daemon,
    ):
        edge_agent("register", server.url, code, "--config", str(daemon.config))
        daemon.start()
        daemon.until(lambda status: status["roster"]["people"] == len(CARDS))
        people = list(CARDS)
        filler = small_disk / "filler"
        for number, person in enumerate(people[:CHILDREN], 1):
            fill_up(filler)
            peer.present(bytes.fromhex(CARDS[person][1]))
            daemon.wait_lights(number)
        lights = daemon.lights()
        welcomed = lights.count("welcome")  # what is left of the WAL's own room holds a few rows
        assert lights == ["welcome"] * welcomed + ["noted"] * (CHILDREN - welcomed)
        assert welcomed < CHILDREN // 2
        status = daemon.until(lambda status: status["waiting"] == CHILDREN - welcomed)
        assert not status["recording"]
        assert not status["faults"]
        assert "wait in memory" in edge_agent("doctor", "--config", str(daemon.config), check=False).stdout

        filler.unlink()
        daemon.until(lambda status: status["recording"] and status["waiting"] == 0)  # by itself, without a scan
        peer.present(bytes.fromhex(CARDS[people[-1]][1]))
        assert daemon.wait_lights(CHILDREN + 1)[-1] == "welcome"
        daemon.until(lambda status: status["journal"]["queue"] == 0)
        assert daemon.stop() == 0
        assert daemon.log.count("the journal cannot be written") <= 2
        assert "Traceback" not in daemon.log
        assert sum(daemon.log.count(level) for level in ("WARNING", "ERROR")) < 10  # what repeats is counted
    assert verify_journal(daemon.journal).whole
    rows = db.execute(
        "SELECT payload FROM event WHERE school = %s AND kind IN ('entry', 'recording_resumed') ORDER BY epoch, seq",
        (school,),
    ).fetchall()
    facts = [json.loads(bytes(payload)) for (payload,) in rows]
    entries = [fact for fact in facts if fact["kind"] == "entry"]
    surrogates = find_surrogates(db, school, CARDS)
    assert [entry["person"] for entry in entries] == [surrogates[person] for person in people]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert [entry["mono_ms"] for entry in entries] == sorted(entry["mono_ms"] for entry in entries)
    late = [entry.get("written_late", False) for entry in entries]
    assert late == [False] * welcomed + [True] * (CHILDREN - welcomed) + [False]
    outages = [fact for fact in facts if fact["kind"] == "recording_resumed"]
    assert outages[-1]["waiting"] <= CHILDREN - welcomed
    assert outages[0]["since"] <= min(entry["at"] for entry in entries[welcomed + 1 :])
    today = datetime.now(UTC).date()
    settle_days(db, school, now=datetime.now(UTC))
    visits = read_visits(db, school, today - timedelta(days=1), today + timedelta(days=1))
    assert len(visits) == len(CARDS)
    assert len({visit.claim for visit in visits}) == 1  # who waited is judged like who did not


def fill_up(filler: Path) -> None:
    """Takes every free block of the disk."""
    with filler.open("ab", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
