import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.fault import Fault
from drivers.protocols.mqtt_payload import MQTT_PAYLOAD_MAX, PLAIN, bare_number, read_tag


@pytest.mark.parametrize(
    ("payload", "form", "tag"),
    [
        (b"74-10-37-94", PLAIN, "74-10-37-94"),
        (b"7691174\n", PLAIN, "7691174"),
        (b'{"Time":"2021-01-01T12:00:00","RDM6300":{"UID":"001C3A5E"}}', "/RDM6300/UID", "001C3A5E"),
        (b'{"PN532":{"UID":"7410378A","Data":""}}', "/PN532/UID", "7410378A"),
        (b'{"tag":1900000000}', "/tag", "1900000000"),
        ("Әлия".encode(), PLAIN, "Әлия"),
        (b'{"Time":"2021-01-01T12:00:00","Wifi":{"RSSI":50}}', "/RDM6300/UID", None),
    ],
)
def test_forms_of_esphome_and_tasmota(payload: bytes, form: str, tag: str | None) -> None:
    assert read_tag(payload, form) == tag


@pytest.mark.parametrize(
    ("payload", "form"),
    [
        (b"", PLAIN),
        (b"  ", PLAIN),
        (b"\xff\xfe", PLAIN),
        (b"a\x00b", PLAIN),
        (b"1" * 300, PLAIN),
        (b"1" * (MQTT_PAYLOAD_MAX + 1), PLAIN),
        (b"74-10-37-94", "/tag"),
        (b'{"tag":{}}', "/tag"),
        (b'{"tag":1.5}', "/tag"),
        (b'{"tag":true}', "/tag"),
        (b'{"tag":""}', "/tag"),
        (b'{"tag":%s}' % (b"9" * 50), "/tag"),
        (b"[" * 4_000, "/tag"),
    ],
    ids=range(13),
)
def test_what_is_no_tag_is_a_fault_that_holds_nothing_of_it(payload: bytes, form: str) -> None:
    fault = read_tag(payload, form)
    assert isinstance(fault, Fault)
    assert "74-10" not in fault.what


def test_a_number_without_what_stands_between_its_bytes() -> None:
    assert bare_number("74-10:37 94") == "74103794"


@given(payload=st.binary(max_size=100) | st.text(max_size=40).map(str.encode), form=st.sampled_from([PLAIN, "/a", ""]))
def test_any_payload_is_a_tag_a_fault_or_nothing(payload: bytes, form: str) -> None:
    tag = read_tag(payload, form)
    assert tag is None or isinstance(tag, str | Fault)
