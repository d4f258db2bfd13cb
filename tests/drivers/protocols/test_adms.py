from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.network.recent_keys import RecentKeys
from drivers.protocols import adms, zk_attlog
from drivers.protocols.adms import (
    TimeZoneForm,
    call,
    options,
    parse_offset,
    time_zone,
)
from drivers.protocols.adms_upload import Upload, row_key, upload
from drivers.protocols.fault import Fault
from drivers.protocols.zk_time import pack_time
from tests.vectors import load_bytes, load_json, load_jsonl, load_reader

CASES = [case for case in load_jsonl("canteen/adms_cases.jsonl") if "table" in case]
ALMATY = timezone(timedelta(hours=5))
FOLDER = "canteen/zkteco_push_v320/"
DATES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31))


def body(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["body_hex"]) if "body_hex" in case else case["body"].encode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_every_case_of_the_canteen(case: dict[str, Any]) -> None:
    expect, taken_rows = case["expect"], RecentKeys()
    taken = []
    for _ in range(case.get("repeat", 1)):
        found = upload(case["table"].upper(), body(case))
        taken += [punch for punch in found.punches if taken_rows.is_new(row_key("SN1", punch))]
    if "ack" in expect:
        assert found.answer == expect["ack"]
    for punch, wanted in zip(found.punches, expect.get("punches", found.punches), strict=True):
        if isinstance(wanted, dict):
            told = {"pin": punch.number, "local": punch.time, "state": punch.state, "verify": punch.verify}
            assert {**told, "mode": punch.method("?")} == {**told, "mode": punch.method("?"), **wanted}
    assert len(found.faults) == expect.get("quarantined", case["id"] == "unknown_table")
    if "punches_total" in expect:
        assert len(taken) == expect["punches_total"]
    if "flag" in expect:
        received = datetime.fromisoformat(case["received"])
        assert len(taken) == expect["raw"]
        assert [adms.clock_suspect(punch.at(ALMATY), received) for punch in taken] == [not expect["counted"]]


def test_the_forms_of_a_time_zone() -> None:
    [case] = [case for case in load_jsonl("canteen/adms_cases.jsonl") if case["id"] == "timezone_option_forms"]
    offset = timedelta(hours=5)
    forms = (TimeZoneForm.OFFSET, TimeZoneForm.HOURS, TimeZoneForm.MINUTES)
    assert [time_zone(offset, form) for form in forms] == case["expect"]["almaty_forms"]
    assert {parse_offset(form) for form in case["expect"]["almaty_forms"]} == {offset}
    assert time_zone(offset, TimeZoneForm.OMIT) == ""
    assert time_zone(timedelta(hours=-3, minutes=-30), TimeZoneForm.OFFSET) == "-03:30"
    assert parse_offset("-03:30") == timedelta(hours=-3, minutes=-30)
    assert parse_offset("-210") == timedelta(minutes=-210)
    with pytest.raises(ValueError, match="hours cannot"):
        time_zone(timedelta(minutes=330), TimeZoneForm.HOURS)
    for wrong in ("", "x", "+25:00", "900", "5.5", "Asia/Almaty"):
        with pytest.raises(ValueError, match=r"offset|UTC"):
            parse_offset(wrong)


@pytest.mark.parametrize("vector", load_jsonl("canteen/zk_time_codec.jsonl"), ids=lambda v: v["local"])
def test_the_packed_time(vector: dict[str, Any]) -> None:
    local = datetime.fromisoformat(vector["local"])
    assert pack_time(local) == vector["encoded"] == int(vector["hex"], 16)


@given(first=DATES, second=DATES)
def test_packed_times_keep_their_order(first: datetime, second: datetime) -> None:
    first, second = first.replace(microsecond=0), second.replace(microsecond=0)
    assert (pack_time(first) < pack_time(second)) is (first < second)


def test_the_published_request() -> None:
    head, rows = load_bytes(FOLDER + "attlog_request.http").split(b"\r\n\r\n")
    to = call(head.decode().split()[1])
    assert (to.path, to.serial, to.table, to.stamp) == ("/iclock/cdata", "12300001", "ATTLOG", "2008-02-25T12:08:21")
    assert [(punch.number, punch.time, punch.state, punch.verify) for punch in upload(to.table, rows).punches] == [
        ("982", "2008-02-25 12:08:21", 1, 0),
        ("982", "2008-02-25 18:01:09", 1, 0),
    ]


def test_the_request_of_a_real_terminal() -> None:
    [vector] = [each for each in load_reader("other_devices")["vectors"] if each["name"] == "ZKTeco ADMS ATTLOG"]
    to = call(vector["request"].split()[1])
    found = upload(to.table, vector["body"].encode())
    assert [punch.number for punch in found.punches] == ["1", "1", "4"]
    assert to.serial == "BOCK200961014"
    assert found.answer.split(":")[0] == vector["reply"]


def test_the_options_have_the_published_keys_and_ask_for_no_pictures() -> None:
    published = load_bytes(FOLDER + "initial_options_response.txt").decode().splitlines()
    ours = options("12300001", timedelta(hours=-5), TimeZoneForm.OFFSET, "2011-04-05T17:40:20").splitlines()
    assert ours[0] == published[0]
    keys = {line.partition("=")[0] for line in published[1:]}
    assert {line.partition("=")[0] for line in ours[1:]} == keys - {"OPERLOGStamp"}
    assert {"TimeZone=-05:00", "ATTLOGStamp=2011-04-05T17:40:20", "Realtime=1", "TransFlag=AttLog\tOpLog"} <= set(ours)
    assert "Stamp" not in options("1", timedelta(0), TimeZoneForm.OMIT)
    assert "TimeZone" not in options("1", timedelta(0), TimeZoneForm.OMIT)


