"""What comes late: the rest of a closed epoch, a run behind a hole, the bytes behind a tombstone."""

from collections.abc import Callable

import psycopg
import pytest

from sync.contract import batch, chain, wire
from sync.contract.chain import Epoch, Head
from sync.contract.event import ClockQuality, EventsLost, encode
from sync.contract.wire import BatchReply, ProblemDocument, ProblemType
from sync.ledger.intake.holes import read_holes
from tests.sync.ledger.kiosk import Kiosk, accepted, carry, entry, read_reply

FORMER = Epoch("00000000000001aa")


@pytest.fixture
def moved(kiosk: Kiosk) -> tuple[Kiosk, Kiosk]:
    """A kiosk in its second epoch, and itself in the first, of which the ledger has four of nine events."""
    kiosk.epoch = FORMER
    kiosk.record(*(entry(f"p{number}", school=kiosk.school, minute=number) for number in range(9)))
    accepted(kiosk.send(1, 4))
    former = kiosk.twin()
    kiosk.epoch, kiosk.parent = Epoch("00000000000001bb"), former.hashes[9]
    kiosk.payloads = []
    kiosk.record(carry(former, 6), entry("q1", school=kiosk.school, minute=20))
    accepted(kiosk.send_all())
    return kiosk, former


def send_late(
    kiosk: Kiosk, first: int, last: int, *, prev: str = "", holes: tuple[batch.NamedHole, ...] = (), closed: bool = True
) -> BatchReply | ProblemDocument:
    header = kiosk.header(first, last)
    parent = kiosk.parent.hex() if holes and holes[0].first_seq == 1 else header.parent
    changed = batch.BatchHeader(
        first_seq=first, count=header.count, prev=prev or header.prev, head=header.head, parent=parent, closed=closed,
        holes=holes,
    )  # fmt: skip
    body = batch.encode(changed, kiosk.payloads[first - 1 : last])
    return read_reply(kiosk.post_body(batch.Compressor()(body), "zstd"))


def facts(db: psycopg.Connection, kiosk: Kiosk) -> list[tuple[str, int]]:
    return db.execute(
        "SELECT epoch, seq FROM fact WHERE school = %s AND device = %s ORDER BY epoch, seq",
        (kiosk.school, kiosk.device),
    ).fetchall()


def test_a_closed_epoch_goes_on_behind_its_last_event_and_each_fact_counts_once(
    db: psycopg.Connection, moved: tuple[Kiosk, Kiosk]
) -> None:
    kiosk, former = moved
    assert (FORMER, 6) in facts(db, kiosk), "carried"
    reply = accepted(send_late(former, 5, 9))
    assert (reply.accepted_through, kiosk.checked(reply.receipt)) == (9, Head(9, former.hashes[9]))
    assert facts(db, kiosk) == [*((FORMER, seq) for seq in range(1, 10)), (kiosk.epoch, 2)]
    assert kiosk.cursor().epoch == kiosk.epoch, "the open epoch stays the open one"
    assert accepted(send_late(former, 5, 9)).duplicates == 5
    kiosk.record(entry("q2", school=kiosk.school, minute=30))
    accepted(kiosk.send(3, 3))


def test_what_comes_late_of_a_closed_epoch_is_held_against_its_earlier_times(
    db: psycopg.Connection, moved: tuple[Kiosk, Kiosk]
) -> None:
    _, former = moved
    backdated = former.twin()
    backdated.payloads[4:] = [encode(entry("u1", school=former.school, day="2026-11-19"))]
    accepted(send_late(backdated, 5, 5))
    (before,) = db.execute(
        "SELECT latest_before FROM event WHERE school = %s AND epoch = %s AND seq = 5", (former.school, FORMER)
    ).fetchone() or ("",)
    assert before == "2026-11-20T04:03:00.000Z", (
        "the time of its fourth event, after which nothing is of the day before"
    )


@pytest.mark.parametrize("first", [6, 9])
def test_a_closed_epoch_is_extended_by_nothing_else(
    db: psycopg.Connection, moved: tuple[Kiosk, Kiosk], first: int
) -> None:
    kiosk, former = moved
    before = facts(db, kiosk)
    problem = send_late(former, first, 9)
    assert isinstance(problem, ProblemDocument)
    assert problem.type == ProblemType.GAP
    other = former.twin()
    other.payloads[2] = encode(entry("somebody-else", school=kiosk.school))
    forked = send_late(other, 5, 9)
    assert isinstance(forked, ProblemDocument)
    assert forked.type == ProblemType.FORK
    assert facts(db, kiosk) == before


def test_a_kiosk_that_does_not_know_that_its_epoch_is_closed_must_open_another(moved: tuple[Kiosk, Kiosk]) -> None:
    _, former = moved
    problem = former.send(5, 9)
    assert isinstance(problem, ProblemDocument)
    assert problem.type == ProblemType.EPOCH_SUPERSEDED


def test_a_hole_is_named_and_the_events_behind_it_are_stored(db: psycopg.Connection, kiosk: Kiosk) -> None:
    kiosk.record(*(entry(f"p{number}", school=kiosk.school, minute=number) for number in range(9)))
    accepted(kiosk.send(1, 2))
    hole = batch.NamedHole(kiosk.epoch, 3, 5, kiosk.hashes[5].hex())
    reply = accepted(send_late(kiosk, 6, 9, holes=(hole,), closed=False))
    assert reply.accepted_through == 9
    [found] = read_holes(db, kiosk.school)
    assert (found.device, found.epoch, found.first_seq, found.last_seq, found.why) == (
        kiosk.device, kiosk.epoch, 3, 5, "pruned",
    )  # fmt: skip
    other = batch.NamedHole(kiosk.epoch, 10, 11, kiosk.hashes[5].hex())
    kiosk.record(*(entry(f"p{number}", school=kiosk.school, minute=number) for number in range(9, 14)))
    problem = send_late(kiosk, 13, 14, holes=(other,), closed=False)
    assert isinstance(problem, ProblemDocument)
    assert problem.type == ProblemType.GAP, "the hole must lie exactly between"
    assert len(read_holes(db, kiosk.school)) == 1


