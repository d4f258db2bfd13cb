"""A damaged journal strands nothing: what is unsent travels on, holes are named, and nobody eats twice."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.journal.damage.salvage import read_journal
from edge_agent.journal.setting_aside import list_unsalvaged, note_path
from edge_agent.journal.verify import verify_journal
from edge_agent.runtime.opening import CONDEMNED_NAME, JOURNAL_NAME
from sync.contract.chain import Epoch, Head
from sync.contract.event import PersonId
from tests.edge_agent.journal.damage.crashed import crash_after, finish_salvage, open_kiosk, read_epoch, read_known
from tests.edge_agent.journal.samples import (
    DAY,
    NOON,
    build_entry,
    build_exit,
    build_repeat,
    build_void,
    open_journal,
)
from tests.edge_agent.journal.test_open import ALTERED, spoil


def test_damage_before_the_acknowledged_position_blocks_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "kiosk"
    crash_after(folder, 600, acked=100, at_once=100)
    spoil(folder / JOURNAL_NAME, ALTERED + " 40")
    with open_kiosk(folder) as journal:
        assert journal.outbox.acknowledged().seq == 100
        assert journal.outbox.head.seq == 600
        journal.append(build_repeat(1, "p1"))
    assert not list_unsalvaged(folder / JOURNAL_NAME)


def test_unsent_rows_around_a_bad_one_travel_on_and_the_bad_one_is_mended_or_named(tmp_path: Path) -> None:
    folder = tmp_path / "kiosk"
    payloads = crash_after(folder, 600, acked=100, at_once=100)
    epoch = read_epoch(folder)
    spoil(folder / JOURNAL_NAME, ALTERED + " 350", "UPDATE event SET hash = randomblob(32) WHERE seq = 400")
    with open_kiosk(folder) as journal:
        finish_salvage(journal)
        known, holes = read_known(journal)
        assert {seq: known.get((epoch, seq)) for seq in range(101, 601)} == {
            seq: payloads[seq] if seq != 350 else None for seq in range(101, 601)
        }
        assert [(hole.lost_epoch, hole.first_seq, hole.last_seq) for hole in holes] == [(epoch, 350, 350)]
        assert holes[0].kept_as.startswith("journal.db.damaged-")
    assert verify_journal(folder / JOURNAL_NAME).whole
    assert not list_unsalvaged(folder / JOURNAL_NAME)


def test_a_page_that_cannot_be_read_hides_only_its_own_rows(tmp_path: Path) -> None:
    folder = tmp_path / "kiosk"
    payloads = crash_after(folder, 400, at_once=100)
    open_kiosk(folder).close()  # folds the WAL
    epoch = read_epoch(folder)
    path = folder / JOURNAL_NAME
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event'").fetchone()
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4096 : root * 4096] = bytes(4096)  # the tree's root: SQLite finds no row any more
    path.write_bytes(content)
    with open_kiosk(folder) as journal:
        finish_salvage(journal)
        known, holes = read_known(journal)
        named = {seq for hole in holes for seq in range(hole.first_seq, hole.last_seq + 1)}
        back = {seq for (old, seq) in known if old == epoch}
        assert back | named == set(range(1, 401))
        assert len(named) <= 20
        assert all(known[epoch, seq] == payloads[seq] for seq in back)


def test_nobody_eats_twice_after_damage(tmp_path: Path) -> None:
    """The meals of today are known before the first scan, the acknowledged ones too, under their own names."""
    folder = tmp_path / "kiosk"
    crash_after(folder, 2_000, acked=1_500, at_once=500)
    epoch = Epoch(read_epoch(folder))
    with open_journal(folder / JOURNAL_NAME) as journal:
        journal.append(build_void(1, "p7", epoch, 7))
    (folder / CONDEMNED_NAME).write_text("a page cannot be read")
    began = time.process_time()
    with open_kiosk(folder) as journal:
        took_s = time.process_time() - began
        (entry,) = journal.earlier_sightings(PersonId("p1400"), DAY)
        assert (entry.epoch, entry.seq, entry.voided) == (epoch, 1400, False)
        (voided,) = journal.earlier_sightings(PersonId("p7"), DAY)
        assert voided.voided
        assert journal.sighting(epoch, 7) == voided
        journal.append(build_exit(3, "p1400", epoch, 1400))
        journal.append(build_void(4, "p1401", epoch, 1401))
        assert journal.earlier_sightings(PersonId("p1401"), DAY)[0].voided
        finish_salvage(journal)
        known, holes = read_known(journal)
        assert len([name for name in known if name[0] == epoch]) == 2_001
        assert not holes
    assert verify_journal(folder / JOURNAL_NAME).whole
    assert took_s < 3, "of one processor's time; docs/reliability.md has the figure"


def test_a_crash_between_the_two_parts_repeats_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "kiosk"
    crash_after(folder, 50)
    epoch = read_epoch(folder)
    (folder / CONDEMNED_NAME).write_text("a page cannot be read")
    open_kiosk(folder).close()
    (aside,) = list_unsalvaged(folder / JOURNAL_NAME)
    with open_kiosk(folder) as journal:
        assert len(journal.earlier_sightings(PersonId("p3"), DAY)) == 1
        finish_salvage(journal)
        head = journal.outbox.head
        note_path(aside).unlink()
        finish_salvage(journal)
        assert journal.outbox.head == head
        known, _ = read_known(journal)
        assert {seq for old, seq in known if old == epoch} == set(range(1, 51))


def test_an_acknowledged_mark_that_was_hit_hides_no_row(tmp_path: Path) -> None:
    folder = tmp_path / "kiosk"
    crash_after(folder, 50, acked=10, at_once=10)
    epoch = read_epoch(folder)
    spoil(folder / JOURNAL_NAME, "UPDATE epoch SET acked_seq = 42")
    with open_kiosk(folder) as journal:
        finish_salvage(journal)
        known, _ = read_known(journal)
        assert {seq for old, seq in known if old == epoch} == set(range(1, 51))


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + bytes(range(256)) * 64, bytes(40_000)])
def test_rubbish_gives_nothing_and_hurts_nobody(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(content)
    assert read_journal(path, NOON).rows == ()


def test_pruned_rows_of_a_salvaged_journal_leave_the_index(tmp_path: Path) -> None:
    folder = tmp_path / "kiosk"
    crash_after(folder, 5)
    (folder / CONDEMNED_NAME).write_text("a page cannot be read")
    with open_kiosk(folder) as journal:
        head = journal.outbox.head
        journal.outbox.acknowledge(Head(head.seq, head.hash), b"receipt")
        journal.prune(before=NOON.replace(year=2027))
        assert journal.earlier_sightings(PersonId("p3"), DAY) == ()
    assert verify_journal(folder / JOURNAL_NAME).whole


@pytest.mark.soak
def test_how_long_a_large_journal_keeps_a_child_waiting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints the figures of docs/reliability.md: 60,000 rows, a third of them unsent, 2,500 of today."""
    folder = tmp_path / "kiosk"
    folder.mkdir()
    with open_journal(folder / JOURNAL_NAME) as journal:
        for start in range(0, 60_000, 2_500):
            day = DAY if start == 57_500 else "2026-10-01"
            rows = journal.append_all([build_entry(start + number, f"p{number}", day=day) for number in range(2_500)])
            if start == 37_500:
                journal.outbox.acknowledge(Head(rows[-1].seq, rows[-1].hash), b"receipt")
    spoil(folder / JOURNAL_NAME, ALTERED + " 59990")
    began = time.perf_counter()
    with open_kiosk(folder) as journal:
        first_s = time.perf_counter() - began
        assert len(journal.earlier_sightings(PersonId("p7"), DAY)) == 1
        began = time.perf_counter()
        finish_salvage(journal)
        rest_s = time.perf_counter() - began
        assert journal.outbox.queue_depth() == 20_001
    size = sum(file.stat().st_size for file in folder.iterdir()) >> 20
    with capsys.disabled():
        print(f"\n{size} MiB in all; before the first scan {first_s:.2f} s, the rest {rest_s:.2f} s")
