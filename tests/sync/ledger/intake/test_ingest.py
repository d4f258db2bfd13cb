"""Each event once, in order, byte for byte; or the reason why the line stops."""

import gzip
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import psycopg
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync.contract import batch, signature
from sync.contract.chain import Epoch
from sync.contract.event import ClockQuality, Void, encode
from sync.contract.roster import Person
from sync.contract.wire import ProblemDocument, ProblemType
from sync.ledger.intake.event_columns import read_columns
from sync.ledger.registry import rosters, schools
from tests.sync.ledger.kiosk import Kiosk, accepted, carry, entry


def rows(db: psycopg.Connection, kiosk: Kiosk) -> list[tuple[int, bytes, bytes]]:
    return db.execute(
        "SELECT seq, payload, hash FROM event WHERE school = %s AND device = %s AND epoch = %s ORDER BY seq",
        (kiosk.school, kiosk.device, kiosk.epoch),
    ).fetchall()


def test_stores_the_bytes_that_were_sent(kiosk: Kiosk, db: psycopg.Connection) -> None:
    kiosk.record(*(entry(f"u{n}", school=kiosk.school, minute=n) for n in range(2_500)))
    last = accepted(kiosk.send_all())
    assert (last.accepted_through, last.head) == (2_500, kiosk.hashes[-1].hex())
    assert kiosk.checked(last.receipt).seq == 2_500
    assert rows(db, kiosk) == [
        (n, p, h) for n, (p, h) in enumerate(zip(kiosk.payloads, kiosk.hashes[1:], strict=True), 1)
    ]
    assert kiosk.cursor().head == last.head


def test_sending_again_changes_nothing(kiosk: Kiosk, db: psycopg.Connection) -> None:
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(10)))
    accepted(kiosk.send(1, 10))
    again = accepted(kiosk.send(1, 10))
    assert again.duplicates == 10
    assert len(rows(db, kiosk)) == 10


def test_takes_the_new_part_of_an_overlapping_batch(kiosk: Kiosk, db: psycopg.Connection) -> None:
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(20)))
    accepted(kiosk.send(1, 12))
    reply = accepted(kiosk.send(5, 20))
    assert (reply.duplicates, reply.accepted_through) == (8, 20)
    older = accepted(kiosk.send(3, 7))
    assert (older.duplicates, older.accepted_through, older.head) == (5, 7, kiosk.hashes[7].hex())
    assert len(rows(db, kiosk)) == 20


def test_names_the_event_that_should_have_come(kiosk: Kiosk) -> None:
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(9)))
    accepted(kiosk.send(1, 3))
    problem = kiosk.send(6, 9)
    assert isinstance(problem, ProblemDocument)
    assert (problem.type, problem.status, problem.expected_seq) == (ProblemType.GAP, 409, 4)


def refused(reply: object, kind: ProblemType) -> ProblemDocument:
    assert isinstance(reply, ProblemDocument), reply
    assert reply.type == kind, reply
    return reply


def test_a_fork_is_answered_where_it_parts_and_kept_with_its_signature(kiosk: Kiosk, db: psycopg.Connection) -> None:
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(10)))
    clone = kiosk.twin()
    clone.payloads[6:] = []
    accepted(kiosk.send(1, 10))
    clone.record(*(entry(f"v{n}", school=kiosk.school) for n in range(6)))
    problem = refused(clone.send(4, 12), ProblemType.FORK)
    assert (problem.seq, problem.stored, problem.received) == (7, kiosk.hashes[7].hex(), clone.hashes[7].hex())
    refused(clone.send(4, 12), ProblemType.FORK)  # sent again, kept once
    kept = db.execute("SELECT seq, hash, payload FROM fork WHERE device = %s ORDER BY seq", (kiosk.device,)).fetchall()
    assert kept == [(n, clone.hashes[n], clone.payloads[n - 1]) for n in range(7, 13)]
    assert rows(db, kiosk) == [(n, kiosk.payloads[n - 1], kiosk.hashes[n]) for n in range(1, 11)]