def test_the_answer_to_what_time_it_is() -> None:
    published = load_bytes(FOLDER + "time_sync_response.txt").decode()
    at = datetime(2011, 5, 5, 17, 40, 20, tzinfo=timezone(timedelta(hours=-5)))
    assert adms.time_reply(at) == published
    assert adms.set_time(3, datetime(2026, 11, 22, 12, 34, 56)) == "C:3:SET OPTION DateTime=864304496\n"


def test_published_operations_are_taken_without_a_fault() -> None:
    assert upload("OPERLOG", load_bytes(FOLDER + "operlog_user.txt")) == Upload("OK: 1")
    for code in load_json(FOLDER + "tables.json")["oplog"]:
        row = f"OPLOG {code}\t1\t2026-11-20 09:00:00\t0".encode()
        assert upload("OPERLOG", row) == Upload("OK: 1")


@pytest.mark.parametrize("row", [b"OPLOG", b"OPLOG 6\t1\tno time", b"OPLOG x\t1\t2026-11-20 09:00:00"])
def test_an_operation_of_unknown_form_is_a_fault(row: bytes) -> None:
    fault = Fault("a row of operations of unknown form")
    assert upload("OPERLOG", row) == Upload("OK: 1", faults=(fault,), unread=(row.decode(),))


def test_the_published_ways_of_recognition() -> None:
    for code, name in load_json(FOLDER + "tables.json")["verify_mode_community"].items():
        if code.isdigit():
            assert zk_attlog.METHODS[int(code)] == name


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        ("/iclock/cdata?SN=1&table=BIODATA", True),
        ("/iclock/cdata?SN=1&table=biophoto", True),
        ("/iclock/cdata?table=ATTPHOTO&SN=1", True),
        ("/iclock/fdata?SN=1", True),
        ("/iclock/cdata?SN=1&table=ATTLOG", False),
        ("/iclock/cdata?SN=1&table=OPERLOG", False),
        ("http://[broken", False),
    ],
)
def test_pictures_and_templates_are_not_even_held(target: str, refused: bool) -> None:
    assert adms.unwanted(target) is refused


def test_templates_among_other_rows_are_counted_and_nothing_of_them_is_kept() -> None:
    rows = b"USER PIN=1\tName=A\nFP PIN=1\tFID=0\tSize=4\tValid=1\tTMP=U0VDUkVU\nFACE PIN=1\tTMP=U0VDUkVU\n"
    found = upload("OPERLOG", rows)
    assert found.biometric
    assert found.answer == "OK: 3"
    assert "U0VDUkVU" not in repr(found)
    assert upload("BIODATA", rows) == Upload("OK: 1", biometric=True)


@pytest.mark.parametrize(
    ("target", "serial"),
    [
        ("/iclock/cdata?SN=A-1_b", "A-1_b"),
        ("/iclock/cdata?sn=A1", "A1"),
        ("/iclock/cdata.aspx?SN=A1", "A1"),
        ("/iclock/cdata", ""),
        ("/iclock/cdata?SN=", ""),
        ("/iclock/cdata?SN=a%0ab", ""),
        ("/iclock/cdata?SN=" + "1" * 33, ""),
        ("/iclock/cdata?SN=1&SN=2", "1"),
    ],
)
def test_a_serial_number_is_a_short_word_or_none(target: str, serial: str) -> None:
    assert call(target).serial == serial


def test_a_row_is_known_by_its_terminal_and_its_number() -> None:
    [punch] = upload("ATTLOG", b"1\t2026-11-20 09:40:15\t0\t25").punches
    assert row_key("A", punch) != row_key("B", punch)
    first, second = (zk_attlog.Punch("1", "2026-11-20 09:40:15", state=state, index="21") for state in (0, 1))
    assert row_key("A", first) == row_key("A", second), "the terminal numbers it: the same row told in another way"


@pytest.mark.parametrize(
    ("seen", "suspect"),
    [
        (timedelta(0), False),
        (timedelta(minutes=4), False),
        (timedelta(minutes=6), True),
        (timedelta(days=-30), False),
        (timedelta(days=-400), True),
    ],
)
def test_a_time_ahead_of_us_or_years_back_cannot_be(seen: timedelta, suspect: bool) -> None:
    now = datetime(2026, 11, 20, 4, 40, 20, tzinfo=UTC)
    assert adms.clock_suspect(now + seen, now) is suspect


@given(table=st.sampled_from(["ATTLOG", "RTLOG", "OPERLOG", "OPTIONS", "OTHER", ""]), data=st.binary(max_size=300))
def test_no_body_raises_and_every_row_is_taken_or_a_fault(table: str, data: bytes) -> None:
    found = upload(table, data)
    if table == "ATTLOG":
        assert found.answer == f"OK: {len(found.punches) + len(found.faults)}"
    assert len(found.unread) >= len(found.faults)
    assert all(isinstance(fault, Fault) for fault in found.faults)


@given(target=st.text(max_size=80))
def test_no_target_raises_anything_but_value_error(target: str) -> None:
    try:
        call(target)
    except ValueError:
        return
