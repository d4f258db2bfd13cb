"""ZKTeco's push protocol (ADMS): a terminal calls a server over HTTP and speaks of what it saw. After V3.2.0.

    GET  /iclock/cdata?SN=…&options=all            who am I to be?        → a list of options
    POST /iclock/cdata?SN=…&table=ATTLOG&Stamp=…   rows of `zk_attlog`    → OK: number of rows
    GET  /iclock/getrequest?SN=…                   anything to do?        → OK, or C:id:COMMAND
    POST /iclock/devicecmd?SN=…                    what came of it        → OK
    GET  /iclock/rtdata?SN=…&type=time             what time is it?       → Time=…+05:00
    GET  /iclock/ping, POST /iclock/registry, …                           → OK

What the field knows:
- Whatever is not answered 200 comes again, for ever. So a row that nobody can read is answered OK as well, and told as
  a fault; and so is a picture or a template, of which nothing is kept.
- A lost answer brings the whole batch again: a row is known by terminal, PIN, time, state and way of recognition.
- Terminals of the access family (PUSH 3) send RTLOG instead of ATTLOG: not understood, answered OK, told as a fault.
- The form of TimeZone differs between firmwares; the wrong one moves the terminal's clock by hours.
- The serial number is the only name that a terminal has, and it proves nothing: anybody may say it.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

from drivers.protocols import zk_attlog
from drivers.protocols.fault import Fault
from drivers.protocols.zk_attlog import Punch

REMEMBERED_ROWS = 10_000  # more than a terminal sends at once
FUTURE_MAX = timedelta(minutes=5)
PAST_MAX = timedelta(days=366)

TELLABLE_TABLES = frozenset({"ATTLOG", "OPTIONS"})  # the others hold names, passwords, pictures or templates
_BIOMETRIC_TABLES = frozenset(
    {"ATTPHOTO", "BIODATA", "BIOPHOTO", "USERPIC", "FINGERTMP", "FACE", "TEMPLATEV10", "PHOTO"}
)
_IDLE_TABLES = frozenset({"RTSTATE", "ERRORLOG"})  # signs of life that say nothing of people
_BIOMETRIC_PATHS = frozenset({"/iclock/fdata", "/iclock/upload"})
_BIOMETRIC_ROWS = ("FP ", "FACE ", "BIODATA ", "BIOPHOTO ", "USERPIC ", "FVEIN ", "PALM ")
_SERIAL = re.compile("[0-9A-Za-z_-]{1,32}", re.ASCII)
_TABLE = re.compile("[0-9A-Z_]{1,32}", re.ASCII)
_STAMP = re.compile("[0-9T:-]{1,24}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)


class TimeZoneForm(StrEnum):
    OFFSET = "offset"  # +05:00, as V3.2.0 has it
    HOURS = "hours"  # 5
    MINUTES = "minutes"  # 300
    OMIT = "omit"  # leave the terminal's clock alone


@dataclass(frozen=True, slots=True)
class Call:
    """Where a request goes. `serial` empty: it says none that could be one."""

    path: str
    serial: str
    table: str = ""
    wants: str = ""  # `options` or `type` of the query
    stamp: str = ""  # the terminal's own mark of how far it has told us


@dataclass(frozen=True, slots=True)
class User:
    """A person as the terminal's own list has them."""

    number: str
    name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """Somebody did something in the terminal's menu. `code` 6: a finger was enrolled."""

    code: int
    admin: str
    time: str

    @property
    def what(self) -> str:
        return _OPERATIONS.get(self.code, f"operation {self.code}")


@dataclass(frozen=True, slots=True)
class Device:
    """What a terminal says of itself."""

    options: tuple[tuple[str, str], ...]

    def get(self, key: str) -> str:
        return dict(self.options).get(key, "")


@dataclass(frozen=True, slots=True)
class Upload:
    """What one POST to cdata held. `rows` counts the lines, for the answer; `biometric` is set when it was that."""

    rows: int = 0
    punches: tuple[Punch, ...] = ()
    users: tuple[User, ...] = ()
    operations: tuple[Operation, ...] = ()
    device: Device = Device(())
    faults: tuple[Fault, ...] = ()  # one for each row that cannot be read
    biometric: bool = False
    understood: bool = True  # False: rows of a table that we do not know

    @property
    def answer(self) -> str:
        return f"OK: {self.rows}"


