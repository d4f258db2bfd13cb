"""Retention removes only rows that the ledger has, only after their days, and appends an event about it."""

from datetime import timedelta
from pathlib import Path

import pytest

from edge_agent.journal.errors import JournalDamaged
from edge_agent.journal.store import connect_read_only
from edge_agent.journal.verify import verify_journal
from sync.contract.chain import Head
from sync.contract.event import PersonId, Pruned, decode
from tests.edge_agent.journal.samples import DAY, NOON, StandingClock, build_entry, open_journal
from tests.edge_agent.journal.test_open import ALTERED, spoil

LATER = NOON + timedelta(days=40)


def test_only_what_a_receipt_covers_goes_and_an_event_says_so(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    clocks = StandingClock()
    with open_journal(path, now=clocks) as journal:
        rows = journal.append_all([build_entry(number) for number in range(1, 11)])
        journal.outbox.acknowledge(Head(6, rows[5].hash), b"receipt")
        clocks.forward(days=40)
        assert journal.prune(before=NOON - timedelta(days=1)) == []
        (pruned,) = journal.prune(before=LATER - timedelta(days=30))
        assert (pruned.pruned_epoch, pruned.through_seq, pruned.rows) == (journal.outbox.epoch, 6, 6)
        assert decode(journal.recent(1)[0].payload) == pruned
        assert [line.seq for line in journal.outbox.read_rows(0, 100, 1_000_000)] == [7, 8, 9, 10, 11]
        assert journal.outbox.find_hash(6) == rows[5].hash  # the chain that is kept still has its start
        assert journal.outbox.find_hash(5) is None
        assert journal.outbox.find_hash(0) is not None
        assert journal.earlier_sightings(PersonId("p3"), DAY) == ()
        assert len(journal.earlier_sightings(PersonId("p7"), DAY)) == 1
        assert read_indexed_seqs(path) == [7, 8, 9, 10]
        assert journal.prune(before=LATER - timedelta(days=30)) == []
        journal.outbox.acknowledge(
            Head(4, rows[3].hash), b"late"
        )  # of rows long gone: nothing to compare, nothing to do
        assert journal.outbox.acknowledged().seq == 6
    assert verify_journal(path).whole
    with open_journal(path) as journal:
        assert journal.append(build_entry(12)).seq == 12
    assert verify_journal(path).rows == 6


def read_indexed_seqs(path: Path) -> list[int]:
    connection = connect_read_only(path)
    try:
        return [seq for (seq,) in connection.execute("SELECT seq FROM sighting ORDER BY seq")]
    finally:
        connection.close()


def test_rows_acknowledged_yesterday_stay(tmp_path: Path) -> None:
    """The time in the event does not matter: a kiosk may wake up in 1970."""
    clocks = StandingClock()
    with open_journal(tmp_path / "j.db", now=clocks) as journal:
        rows = journal.append_all([build_entry(number, day="1970-01-01") for number in range(1, 5)])
        clocks.forward(days=39)
        journal.outbox.acknowledge(Head(4, rows[3].hash), b"receipt")
        clocks.forward(days=1)
        assert journal.prune(before=LATER - timedelta(days=30)) == []


def test_pruning_goes_in_portions(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    clocks = StandingClock()
    with open_journal(path, now=clocks) as journal:
        journal.append_all([build_entry(number) for number in range(1, 26)])
        journal.outbox.acknowledge(journal.outbox.head, b"receipt")
        clocks.forward(days=40)
        portions = [journal.prune(before=LATER, rows_max=10)[0].rows for _ in range(3)]
        assert portions == [10, 10, 5]
        assert journal.prune(before=LATER, rows_max=10) == []
    assert verify_journal(path).whole


def test_quarantined_bytes_outlive_their_row(tmp_path: Path) -> None:
    clocks = StandingClock()
    with open_journal(tmp_path / "j.db", now=clocks) as journal:
        journal.append_all([build_entry(1), build_entry(2)])
        payload = journal.outbox.read_rows(0, 1, 1)[0].payload
        journal.outbox.quarantine(1, "tombstone", "refused", tombstone=True)
        journal.outbox.acknowledge(journal.outbox.head, b"receipt")
        clocks.forward(days=40)
        assert journal.prune(before=LATER)
        assert journal.outbox.read_quarantine()[0].payload == payload


def test_a_closed_epoch_goes_once_its_carried_events_have_arrived(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    clocks = StandingClock()
    with open_journal(path, now=clocks) as journal:
        rows = journal.append_all([build_entry(number) for number in range(1, 6)])
        journal.outbox.acknowledge(Head(2, rows[1].hash), b"receipt")
        journal.outbox.open_epoch("fork", parent=journal.outbox.acknowledged())  # repair, 3 carried
        assert [(pruned.through_seq, pruned.rows) for pruned in journal.prune(before=LATER)] == [(2, 2)]
        third = journal.outbox.find_hash(3)
        assert third is not None
        journal.outbox.acknowledge(Head(3, third), b"two of three carried")
        assert [pruned.pruned_epoch for pruned in journal.prune(before=LATER)] == [journal.outbox.epoch]
        journal.outbox.acknowledge(journal.outbox.head, b"all")
        pruned = journal.prune(before=LATER)
        assert [(event.pruned_epoch == rows[0].epoch, event.through_seq) for event in pruned] == [(True, 5), (False, 6)]
        assert isinstance(decode(journal.recent(1)[0].payload), Pruned)
    assert verify_journal(path).whole
    open_journal(path).close()


def test_a_fully_acknowledged_epoch_that_was_closed_keeps_its_days(tmp_path: Path) -> None:
    clocks = StandingClock()
    with open_journal(tmp_path / "j.db", now=clocks) as journal:
        journal.append_all([build_entry(1), build_entry(2)])
        journal.outbox.acknowledge(journal.outbox.head, b"receipt")
        journal.outbox.open_epoch("identity", parent=journal.outbox.acknowledged())
        assert journal.prune(before=NOON) == []
        assert len(journal.prune(before=NOON + timedelta(days=1))) == 1


def test_nothing_goes_where_our_own_hash_disagrees_with_the_receipt(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.append_all([build_entry(number) for number in range(1, 1_300)])
        early = journal.outbox.find_hash(100)
        assert early is not None
        journal.outbox.acknowledge(Head(100, early), b"receipt")
    spoil(path, "UPDATE event SET hash = zeroblob(32) WHERE seq = 100", ALTERED + " 99")
    with open_journal(path) as journal:
        with pytest.raises(JournalDamaged, match="row 100"):
            journal.prune(before=LATER)
        assert journal.outbox.read_rows(0, 1, 1)[0].seq == 1
