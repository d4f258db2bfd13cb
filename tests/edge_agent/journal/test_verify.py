"""The whole check names the first row that is not what was kept."""

import random
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.journal.errors import JournalDamaged
from edge_agent.journal.verify import ChainBreak, verify_journal
from sync.contract.chain import Head
from tests.edge_agent.journal.samples import build_entry, build_repeat, build_void, open_journal
from tests.edge_agent.journal.test_epochs import append_raw
from tests.edge_agent.journal.test_open import ALTERED, spoil

ROWS = 40


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "j.db"
    with open_journal(path) as journal:
        rows = journal.append_all([build_entry(number) for number in range(1, ROWS + 1)])
        journal.outbox.acknowledge(Head(7, rows[6].hash), b"receipt")
        journal.append(build_void(41, "p5", journal.outbox.epoch, 5))
        journal.append(build_void(42, "p999", journal.outbox.epoch, 5))  # of somebody else: voids nothing
        journal.append(build_repeat(43, "p5"))
    return path


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(seq=st.integers(1, ROWS), column=st.sampled_from(["payload", "hash"]), dice=st.randoms(use_true_random=False))
def test_every_flipped_bit_names_its_row(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, seq: int, column: str, dice: random.Random
) -> None:
    path = tmp_path_factory.mktemp("flipped") / "j.db"
    shutil.copy(sound, path)
    connection = sqlite3.connect(path)
    (value,) = connection.execute(f"SELECT {column} FROM event WHERE seq = ?", (seq,)).fetchone()
    connection.close()
    spoilt = bytearray(value)
    spoilt[dice.randrange(len(spoilt))] ^= 1 << dice.randrange(8)
    spoil(path, f"UPDATE event SET {column} = x'{spoilt.hex()}' WHERE seq = {seq}")
    broken = verify_journal(path).broken
    assert broken is not None
    assert broken.seq == seq
    assert len(broken.epoch) == 16


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(dice=st.randoms(use_true_random=False))
def test_no_flipped_bit_passes_for_different_rows(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, dice: random.Random
) -> None:
    """It is found, or it hit bytes that no row depends on. Opening says damaged, or it opens: nothing else happens."""
    path = tmp_path_factory.mktemp("flipped") / "j.db"
    content = bytearray(sound.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)
    verdict = verify_journal(path)
    if verdict.whole:
        assert read_rows(path) == read_rows(sound)
    try:
        open_journal(path).close()
    except JournalDamaged:
        assert not verdict.whole


def read_rows(path: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT epoch, seq, payload, hash FROM event ORDER BY epoch, seq").fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("statement", "seq", "what"),
    [
        ("DELETE FROM _sqlite_migrations WHERE id = (SELECT max(id) FROM _sqlite_migrations)", 0, "not taken"),
        ("DELETE FROM event WHERE seq = 9", 9, "missing"),
        ("DELETE FROM event WHERE seq > 30", 31, "missing: the head row says 43"),
        ("UPDATE event SET seq = 99 WHERE seq = 43", 43, "missing"),
        (ALTERED + " 1", 1, "not those that were hashed"),
        ("UPDATE receipt SET hash = zeroblob(32)", 7, "not that of the"),
        ("UPDATE epoch SET acked_hash = zeroblob(32)", 7, "acknowledged head"),
        ("UPDATE epoch SET device = 'kiosk-2'", 0, "genesis"),
        ("UPDATE epoch SET anchor_hash = zeroblob(32)", 0, "genesis"),
        ("UPDATE sighting SET service_date = '2026-11-22' WHERE seq = 3", 3, "index"),
        ("DELETE FROM sighting WHERE seq = 3", 3, "index"),
        ("UPDATE sighting SET voided = 0 WHERE seq = 5", 41, "index"),
        ("UPDATE sighting SET voided = 1 WHERE seq = 6", 6, "no event voids it"),
    ],
)
def test_a_broken_link_is_named(sound: Path, tmp_path: Path, statement: str, seq: int, what: str) -> None:
    path = tmp_path / "j.db"
    shutil.copy(sound, path)
    assert verify_journal(path).whole
    spoil(path, statement)
    verdict = verify_journal(path)
    assert not verdict.whole
    assert verdict.broken is not None
    assert verdict.broken.seq == seq
    assert what in verdict.broken.what


def test_a_zeroed_page_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.append_all([build_entry(number) for number in range(1, 2_000)])
    content = bytearray(path.read_bytes())
    content[40 * 4096 : 41 * 4096] = bytes(4096)
    path.write_bytes(content)
    assert verify_journal(path).broken is not None
    path.write_bytes(b"no database at all" * 1000)
    assert verify_journal(path).broken == ChainBreak("", 0, "file is not a database")


def test_a_later_versions_events_are_walked_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.append(build_entry(1))
    append_raw(path, b'{"kind":"thought"}')
    append_raw(path, b"\xff\x00 not even text")
    assert verify_journal(path).rows == 3
    assert verify_journal(path).whole


def test_a_walk_runs_while_the_journal_is_written(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    verdicts = []
    done = threading.Event()
    with open_journal(path) as journal:
        journal.append_all([build_entry(number) for number in range(1, 3_001)])

        def check() -> None:
            while not done.is_set():
                verdicts.append(verify_journal(path))

        thread = threading.Thread(target=check)
        thread.start()
        for number in range(3_001, 3_201):
            journal.append(build_entry(number))
            if number % 50 == 0:
                journal.maintain()
                journal.outbox.acknowledge(journal.outbox.head, b"receipt")
        done.set()
        thread.join()
    assert verdicts
    assert all(verdict.whole for verdict in verdicts), verdicts
    assert verify_journal(path).rows == 3_200


def test_a_walk_can_be_stopped(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.append_all([build_entry(number) for number in range(1, 5_001)])
    looks = iter(range(100))
    verdict = verify_journal(path, stop=lambda: next(looks) >= 2)
    assert not verdict.finished
    assert not verdict.whole
    assert verdict.broken is None
    assert verdict.rows < 5_000


def test_no_journal_is_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        verify_journal(tmp_path / "j.db")
    assert list(tmp_path.iterdir()) == []
