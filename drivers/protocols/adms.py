"""ZKTeco's push protocol (ADMS): a terminal calls a server over HTTP and speaks of what it saw. After V3.2.0.

    GET  /iclock/cdata?SN=…&options=all            who am I to be?        → a list of options
    POST /iclock/cdata?SN=…&table=ATTLOG&Stamp=…   rows of `zk_attlog`    → OK: number of rows
    GET  /iclock/getrequest?SN=…                   anything to do?        → OK, or C:id:COMMAND
    POST /iclock/devicecmd?SN=…                    what came of it        → OK
    GET  /iclock/rtdata?SN=…&type=time             what time is it?       → Time=…+05:00
    GET  /iclock/ping                              a sign of life         → OK

Terminals in access mode (Security PUSH 3.1.2) say `DeviceType=acc` and speak otherwise; see `adms_access`:

    POST /iclock/cdata?SN=…&table=rtlog            rows of `zk_access`    → OK
    POST /iclock/cdata?SN=…&table=rtstate          doors and relays       → OK
    POST /iclock/cdata?SN=…&table=tabledata&tablename=X&count=N           → X=N
    POST /iclock/querydata?SN=…&tablename=X&count=N                       → X=N

What the field knows:
- Whatever is not answered 200 comes again, for ever: so a picture or a template is answered, of which nothing is kept.
  A row that nobody can read is the caller's to keep before it is answered.
- A lost answer brings the whole batch again: a row is known by terminal, PIN, time, state and way of recognition, or by
  the number that the terminal gave it.
- Old firmware names no table: its rows say by themselves what they are.
- The form of TimeZone differs between firmwares; the wrong one moves the terminal's clock by hours.
- The serial number is the only name that a terminal has, and it proves nothing: anybody may say it.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

from drivers.protocols.terminal_clock import AHEAD_MAX, PAST_MAX
from drivers.protocols.zk_time import pack_time

_COMMAND_ANSWER = re.compile(  # some firmware puts more keys between, or each on a line of its own
    rb"\bID=(\d{1,9})\b(?:(?!\bID=)[^\0]){1,256}?\bReturn=(-?\d{1,9})\b", re.IGNORECASE
)
_CLOCK_SET = re.compile(rb"^OPLOG[ \t]+21[ \t]", re.MULTILINE)  # operation 21 of V3.2.0: `Set time`

REPORT_PATHS = frozenset(
    {"/iclock/devicecmd", "/iclock/getrequest", "/iclock/ping", "/iclock/rtdata"}
)  # no rows in them
BIOMETRIC_TABLES = frozenset(
    {
        "ATTPHOTO",
        "BIODATA",
        "BIOPHOTO",
        "USERPIC",
        "FINGERTMP",
        "FACE",
        "FACEV7",
        "TEMPLATEV10",
        "PHOTO",
        "IDENTITYCARD",
    }
)
_BIOMETRIC_PATHS = frozenset({"/iclock/fdata", "/iclock/upload"})
_SERIAL = re.compile("[0-9A-Za-z_-]{1,32}", re.ASCII)
_TABLE = re.compile("[0-9A-Za-z_]{1,32}", re.ASCII)
_STAMP = re.compile("[0-9T:-]{1,24}", re.ASCII)


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
    access: bool = False  # it says that it is in access mode
    named_table: str = ""  # of tabledata and querydata, as it is to be named in the answer
    count: int = 0  # of rows, where the request says it


def call(target: str) -> Call:
    """Returns what a request's target says. Raises ValueError for one that is no address."""
    parts = urlsplit(target)
    query = {key.lower(): values[0] for key, values in parse_qs(parts.query, max_num_fields=32).items()}
    serial, table, count = query.get("sn", ""), query.get("table", ""), query.get("count", "")
    path = parts.path.rstrip("/").lower().removesuffix(".aspx")
    names_table = table.lower() == "tabledata" or path == "/iclock/querydata"
    if names_table:
        table = query.get("tablename", query.get("type", table))
    table = table if _TABLE.fullmatch(table) else ""
    return Call(
        path,
        serial if _SERIAL.fullmatch(serial) else "",
        table.upper(),
        (query.get("type") or ("options" if "options" in query else "")).lower()[:32],
        stamp if _STAMP.fullmatch(stamp := query.get("stamp", "")) else "",
        query.get("devicetype", "").lower() == "acc",
        table if names_table else "",
        int(count) if re.fullmatch("[0-9]{1,6}", count, re.ASCII) else 0,
    )


def unwanted(target: str) -> bool:
    """Tells if this request brings pictures or templates of people. The body of such a request must not even be
    held.
    """
    try:
        to = call(target)
    except ValueError:
        return False
    return to.table in BIOMETRIC_TABLES or to.path in _BIOMETRIC_PATHS


def options(serial: str, offset: timedelta, form: TimeZoneForm, stamp: str = "", *, takes_time: bool = True) -> str:
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
        "TransFlag=AttLog\tOpLog",
        "Realtime=1",
        "Encrypt=0",
        *([f"TimeZone={zone}"] if zone else []),
        "Timeout=60",
        *(["SyncTime=3600"] if takes_time else []),
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
    return f"C:{number}:SET OPTION DateTime={pack_time(now)}\n"


def clock_suspect(seen_at: datetime, now: datetime) -> bool:
    """Tells if a row's time cannot be right: ahead of us, or further back than any terminal keeps rows."""
    return not now - PAST_MAX <= seen_at <= now + AHEAD_MAX


def command_answers(body: bytes) -> list[tuple[int, int]]:
    """Returns what came of our commands: the number of each and the terminal's answer, 0 where it was done."""
    return [(int(number), int(answer)) for number, answer in _COMMAND_ANSWER.findall(body)]


def tells_new_clock(body: bytes) -> bool:
    """Tells if a log of operations says that somebody set the terminal's clock."""
    return _CLOCK_SET.search(body) is not None