def test_a_fork_right_behind_the_head_is_seen(kiosk: Kiosk, db: psycopg.Connection) -> None:
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(5)))
    clone = kiosk.twin()
    clone.payloads[4] = encode(entry("other", school=kiosk.school))
    clone.record(entry("next", school=kiosk.school))
    accepted(kiosk.send(1, 5))
    problem = refused(clone.send(6, 6), ProblemType.FORK)
    assert (problem.seq, problem.stored, problem.received) == (5, kiosk.hashes[5].hex(), clone.hashes[5].hex())
    assert db.execute("SELECT seq, ledger_hash FROM fork WHERE device = %s", (kiosk.device,)).fetchall() == [(6, b"")]


@pytest.mark.parametrize("rotten", [3, 701, 800])
def test_of_a_batch_that_contradicts_itself_nothing_is_kept(kiosk: Kiosk, db: psycopg.Connection, rotten: int) -> None:
    """Its first events are on their way to the database before the rot is seen."""
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(800)))
    accepted(kiosk.send(1, 2))
    lines = kiosk.payloads[2:]
    lines[rotten - 3] = encode(entry("somebody else", school=kiosk.school))
    for first in (3, 2):  # right behind the head, and with an event that is there already
        body = batch.encode(kiosk.header(first, 800), [*kiosk.payloads[first - 1 : 2], *lines])
        assert kiosk.post_body(body).status_code == 422
    assert rows(db, kiosk) == [(n, kiosk.payloads[n - 1], kiosk.hashes[n]) for n in (1, 2)]
    assert db.execute("SELECT last_seq FROM batch WHERE device = %s", (kiosk.device,)).fetchall() == [(2,)]
    assert kiosk.cursor().accepted_through == 2
    assert accepted(kiosk.send(3, 800)).duplicates == 0


def test_the_evidence_stands_by_itself(kiosk: Kiosk, db: psycopg.Connection) -> None:
    """From the stored batch alone: the signature is good, it covers the body, the body holds the events."""
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(8)))
    accepted(kiosk.send_all())
    stored = db.execute(
        "SELECT signed, signature, public_key, content_digest, content_encoding, body FROM batch WHERE device = %s",
        (kiosk.device,),
    ).fetchone()
    assert stored is not None
    signed, text, public_key, digest, encoding, body = stored
    kiosk_key = kiosk.key.public_key()
    assert public_key == kiosk_key.public_bytes_raw()
    kiosk_key.verify(signature._decoded(text.removeprefix("cnt=:").removesuffix(":")), signed)
    assert digest == signature.content_digest(body)
    assert digest in signed.decode()
    assert list(batch.decode(batch.decompress(body, encoding)).lines) == kiosk.payloads


RUBBISH = (b"\xff\xfe", b"{}", b'{"kind":"dance"}', b"[1,2", b"null", b"\x00", b" ", b"{" * 5_000, b"x" * 9_000)


def test_what_cannot_be_read_is_stored_acknowledged_and_named(kiosk: Kiosk, db: psycopg.Connection) -> None:
    kiosk.record(entry("u1", school=kiosk.school), *RUBBISH, entry("u2", school=kiosk.school))
    reply = accepted(kiosk.send_all())
    assert [each.seq for each in reply.quarantined] == list(range(2, 2 + len(RUBBISH)))
    assert {each.code for each in reply.quarantined} == {"unreadable", "oversize"}
    assert [payload for _, payload, _ in rows(db, kiosk)] == kiosk.payloads
    again = accepted(kiosk.send_all())
    assert again.quarantined == reply.quarantined


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"school": "elsewhere"}, "other-school"),
        ({"at": "yesterday"}, "bad-time"),
        ({"service_date": "20.11.2026"}, "bad-time"),
        ({"person": "u\x00"}, "unreadable"),
    ],
)
def test_odd_facts_are_named(kiosk: Kiosk, change: dict[str, str], code: str) -> None:
    kiosk.record(msgspec.structs.replace(entry("u1", school=kiosk.school), **change))
    assert [each.code for each in accepted(kiosk.send_all()).quarantined] == [code]


