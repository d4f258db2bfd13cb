"""Flipped bits in the WAL, and a WAL that was cut off: what was confirmed stays, or is named.

The counts for docs/reliability.md: pytest -m soak -s tests/edge_agent/journal/damage/test_wal.py
"""

import random
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from edge_agent.journal.damage.wal import repair_wal
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from edge_agent.journal.verify import verify_journal
from edge_agent.runtime.opening import JOURNAL_NAME
from sync.contract.chain import DeviceId
from sync.contract.event import Repair, decode
from tests.edge_agent.journal.damage.crashed import crash_after, finish_salvage, open_kiosk, read_epoch, read_known
from tests.edge_agent.journal.samples import KIOSK, StandingClock, build_entry, open_journal

ROWS = 60
PAGE_BYTES = 4096
WAL_NAME = JOURNAL_NAME + "-wal"


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, dict[int, bytes]]:
    folder = tmp_path_factory.mktemp("crash") / "kiosk"
    payloads = crash_after(folder, ROWS)
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    return folder, read_epoch(copy), payloads


def flip(path: Path, dice: random.Random, bits: int = 1) -> None:
    content = bytearray(path.read_bytes())
    place = dice.randrange(len(content))
    for _ in range(bits):
        content[place] ^= 1 << dice.randrange(8)
        place = min(len(content) - 1, place + 1)
    path.write_bytes(content)


def count_lost(crashed: tuple[Path, str, dict[int, bytes]], folder: Path, seed: int, bits: int = 1) -> tuple[int, str]:
    """Returns how many rows a flip has cost, and how the kiosk went on."""
    source, epoch, payloads = crashed
    shutil.copytree(source, folder)
    flip(folder / WAL_NAME, random.Random(seed), bits)
    with open_kiosk(folder) as journal:
        finish_salvage(journal)
        known, holes = read_known(journal)
        way = "in place" if journal.outbox.epoch == epoch else "new epoch"
        last = {row.seq for row in journal.recent(100_000) if row.epoch == epoch}
    lost = [seq for seq, payload in payloads.items() if known.get((epoch, seq)) != payload]
    named = {seq for hole in holes for seq in range(hole.first_seq, hole.last_seq + 1)}
    assert set(lost) <= named, f"seed {seed}: lost without a word: {lost}"
    assert not last or max(last) == ROWS, f"seed {seed}: numbers would be used again"
    assert verify_journal(folder / JOURNAL_NAME).whole
    shutil.rmtree(folder)
    return len(lost), way


def judge(crashed: tuple[Path, str, dict[int, bytes]], folder: Path, flips: int) -> str:
    outcomes = Counter(count_lost(crashed, folder / "kiosk", seed) for seed in range(flips))
    losses = Counter({lost: 0 for lost, _ in outcomes})
    for (lost, _), count in outcomes.items():
        losses[lost] += count
    counts = f"{flips} flips; flips by rows lost: {dict(losses)}; by way: {dict(outcomes)}"
    assert losses[0] >= 0.95 * flips, counts
    assert max(losses) <= 1, counts
    return counts


@pytest.mark.slow
def test_a_flipped_bit_loses_nothing(crashed: tuple[Path, str, dict[int, bytes]], tmp_path: Path) -> None:
    judge(crashed, tmp_path, 15)


