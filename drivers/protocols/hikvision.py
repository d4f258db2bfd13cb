"""Hikvision access terminals (DS-K1T, MinMoe): the events that they post over ISAPI. JSON in, meanings out.

    POST /hikvision/SERIAL      JSON, or multipart with a JSON part and a picture
    {"dateTime": "2024-08-26T12:32:28+01:00", "eventType": "AccessControllerEvent", "shortSerialNumber": "GA6820584",
     "AccessControllerEvent": {"majorEventType": 5, "subEventType": 75, "employeeNoString": "1001", "serialNo": 257,
     "currentVerifyMode": "faceOrFpOrCardOrPw", "currentEvent": true, "attendanceStatus": "checkIn"}}

What the field knows (nothing of it was seen on a device here):
- Whatever is not answered 200 comes again. `eventType` heartBeat is a sign of life.
- `serialNo` numbers the events of one terminal, doors and alarms included: a number left out is an event not sent.
- `currentVerifyMode` says what the terminal accepts, not how a person was recognised: `subEventType` says that. The
  numbers are those of HCNetSDK (MINOR_…). None is published for a palm: see `passes` of `read_notice`.
- `employeeNoString` may be empty or missing. `cardNo` is decimal, up to 64 bits, or text.
- The serial number of the terminal itself is in few of them, and then short; so it stands in the address of each post.
- A search (`AcsEvent`) gives the same events with other names: major, minor, time.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timezone

from drivers.protocols.multipart import JSON_PARTS_END

EVENT_PATH = "/hikvision/"
NUMBER_CHARS_MAX = 32
_ACCESS = 5  # majorEventType of what happens at the door; 1 are alarms, 2 exceptions, 3 operations
_SERIAL_NO_MAX = 2**63

# subEventType of the events in which somebody was recognised, and how. Of several ways the one that tells people apart.
PASSES: Mapping[int, str] = {
    1: "card",
    2: "card",  # and password
    38: "finger",
    40: "finger",  # and card
    43: "finger",  # and card and password
    46: "finger",  # and password
    54: "face",  # and finger
    57: "face",  # and password
    60: "face",  # and card
    63: "face",  # and password and finger
    66: "face",  # and card and finger
    69: "finger",  # and number
    72: "finger",  # and number and password
    75: "face",
    77: "face",  # and number
    101: "pin",  # number and password
}

# The refusals that a child stands before, in words for the staff. Others are told by their number.
REFUSALS: Mapping[int, str] = {
    3: "a wrong password behind a card",
    6: "a card without a right at this terminal",
    7: "a card outside its hours",
    8: "a card that has expired",
    9: "a card that the terminal does not know",
    39: "a finger that the terminal does not know",
    49: "a finger that the terminal does not know",
    55: "a face and finger that do not agree",
    61: "a face and card that do not agree",
    76: "a face that the terminal does not know",
    78: "a face that is not the one of the number",
    80: "a face that could not be read",
    104: "a face that is not alive",
    151: "a wrong password",
    152: "a number that the terminal does not know",
}


_TELLABLE = (
    "dateTime",
    "eventType",
    "shortSerialNumber",
    "majorEventType",
    "subEventType",
    "employeeNoString",
    "cardNo",
    "serialNo",
    "currentVerifyMode",
    "currentEvent",
    "attendanceStatus",
)


@dataclass(frozen=True, slots=True)
class RecognisedEvent:
    """The terminal recognised a person. `number` is the employee number, or the card's where it has none."""

    number: str = field(repr=False)
    method: str
    at: datetime  # by the terminal's clock, aware
    serial_no: int  # of the event; 0 where it has none
    is_fresh: bool | None = None  # if the terminal says that it has just happened; None: it does not say


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """Somebody stood there and was not recognised."""

    why: str
    serial_no: int
    is_fresh: bool | None = None  # as of a recognised one


@dataclass(frozen=True, slots=True)
class LifeSign:
    """A sign of life, or an event that is not about a person: a door, an alarm."""

    serial_no: int = 0


@dataclass(frozen=True, slots=True)
class UnreadEvent:
    """An event about a person of which the meaning is not known, or that lacks what it needs."""

    why: str
    serial_no: int = 0


class NoticeUnreadable(ValueError):
    """A body that holds no events of a terminal. Its text says what to do and holds nothing of the body."""


Notice = RecognisedEvent | RefusedEvent | LifeSign | UnreadEvent


@dataclass(frozen=True, slots=True)
class Meaning:
    """How a terminal's events are to be read: the zone of times without one, and the codes that no list has."""

    zone: timezone
    passes: Collection[int] = ()
    method: str = "face"  # of those codes


