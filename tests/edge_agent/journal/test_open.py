"""Opening lets one process in at a time, and finds damage before the first scan."""

import dataclasses
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge_agent.journal.errors import JournalBusy, JournalDamaged, JournalUnwritable
from edge_agent.journal.setting_aside import set_journal_aside
from edge_agent.journal.verify import verify_journal
from sync.contract.chain import DeviceId, extend, genesis
from sync.contract.event import Carried, Repair, decode, encode
from tests.edge_agent.journal.samples import KIOSK, NOON, build_entry, open_journal

ALTERED = "UPDATE event SET payload = CAST(replace(CAST(payload AS TEXT), 'lunch', 'brunch') AS BLOB) WHERE seq ="


def fill_journal(path: Path, rows: int = 5) -> None:
    with open_journal(path) as journal:
        journal.append_all([build_entry(number) for number in range(1, rows + 1)])


def spoil(path: Path, *statements: str) -> None:
    """Changes the file as a failing card would: around the triggers that hold our own code back."""
    connection = sqlite3.connect(path, isolation_level=None)
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    for _, sql in triggers:
        connection.execute(sql)
    connection.close()


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_a_second_journal_names_the_first_owner(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path), pytest.raises(JournalBusy, match=str(os.getpid())):
        open_journal(path)
    open_journal(path).close()


def test_a_second_process_names_the_owner_too(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    program = [sys.executable, "-m", "tests.edge_agent.journal.appender", str(path), "1", "--hold"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith(b"ok 1 ")
        with pytest.raises(JournalBusy, match=str(child.pid)):
            open_journal(path)
        child.kill()
    open_journal(path).close()  # a lock does not outlive its process


def test_a_missing_state_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalUnwritable, match="state folder"):
        open_journal(tmp_path / "missing" / "j.db")


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path, ballast_bytes=4096) as journal:
        journal.append(build_entry(1))
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_opening_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    fill_journal(path)
    before = dump(path)
    open_journal(path).close()
    assert dump(path) == before


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (ALTERED + " 3", "row 3 is not what was kept"),
        ("DELETE FROM event WHERE seq = 2", "row 2 is missing"),
        ("DELETE FROM event WHERE seq = 5", "ends at 4"),
        ("UPDATE epoch SET head_seq = 4", "ends at 5"),
        ("UPDATE epoch SET head_hash = zeroblob(32)", "ends at 5"),
        ("UPDATE epoch SET public_key = zeroblob(32)", "genesis"),
        ("UPDATE epoch SET anchor_hash = zeroblob(32)", "not the genesis"),
        ("DROP TABLE sighting", "sighting is not as the schema has it"),
    ],
)
def test_opening_finds_damage(tmp_path: Path, statement: str, said: str) -> None:
    path = tmp_path / "j.db"
    fill_journal(path)
    spoil(path, statement)
    with pytest.raises(JournalDamaged, match=said):
        open_journal(path)


def test_a_journal_without_its_guards_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    fill_journal(path)
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER event_is_never_changed")
    connection.close()
    with pytest.raises(JournalDamaged, match="event_is_never_changed"):
        open_journal(path)


def test_opening_walks_only_the_last_thousand_links(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    fill_journal(path, rows=1_200)
    spoil(path, ALTERED + " 150")
    open_journal(path).close()
    broken = verify_journal(path).broken
    assert broken is not None
    assert broken.seq == 150
    spoil(path, ALTERED + " 201")
    with pytest.raises(JournalDamaged, match="row 201"):
        open_journal(path)


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look at it" * 100, b"SQLite format 3\0" + b"\xff" * 8192]
)
def test_rubbish_is_set_aside_and_a_new_journal_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(content)
    with pytest.raises(JournalDamaged, match="set the journal aside"):
        open_journal(path)
    damaged = set_journal_aside(path, NOON)
    assert damaged.path.read_bytes() == content
    with open_journal(path, after=damaged) as journal:
        first = decode(journal.recent(1)[0].payload)
        assert isinstance(first, Repair)
        assert (first.why, first.kept_as, first.old_epoch) == ("damaged", damaged.path.name, "")
        journal.append(build_entry(1))


def test_a_damaged_journal_stays_with_its_wal_and_is_cited(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = open_journal(path)
    journal.append_all([build_entry(number) for number in range(1, 6)])
    acked = journal.outbox.find_hash(3)
    assert acked is not None
    journal.outbox.acknowledge(replace(journal.outbox.head, seq=3, hash=acked), b"receipt")
    old, head = journal.outbox.epoch, journal.outbox.head
    journal.close()
    spoil(path, "UPDATE event SET payload = x'7b7d' WHERE seq = 5")
    with pytest.raises(JournalDamaged):
        open_journal(path)
    path.with_name("j.db-wal").write_bytes(b"")
    damaged = set_journal_aside(path, NOON)
    assert damaged.path.name == "j.db.damaged-20261123T070000Z"
    assert damaged.path.with_name(damaged.path.name + "-wal").exists()
    assert not path.exists()
    assert (damaged.epoch, damaged.head) == (old, head)
    with open_journal(path, after=damaged) as journal:
        first = decode(journal.recent(1)[0].payload)
        assert isinstance(first, Repair)
        assert (first.old_epoch, first.old_seq, first.old_head) == (old, 5, head.hash.hex())
        assert journal.outbox.parent_head == acked
        start = genesis(KIOSK.device, KIOSK.public_key, journal.outbox.epoch, acked)
        assert journal.outbox.head.hash == extend(start, encode(first))
    path.write_bytes(b"rubbish again, in the same second, and just as long as the header of one" * 99)
    assert set_journal_aside(path, NOON).path != damaged.path


def test_a_wal_without_its_journal_enters_no_new_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    wal = path.with_name("j.db-wal")
    wal.write_bytes(b"rows of an old journal")
    with pytest.raises(JournalDamaged, match="only its WAL"):
        open_journal(path)
    damaged = set_journal_aside(path, NOON)
    assert not wal.exists()
    with open_journal(path, after=damaged) as journal:
        assert journal.outbox.head.seq == 1


def test_setting_aside_waits_for_nobody(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path), pytest.raises(JournalBusy):
        set_journal_aside(path, NOON)
    assert path.exists()


def test_a_new_identity_goes_on_in_a_new_epoch(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        row = journal.append(build_entry(1, "u1"))
        journal.outbox.acknowledge(journal.outbox.head, b"receipt")
        journal.append(build_entry(2, "u2"))
        old = journal.outbox.epoch
    same_device = dataclasses.replace(KIOSK, public_key=bytes(32))
    with open_journal(path, same_device) as journal:
        assert journal.outbox.epoch != old
        assert journal.outbox.parent_head == row.hash
        repair, carried = (decode(damaged.payload) for damaged in reversed(journal.recent(2)))
        assert isinstance(repair, Repair)
        assert repair.why == "identity"
        assert isinstance(carried, Carried)
        assert (carried.old_epoch, carried.old_seq) == (old, 2)
        epoch = journal.outbox.epoch
    with open_journal(path, same_device) as journal:
        assert journal.outbox.epoch == epoch
    with open_journal(path, dataclasses.replace(KIOSK, device=DeviceId("kiosk-2"))) as journal:
        assert journal.outbox.parent_head == b""  # the new device's ledger account knows nothing of the old one's heads
    assert verify_journal(path).whole
