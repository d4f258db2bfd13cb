"""JSON that an access control system posts when somebody passes, read by a map that the settings give.

A `GateMap` names by JSON pointers (RFC 6901) where the records are in the body and what is where in a record:

    {"logs": [{"id": 77, "type": "PASS", "emp": {"number": "1001"}, "time": "2026-11-20T09:40:15+05:00"}]}
    records = "/logs"   id = "/id"   person = "/emp/number"   time = "/time"   where = {"/type" = ["PASS"]}

One object is a list of one. Numbers are taken as text. What `where` does not fit is somebody else's business and is
passed over; what lacks a field that the map names is told, with the pointer and never with what stands there.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timezone
from enum import StrEnum

GATE_RECORDS_MAX = 1000  # of one request
GATE_TEXT_MAX = 128  # of a number or an id
_WORDS = {True: "true", False: "false"}


class TimeForm(StrEnum):
    """The way in which a system writes a time."""

    ISO = "iso"  # 2026-11-20T09:40:15+05:00; T may be a space, the offset may be missing
    DAY_FIRST = "day-first"  # 20.11.2026 09:40:15
    UNIX = "unix"  # seconds since 1970
    UNIX_MS = "unix-ms"


@dataclass(frozen=True, slots=True)
class GateMap:
    """The places of a record's fields. An empty pointer means that the system does not say it."""

    zone: timezone  # of times without an offset
    records: str = ""
    person: str = ""
    card: str = ""
    record_id: str = ""
    time: str = ""
    time_form: TimeForm = TimeForm.ISO
    direction: str = ""
    directions: Mapping[str, str] = field(default_factory=dict)  # value → in or out
    method: str = ""
    methods: Mapping[str, str] = field(default_factory=dict)  # value → way of recognition
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)  # pointer → values of records that count


@dataclass(frozen=True, slots=True)
class GateRecord:
    """Somebody passed. Either `person` or `card` is not empty."""

    person: str = field(repr=False)
    card: str = field(repr=False)
    record_id: str
    at: datetime | None  # aware; None: the system does not say
    direction: str = ""  # in, out, or empty
    method: str = ""


@dataclass(frozen=True, slots=True)
class GateOmission:
    """A record that should count and cannot be read; `why` names the pointer and says what to do."""

    why: str


class GateBodyUnreadable(ValueError):
    """A body without records. Its text says what to do and holds nothing of the body."""


def check_pointer(pointer: str) -> str:
    """Returns the pointer. Raises ValueError for a text that is none."""
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is no JSON pointer: write /{pointer}")
    return pointer


def look_up(value: object, pointer: str) -> object:
    """Returns what stands at a pointer, None where there is nothing."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name[:6]) < len(value):
            value = value[int(name[:6])]
        else:
            return None
    return value


def read_records(body: bytes, gate_map: GateMap) -> Sequence[GateRecord | GateOmission]:
    """Returns the records that count, in their order. Raises GateBodyUnreadable."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise GateBodyUnreadable("the body is no JSON: send JSON in UTF-8") from None
    found = look_up(value, gate_map.records)
    records = found if isinstance(found, list) else [found]
    if not all(isinstance(record, dict) for record in records):
        place = gate_map.records or "the body itself"
        raise GateBodyUnreadable(f"{place} holds no object and no list of objects: correct `records` or the system")
    if len(records) > GATE_RECORDS_MAX:
        raise GateBodyUnreadable(f"more than {GATE_RECORDS_MAX} records: send fewer at once")
    return [_record(record, gate_map) for record in records if _counts(record, gate_map)]


def is_signed(body: bytes, said: str, secret: bytes) -> bool:
    """Tells if a header holds the HMAC-SHA-256 of the body under this secret: hex or base64, behind `sha256=` or bare.

    It takes the same time wherever the two differ.
    """
    text = said.strip().removeprefix("sha256=")
    try:
        signature = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        signature = b""
    return hmac.compare_digest(hmac.digest(secret, body, "sha256"), signature)


def is_token(said: str, scheme: str, secret: bytes) -> bool:
    """Tells if a header holds this token behind its scheme. It takes the same time wherever the two differ."""
    expected = base64.b64encode(secret) if scheme == "Basic" else secret
    kind, _, token = said.strip().partition(" ") if scheme else ("", "", said.strip())
    is_same = hmac.compare_digest(token.strip().encode("utf-8", "replace"), expected)
    return is_same and kind.lower() == scheme.lower()


def _counts(record: object, gate_map: GateMap) -> bool:
    return all(_text(look_up(record, pointer)) in values for pointer, values in gate_map.where.items())


def _record(record: object, gate_map: GateMap) -> GateRecord | GateOmission:
    person, card, record_id = (
        _text(look_up(record, pointer)) if pointer else ""
        for pointer in (gate_map.person, gate_map.card, gate_map.record_id)
    )
    if not person and not card:
        places = " and ".join(pointer for pointer in (gate_map.person, gate_map.card) if pointer)
        return GateOmission(f"a record without {places}: correct the map, or leave such records out by `where`")
    if gate_map.record_id and not record_id:
        return GateOmission(f"a record without {gate_map.record_id}: correct `id` or the system")
    at = _time(look_up(record, gate_map.time), gate_map) if gate_map.time else None
    if gate_map.time and at is None:
        return GateOmission(f"a record whose time at {gate_map.time} is not of the form {gate_map.time_form}")
    direction = _text(look_up(record, gate_map.direction)) if gate_map.direction else ""
    if gate_map.direction and direction not in gate_map.directions:
        return GateOmission(f"a record with a direction at {gate_map.direction} that `directions` does not name")
    method = _text(look_up(record, gate_map.method)) if gate_map.method else ""
    return GateRecord(
        person, card, record_id, at, gate_map.directions.get(direction, ""), gate_map.methods.get(method, "")
    )


def _text(value: object) -> str:
    """Returns a value as text; empty for what is none, or too long."""
    match value:
        case bool():
            return _WORDS[value]
        case int():
            return str(value) if abs(value) < 10**GATE_TEXT_MAX else ""
        case str() if len(text := value.strip()) <= GATE_TEXT_MAX and text.isprintable():
            return text
        case _:
            return ""


def _time(value: object, gate_map: GateMap) -> datetime | None:
    try:
        match gate_map.time_form, value:
            case TimeForm.ISO, str():
                at = datetime.fromisoformat(value.strip())
            case TimeForm.DAY_FIRST, str():
                at = datetime.strptime(value.strip(), "%d.%m.%Y %H:%M:%S")  # noqa: DTZ007 - the zone follows
            case TimeForm.UNIX | TimeForm.UNIX_MS, int() | float() | str() if not isinstance(value, bool):
                scale = 1 if gate_map.time_form is TimeForm.UNIX else 1000
                at = datetime.fromtimestamp(float(value) / scale, UTC)
            case _:
                return None
        aware = at if at.tzinfo is not None else at.replace(tzinfo=gate_map.zone)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
