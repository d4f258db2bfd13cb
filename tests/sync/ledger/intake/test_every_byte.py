"""Every byte is survivable: whatever stands in a line, it is stored, acknowledged, and the report goes on."""

from datetime import UTC, date, datetime

import msgspec
import psycopg
import pytest

from sync.contract import batch, wire
from sync.contract.event import encode
from sync.contract.wire import BatchReply
from sync.ledger.judgement.report import build_report
from tests.sync.ledger.kiosk import Kiosk, accepted, entry, read_reply

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DEEP = b"[" * 4_000 + b"]" * 4_000


def vary(kiosk: Kiosk, **fields: object) -> bytes:
    """Returns an entry with other fields than any kiosk would write."""
    plain = msgspec.json.decode(encode(entry("p1", school=kiosk.school)))
    return msgspec.json.encode(plain | fields, order="sorted")


def nasty_lines(kiosk: Kiosk) -> list[bytes]:
    good = encode(entry("p1", school=kiosk.school))
    carried = {"kind": "carried", "old_epoch": "00000000000002aa", "old_hash": "ab" * 32, "payload": "x", "old_seq": 3}
    return [
        DEEP,
        b'{"kind":' + DEEP + b"}",
        good[:-1] + b',"more":' + DEEP[:3000] + DEEP[-3000:] + b"}",
        b'{"a":' * 1_500 + b"1" + b"}" * 1_500,
        vary(kiosk, at="٢٠٢٦-١١-٢٠T٠٤:٠٠:٠٠.٠٠٠Z"),
        vary(kiosk, at="2026-11-31T04:00:00.000Z", service_date="2026-11-31"),
        vary(kiosk, service_date="２０２６-１１-２０"),
        vary(kiosk, service_date="2026-02-30"),
        vary(kiosk, service_date="0000-00-00"),
        vary(kiosk, at="9999-12-31T23:59:59.999Z", service_date="9999-12-31"),
        vary(kiosk, at="0001-01-01T00:00:00.000Z", service_date="0001-01-01"),
        vary(kiosk, at="2026-11-20T24:61:61.000Z"),
        vary(kiosk, at="2026-11-20T04:00:00.000+23:59"),
        vary(kiosk, mono_ms=2**62, roster=2**62, roster_age_s=-(2**62)),
        good.replace(b'"mono_ms":0', b'"mono_ms":' + b"9" * 400),
        good.replace(b'"mono_ms":0', b'"mono_ms":1e300'),
        vary(kiosk, person="\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), session="s\0s", reader="\0"),
        good.replace(b'"p1"', b'"\\ud800"'),
        good.replace(b'"p1"', b'"p\\u0000"'),
        good.replace(b"lunch", b"\xff\xfe"),
        vary(kiosk, **carried),
        vary(kiosk, **(carried | {"payload": DEEP.decode()[:3000]})),
        vary(kiosk, **(carried | {"payload": good.decode().replace("2026-11-20", "2026-13-40")})),
        vary(kiosk, **(carried | {"old_epoch": "0000000000000２aa"})),
        vary(kiosk, kind="void", void_epoch="\0", void_seq=-1, operator="\0", note="\0"),
        vary(kiosk, kind="exit", entry_epoch="x" * 5_000, entry_seq=2**62),
        vary(kiosk, kind="lost", lost_epoch="\0", first_seq=1, last_seq=2**52, why="\0" * 500),
        vary(kiosk, kind="lost", lost_epoch="00000000000002aa", first_seq=9, last_seq=3, why="backwards"),
        b"",
        b"null",
        b"\x00" * 100,
        b"\xef\xbb\xbf" + good,
        good + good,
    ]


def test_every_line_is_stored_and_the_report_is_made(db: psycopg.Connection, kiosk: Kiosk) -> None:
    kiosk.record(entry("p0", school=kiosk.school), *nasty_lines(kiosk), entry("p9", school=kiosk.school, minute=9))
    reply = accepted(kiosk.send(1, len(kiosk.payloads)))
    assert reply.accepted_through == len(kiosk.payloads)
    stored = db.execute(
        "SELECT payload FROM event WHERE school = %s AND device = %s ORDER BY seq", (kiosk.school, kiosk.device)
    ).fetchall()
    assert [bytes(payload) for (payload,) in stored] == kiosk.payloads
    codes = {odd.seq: odd.code for odd in reply.quarantined}
    days = [seq for seq, payload in enumerate(kiosk.payloads, 1) if b"02-30" in payload or b"13-40" in payload]
    assert {codes[seq] for seq in days} == {"bad-time"}
    assert len(codes) >= 20, "a person should look at most of them"
    report = build_report(db, kiosk.school, date(2026, 11, 20), date(2026, 11, 20), now=NOW)
    assert sum(line.visits for line in report.lines) >= 2
    for day in (date(2026, 1, 1), date(2026, 12, 31)):
        build_report(db, kiosk.school, day, day, now=NOW)


def test_each_line_alone_goes_through_as_well(db: psycopg.Connection, kiosk: Kiosk) -> None:
    kiosk.record(*nasty_lines(kiosk))
    for seq in range(1, len(kiosk.payloads) + 1):
        assert isinstance(kiosk.send(seq, seq), BatchReply), kiosk.payloads[seq - 1][:80]


@pytest.mark.parametrize("header", [DEEP, b'{"first_seq":' + DEEP + b"}", b"", b"\xff", b'{"count":1e400}'])
def test_a_header_that_is_none_is_refused_in_words(kiosk: Kiosk, header: bytes) -> None:
    assert kiosk.post_body(header + b"\n{}\n").status_code == 400


def test_a_message_of_depth_is_refused_in_words(kiosk: Kiosk) -> None:
    path = wire.heartbeats_path(kiosk.device)
    response = kiosk.call("POST", path, headers={"content-type": wire.JSON}, body=DEEP)
    assert response.status_code == 400
    header = batch.BatchHeader(first_seq=1, count=1, prev="00" * 32, head="00" * 32, tombstones=(1,))
    assert not isinstance(read_reply(kiosk.post_body(batch.encode(header, [DEEP]))), BatchReply)