@pytest.mark.parametrize(
    ("change", "flags"),
    [
        ({}, ""),
        ({"at": "1970-01-01T00:00:07.000Z", "clock": ClockQuality.UNKNOWN}, "past,clock"),
        ({"at": "2099-01-01T00:00:00.000Z", "review": True}, "future,review"),
    ],
)
def test_flags(kiosk: Kiosk, db: psycopg.Connection, change: dict[str, object], flags: str) -> None:
    kiosk.record(msgspec.structs.replace(entry("u1", school=kiosk.school), **change))
    assert accepted(kiosk.send_all()).quarantined == ()
    assert db.execute("SELECT flags FROM event WHERE device = %s", (kiosk.device,)).fetchone() == (flags,)


def test_strangers_are_named_once_there_is_a_roster(kiosk: Kiosk, db: psycopg.Connection) -> None:
    kiosk.record(entry("u1", school=kiosk.school))
    assert accepted(kiosk.send_all()).quarantined == ()
    rosters.apply_changes(db, kiosk.school, [Person(id="u1", given_name="Ә", family_name="Б")])
    kiosk.record(entry("u1", school=kiosk.school), entry("nobody", school=kiosk.school))
    assert [(each.seq, each.code) for each in accepted(kiosk.send(2, 3)).quarantined] == [(3, "unknown-person")]


def test_a_stranger_is_named_once_a_batch_at_the_first_event(kiosk: Kiosk, db: psycopg.Connection) -> None:
    rosters.apply_changes(db, kiosk.school, [Person(id="p-1", given_name="Ә", family_name="Б")])
    kiosk.record(*(entry("p-9" if n % 300 == 7 else "p-1", school=kiosk.school) for n in range(1, 1_001)))
    assert [(odd.seq, odd.code) for odd in accepted(kiosk.send_all()).quarantined] == [(7, "unknown-person")]


def test_a_void_of_the_future_is_named(kiosk: Kiosk) -> None:
    void = Void(
        school=kiosk.school, at="2026-11-20T04:00:00.000Z", boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        void_epoch=kiosk.epoch, void_seq=7, person="u1", operator="o", note="n",
    )  # fmt: skip
    kiosk.record(void)
    assert [each.code for each in accepted(kiosk.send_all()).quarantined] == ["orphan"]


def test_carried_events_count_once_under_their_old_identity(kiosk: Kiosk, db: psycopg.Connection) -> None:
    """Events 1 to 6 were acknowledged, of 7 to 10 the kiosk does not know; the ledger got 7 and 8 after all."""
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(10)))
    accepted(kiosk.send(1, 6))
    accepted(kiosk.send(7, 8))
    successor = replace(kiosk, epoch=Epoch("00000000000000bb"), parent=bytes(kiosk.hashes[6]), payloads=[])
    successor.record(*(carry(kiosk, seq) for seq in (7, 8, 9, 10)))
    accepted(successor.send_all())
    accepted(successor.send_all())
    counted = db.execute(
        "SELECT epoch, seq, payload, branch FROM fact WHERE device = %s ORDER BY seq", (kiosk.device,)
    ).fetchall()
    assert counted == [(kiosk.epoch, n, kiosk.payloads[n - 1], "") for n in range(1, 11)]
    parent = db.execute("SELECT parent, parent_seq FROM epoch WHERE epoch = %s", (successor.epoch,)).fetchone()
    assert parent == (kiosk.epoch, 6)
    refused(kiosk.send(9, 10), ProblemType.EPOCH_SUPERSEDED)


def test_two_events_with_one_identity_are_both_facts(kiosk: Kiosk, db: psycopg.Connection) -> None:
    """A restored card: the children of the second copy ate as well."""
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(5)))
    restored = kiosk.twin()
    restored.payloads[3:] = [encode(entry(f"v{n}", school=kiosk.school)) for n in range(2)]
    accepted(kiosk.send_all())
    refused(restored.send_all()[0], ProblemType.FORK)
    successor = replace(kiosk, epoch=Epoch("00000000000000cc"), parent=bytes(kiosk.hashes[5]), payloads=[])
    successor.record(*(carry(restored, seq) for seq in (4, 5)))
    accepted(successor.send_all())
    counted = db.execute(
        "SELECT seq, branch FROM fact WHERE device = %s ORDER BY branch, seq", (kiosk.device,)
    ).fetchall()
    assert counted == [*((n, "") for n in range(1, 6)), (4, successor.epoch), (5, successor.epoch)]