def read_body(body: bytes, meaning: Meaning) -> Sequence[tuple[Notice, str]]:
    """Returns each notice of a post, and the short serial number that it names; empty where it names none.

    Raises NoticeUnreadable for a body that is not JSON of that kind.
    """
    parts = [part for part in body.split(JSON_PARTS_END) if part.strip()]
    if not parts:
        raise NoticeUnreadable(
            "no JSON in the request: set parameterFormatType to JSON in the terminal's HTTP listening"
        )
    return [_read_post(part, meaning) for part in parts]


def tellable(body: bytes) -> bytes:
    """Returns the fields of a post that may be shown in a trace: no name, no picture's address, nothing unknown."""
    return b"".join(_reduced(body, _TELLABLE))


def storable(body: bytes) -> Sequence[bytes]:
    """Returns each part of a post as it may be stored for a later version: as `tellable`, and no card's number."""
    return _reduced(body, [key for key in _TELLABLE if key != "cardNo"])


def _reduced(body: bytes, keys: Sequence[str]) -> list[bytes]:
    reduced = []
    for part in body.split(JSON_PARTS_END):
        try:
            post = _parse(part)
            post = _object(post, "EventNotificationAlert") if "EventNotificationAlert" in post else post
            event = post.get("AccessControllerEvent")
        except NoticeUnreadable:
            continue
        inner = {key: event[key] for key in keys if key in event} if isinstance(event, dict) else {}
        outer = {key: post[key] for key in keys if key in post}
        reduced.append(json.dumps(outer | ({"AccessControllerEvent": inner} if inner else {})).encode())
    return reduced


def read_search(body: bytes, meaning: Meaning) -> tuple[Sequence[Notice], bool]:
    """Returns the events of one page of a search, and whether there are more. Raises NoticeUnreadable."""
    page = _object(_parse(body), "AcsEvent")
    rows = page.get("InfoList") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise NoticeUnreadable("a page of events that is no list")
    notices = [read_notice(row, str(row.get("time", "")), meaning, major="major", minor="minor") for row in rows]
    return notices, page.get("responseStatusStrg") == "MORE" and bool(rows)


def read_notice(
    event: Mapping[str, object],
    time: str,
    meaning: Meaning,
    *,
    major: str = "majorEventType",
    minor: str = "subEventType",
) -> Notice:
    """Returns what one event says. `time` is the terminal's, ISO 8601."""
    serial_no = _whole(event.get("serialNo"))
    code = _whole(event.get(minor))
    if _whole(event.get(major)) != _ACCESS:
        return LifeSign(serial_no)
    number = _number(event)
    said = event.get("currentEvent")
    fresh = said if isinstance(said, bool) else None
    if code in PASSES or code in meaning.passes:
        at = _time(time, meaning.zone)
        if not number:
            return UnreadEvent("a person without employee number: enter one for each person in the terminal", serial_no)
        if at is None:
            return UnreadEvent("an event at a time that does not exist: set the terminal's clock", serial_no)
        method = PASSES.get(code, meaning.method)
        return RecognisedEvent(number, method, at, serial_no, fresh)
    if code in REFUSALS:
        return RefusedEvent(REFUSALS[code], serial_no, fresh)
    if number:
        return UnreadEvent(
            f"an event 5/{code} about a person: if it means that the person was recognised, add {code} to `passes`",
            serial_no,
        )
    return LifeSign(serial_no)


def _read_post(part: bytes, meaning: Meaning) -> tuple[Notice, str]:
    post = _parse(part)
    if "EventNotificationAlert" in post:  # some firmware puts one more object round it
        post = _object(post, "EventNotificationAlert")
    if not isinstance(kind := post.get("eventType"), str):
        raise NoticeUnreadable("JSON without eventType: this address is for the events of a Hikvision terminal")
    short = post.get("shortSerialNumber")
    short_serial = short if isinstance(short, str) else ""
    if kind != "AccessControllerEvent":
        return LifeSign(), short_serial
    event = _object(post, "AccessControllerEvent")
    return read_notice(event, str(post.get("dateTime", "")), meaning), short_serial


def _parse(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise NoticeUnreadable("a body that is no JSON: set parameterFormatType to JSON in the terminal") from None
    if not isinstance(value, dict):
        raise NoticeUnreadable("JSON that is no object: this address is for the events of a Hikvision terminal")
    return value


def _object(value: Mapping[str, object], key: str) -> dict[str, object]:
    inner = value.get(key)
    if not isinstance(inner, dict):
        raise NoticeUnreadable(f"JSON without {key}: this address is for the events of a Hikvision terminal")
    return inner


def _number(event: Mapping[str, object]) -> str:
    for key in ("employeeNoString", "employeeNo", "cardNo"):
        value = event.get(key)
        text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if text and text != "0" and len(text) <= NUMBER_CHARS_MAX and text.isprintable():
            return text
    return ""


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _SERIAL_NO_MAX else 0


def _time(text: str, zone: timezone) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        aware = at if at.tzinfo is not None else at.replace(tzinfo=zone)
        aware.astimezone(UTC)  # of a year that another zone has not
    except (ValueError, OverflowError):
        return None
    return aware
