from datetime import UTC, datetime

import pytest

from drivers.protocols.isapi import EventListener, empty_hosts, search, serial_number

OURS = EventListener(1, "/hikvision/DS-1", "192.168.1.10", 8082, 30)

# maciej-or/hikvision_next#277: a list with fields that only this firmware has
OTHERS = (
    b'<?xml version="1.0" encoding="UTF-8"?><HttpHostNotificationList version="1.0" xmlns="urn:psialliance-org">'
    b'<HttpHostNotification version="1.0" xmlns="urn:psialliance-org"><id>1</id><url>/api/hikvision</url>'
    b"<protocolType>HTTP</protocolType><parameterFormatType>XML</parameterFormatType>"
    b"<addressingFormatType>ipaddress</addressingFormatType><ipAddress>192.168.9.200</ipAddress><portNo>8123</portNo>"
    b"<httpAuthenticationMethod>none</httpAuthenticationMethod>"
    b'<Extensions xmlns="http://www.hikvision.com/ver20/XMLSchema"><intervalBetweenEvents>0</intervalBetweenEvents>'
    b"</Extensions></HttpHostNotification><HttpHostNotification><id>2</id><url>/other</url></HttpHostNotification>"
    b"</HttpHostNotificationList>"
)


def test_our_listener_is_put_in_and_all_else_stays() -> None:
    assert not OURS.is_set_in(OTHERS)
    changed = OURS.put_into(OTHERS)
    assert OURS.is_set_in(changed)
    assert b"intervalBetweenEvents" in changed
    assert b"/other" in changed
    assert b"0.0.0.0" not in changed
    assert changed.count(b"ipAddress") == 2
    assert OURS.put_into(changed) == changed


def test_a_terminal_without_a_list_gets_one() -> None:
    changed = OURS.put_into(empty_hosts())
    assert OURS.is_set_in(changed)
    assert b"<heartbeat>30</heartbeat>" in changed
    assert b"<eventMode>all</eventMode>" in changed


def test_another_line_of_the_list() -> None:
    second = EventListener(2, "/hikvision/DS-1", "192.168.1.10", 8082, 30)
    changed = second.put_into(OTHERS)
    assert second.is_set_in(changed)
    assert b"192.168.9.200" in changed


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b"<html/>",
        b"<DeviceInfo/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><DeviceInfo><serialNumber>&b;</serialNumber></DeviceInfo>',
        b"<DeviceInfo>" + b" " * 300_000,
        b"<?xml version='1.0' encoding='no-such'?><DeviceInfo/>",
    ],
    ids=["nothing", "json", "html", "bare", "entity", "large", "encoding"],
)
def test_what_no_terminal_says_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"^an? "):
        serial_number(answer)
    with pytest.raises(ValueError):
        OURS.is_set_in(answer)


def test_who_it_is() -> None:
    text = b'<DeviceInfo xmlns="http://www.isapi.org/ver20/XMLSchema"><serialNumber> DS-1 </serialNumber></DeviceInfo>'
    assert serial_number(text) == "DS-1"


def test_a_search_names_its_times_with_their_offset() -> None:
    at = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    assert b'"startTime": "2026-11-20T09:00:00+00:00"' in search("a", 30, at, at)
