"""Events are numbered without gaps, chained, and found again for the rules."""

import sqlite3
import struct
import threading
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.domain.sighting import SightingKind
from edge_agent.journal.appending import EVENT_BYTES_MAX
from edge_agent.journal.store import connect_read_only
from edge_agent.journal.verify import verify_journal
from sync.contract.chain import Epoch, Head
from sync.contract.event import Claim, ClockQuality, Event, PersonId, encode
from tests.edge_agent.journal.samples import (
    DAY,
    KIOSK,
    build_entry,
    build_exit,
    build_refusal,
    build_repeat,
    build_void,
    open_journal,
)


def read_rows(path: Path) -> list[tuple[int, bytes, bytes]]:
    connection = connect_read_only(path)
    try:
        return connection.execute("SELECT seq, payload, hash FROM event ORDER BY epoch, seq").fetchall()
    finally:
        connection.close()


def test_the_bytes_that_were_hashed_are_those_in_the_journal(tmp_path: Path) -> None:
    """The chain is computed here anew, from the contract's words and not by our own code."""
    path = tmp_path / "j.db"
    events: list[Event] = [build_entry(1, "қ-1"), build_repeat(2, "қ-1"), build_refusal(3), build_entry(4)]
    with open_journal(path) as journal:
        rows = [journal.append(event) for event in events]
        epoch = journal.outbox.epoch

    def lp(field: bytes) -> bytes:
        return struct.pack(">I", len(field)) + field

    fields = [KIOSK.device.encode(), KIOSK.public_key, epoch.encode(), b""]
    own = sha256(b"cnt1-genesis" + b"".join(lp(field) for field in fields)).digest()
    for number, (event, row, (seq, payload, row_hash)) in enumerate(zip(events, rows, read_rows(path), strict=True), 1):
        own = sha256(b"cnt1" + own + struct.pack(">I", len(payload)) + payload).digest()
        assert (seq, payload, row_hash) == (number, encode(event), own)
        assert (row.epoch, row.seq, row.hash) == (epoch, seq, own)


