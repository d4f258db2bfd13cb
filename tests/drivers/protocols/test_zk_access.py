from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.adms_redaction import ROW_CHARACTERS_MAX, redact_row
from drivers.protocols.fault import Fault
from drivers.protocols.zk_access import DOOR, GRANTED, REFUSED, AccessRefusal, DoorNotice, access_row
from drivers.protocols.zk_attlog import Punch
from drivers.protocols.zk_time import pack_time, unpack_time

ROW = "time=2026-11-30 12:01:00\tpin=1002\tcardno=0\teventaddr=1\tevent={}\tinoutstatus=0\tverifytype=25\tindex=21"


def test_the_published_row() -> None:
    assert access_row(ROW.format(3)) == Punch("1002", "2026-11-30 12:01:00", 0, 25, "21")


@pytest.mark.parametrize("code", range(1000))
def test_each_code_has_one_meaning_and_a_pin_alone_proves_nothing(code: int) -> None:
    assert (code in GRANTED) + (code in DOOR) + (code in REFUSED) <= 1
    event = access_row(ROW.format(code))
    assert isinstance(event, Punch) is (code in GRANTED)
    assert isinstance(event, AccessRefusal) is (code in REFUSED)
    assert isinstance(event, DoorNotice) is (code in DOOR)


@pytest.mark.parametrize(
    ("row", "event"),
    [
        ("pin=7\ttime=2026-11-30 12:01:00\tevent=0", Punch("7", "2026-11-30 12:01:00")),
        ("PIN=007\tTIME=2026-11-30 12:01:00\tEVENT=0\tindex=0", Punch("007", "2026-11-30 12:01:00")),
        (
            "time=2026-11-30 12:01:00\tpin=0\tevent=27\tverifytype=15",
            AccessRefusal("", "2026-11-30 12:01:00", REFUSED[27]),
        ),
        (
            "time=2026-11-30 12:01:00\tpin=7\tevent=0\tverifytype=0000000000000010",
            Punch("7", "2026-11-30 12:01:00", verify=15),
        ),
        ("time=2026-11-30 12:01:00\tpin=7\tevent=0\tverifytype=0000000000001000", Punch("7", "2026-11-30 12:01:00")),
        ("transaction pin=7\teventtype=0\ttime_second=864304496", Punch("7", "2026-11-22 12:34:56")),
    ],
)
def test_rows_of_other_firmwares(row: str, event: object) -> None:
    assert access_row(row) == event


@pytest.mark.parametrize(
    "row",
    [
        "",
        "7\t2026-11-30 12:01:00\t0",
        "pin=7\tevent=0",
        "pin=7\tevent=x\ttime=2026-11-30 12:01:00",
        "pin=7\tevent=0\ttime=2026-02-30 12:01:00",
        "pin=7\teventtype=0\ttime_second=99999999999",
        "pin=7\teventtype=0\ttime_second=5270400",  # the 31st of June
        "pin=0\tevent=4\ttime=2026-11-30 12:01:00",
        "pin=\u04d8\tevent=0\ttime=2026-11-30 12:01:00",
        "pin=7\tevent=0\ttime=2026-11-30 12:01:00\tx=" + "y" * 2000,
    ],
)
def test_what_cannot_be_read_is_a_fault(row: str) -> None:
    assert isinstance(access_row(row), Fault)


@given(st.text(max_size=200))
def test_no_row_raises(row: str) -> None:
    access_row(row)
    assert len(redact_row(row)) <= ROW_CHARACTERS_MAX


@given(st.datetimes(datetime(2000, 1, 1), datetime(2133, 12, 31)))
def test_a_packed_time_is_the_same_unpacked(time: datetime) -> None:
    time = time.replace(microsecond=0)
    assert unpack_time(pack_time(time)) == time.isoformat(" ")


@given(
    before=st.lists(st.text("ab =\t12", max_size=5), max_size=3),
    card=st.from_regex("[0-9]{8,12}|[0-9A-F]{8,14}", fullmatch=True),
    key=st.sampled_from(["", "cardno=", "CardNo=", "name=", "tmp=", "x="]),
)
def test_no_card_number_is_left_behind_the_first_column(before: list[str], card: str, key: str) -> None:
    row = "\t".join(["1001", *before, key + card])
    assert card not in redact_row(row)


@pytest.mark.parametrize(
    "row", [ROW.format(3), "1001\t2026-11-20 09:40:15\t0\t25\t0\t0\t0", "123456789\t2026-11-20 09:40:15\t0"]
)
def test_a_row_of_an_event_is_left_as_it_is(row: str) -> None:
    assert redact_row(row) == row