def call(target: str) -> Call:
    parts = urlsplit(target)
    query = {key.lower(): values[0] for key, values in parse_qs(parts.query, max_num_fields=32).items()}
    serial = query.get("sn", "")
    return Call(
        parts.path.rstrip("/").lower().removesuffix(".aspx"),
        serial if _SERIAL.fullmatch(serial) else "",
        table if _TABLE.fullmatch(table := query.get("table", "").upper()) else "",
        (query.get("type") or ("options" if "options" in query else "")).lower()[:32],
        stamp if _STAMP.fullmatch(stamp := query.get("stamp", "")) else "",
    )


def unwanted(target: str) -> bool:
    """Whether this request brings pictures or templates of people: its body is not even to be held."""
    try:
        to = call(target)
    except ValueError:
        return False
    return to.table in _BIOMETRIC_TABLES or to.path in _BIOMETRIC_PATHS


def upload(table: str, body: bytes) -> Upload:
    """The rows of a POST to cdata. Unknown tables are counted and left."""
    if table in _BIOMETRIC_TABLES:
        return Upload(rows=1, biometric=True)
    lines = [line for line in re.split(rb"\r?\n", body) if line.strip()]
    match table:
        case "ATTLOG":
            rows = [zk_attlog.row(line.decode("latin-1")) for line in lines]
            return Upload(
                rows=len(lines),
                punches=tuple(row for row in rows if isinstance(row, Punch)),
                faults=tuple(row for row in rows if isinstance(row, Fault)),
            )
        case "OPERLOG":
            return _operlog(lines)
        case "OPTIONS":
            pairs = lines if len(lines) > 1 else body.strip().split(b",")
            return Upload(rows=len(lines), device=Device(tuple(_pairs(pairs))))
        case _:
            return Upload(rows=len(lines), understood=table in _IDLE_TABLES or not lines)


def options(serial: str, offset: timedelta, form: TimeZoneForm, stamp: str = "") -> str:
    """What a terminal is to do: tell attendance at once, send no pictures, keep our time. `stamp`: its last one."""
    zone = time_zone(offset, form)
    lines = [
        f"GET OPTION FROM: {serial}",
        *([f"ATTLOGStamp={stamp}"] if stamp else []),
        "ErrorDelay=30",
        "Delay=10",
        "TransTimes=0",
        "TransInterval=0",
        "TransFlag=AttLog",
        "Realtime=1",
        "Encrypt=0",
        *([f"TimeZone={zone}"] if zone else []),
        "Timeout=60",
        "SyncTime=3600",
        "ServerVer=3.2.0 2018-06-30",
    ]
    return "\n".join(lines) + "\n"


