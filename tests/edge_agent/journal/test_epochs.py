"""After a fork or a restore the journal goes on in a new epoch, and nothing that was not acknowledged stays behind."""

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
from tests.edge_agent.journal.given import DAY, KIOSK, entry, exit_, opened, void
from tests.edge_agent.journal.test_open import ALTERED, spoil


def of_epoch(journal: Journal) -> list[Event]:
    return [decode(line.payload) for line in journal.outbox.read_rows(0, 10_000, 10_000_000)]


def test_unacknowledged_events_travel_on_under_their_old_identity(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with opened(path) as journal:
        rows = journal.append_all([entry(number, f"u{number}") for number in range(1, 6)])
        journal.outbox.acknowledge(Head(2, rows[1].hash), b"receipt")
        ledgers = Head(9, Hash(bytes(range(32))))
        new = journal.outbox.open_epoch("fork", parent=ledgers, kept_as="elsewhere.db")
        assert journal.outbox.epoch == new != rows[0].epoch
        assert journal.outbox.parent_head == ledgers.hash
        assert journal.outbox.acknowledged() == Head(0, genesis(KIOSK.device, KIOSK.public_key, new, ledgers.hash))
        repair, *carried = of_epoch(journal)
        assert isinstance(repair, Repair)
        assert (repair.why, repair.kept_as) == ("fork", "elsewhere.db")
        assert (repair.old_epoch, repair.old_seq, repair.old_head) == (rows[4].epoch, 5, rows[4].hash.hex())
        for row, number, event in zip(rows[2:], (3, 4, 5), carried, strict=True):
            assert isinstance(event, Carried)
            assert (event.old_epoch, event.old_seq, event.old_hash) == (row.epoch, row.seq, row.hash.hex())
            assert event.payload.encode() == encode(entry(number, f"u{number}"))
        assert journal.outbox.queue_depth() == 4
        assert journal.outbox.find_hash(0) == journal.outbox.acknowledged().hash
    assert verify_journal(path).whole
    with opened(path) as journal:
        assert journal.outbox.epoch == new


def test_the_rules_see_over_the_seam(tmp_path: Path) -> None:
    """A child who ate before the new epoch has eaten; the entry keeps its name and can still be ended or voided."""
    with opened(tmp_path / "j.db") as journal:
        row = journal.append(entry(1, "u1"))
        journal.outbox.open_epoch("fork", parent=None)
        (past,) = journal.earlier_sightings(PersonId("u1"), DAY)
        assert (past.epoch, past.seq) == (row.epoch, row.seq)
        journal.append(exit_(2, "u1", row.epoch, row.seq))
        journal.append(void(3, "u1", row.epoch, row.seq))
        first, second = journal.earlier_sightings(PersonId("u1"), DAY)
        assert first.voided
        assert second.entry_epoch == row.epoch


def test_what_was_carried_is_not_wrapped_again(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with opened(path) as journal:
        row = journal.append(entry(1, "u1"))
        for _ in range(4):
            journal.outbox.open_epoch("fork", parent=None)
        repairs = [event for event in of_epoch(journal) if isinstance(event, Carried) and '"repair"' in event.payload]
        carried = [event for event in of_epoch(journal) if isinstance(event, Carried) and event not in repairs]
        (one,) = carried
        assert (one.old_epoch, one.old_seq, one.old_hash) == (row.epoch, row.seq, row.hash.hex())
        assert len(repairs) == 3
    assert verify_journal(path).whole


def test_the_longest_event_can_be_carried(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db") as journal:
        spare = EVENT_BYTES_MAX - len(encode(entry(1, "u1", note="x"))) + 1
        journal.append(entry(1, "u1", note='"' * (spare // 2)))  # every one of them takes two bytes, and then four
        journal.outbox.open_epoch("fork", parent=None)
        assert isinstance(of_epoch(journal)[-1], Carried)


def test_events_of_a_later_version_travel_too(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    future = b'{"at":"2027-01-01T00:00:00.000Z","kind":"thought","nested":{"a":1}}'
    with opened(path) as journal:
        journal.append(entry(1))
    append_raw(path, future)
    with opened(path) as journal:
        assert journal.outbox.read_rows(0, 10, 10_000)[1].payload == future
        journal.outbox.open_epoch("fork", parent=None)
        last = of_epoch(journal)[-1]
        assert isinstance(last, Carried)
        assert last.payload.encode() == future
    assert verify_journal(path).whole


def append_raw(path: Path, payload: bytes) -> None:
    """As a later version of the agent would have written it before a downgrade."""
    connection = sqlite3.connect(path, isolation_level=None)
    current = read_epochs(connection)[-1]
    append_payloads(connection, current.ordinal, current.head, [payload])
    connection.close()


def test_a_row_that_does_not_hold_is_not_carried_as_if_it_did(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with opened(path) as journal:
        journal.append_all([entry(number) for number in range(1, 1_200)])
    spoil(path, ALTERED + " 20")
    with opened(path) as journal:
        old, head = journal.outbox.epoch, journal.outbox.head
        with pytest.raises(JournalDamaged, match="row 20"):
            journal.outbox.open_epoch("fork", parent=None)
        assert (journal.outbox.epoch, journal.outbox.head) == (old, head)
        journal.append(entry(2_000))


def test_an_old_epoch_is_never_current_again(tmp_path: Path) -> None:
    drawn = iter([bytes(8), bytes(8), bytes([1] * 8)])
    from edge_agent.journal.journal import Journal
    from tests.edge_agent.journal.given import Clocks, migrate_here

    path = tmp_path / "j.db"
    with Journal.open(
        path, KIOSK, now=Clocks(), random_bytes=lambda _: next(drawn), ballast_bytes=0, migrate=migrate_here
    ) as journal:
        assert journal.outbox.epoch == Epoch("0" * 16)
        journal.append(entry(1))
        assert journal.outbox.open_epoch("fork", parent=None) == Epoch("01" * 8)


def test_payloads_are_plain_text_for_anybody(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db") as journal:
        journal.append(entry(1, "u1", note='"кавычки" \\ and қ'))
        journal.outbox.open_epoch("fork", parent=None)
        outer = msgspec.json.decode(journal.recent(1)[0].payload)
        assert msgspec.json.decode(outer["payload"])["note"] == '"кавычки" \\ and қ'
