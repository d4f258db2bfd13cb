import random
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.fault import Fault
from drivers.protocols.zk_attlog import ATTLOG_LINE_BYTES_MAX, Decoder, Event, Punch, preview, row
from tests.drivers.protocols import cutting
from tests.vectors import load_bytes

FILE = load_bytes("canteen/1_attlog.dat")
ALMATY = timezone(timedelta(hours=5))
PUNCHES = [
    Punch("1001", "2026-11-20 09:40:15", 0, 25),
    Punch("1002", "2026-11-20 09:40:18", 0, 2),
    Punch("1001", "2026-11-20 09:52:40", 1, 25),
    Punch("77", "2026-11-20 09:53:01", 255, 25),
]


def events(data: bytes) -> list[Event]:
    return cutting.every_way(lambda: Decoder().feed, data)


def test_the_file_from_a_stick() -> None:
    assert events(FILE) == PUNCHES
    assert [punch.method("?") for punch in PUNCHES] == ["palm", "card", "palm", "palm"]
    seen = preview(FILE)
    assert list(seen.punches) == PUNCHES
    assert (seen.first, seen.last, seen.repeated, seen.faults) == ("2026-11-20 09:40:15", "2026-11-20 09:53:01", 0, ())
    assert seen.numbers == {"1001", "1002", "77"}


def test_the_sixteen_columns_of_a_newer_terminal() -> None:
    assert events(load_bytes("canteen/zkteco_push_v320/attlog_tft_16col.txt")) == [
        Punch("982", "2016-02-25 12:08:21", 1, 0),
        Punch("982", "2016-02-25 13:18:22", 1, 0),
    ]


def test_a_preview_counts_what_it_cannot_read_and_what_comes_twice() -> None:
    seen = preview(b"\xef\xbb\xbf" + FILE + b"rubbish\r\n\r\n" + FILE + b"x" * 600 + b"\n\xff\xfe\n")
    assert list(seen.punches) == PUNCHES
    assert seen.repeated == 4
    assert [number for number, _ in seen.faults] == [5, 11, 12]
    assert preview(b"").punches == ()
    assert preview(b"").first == ""


@pytest.mark.parametrize(
    ("line", "punch"),
    [
        ("1001\t2026-11-20 09:40:15", Punch("1001", "2026-11-20 09:40:15")),
        ("007\t2026-11-20 09:15:00\t255\t4", Punch("007", "2026-11-20 09:15:00", 255, 4)),
        ("1\t2026-11-20 09:15:00\t0\t\t\t0", Punch("1", "2026-11-20 09:15:00", 0)),
        ("123456789\t2026-11-20 09:15:00\t0\t25\t0\t0", Punch("123456789", "2026-11-20 09:15:00", 0, 25)),
        ("060101500123\t2026-11-20 09:15:00\t0\t1\t0\t0", Punch("060101500123", "2026-11-20 09:15:00", 0, 1)),
        ("060101500123\t2026-11-20 09:15:00\t0\t25\t0\t0", Punch("060101500123", "2026-11-20 09:15:00", 0, 25)),
        ("5\t2026-11-20 09:00:00\t0\t25" + "\t0" * 25, Punch("5", "2026-11-20 09:00:00", 0, 25)),
        ("     1001\t2026-11-20 09:40:15\t1\t0\t25\t0", Punch("1001", "2026-11-20 09:40:15", 0, 25)),
        ("     1001\t2026-11-20 09:40:15\t1\t0\t25\t0\t", Punch("1001", "2026-11-20 09:40:15", 0, 25)),
        ("     1001\t2026-11-20 09:40:15\t1\t0\t25\t", Punch("1001", "2026-11-20 09:40:15", 0, 25)),
        ("A12\t2026-11-20 09:15:00\t0\t15\t0\t0\t0\t\t1\t2", Punch("A12", "2026-11-20 09:15:00", 0, 15)),
    ],
)
def test_rows_of_every_length(line: str, punch: Punch) -> None:
    assert row(line) == punch
    assert events(line.encode() + b"\n") == [punch]


