"""The events of Hikvision's terminals, in the forms that public integrations published. Nothing here is of a device."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.hikvision import (
    LifeSign,
    Meaning,
    NoticeUnreadable,
    RecognisedEvent,
    RefusedEvent,
    UnreadEvent,
    read_body,
    read_search,
    tellable,
)
from drivers.protocols.multipart import JSON_PARTS_END

ALMATY = timezone(timedelta(hours=5))
MEANING = Meaning(ALMATY)

# pergolafabio/Hikvision-Addons#177: a door that was locked, of a DS-K1T502DBFWX-C
DOOR = (
    '{"ipAddress": "192.0.2.7", "portNo": 80, "protocol": "HTTP", "dateTime": "2024-08-26T12:32:28+01:00",'
    ' "activePostCount": 1, "eventType": "AccessControllerEvent", "eventState": "active",'
    ' "eventDescription": "Access Controller Event", "AccessControllerEvent": {"deviceName": "DS-K1T502DBFWX-C",'
    ' "majorEventType": 5, "subEventType": 21, "reportChannel": 5, "cardReaderKind": 1, "doorNo": 1, "serialNo": 257,'
    ' "currentEvent": true, "frontSerialNo": 256, "hasRecord": false}}'
)


def post(minor: int, time: str = "2026-11-20T09:40:15+05:00", /, **event: object) -> bytes:
    inner = {"majorEventType": 5, "subEventType": minor, "serialNo": 7, "employeeNoString": "1001"} | event
    body = {"dateTime": time, "eventType": "AccessControllerEvent", "AccessControllerEvent": inner}
    return json.dumps(body).encode()


def one(body: bytes, meaning: Meaning = MEANING) -> object:
    [(notice, _)] = read_body(body, meaning)
    return notice


@pytest.mark.parametrize(
    ("minor", "method"), [(75, "face"), (1, "card"), (38, "finger"), (60, "face"), (69, "finger"), (101, "pin")]
)
def test_who_was_recognised_and_how(minor: int, method: str) -> None:
    at = datetime(2026, 11, 20, 9, 40, 15, tzinfo=ALMATY)
    assert one(post(minor)) == RecognisedEvent("1001", method, at, 7)


def test_the_published_event_of_a_door_is_a_sign_of_life() -> None:
    assert one(DOOR.encode()) == LifeSign(257)


@pytest.mark.parametrize("minor", [76, 39, 9])
def test_who_was_refused(minor: int) -> None:
    assert isinstance(one(post(minor, employeeNoString="")), RefusedEvent)


def test_a_code_of_no_list_is_asked_for_and_a_setting_makes_it_count() -> None:
    unread = one(post(181))
    assert isinstance(unread, UnreadEvent)
    assert "181" in unread.why
    match = one(post(181), Meaning(ALMATY, {181}, "palm"))
    assert isinstance(match, RecognisedEvent)
    assert match.method == "palm"


def test_alarms_operations_and_beats_are_signs_of_life() -> None:
    assert one(post(75, majorEventType=3)) == LifeSign(7)
    assert one(b'{"eventType":"heartBeat"}') == LifeSign()
    assert one(b'{"eventType":"videoloss","eventState":"inactive"}') == LifeSign()


@pytest.mark.parametrize(
    ("event", "number"),
    [
        ({"employeeNoString": "007"}, "007"),
        ({"employeeNoString": "", "employeeNo": 42}, "42"),
        ({"employeeNoString": "", "cardNo": "18446744073609551895"}, "18446744073609551895"),
        ({"employeeNoString": "garten-XU7oiAB9AU01t"}, "garten-XU7oiAB9AU01t"),
    ],
)
def test_the_number_of_a_person(event: dict[str, object], number: str) -> None:
    match = one(post(75, **event))
    assert isinstance(match, RecognisedEvent)
    assert match.number == number
    assert number not in repr(match)


@pytest.mark.parametrize("event", [{"employeeNoString": ""}, {"employeeNoString": "0"}, {"employeeNoString": "9" * 99}])
def test_a_person_without_a_number_is_told(event: dict[str, object]) -> None:
    assert isinstance(one(post(75, **event)), UnreadEvent)


def test_times_of_every_form() -> None:
    for text in ("2026-11-20T09:40:15+05:00", "2026-11-20T04:40:15Z", "2026-11-20T09:40:15"):
        match = one(post(75, text))
        assert isinstance(match, RecognisedEvent)
        assert match.at.astimezone(UTC) == datetime(2026, 11, 20, 4, 40, 15, tzinfo=UTC)
    for text in ("", "2026-13-01T00:00:00", "0001-01-01T00:00:00", "soon"):
        assert isinstance(one(post(75, text)), UnreadEvent)


def test_events_that_are_sent_late_say_so() -> None:
    for said, fresh in ((True, True), (False, False), (None, None)):
        match = one(post(75, currentEvent=said))
        assert isinstance(match, RecognisedEvent)
        assert match.is_fresh is fresh


def test_several_parts_and_an_object_round_the_event() -> None:
    wrapped = b'{"EventNotificationAlert":' + post(75) + b"}"
    notices = read_body(post(75) + JSON_PARTS_END + wrapped + JSON_PARTS_END, MEANING)
    assert len(notices) == 2
    assert notices[0] == notices[1]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"eventType":"AccessControllerEvent"}', b"<EventNotificationAlert/>", b"[" * 99_999],
    ids=["nothing", "half", "list", "empty", "no event", "xml", "deep"],
)
def test_what_is_no_event_is_refused_with_what_to_do(body: bytes) -> None:
    with pytest.raises(NoticeUnreadable, match=r": "):
        read_body(body, MEANING)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["majorEventType", "subEventType", "serialNo", "employeeNoString", "cardNo", "currentEvent"]
                ),
                inner,
                max_size=6,
            )
        ),
    )
)
def test_any_value_anywhere_is_a_notice_or_a_refusal(value: object) -> None:
    body = json.dumps(
        {"eventType": "AccessControllerEvent", "dateTime": value, "AccessControllerEvent": value}
    ).encode()
    try:
        [(notice, _)] = read_body(body, MEANING)
    except NoticeUnreadable:
        return
    assert isinstance(notice, RecognisedEvent | RefusedEvent | LifeSign | UnreadEvent)


def test_a_page_of_a_search() -> None:
    rows = [
        {"major": 5, "minor": 1, "time": "2023-06-09T19:05:47+07:00", "employeeNoString": "100054", "serialNo": 42970},
        {
            "major": 5,
            "minor": 22,
            "time": "2023-06-09T19:05:50+07:00",
            "serialNo": 42971,
            "currentVerifyMode": "invalid",
        },
    ]
    page = {"AcsEvent": {"searchID": "1", "totalMatches": 3, "responseStatusStrg": "MORE", "InfoList": rows}}
    notices, has_more = read_search(json.dumps(page).encode(), MEANING)
    assert has_more
    assert isinstance(notices[0], RecognisedEvent)
    assert notices[1] == LifeSign(42971)
    assert read_search(b'{"AcsEvent":{"responseStatusStrg":"NO MATCH","numOfMatches":0}}', MEANING) == ([], False)
    for bad in (b"{}", b'{"AcsEvent":{"InfoList":7}}', b'{"AcsEvent":{"InfoList":[7]}}'):
        with pytest.raises(NoticeUnreadable):
            read_search(bad, MEANING)


def test_a_trace_shows_no_name_and_no_picture() -> None:
    shown = tellable(post(75, name="Aigerim", pictureURL="http://192.0.2.7/pic.jpg"))
    assert b"1001" in shown
    assert b"Aigerim" not in shown
    assert b"pic.jpg" not in shown
    assert tellable(b"rubbish") == b""