def test_an_epoch_may_begin_behind_a_hole(db: psycopg.Connection, kiosk: Kiosk) -> None:
    kiosk.record(*(entry(f"p{number}", school=kiosk.school, minute=number) for number in range(5)))
    hole = batch.NamedHole(kiosk.epoch, 1, 3, kiosk.hashes[3].hex())
    accepted(send_late(kiosk, 4, 5, holes=(hole,), closed=False))
    assert facts(db, kiosk) == [(kiosk.epoch, 4), (kiosk.epoch, 5)]
    assert [(hole.first_seq, hole.last_seq) for hole in read_holes(db, kiosk.school)] == [(1, 3)]


def test_lost_events_are_holes_until_they_are_stored(
    db: psycopg.Connection, kiosk: Kiosk, enrolled: Callable[[], Kiosk]
) -> None:
    kiosk.epoch = FORMER
    kiosk.record(*(entry(f"p{number}", school=kiosk.school, minute=number) for number in range(9)))
    accepted(kiosk.send(1, 4))
    former = kiosk.twin()
    kiosk.epoch, kiosk.parent, kiosk.payloads = Epoch("00000000000001bb"), former.hashes[4], []
    lost = EventsLost(
        school=kiosk.school, at="2026-11-20T05:00:00.000Z", boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        lost_epoch=FORMER, first_seq=3, last_seq=9, why="damaged",
    )  # fmt: skip
    kiosk.record(lost, carry(former, 7))
    accepted(kiosk.send_all())
    found = [(hole.first_seq, hole.last_seq, hole.why) for hole in read_holes(db, kiosk.school)]
    assert found == [(5, 6, "damaged"), (8, 9, "damaged")], "what is stored or carried is no hole"
    accepted(send_late(former, 5, 9))
    assert read_holes(db, kiosk.school) == []


def test_the_bytes_of_a_tombstone_are_stored_where_its_hash_stands(db: psycopg.Connection, kiosk: Kiosk) -> None:
    kiosk.record(*(entry(f"p{number}", school=kiosk.school, minute=number) for number in range(3)))
    hashes, payloads = kiosk.hashes, list(kiosk.payloads)
    line = batch.tombstone_line(batch.Tombstone(hash=hashes[2].hex(), reason="deferred-400", seq=2))
    header = batch.BatchHeader(first_seq=1, count=3, prev=hashes[0].hex(), head=hashes[3].hex(), tombstones=(2,))
    body = batch.encode(header, [payloads[0], line, payloads[2]])
    reply = accepted(read_reply(kiosk.post_body(body)))
    assert [(odd.seq, odd.code) for odd in reply.quarantined] == [(2, "tombstone")]
    offered = accepted(kiosk.send(2, 2))
    assert (offered.filled, offered.duplicates, offered.quarantined) == ((2,), 1, ())
    row = db.execute(
        "SELECT payload, hash, kind, person FROM event WHERE school = %s AND device = %s AND seq = 2",
        (kiosk.school, kiosk.device),
    ).fetchone()
    assert row == (payloads[1], bytes(hashes[2]), "entry", "p1")
    assert accepted(kiosk.send(2, 2)).filled == ()


def test_a_heartbeat_hears_how_far_the_journal_went_and_where_the_ledger_stands(kiosk: Kiosk) -> None:
    kiosk.record(entry("p1", school=kiosk.school))
    accepted(kiosk.send(1, 1))
    first = beat(kiosk, 58)
    assert (first.heard, first.epoch, first.accepted_through) == (58, kiosk.epoch, 1)
    assert first.head == kiosk.hashes[1].hex()
    assert beat(kiosk, 50).heard == 58
    other = kiosk.twin()
    other.epoch = Epoch("00000000000001cc")
    assert beat(other, 3).heard == 3


def beat(kiosk: Kiosk, seq: int) -> wire.HeartbeatReply:
    message = wire.Heartbeat(
        epoch=kiosk.epoch, head=wire.HeadText(seq, "ab" * 32), acknowledged=0, queue=0, agent="test", roster=0,
        boot="b", instance="00000000000000aa", at="2026-11-20T05:00:00.000Z", clock="synchronised",
    )  # fmt: skip
    path = wire.heartbeats_path(kiosk.device)
    response = kiosk.call("POST", path, headers={"content-type": wire.JSON}, body=wire.to_json(message))
    return wire.read_json(wire.HeartbeatReply, response.content)


def test_answers_are_signed_and_bound_to_their_request(kiosk: Kiosk) -> None:
    from sync.contract import signature

    public_key = bytes.fromhex(kiosk.identity.server_key)
    for path in (wire.cursor_path(kiosk.device), wire.cursor_path(chain.DeviceId("sch-none-00"))):
        response = kiosk.call("GET", path)
        headers = {name.lower(): value for name, value in response.request.headers.items()}
        request = signature.SignableRequest("GET", path, "", headers)
        answer = signature.SignableAnswer(response.status_code, dict(response.headers), response.content)
        assert signature.verify_answer(answer, request, public_key).keyid
        with pytest.raises(signature.BadSignature):
            signature.verify_answer(answer, signature.SignableRequest("GET", path + "x", "", headers), public_key)
