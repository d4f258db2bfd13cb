"""Each event once, in order, byte for byte; or the reason why the line stops."""

import psycopg

from sync.contract.wire import Problem, ProblemType
from tests.sync.ledger.kiosk import Kiosk, accepted, entry


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
    assert isinstance(problem, Problem)
    assert (problem.type, problem.status, problem.expected_seq) == (ProblemType.GAP, 409, 4)
