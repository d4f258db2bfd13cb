import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.gate_json import (
    GATE_RECORDS_MAX,
    GateBodyUnreadable,
    GateMap,
    GateOmission,
    GateRecord,
    TimeForm,
    check_pointer,
    is_signed,
    is_token,
    look_up,
    read_records,
)

ALMATY = timezone(timedelta(hours=5))
AT = datetime(2026, 11, 20, 4, 40, 15, tzinfo=UTC)
PERSON = GateMap(ALMATY, person="/emp/number", record_id="/id", time="/time")
PASS = {"id": 77, "emp": {"number": "1001"}, "time": "2026-11-20T09:40:15+05:00"}
SECRET = b"0123456789abcdef"


def read(value: object, gate_map: GateMap = PERSON) -> list[GateRecord | GateOmission]:
    return list(read_records(json.dumps(value).encode(), gate_map))


def test_an_object_a_list_and_a_list_inside_are_the_same_record() -> None:
    expected = [GateRecord("1001", "", "77", AT)]
    assert read(PASS) == read([PASS]) == expected
    assert read({"logs": [PASS]}, GateMap(ALMATY, "/logs", "/emp/number", "", "/id", "/time")) == expected
    assert "1001" not in repr(expected)


def test_records_that_where_does_not_fit_are_somebody_elses() -> None:
    gate_map = GateMap(ALMATY, person="/n", record_id="/id", where={"/type": ["PASS", "17"], "/ok": ["true"]})
    rows = [{"id": 1, "n": 1, "type": kind, "ok": ok} for kind in ("PASS", 17, "DENIED", None) for ok in (True, False)]
    assert [record.record_id for record in read(rows, gate_map) if isinstance(record, GateRecord)] == ["1", "1"]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"id": 1, "time": "2026-11-20T09:40:15"}, "/emp/number"),
        ({"emp": {"number": 1}, "time": "2026-11-20T09:40:15"}, "/id"),
        ({"id": 1, "emp": {"number": 1}}, "/time"),
        ({"id": 1, "emp": {"number": 1}, "time": "yesterday"}, "iso"),
        ({"id": 1, "emp": {"number": ["1001"]}, "time": "2026-11-20T09:40:15"}, "/emp/number"),
    ],
)
def test_what_is_missing_is_named_by_its_place(record: object, said: str) -> None:
    [omission] = read(record)
    assert isinstance(omission, GateOmission)
    assert said in omission.why
    assert "yesterday" not in omission.why


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (TimeForm.ISO, "2026-11-20 09:40:15"),
        (TimeForm.ISO, "2026-11-20T04:40:15Z"),
        (TimeForm.DAY_FIRST, "20.11.2026 09:40:15"),
        (TimeForm.UNIX, AT.timestamp()),
        (TimeForm.UNIX, str(int(AT.timestamp()))),
        (TimeForm.UNIX_MS, int(AT.timestamp() * 1000)),
    ],
)
def test_times_of_every_form(form: TimeForm, value: object) -> None:
    [record] = read({"id": 1, "n": "1001", "t": value}, GateMap(ALMATY, "", "/n", "", "/id", "/t", form))
    assert isinstance(record, GateRecord)
    assert record.at == AT


def test_directions_and_ways_are_mapped() -> None:
    gate_map = GateMap(
        ALMATY,
        person="/n",
        record_id="/id",
        direction="/d",
        directions={"1": "in", "2": "out"},
        method="/m",
        methods={"FACE": "face"},
    )
    [first, second, third] = read(
        [{"id": 1, "n": 1, "d": 1, "m": "FACE"}, {"id": 2, "n": 1, "d": 2}, {"id": 3, "n": 1, "d": 3}], gate_map
    )
    assert isinstance(first, GateRecord)
    assert (first.direction, first.method) == ("in", "face")
    assert isinstance(second, GateRecord)
    assert (second.direction, second.method) == ("out", "")
    assert isinstance(third, GateOmission)
    assert "directions" in third.why


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"7", b"[7]", b'"a"', b"null", b"[" * 99_999])
def test_a_body_without_records_is_refused_with_what_to_do(body: bytes) -> None:
    with pytest.raises(GateBodyUnreadable, match=": "):
        read_records(body, PERSON)


def test_too_many_records_are_refused_whole() -> None:
    with pytest.raises(GateBodyUnreadable, match="send fewer"):
        read([PASS] * (GATE_RECORDS_MAX + 1))


def test_pointers_are_rfc_6901() -> None:
    value = {"a/b": {"m~n": [10, 20]}, "": 1}
    assert look_up(value, "/a~1b/m~0n/1") == 20
    assert look_up(value, "/") == 1
    assert look_up(value, "") == value
    assert look_up(value, "/a~1b/m~0n/2") is None
    assert look_up(value, "/a~1b/m~0n/x") is None
    with pytest.raises(ValueError, match="write /emp"):
        check_pointer("emp")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "emp", "number", "time"]), inner, max_size=4)
    ),
)


@given(value=json_values, form=st.sampled_from(TimeForm))
def test_any_value_is_records_or_a_refusal(value: object, form: TimeForm) -> None:
    gate_map = GateMap(ALMATY, person="/emp/number", record_id="/id", time="/time", time_form=form)
    try:
        records = read(value, gate_map)
    except GateBodyUnreadable:
        return
    assert all(isinstance(record, GateRecord | GateOmission) for record in records)


def test_a_signature_in_hex_and_base64_and_nothing_near_it() -> None:
    digest = hmac.new(SECRET, b"body", hashlib.sha256).digest()
    for said in (digest.hex(), "sha256=" + digest.hex(), " " + digest.hex().upper(), base64.b64encode(digest).decode()):
        assert is_signed(b"body", said, SECRET)
        assert not is_signed(b"Body", said, SECRET)
        assert not is_signed(b"body", said, SECRET + b"x")
    for said in ("", "sha256=", digest.hex()[:-1], "é" * 64, digest.hex()[:-1] + "g"):
        assert not is_signed(b"body", said, SECRET)


def test_a_token_bearer_basic_and_bare() -> None:
    assert is_token("Bearer 0123456789abcdef", "Bearer", SECRET)
    assert is_token("bearer  0123456789abcdef", "Bearer", SECRET)
    assert is_token("0123456789abcdef", "", SECRET)
    assert is_token("Basic " + base64.b64encode(b"user:0123456789").decode(), "Basic", b"user:0123456789")
    for said in ("", "Bearer", "Bearer 0123456789abcdeF", "Basic 0123456789abcdef", "0123456789abcdef", "Bearer é"):
        assert not is_token(said, "Bearer", SECRET)
