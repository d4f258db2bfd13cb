"""After a fork or a restore the journal goes on in a new epoch, and every unacknowledged event goes with it."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from edge_agent.journal.appending import EVENT_BYTES_MAX
from edge_agent.journal.epochs import read_epochs
from edge_agent.journal.errors import JournalDamaged
from edge_agent.journal.journal import Journal
from edge_agent.journal.rows import append_payloads
from edge_agent.journal.verify import verify_journal
from sync.contract.chain import Epoch, Hash, Head, genesis
from sync.contract.event import Carried, Event, PersonId, Repair, decode, encode
from tests.edge_agent.journal.samples import DAY, KIOSK, build_entry, build_exit, build_void, open_journal
from tests.edge_agent.journal.test_open import ALTERED, spoil


def read_epoch_events(journal: Journal) -> list[Event]:
    return [decode(line.payload) for line in journal.outbox.read_rows(0, 10_000, 10_000_000)]


def test_unacknowledged_events_travel_on_under_their_old_identity(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        rows = journal.append_all([build_entry(number, f"u{number}") for number in range(1, 6)])
        journal.outbox.acknowledge(Head(2, rows[1].hash), b"receipt")
        ledgers = Head(9, Hash(bytes(range(32))))
        new = journal.outbox.open_epoch("fork", parent=ledgers, kept_as="elsewhere.db")
        assert journal.outbox.epoch == new != rows[0].epoch
        assert journal.outbox.parent_head == ledgers.hash
        assert journal.outbox.acknowledged() == Head(0, genesis(KIOSK.device, KIOSK.public_key, new, ledgers.hash))
        repair, *carried = read_epoch_events(journal)
        assert isinstance(repair, Repair)
        assert (repair.why, repair.kept_as) == ("fork", "elsewhere.db")
        assert (repair.old_epoch, repair.old_seq, repair.old_head) == (rows[4].epoch, 5, rows[4].hash.hex())
        for row, number, event in zip(rows[2:], (3, 4, 5), carried, strict=True):
            assert isinstance(event, Carried)
            assert (event.old_epoch, event.old_seq, event.old_hash) == (row.epoch, row.seq, row.hash.hex())
            assert event.payload.encode() == encode(build_entry(number, f"u{number}"))
        assert journal.outbox.queue_depth() == 4
        assert journal.outbox.find_hash(0) == journal.outbox.acknowledged().hash
    assert verify_journal(path).whole
    with open_journal(path) as journal:
        assert journal.outbox.epoch == new


def test_the_rules_see_over_the_seam(tmp_path: Path) -> None:
    """A meal before the new epoch counts; the entry has its old name and can still be ended or voided."""
    with open_journal(tmp_path / "j.db") as journal:
        row = journal.append(build_entry(1, "u1"))
        journal.outbox.open_epoch("fork", parent=None)
        (past,) = journal.earlier_sightings(PersonId("u1"), DAY)
        assert (past.epoch, past.seq) == (row.epoch, row.seq)
        journal.append(build_exit(2, "u1", row.epoch, row.seq))
        journal.append(build_void(3, "u1", row.epoch, row.seq))
        first, second = journal.earlier_sightings(PersonId("u1"), DAY)
        assert first.voided
        assert second.entry_epoch == row.epoch


def test_a_carried_event_is_not_wrapped_again(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        row = journal.append(build_entry(1, "u1"))
        for _ in range(4):
            journal.outbox.open_epoch("fork", parent=None)
        repairs = [
            event for event in read_epoch_events(journal) if isinstance(event, Carried) and '"repair"' in event.payload
        ]
        carried = [event for event in read_epoch_events(journal) if isinstance(event, Carried) and event not in repairs]
        (entry,) = carried
        assert (entry.old_epoch, entry.old_seq, entry.old_hash) == (row.epoch, row.seq, row.hash.hex())
        assert len(repairs) == 3
    assert verify_journal(path).whole


def test_the_longest_event_can_be_carried(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        spare = EVENT_BYTES_MAX - len(encode(build_entry(1, "u1", note="x"))) + 1
        journal.append(
            build_entry(1, "u1", note='"' * (spare // 2))
        )  # every one of them takes two bytes, and then four
        journal.outbox.open_epoch("fork", parent=None)
        assert isinstance(read_epoch_events(journal)[-1], Carried)


def test_a_later_versions_events_travel_too(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    future = b'{"at":"2027-01-01T00:00:00.000Z","kind":"thought","nested":{"a":1}}'
    with open_journal(path) as journal:
        journal.append(build_entry(1))
    append_raw(path, future)
    with open_journal(path) as journal:
        assert journal.outbox.read_rows(0, 10, 10_000)[1].payload == future
        journal.outbox.open_epoch("fork", parent=None)
        last = read_epoch_events(journal)[-1]
        assert isinstance(last, Carried)
        assert last.payload.encode() == future
    assert verify_journal(path).whole


def append_raw(path: Path, payload: bytes) -> None:
    """Appends a payload that a later version of the agent would have written before a downgrade."""
    connection = sqlite3.connect(path, isolation_level=None)
    current = read_epochs(connection)[-1]
    append_payloads(connection, current.ordinal, current.head, [payload])
    connection.close()


def test_a_row_that_does_not_hold_is_not_carried_as_if_it_did(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.append_all([build_entry(number) for number in range(1, 1_200)])
    spoil(path, ALTERED + " 20")
    with open_journal(path) as journal:
        old, head = journal.outbox.epoch, journal.outbox.head
        with pytest.raises(JournalDamaged, match="row 20"):
            journal.outbox.open_epoch("fork", parent=None)
        assert (journal.outbox.epoch, journal.outbox.head) == (old, head)
        journal.append(build_entry(2_000))


def test_an_old_epoch_is_never_current_again(tmp_path: Path) -> None:
    drawn = iter([bytes(8), bytes(8), bytes([1] * 8)])
    from edge_agent.journal.journal import Journal
    from tests.edge_agent.journal.samples import StandingClock, migrate_in_process

    path = tmp_path / "j.db"
    with Journal.open(
        path,
        KIOSK,
        now=StandingClock(),
        random_bytes=lambda _: next(drawn),
        ballast_bytes=0,
        migrate=migrate_in_process,
    ) as journal:
        assert journal.outbox.epoch == Epoch("0" * 16)
        journal.append(build_entry(1))
        assert journal.outbox.open_epoch("fork", parent=None) == Epoch("01" * 8)


def test_payloads_are_plain_text_for_anybody(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        journal.append(build_entry(1, "u1", note='"кавычки" \\ and қ'))
        journal.outbox.open_epoch("fork", parent=None)
        outer = msgspec.json.decode(journal.recent(1)[0].payload)
        assert msgspec.json.decode(outer["payload"])["note"] == '"кавычки" \\ and қ'