def time_zone(offset: timedelta, form: TimeZoneForm) -> str:
    """The offset as this firmware wants it. Raises ValueError for hours that are not whole."""
    minutes = int(offset.total_seconds()) // 60
    match form:
        case TimeZoneForm.OFFSET:
            return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
        case TimeZoneForm.HOURS:
            if minutes % 60:
                raise ValueError("hours cannot say this offset: use minutes or offset")
            return str(minutes // 60)
        case TimeZoneForm.MINUTES:
            return str(minutes)
        case TimeZoneForm.OMIT:
            return ""


def parse_offset(text: str) -> timedelta:
    """The offset behind `+05:00`, `5` or `300`. Raises ValueError."""
    if offset := re.fullmatch(r"([+-]?)(\d{1,2}):(\d\d)", text, re.ASCII):
        minutes = int(offset[2]) * 60 + int(offset[3])
        minutes = -minutes if offset[1] == "-" else minutes
    elif re.fullmatch(r"[+-]?\d{1,3}", text, re.ASCII):
        minutes = int(text) * 60 if abs(int(text)) <= 14 else int(text)
    else:
        raise ValueError(f"{text!r} is no offset such as +05:00")
    if abs(minutes) > 14 * 60:
        raise ValueError(f"{text!r} is further from UTC than any place on earth")
    return timedelta(minutes=minutes)


def time_reply(now: datetime) -> str:
    """The answer to a terminal that asks for the time; `now` in the terminal's zone."""
    return f"Time={now.isoformat(timespec='seconds')}\n"


def set_time(number: int, now: datetime) -> str:
    """The command that sets a terminal's clock; `now` in the terminal's zone."""
    return f"C:{number}:SET OPTION DateTime={encode_time(now)}\n"


def encode_time(local: datetime) -> int:
    """A terminal's own way to pack a local time: every month has 31 days."""
    days = ((local.year - 2000) * 12 + local.month - 1) * 31 + local.day - 1
    return ((days * 24 + local.hour) * 60 + local.minute) * 60 + local.second


def decode_time(packed: int) -> datetime:
    """The local time in it, without a zone. Raises ValueError for a day that no month has."""
    rest, second = divmod(packed, 60)
    rest, minute = divmod(rest, 60)
    rest, hour = divmod(rest, 24)
    rest, day = divmod(rest, 31)
    year, month = divmod(rest, 12)
    return datetime(2000 + year, month + 1, day + 1, hour, minute, second)  # noqa: DTZ001  a terminal's local time


def clock_suspect(seen_at: datetime, now: datetime) -> bool:
    """Whether a row's time cannot be right: ahead of us, or further back than any terminal keeps rows."""
    return not now - PAST_MAX <= seen_at <= now + FUTURE_MAX


class Remembered:
    """The rows that were taken already, newest REMEMBERED_ROWS of them."""

    def __init__(self) -> None:
        self._rows: OrderedDict[tuple[str, Punch], None] = OrderedDict()

    def is_new(self, serial: str, punch: Punch) -> bool:
        key = (serial, punch)
        if key in self._rows:
            return False
        self._rows[key] = None
        if len(self._rows) > REMEMBERED_ROWS:
            self._rows.popitem(last=False)
        return True


def _operlog(lines: Sequence[bytes]) -> Upload:
    users: list[User] = []
    operations: list[Operation] = []
    faults: list[Fault] = []
    biometric = False
    for line in lines:
        text = line.decode("utf-8", "replace")  # firmware writes UTF-8; names here have letters that cp1251 lacks
        if text.startswith("USER "):
            values = dict(_pairs(text.removeprefix("USER ").encode().split(b"\t")))
            users.append(User(values.get("PIN", ""), values.get("Name", "")))
        elif text.startswith("OPLOG"):
            operation = _operation(text)
            (operations if isinstance(operation, Operation) else faults).append(operation)  # type: ignore[arg-type]
        elif text.startswith(_BIOMETRIC_ROWS):
            biometric = True
    return Upload(len(lines), (), tuple(users), tuple(operations), Device(()), tuple(faults), biometric)


def _operation(text: str) -> Operation | Fault:
    """OPLOG, code, admin, and then in one firmware or another the time: it is looked for, not counted."""
    columns = re.split(r"[\t ]", text, maxsplit=2)
    when = _TIME.search(text)
    if len(columns) < 3 or not columns[1].isascii() or not columns[1].isdigit() or when is None:
        return Fault("a row of operations of unknown form")
    return Operation(int(columns[1][:6]), columns[2].split("\t")[0][:24], when[0])


def _pairs(lines: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    for line in lines:
        key, is_pair, value = line.decode("utf-8", "replace").strip().partition("=")
        if is_pair:
            yield key.strip().removeprefix("~"), value


_OPERATIONS = {
    0: "Power on",
    1: "Power off",
    2: "Authentication failed",
    3: "Alarm",
    4: "Enter the menu",
    5: "Change settings",
    6: "Register fingerprint",
    7: "Register password",
    8: "Register HID card",
    9: "Delete user",
    10: "Delete fingerprint",
    11: "Delete password",
    12: "Delete RF card",
    13: "Clear data",
    21: "Set time",
    22: "Factory settings",
    23: "Delete access records",
    30: "Enroll in new users",
    37: "Change existing user info",
}