@pytest.mark.soak
def test_five_hundred_flipped_bits(
    crashed: tuple[Path, str, dict[int, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = judge(crashed, tmp_path, 500)
    with capsys.disabled():
        print(f"\n{counts}")


@pytest.mark.slow
def test_two_flipped_bits_lose_one_commit_at_most(crashed: tuple[Path, str, dict[int, bytes]], tmp_path: Path) -> None:
    for seed in range(3):
        lost, way = count_lost(crashed, tmp_path / "kiosk", seed, bits=2)
        assert lost <= 1
        assert way in {"in place", "new epoch"}


def test_every_single_bit_is_turned_back_exactly(crashed: tuple[Path, str, dict[int, bytes]]) -> None:
    source, _, _ = crashed
    sound, file = (source / WAL_NAME).read_bytes(), (source / JOURNAL_NAME).read_bytes()

    def read_page(number: int) -> bytes:
        return file[(number - 1) * PAGE_BYTES : number * PAGE_BYTES]

    assert repair_wal(sound, PAGE_BYTES, read_page) is None
    exact = 0
    for seed in range(20):
        dice = random.Random(seed)
        damaged = bytearray(sound)
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        mended = repair_wal(bytes(damaged), PAGE_BYTES, read_page)
        assert mended is not None
        assert not mended.exact or mended.content == sound, f"seed {seed}: another bit was turned"
        exact += mended.exact
    assert exact >= 18


@pytest.mark.parametrize("kept_share", [0.0, 0.3, 0.9])
def test_a_wal_that_was_cut_off_is_told_by_the_mark(
    crashed: tuple[Path, str, dict[int, bytes]], tmp_path: Path, kept_share: float
) -> None:
    """The rows are gone from this disk. Their numbers are not given to other events, and the hole is named."""
    source, epoch, _ = crashed
    folder = tmp_path / "kiosk"
    shutil.copytree(source, folder)
    wal = folder / WAL_NAME
    content = wal.read_bytes()
    wal.write_bytes(content[: int(len(content) * kept_share)])
    with open_kiosk(folder) as journal:
        assert journal.outbox.epoch != epoch
        first = decode(journal.outbox.read_rows(0, 1, 10_000)[0].payload)
        assert isinstance(first, Repair)
        _, (hole,) = read_known(journal)
        assert (hole.lost_epoch, hole.last_seq) == (epoch, ROWS)
        assert hole.first_seq == 1 or kept_share > 0


def test_an_old_copy_of_the_journal_is_told_by_the_mark(tmp_path: Path) -> None:
    folder = tmp_path / "kiosk"
    crash_after(folder, 5)
    image = (folder / JOURNAL_NAME).read_bytes()
    with open_kiosk(folder) as journal:
        epoch = journal.outbox.epoch
    (folder / JOURNAL_NAME).write_bytes(image)
    with open_kiosk(folder) as journal:
        assert journal.outbox.epoch != epoch
        _, (hole,) = read_known(journal)
        assert (hole.lost_epoch, hole.first_seq, hole.last_seq) == (epoch, 1, 5)
    with open_kiosk(folder) as journal:
        assert len(read_known(journal)[1]) == 1


def test_the_log_of_another_journal_covers_no_row(crashed: tuple[Path, str, dict[int, bytes]], tmp_path: Path) -> None:
    """A technician put files of two cards together."""
    folder = tmp_path / "kiosk"
    crash_after(folder, 5)
    with open_kiosk(folder) as journal:
        journal.maintain()  # all of it is in the file
        epoch = journal.outbox.epoch
    foreign = (crashed[0] / WAL_NAME).read_bytes()
    (folder / WAL_NAME).write_bytes(foreign)
    with open_kiosk(folder) as journal:
        assert (journal.outbox.epoch, journal.outbox.head.seq) == (epoch, 5)
        assert (folder / (WAL_NAME + ".foreign")).read_bytes() == foreign


@pytest.mark.parametrize("file", ["gone", "empty", "zeros"])
def test_rows_of_the_log_outlive_the_journals_file(
    crashed: tuple[Path, str, dict[int, bytes]], tmp_path: Path, file: str
) -> None:
    source, epoch, payloads = crashed
    folder = tmp_path / "kiosk"
    shutil.copytree(source, folder)
    if file == "gone":
        (folder / JOURNAL_NAME).unlink()
    else:
        (folder / JOURNAL_NAME).write_bytes(bytes(0 if file == "empty" else 40_960))
    with open_kiosk(folder) as journal:
        finish_salvage(journal)
        known, holes = read_known(journal)
        assert {seq: payload for (old, seq), payload in known.items() if old == epoch} == payloads
        assert holes == []


def test_a_file_of_which_nothing_can_be_read_is_named_by_its_mark(
    crashed: tuple[Path, str, dict[int, bytes]], tmp_path: Path
) -> None:
    source, epoch, _ = crashed
    folder = tmp_path / "kiosk"
    shutil.copytree(source, folder)
    (folder / WAL_NAME).unlink()
    (folder / JOURNAL_NAME).write_bytes(bytes(40_960))
    with open_kiosk(folder) as journal:
        finish_salvage(journal)
        _, (hole,) = read_known(journal)
        assert (hole.lost_epoch, hole.first_seq, hole.last_seq) == (epoch, 1, ROWS)


def test_the_mark_counts_also_where_the_journal_is_another_kiosks(
    crashed: tuple[Path, str, dict[int, bytes]], tmp_path: Path
) -> None:
    source, epoch, _ = crashed
    folder, other = tmp_path / "kiosk", tmp_path / "other"
    shutil.copytree(source, folder)
    other.mkdir()
    with open_journal(other / JOURNAL_NAME, KioskIdentity(DeviceId("kiosk-8"), bytes(32), "sch-1")) as journal:
        journal.append(build_entry(1))
    shutil.copy(other / JOURNAL_NAME, folder)
    (folder / WAL_NAME).unlink()
    with open_kiosk(folder) as journal:
        _, (hole,) = read_known(journal)
        assert (hole.lost_epoch, hole.first_seq, hole.last_seq) == (epoch, 1, ROWS)


def test_a_mark_that_is_behind_or_torn_is_harmless(tmp_path: Path) -> None:
    folder = tmp_path / "kiosk"
    crash_after(folder, 5)
    mark = folder / (JOURNAL_NAME + ".mark")
    for content in (mark.read_bytes()[60:] + bytes(60), b"", bytes(120), b"\xff" * 30):
        mark.write_bytes(content)
        with open_kiosk(folder) as journal:
            assert journal.outbox.head.seq == 5


class PowerlessConnection(sqlite3.Connection):
    """A connection whose power goes before its first commit."""

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            raise KeyboardInterrupt
        return super().execute(sql, *arguments)


def test_a_cut_while_a_loss_is_being_named_does_not_forget_it(tmp_path: Path) -> None:
    folder = tmp_path / "kiosk"
    crash_after(folder, 20)
    epoch = read_epoch(folder)
    wal = folder / f"{JOURNAL_NAME}-wal"
    wal.write_bytes(wal.read_bytes()[: wal.stat().st_size // 2])

    def connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=PowerlessConnection)

    with pytest.raises(KeyboardInterrupt):
        Journal.open(folder / JOURNAL_NAME, KIOSK, now=StandingClock(), ballast_bytes=0, connect=connect)
    with open_kiosk(folder) as journal:
        known, holes = read_known(journal)
        lost = {(hole.lost_epoch, seq) for hole in holes for seq in range(hole.first_seq, hole.last_seq + 1)}
        assert {(epoch, seq) for seq in range(1, 21)} == set(known) & {(epoch, n) for n in range(1, 21)} | lost