def test_a_whole_class_is_recorded_or_nobody(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        journal.append(build_entry(1))
        too_long = build_entry(3, note="«" * EVENT_BYTES_MAX)
        with pytest.raises(ValueError, match="can be kept"):
            journal.append_all([build_entry(2), too_long, build_entry(4)])
        assert journal.outbox.head.seq == 1
        rows = journal.append_all([build_entry(number) for number in range(2, 32)])
        assert [row.seq for row in rows] == list(range(2, 32))
        assert journal.append_all([]) == []
    assert verify_journal(tmp_path / "j.db").whole


def test_an_event_is_never_changed_and_only_retention_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.append(build_entry(1))
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in (
        "UPDATE event SET payload = x'7b7d'",
        "UPDATE event SET seq = 7",
        "DELETE FROM event",
        "UPDATE epoch SET anchor_seq = 9",  # nor can the anchor be moved behind the head
        "UPDATE epoch SET acked_seq = 2",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    connection.close()
    assert verify_journal(path).whole


def test_the_rules_get_what_came_before(tmp_path: Path) -> None:
    person = PersonId("u1")
    with open_journal(tmp_path / "j.db") as journal:
        journal.append(build_entry(1, "u1", day="2026-11-20"))
        first = journal.append(build_entry(2, "u1"))
        journal.append(build_entry(3, "u2"))
        journal.append(build_exit(4, "u1", first.epoch, first.seq))
        journal.append(build_repeat(5, "u1"))
        past = journal.earlier_sightings(person, DAY)
        assert [(sighting.seq, sighting.kind) for sighting in past] == [
            (1, SightingKind.ENTRY),  # older than asked for, but among the last few
            (2, SightingKind.ENTRY),
            (4, SightingKind.EXIT),
            (5, SightingKind.REPEAT),
        ]
        assert (past[1].claim, past[1].mono_ms, past[1].reader) == (Claim.CLAIMABLE, 2, "left")
        assert (past[2].entry_epoch, past[2].entry_seq) == (first.epoch, first.seq)
        assert past[3].clock is ClockQuality.UNSYNCHRONISED
        assert past[1].at.isoformat() == "2026-11-23T04:40:00.123000+00:00"
        assert journal.earlier_sightings(PersonId("nobody"), DAY) == ()
        assert journal.earlier_sightings(PersonId(""), DAY) == ()


def test_a_thousand_taps_do_not_hide_the_entry(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        first = journal.append(build_entry(1, "u1"))
        journal.append_all([build_repeat(number, "u1") for number in range(2, 1_002)])
        past = journal.earlier_sightings(PersonId("u1"), DAY)
        assert past[0].seq == first.seq
        assert past[-1].seq == 1_001
        assert len(past) < 20


def test_the_rules_and_a_second_void_see_a_void(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        row = journal.append(build_entry(1, "u1"))
        assert not journal.earlier_sightings(PersonId("u1"), DAY)[0].voided
        journal.append(build_void(2, "u1", row.epoch, row.seq))
        assert journal.earlier_sightings(PersonId("u1"), DAY)[0].voided
        sighting = journal.sighting(row.epoch, row.seq)
        assert sighting is not None
        assert sighting.voided
        assert sighting.is_entry
        assert journal.sighting(row.epoch, 2) is None  # the void itself is no sighting
        assert journal.sighting(row.epoch, 99) is None
        assert journal.sighting(Epoch("0" * 16), 1) is None


def test_recent_rows_are_newest_first_over_epochs(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        journal.append_all([build_entry(number) for number in range(1, 4)])
        journal.outbox.acknowledge(journal.outbox.head, b"receipt")
        old = journal.outbox.epoch
        new = journal.outbox.open_epoch("fork", parent=journal.outbox.head)
        assert [(row.epoch, row.seq) for row in journal.recent(3)] == [(new, 1), (old, 3), (old, 2)]
        assert journal.recent(1)[0].payload.startswith(b"{")


def test_station_and_sync_share_the_journal(tmp_path: Path) -> None:
    """Two threads append while a third takes and acknowledges, as it does beside a lunch break."""
    path = tmp_path / "j.db"
    rows_per_thread, failures = 150, []
    with open_journal(path) as journal:

        def append(person: str) -> None:
            try:
                for number in range(rows_per_thread):
                    journal.append(build_entry(number, person))
                    journal.earlier_sightings(PersonId(person), DAY)
            except BaseException as error:
                failures.append(error)
                raise

        threads = [threading.Thread(target=append, args=(person,)) for person in ("u1", "u2")]
        for thread in threads:
            thread.start()
        while journal.outbox.acknowledged().seq < 2 * rows_per_thread and not failures:
            lines = journal.outbox.read_rows(journal.outbox.acknowledged().seq, 50, 100_000)
            if lines:
                journal.outbox.acknowledge(Head(lines[-1].seq, lines[-1].hash), b"receipt")
        for thread in threads:
            thread.join()
        assert not failures
        assert journal.outbox.queue_depth() == 0
    assert verify_journal(path).rows == 2 * rows_per_thread
    assert verify_journal(path).whole


@settings(max_examples=15, deadline=None)
@given(batches=st.lists(st.lists(st.text(max_size=40), max_size=4), max_size=6))
def test_any_events_make_a_whole_chain(tmp_path_factory: pytest.TempPathFactory, batches: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.db"
    expected = 0
    for batch in batches:
        with open_journal(path) as journal:
            journal.append_all([build_entry(number, note=note) for number, note in enumerate(batch)])
            expected += len(batch)
            assert journal.outbox.head.seq == expected
    if batches:
        verdict = verify_journal(path)
        assert (verdict.whole, verdict.rows) == (True, expected)