def test_epochs_begin_at_one_behind_the_right_genesis(kiosk: Kiosk, db: psycopg.Connection) -> None:
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(5)))
    refused(kiosk.send(3, 5), ProblemType.EPOCH_UNKNOWN)
    wrong = replace(kiosk, parent=bytes(32))  # a genesis that was made with another parent than the header names
    body = batch.encode(replace_parent(wrong.header(1, 5)), wrong.payloads)
    reply = wrong.post_body(body)
    assert (reply.status_code, reply.json()["type"]) == (409, ProblemType.EPOCH_UNKNOWN)
    assert db.execute("SELECT count(*) FROM epoch WHERE device = %s", (kiosk.device,)).fetchone() == (0,)


def replace_parent(header: batch.BatchHeader) -> batch.BatchHeader:
    return batch.BatchHeader(first_seq=1, count=header.count, prev=header.prev, head=header.head, parent="")


def test_bombs_are_capped(kiosk: Kiosk) -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(200 * 1024 * 1024))
    assert kiosk.post_body(bomb, "zstd").status_code == 413
    assert kiosk.post_body(gzip.compress(bytes(50 * 1024 * 1024)), "gzip").status_code == 413


def test_only_the_devices_own_key_is_heard(kiosk: Kiosk, enrolled: Callable[[], Kiosk], db: psycopg.Connection) -> None:
    other = enrolled()
    kiosk.record(entry("u1", school=kiosk.school))
    thief = replace(kiosk, key=other.key)
    refused(thief.send(1, 1), ProblemType.UNAUTHORISED)
    schools.set_status(db, kiosk.device, "suspended")
    refused(kiosk.send(1, 1), ProblemType.SUSPENDED)
    schools.set_status(db, kiosk.device, "active")
    accepted(kiosk.send(1, 1))


def test_two_clients_race_on_one_device(kiosk: Kiosk, db: psycopg.Connection) -> None:
    """The locked head row lets each event in once, whoever comes first."""
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(600)))
    problems: list[ProblemDocument] = []

    def push(seed: int) -> None:
        dice = random.Random(seed)
        first = 1
        while first <= 600:
            last = min(600, first + dice.randrange(1, 60))
            reply = kiosk.send(first, last)
            if isinstance(reply, ProblemDocument):
                problems.append(reply)
                return
            first = reply.accepted_through + 1

    threads = [threading.Thread(target=push, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert rows(db, kiosk) == [(n, kiosk.payloads[n - 1], kiosk.hashes[n]) for n in range(1, 601)]


def test_interleaved_devices_do_not_touch_each_other(enrolled: Callable[[], Kiosk], db: psycopg.Connection) -> None:
    kiosks = [enrolled() for _ in range(4)]
    for kiosk in kiosks:
        kiosk.record(*(entry(f"{kiosk.device}-{n}", school=kiosk.school) for n in range(120)))

    def push(kiosk: Kiosk) -> None:
        accepted(kiosk.send_all(17))

    threads = [threading.Thread(target=push, args=(kiosk,)) for kiosk in kiosks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for kiosk in kiosks:
        assert [payload for _, payload, _ in rows(db, kiosk)] == kiosk.payloads


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=12))
def test_any_cuts_in_any_order_keep_each_event_once(
    enrolled: Callable[[], Kiosk], db: psycopg.Connection, cuts: list[tuple[int, int]]
) -> None:
    kiosk = enrolled()
    kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(40)))
    head = 0
    for a, b in cuts:
        first, last = min(a, b), max(a, b)
        reply = kiosk.send(first, last)
        if isinstance(reply, ProblemDocument):
            expected = ProblemType.GAP if head else ProblemType.EPOCH_UNKNOWN
            assert first > head + 1
            assert reply.type == expected
        else:
            assert reply.duplicates == max(0, min(last, head) - first + 1)
            head = max(head, last)
    assert [seq for seq, _, _ in rows(db, kiosk)] == list(range(1, head + 1))


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_any_bytes_can_be_looked_at(payloads: list[bytes]) -> None:
    columns = read_columns(
        payloads, 1, school="s", epoch=Epoch("00000000000000aa"), now=datetime(2026, 11, 22, tzinfo=UTC)
    )
    assert len(columns.rows) == len(payloads)
    assert not any("\0" in odd.detail for odd in columns.odd)
