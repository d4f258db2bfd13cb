"""How the journal stands is read beside the daemon, and without one."""

from pathlib import Path

import pytest

from edge_agent.journal.errors import JournalBusy, JournalDamaged
from edge_agent.journal.offline import read_recent_offline
from edge_agent.journal.status import read_status
from sync.contract.chain import Head
from tests.edge_agent.journal.samples import KIOSK, NOON, build_entry, open_journal
from tests.edge_agent.journal.test_roster_table import FIRST


def test_the_status_is_read_beside_the_daemon_and_after_its_end(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path, ballast_bytes=4096) as journal:
        rows = journal.append_all([build_entry(number) for number in range(1, 6)])
        journal.outbox.acknowledge(Head(2, rows[1].hash), b"receipt")
        journal.outbox.quarantine(1, "odd", "", tombstone=False)
        journal.roster.apply(FIRST, NOON)
        live = read_status(path)
        assert (live.device, live.epochs, live.epoch) == (KIOSK.device, 1, journal.outbox.epoch)
        assert (live.head, live.acknowledged, live.queue) == (journal.outbox.head, journal.outbox.acknowledged(), 3)
        assert (live.first_seq, live.quarantined, live.ballast) == (1, 1, True)
        assert (live.roster_version, live.roster_confirmed_at) == (3, NOON)
        assert live.wal_bytes > 0
        with pytest.raises(JournalBusy):
            read_recent_offline(path, 2)
        last = journal.recent(2)
    assert read_recent_offline(path, 2) == last
    assert read_status(path).queue == 3
    assert [row.seq for row in read_recent_offline(path, 3)] == [5, 4, 3]


def test_a_missing_journal_stays_missing(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    for ask in (lambda: read_status(path), lambda: read_recent_offline(path, 1)):
        with pytest.raises(FileNotFoundError):
            ask()
    assert not path.exists()
    path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(JournalDamaged):
        read_status(path)