@pytest.mark.parametrize(
    "line",
    [
        "\t2026-11-20 09:00:00\t0\t1",
        "5\tnot-a-date\t0\t1",
        "5\t\t0",
        "5\t2026-02-30 09:00:00\t0\t1",
        "5\t2026-11-20 24:00:00\t0\t1",
        "5\t0001-01-01 00:00:00\t0\t1",
        "5\t9999-12-31 23:59:59\t0\t1",
        "5\t2026-11-20 09:00:00\tx\t1",
        "5\t2026-11-20 09:00:00\t0\t-1",
        "5\t2026-11-20 09:00:00 PM\t0\t1",
        "5 6\t2026-11-20T09:00:00\t0\t1",
        "1" * 25 + "\t2026-11-20 09:00:00\t0\t1",
        "5\t2026-11-20 09:00:00" + "\t0" * 31,
    ],
)
def test_a_row_that_says_nobody_or_no_time_is_a_fault(line: str) -> None:
    assert isinstance(row(line), Fault)
    assert isinstance(events(line.encode() + b"\n")[-1], Fault | Punch)


def test_a_long_number_that_was_pushed_keeps_its_columns_and_in_a_file_loses_the_devices() -> None:
    """The same bytes: a way of recognition taken for another would ask the wrong consent."""
    line = "060101500123\t2026-11-20 09:15:00\t1\t0\t25\t0"
    assert row(line) == Punch("060101500123", "2026-11-20 09:15:00", 1, 0)
    in_file = Punch("060101500123", "2026-11-20 09:15:00", 0, 25)
    assert events(line.encode() + b"\n") == [in_file]
    assert list(preview(line.encode()).punches) == [in_file]


def test_what_an_editor_did_to_the_file_is_seen() -> None:
    assert events(b"\xef\xbb\xbf" + FILE) == PUNCHES
    [fault] = events(b"1001 2026-11-20 09:40:15 0 25 0 0\r\n")
    assert isinstance(fault, Fault)
    assert "tabs" in fault.what


def test_a_terminals_time_is_local() -> None:
    assert PUNCHES[0].at(ALMATY) == datetime(2026, 11, 20, 4, 40, 15, tzinfo=UTC)


def test_a_last_row_without_an_end_counts() -> None:
    decoder = Decoder()
    assert not decoder.feed(b"1001\t2026-11-20 09:40:15\t0\t25")
    assert decoder.flush() == [Punch("1001", "2026-11-20 09:40:15", 0, 25)]
    assert decoder.flush() == []


numbers = st.text("0123456789", min_size=1, max_size=9)
times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}")


@given(rows=st.lists(st.tuples(numbers, times), max_size=6), file=st.booleans(), places=cutting.places)
def test_any_cut_gives_the_same_rows(rows: list[tuple[str, str]], file: bool, places: list[int]) -> None:
    lines = [f"{n:>9}\t{t}\t1\t0\t25\t0\r\n" if file else f"{n}\t{t}\t0\t25\t0\t0\t0\n" for n, t in rows]
    stream = "".join(lines).encode()
    found = cutting.run(Decoder().feed, cutting.cut(stream, places))
    assert found == [Punch(number, at, 0, 25) for number, at in rows]


@given(before=st.binary(max_size=600), between=st.binary(max_size=60), places=cutting.places)
def test_noise_around_rows_hides_none(before: bytes, between: bytes, places: list[int]) -> None:
    line = b"1001\t2026-11-20 09:40:15\t0\t25\t0\n"
    stream = before + b"\xff" + line + between + b"\xff" + line
    found = cutting.run(Decoder().feed, cutting.cut(stream, places))
    assert found == cutting.run(Decoder().feed, [stream])
    assert found.count(Punch("1001", "2026-11-20 09:40:15", 0, 25)) == 2


@pytest.mark.parametrize("alphabet", [bytes(range(256)), b" ", b"1\t-: \n", b"\t"])
def test_long_noise_leaves_nothing_behind_and_the_next_row_is_read(alphabet: bytes) -> None:
    dice, decoder = random.Random(1), Decoder()
    tracemalloc.start()
    try:
        for _ in range(30):
            decoder.feed(bytes(dice.choices(alphabet, k=4096)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 100_000
    assert decoder.feed(b"\n" + FILE)[-4:] == PUNCHES
    assert len(decoder._line) <= ATTLOG_LINE_BYTES_MAX
