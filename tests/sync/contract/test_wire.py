from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.contract import wire
from sync.contract.wire import (
    Count,
    Cursor,
    HeadText,
    Heartbeat,
    InvalidMessage,
    PartHealth,
    PartKind,
    ProblemDocument,
    ProblemType,
    RegistrationRequest,
    UpdateReport,
)


@pytest.mark.parametrize("text", ["k1", "Kiosk-7", "local-0123456789abcdef", "0", "a" * 64])
def test_names_that_are_allowed(text: str) -> None:
    assert wire.parse_device_id(text) == text
    assert wire.parse_school_id(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a/b", "a b", "a.b", "..", 'a"', "a\n", "ә", "a%2f", "a" * 65])
def test_names_that_would_mean_something_else_in_a_path(text: str) -> None:
    with pytest.raises(InvalidMessage):
        wire.parse_device_id(text)
    with pytest.raises(InvalidMessage):
        wire.parse_school_id(text)


@pytest.mark.parametrize("text", ["", "00c0ffee00c0ffe", "00C0FFEE00C0FFEE", "00c0ffee00c0ffeg", "00c0ffee00c0ffee\n"])
def test_epochs_that_are_none(text: str) -> None:
    with pytest.raises(InvalidMessage):
        wire.parse_epoch(text)


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9000, 1, 1)), st.integers(-12, 12))
def test_times_keep_their_moment(naive: datetime, hours: int) -> None:
    moment = naive.replace(microsecond=naive.microsecond // 1000 * 1000, tzinfo=timezone(timedelta(hours=hours)))
    assert wire.time_text(moment).endswith("Z")
    assert wire.read_time(wire.time_text(moment)) == moment


def test_naive_times_do_not_travel() -> None:
    with pytest.raises(ValueError):
        wire.time_text(datetime(2026, 11, 22))
    for text in ("2026-11-22T04:40:00", "lunch", ""):
        with pytest.raises(InvalidMessage):
            wire.read_time(text)
    assert wire.read_time("2026-11-22T09:40:00+05:00") == datetime(2026, 11, 22, 4, 40, tzinfo=UTC)


def test_a_newer_end_may_say_more() -> None:
    text = b'{"type":"urn:canteen:problem:gap","status":409,"expected_seq":7,"hint":"new in 2031"}'
    assert wire.read_json(ProblemDocument, text) == ProblemDocument(
        type=ProblemType.GAP.value, status=409, expected_seq=7
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff\xff",
        b'{"time":1}',
        b'{"time":"x","accepted_through":-1}',
        b'{"time":"x","accepted_through":1e99}',
    ],
)
def test_what_is_no_message_is_invalid(text: bytes) -> None:
    with pytest.raises(InvalidMessage):
        wire.read_json(Cursor, text)


def test_a_code_never_shows() -> None:
    request = RegistrationRequest(code="SECRET-1", public_key="0" * 64)
    assert "SECRET" not in repr(request)
    assert b"SECRET-1" in wire.to_json(request)


def test_hashes_are_hex_of_32_bytes() -> None:
    good = Heartbeat(
        epoch="00c0ffee00c0ffee", head=HeadText(0, "0" * 64), acknowledged=0, queue=0, agent="0.1.0", roster=0,
        boot="b", instance="i", at="2026-11-22T04:40:00.000Z", clock="synchronised",
    )  # fmt: skip
    assert wire.read_json(Heartbeat, wire.to_json(good)) == good
    with pytest.raises(InvalidMessage):
        wire.read_json(Heartbeat, wire.to_json(good).replace(b"0" * 64, b"0" * 63))


def test_roster_query() -> None:
    assert wire.roster_query(0) == "since=0"
    assert wire.roster_query(17, "a b&c") == "since=17&cursor=a+b%26c"


class FormerHeartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A heartbeat as ledgers of before the fleet's page read it, and as kiosks of that time wrote it."""

    epoch: str
    head: HeadText
    acknowledged: Count
    queue: Count
    agent: str
    roster: Count
    boot: str
    instance: str
    at: str
    clock: str
    health: tuple["FormerPartHealth", ...] = ()


class FormerPartHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    part: str
    state: str
    detail: str = ""


def test_an_older_ledger_reads_a_newer_kiosks_heartbeat_and_the_reverse() -> None:
    same = {
        "epoch": "0" * 16, "head": HeadText(0, "0" * 64), "acknowledged": 0, "queue": 2, "agent": "0.1", "roster": 3,
        "boot": "b", "instance": "i", "at": "2026-11-20T04:00:00.000Z", "clock": "synchronised",
    }  # fmt: skip
    former = FormerHeartbeat(**same, health=(FormerPartHealth("door", "failed", "gone"),))  # type: ignore[arg-type]
    newer = Heartbeat(
        **same, health=(PartHealth("door", "failed", "gone", PartKind.READER),), roster_age_s=7,  # type: ignore[arg-type]
        scanned="2026-11-20T03:59:00.000Z", update=UpdateReport(version="0.2", state="staged"),
    )  # fmt: skip
    assert wire.read_json(FormerHeartbeat, wire.to_json(newer)) == former
    read = wire.read_json(Heartbeat, wire.to_json(former))
    assert (read.health, read.roster_age_s, read.scanned, read.update) == (
        (PartHealth("door", "failed", "gone"),), -1, "", None
    )  # fmt: skip
    assert wire.to_json(read) == wire.to_json(former), "a kiosk that has nothing more to tell sends what it sent before"
