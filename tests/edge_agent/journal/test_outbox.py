"""The ledger's word moves the acknowledged head and nothing else; a contradiction is an error."""

import sqlite3
from pathlib import Path

import pytest

from edge_agent.journal.errors import AcknowledgementDisagrees
from edge_agent.journal.verify import verify_journal
from sync.client.ports import Outbox
from sync.contract.chain import Hash, Head
from tests.edge_agent.journal.samples import StandingClock, build_entry, open_journal


def test_the_outbox_has_every_part_that_sync_uses(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        outbox: Outbox = journal.outbox
        assert outbox.head == outbox.acknowledged()
        assert outbox.head.seq == journal.roster.version() == outbox.queue_depth() == 0
        assert outbox.read_rows(0, 10, 1_000) == []
        assert outbox.find_hash(0) == outbox.head.hash
        assert outbox.find_hash(1) is None


def test_reading_keeps_both_limits_but_returns_a_row(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        rows = journal.append_all([build_entry(number, note="x" * 100) for number in range(1, 21)])
        size = len(journal.recent(1)[0].payload)
        assert [line.seq for line in journal.outbox.read_rows(3, 5, 1_000_000)] == [4, 5, 6, 7, 8]
        assert [line.seq for line in journal.outbox.read_rows(3, 5, 3 * size)] == [4, 5, 6]
        assert [line.seq for line in journal.outbox.read_rows(3, 5, 1)] == [4]
        assert [line.seq for line in journal.outbox.read_rows(18, 5, 1_000_000)] == [19, 20]
        assert journal.outbox.read_rows(20, 5, 1_000_000) == []
        assert journal.outbox.read_rows(3, 1, 1)[0].hash == rows[3].hash == journal.outbox.find_hash(4)


def test_the_mark_moves_up_and_never_back(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        rows = journal.append_all([build_entry(number) for number in range(1, 11)])
        journal.outbox.acknowledge(Head(6, rows[5].hash), b"six")
        journal.outbox.acknowledge(Head(4, rows[3].hash), b"four")  # a ledger that was restored from its backup
        journal.outbox.acknowledge(Head(6, rows[5].hash), b"six again")
        assert journal.outbox.acknowledged() == Head(6, rows[5].hash)
        assert journal.outbox.queue_depth() == 4
    with open_journal(path) as journal:
        assert journal.outbox.acknowledged() == Head(6, rows[5].hash)


@pytest.mark.parametrize(("seq", "said"), [(3, "is another one"), (10, "is another one"), (11, "ends at 10")])
def test_a_ledger_that_has_something_else_is_not_believed(tmp_path: Path, seq: int, said: str) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        rows = journal.append_all([build_entry(number) for number in range(1, 11)])
        journal.outbox.acknowledge(Head(5, rows[4].hash), b"receipt")
        with pytest.raises(AcknowledgementDisagrees, match=said):
            journal.outbox.acknowledge(Head(seq, Hash(bytes(32))), b"receipt")
        assert journal.outbox.acknowledged().seq == 5
    assert verify_journal(path).whole


def test_each_days_last_receipt_stays(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    clocks = StandingClock()
    with open_journal(path, now=clocks) as journal:
        rows = journal.append_all([build_entry(number) for number in range(1, 11)])
        for row in rows:
            journal.outbox.acknowledge(Head(row.seq, row.hash), b"receipt %d" % row.seq)
            if row.seq == 4:
                clocks.forward(days=1)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT seq, receipt FROM receipt ORDER BY seq").fetchall() == [
        (4, b"receipt 4"),
        (10, b"receipt 10"),
    ]
    connection.close()


def test_quarantine_keeps_the_reason_and_blocks_nobody(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        rows = journal.append_all([build_entry(number) for number in range(1, 4)])
        journal.outbox.quarantine(2, "unknown-person", "p2 is on no roster", tombstone=False)
        journal.outbox.quarantine(2, "tombstone", "refused alone: 500", tombstone=True)
        journal.outbox.quarantine(3, "odd", "", tombstone=False)
        three, two = journal.outbox.read_quarantine()
        assert (three.seq, three.code, three.tombstone) == (3, "odd", False)
        assert (two.epoch, two.seq, two.code, two.detail, two.tombstone) == (
            rows[1].epoch,
            2,
            "tombstone",
            "refused alone: 500",
            True,
        )
        assert two.payload == journal.outbox.read_rows(1, 1, 1)[0].payload
        journal.outbox.acknowledge(Head(3, rows[2].hash), b"receipt")
        assert journal.outbox.queue_depth() == 0
        assert len(journal.outbox.read_quarantine(1)) == 1
