"""The last scan, as a start finds it in the journal."""

from datetime import UTC, datetime

from edge_agent.runtime.last_scan import find_last_scan
from sync.contract.event import Entry, Manual, Stop, encode

PLACE = {"school": "sch-1", "boot": "b", "mono_ms": 1, "clock": "synchronised"}


def at(kind: type[Entry] | type[Manual] | type[Stop], minute: int, **more: str) -> bytes:
    return encode(kind(**PLACE, at=f"2026-11-20T07:{minute:02}:00.000Z", **more))  # type: ignore[arg-type]


def test_an_entry_at_a_reader_is_a_scan_and_one_by_hand_is_none() -> None:
    reader = {"person": "u-1"}
    rows = [at(Stop, 9), b"{", b'{"kind":"of-tomorrow"}', at(Manual, 8, **reader), at(Entry, 7, **reader), at(Entry, 6)]
    assert find_last_scan(rows) == datetime(2026, 11, 20, 7, 7, tzinfo=UTC)
    assert find_last_scan(rows[:4]) is None
