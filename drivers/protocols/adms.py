"""ZKTeco's push protocol (ADMS): a terminal calls a server over HTTP and speaks of what it saw. After V3.2.0.

    GET  /iclock/cdata?SN=…&options=all            who am I to be?        → a list of options
    POST /iclock/cdata?SN=…&table=ATTLOG&Stamp=…   rows of `zk_attlog`    → OK: number of rows
    GET  /iclock/getrequest?SN=…                   anything to do?        → OK, or C:id:COMMAND
    POST /iclock/devicecmd?SN=…                    what came of it        → OK
    GET  /iclock/rtdata?SN=…&type=time             what time is it?       → Time=…+05:00
    GET  /iclock/ping, POST /iclock/registry, …                           → OK

What the field knows:
- Whatever is not answered 200 comes again, for ever. So a row that nobody can read is answered OK as well, and reported
  as a fault; and so is a picture or a template, of which nothing is kept.
- A lost answer brings the whole batch again: a row is known by terminal, PIN, time, state and way of recognition.
- Terminals of the access family (PUSH 3) send RTLOG instead of ATTLOG: not understood, answered OK, reported as a
  fault.
- The form of TimeZone differs between firmwares; the wrong one moves the terminal's clock by hours.
- The serial number is the only name that a terminal has, and it proves nothing: anybody may say it.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
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
    """A request's meaning. An empty `serial` means that it gives none that could be one."""

    path: str
    serial: str
    table: str = ""
    wants: str = ""  # `options` or `type` of the query
    stamp: str = ""  # the terminal's own mark of the last row it sent


@dataclass(frozen=True, slots=True)
class Upload:
    """The content of one POST to cdata. `rows` counts the lines, for the answer; `biometric` is set when it held
    pictures or templates.
    """

    rows: int = 0
    punches: tuple[Punch, ...] = ()
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
    """Tells if this request brings pictures or templates of people. The body of such a request must not even be
    held.
    """
    try:
        to = call(target)
    except ValueError:
        return False
    return to.table in _BIOMETRIC_TABLES or to.path in _BIOMETRIC_PATHS


def upload(table: str, body: bytes) -> Upload:
    """Reads the rows of a POST to cdata. Rows of unknown tables are counted only."""
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
            return _operation_log(lines)
        case "OPTIONS":
            return Upload(rows=len(lines))
        case _:
            return Upload(rows=len(lines), understood=table in _IDLE_TABLES or not lines)


def options(serial: str, offset: timedelta, form: TimeZoneForm, stamp: str = "") -> str:
    """Returns a terminal's orders: send attendance at once, send no pictures, keep our time. `stamp` is its last
    one.
    """
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
    """Returns the offset in the form that this firmware wants. Raises ValueError where whole hours cannot say it."""
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
    """Returns the offset behind `+05:00`, `5` or `300`. Raises ValueError."""
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
    """Returns the answer to a terminal that asks for the time; `now` is in the terminal's zone."""
    return f"Time={now.isoformat(timespec='seconds')}\n"


def set_time(number: int, now: datetime) -> str:
    """Returns the command that sets a terminal's clock; `now` is in the terminal's zone."""
    return f"C:{number}:SET OPTION DateTime={encode_time(now)}\n"


def encode_time(local: datetime) -> int:
    """Packs a local time as terminals do it: every month has 31 days."""
    days = ((local.year - 2000) * 12 + local.month - 1) * 31 + local.day - 1
    return ((days * 24 + local.hour) * 60 + local.minute) * 60 + local.second


def clock_suspect(seen_at: datetime, now: datetime) -> bool:
    """Tells if a row's time cannot be right: ahead of us, or further back than any terminal keeps rows."""
    return not now - PAST_MAX <= seen_at <= now + FUTURE_MAX


class Remembered:
    """The newest REMEMBERED_ROWS rows that were taken already."""

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


def _operation_log(lines: Sequence[bytes]) -> Upload:
    """Counts the rows, and finds broken ones and templates. The people and deeds in them are not read."""
    texts = [line.decode("utf-8", "replace") for line in lines]
    broken = [text for text in texts if text.startswith("OPLOG") and not _is_operation(text)]
    return Upload(
        rows=len(lines),
        faults=tuple(Fault("a row of operations of unknown form") for _ in broken),
        biometric=any(text.startswith(_BIOMETRIC_ROWS) for text in texts),
    )


def _is_operation(text: str) -> bool:
    """Tells if a row is OPLOG, code, admin and a time, whose column differs between firmwares."""
    columns = re.split(r"[\t ]", text, maxsplit=2)
    return len(columns) == 3 and columns[1].isascii() and columns[1].isdigit() and _TIME.search(text) is not None
