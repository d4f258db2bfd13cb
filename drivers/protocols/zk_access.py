"""Events of ZKTeco terminals in access mode (Security PUSH 3.1.2): what passed at a door, as they tell it.

    rtlog        time=2026-11-30 12:01:00 \t pin=1002 \t cardno=0 \t eventaddr=1 \t event=3 \t inoutstatus=0 \t
                 verifytype=25 \t index=21
    transaction  transaction cardno=0 \t pin=1002 \t verified=25 \t doorid=1 \t eventtype=3 \t inoutstate=0 \t
                 time_second=864301256 \t index=21

Rows are read by key: firmwares put the keys in other orders and add some (`sitecode`, `maskflag`, `temperature`).

What an event means, after the appendix of the manual, the older PullSDK's table 6 and servers in the field:
- GRANTED codes are a person who was verified and let in; 3 is what face terminals send for one person, although the
  manual calls it "multi-person open". Only they, and only with a PIN, are a `Punch`.
- REFUSED codes are a person whom the terminal did not let in; most bear a PIN as well, so a PIN alone proves nothing.
- DOOR codes are of a door or of the terminal and name nobody.
- A code on none of the lists is a fault: the caller keeps the row.

`verifytype` is a small number, as in `zk_attlog.METHODS`, or sixteen bits as text, of which only the one for a face is
published; the others stay unknown here. `index` numbers the rows of a terminal and is 0 where it keeps none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from drivers.protocols.fault import Fault
from drivers.protocols.zk_attlog import Punch, row
from drivers.protocols.zk_time import unpack_time

ACCESS_LINE_BYTES_MAX = 1024
GRANTED = frozenset({0, 1, 2, 3, 4, 5, *range(14, 20), 203, 207, 208, 222})
REFUSED: Mapping[int, str] = {
    20: "too soon after the last time",
    21: "outside the hours of the door",
    22: "outside the person's hours",
    23: "no right to this door",
    24: "came in without going out (anti-passback)",
    25: "another door is open (interlock)",
    26: "a second person is awaited: switch multi-person opening off",
    27: "not known to the terminal",
    29: "the person's time is over",
    30: "wrong password",
    32: "a second person is awaited: switch multi-person opening off",
    33: "the person's time is over",
    34: "not known to the terminal",
    38: "a card reported lost",
    39: "a person on its block list",
    41: "not the way of recognition that the terminal asks for",
    42: "a card in a form that it does not know",
    44: "the terminal asks a server for leave: switch background verification off",
    45: "the terminal asks a server for leave: switch background verification off",
    48: "a second person is awaited: switch multi-person opening off",
}
DOOR = frozenset(
    {*range(6, 14), 28, 31, 35, 36, 37, *range(100, 106), 200, 201, 202, 204, 205, 206, 209, 214, 220, 221, 223, 700}
)
_FACE_BIT, _FACE = 1, 15
_NOBODY = frozenset({"", "0"})


@dataclass(frozen=True, slots=True)
class AccessRefusal:
    """The terminal did not let a person in. `number` is empty where it does not know them."""

    number: str
    time: str
    why: str

    def at(self, zone: timezone) -> datetime | None:
        """Returns the time as an aware one; None for a time that is none."""
        try:
            return datetime.strptime(self.time, "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class DoorNotice:
    """An event of a door or of the terminal itself."""

    event: int


Event = Punch | AccessRefusal | DoorNotice | Fault


def is_access_row(line: str) -> bool:
    """Tells if a row is of this form, for requests that name no table."""
    return {"time", "pin", "event"} <= _columns(line).keys()


def access_row(line: str) -> Event:
    """Reads one row, without its end."""
    if len(line) > ACCESS_LINE_BYTES_MAX:
        return Fault("a row is too long")
    columns = _columns(line)
    event = columns.get("event", columns.get("eventtype", ""))
    if not re.fullmatch("[0-9]{1,5}", event, re.ASCII):
        return Fault("an access row without the number of its event")
    code, number = int(event), columns.get("pin", "")
    if code in DOOR:
        return DoorNotice(code)
    if code in REFUSED:
        return AccessRefusal("" if number in _NOBODY else number, columns.get("time", ""), REFUSED[code])
    if code not in GRANTED:
        return Fault(f"an access row with an event that we do not know ({code})")
    if number in _NOBODY:
        return Fault(f"a door was opened for nobody in particular (event {code})")
    # the rest is held to the same rules as a row of an attendance terminal
    punch = row(f"{number}\t{_time(columns)}\t{_state(columns)}\t{_verify(columns)}")
    if isinstance(punch, Fault):
        return punch
    index = columns.get("index", "")
    return Punch(punch.number, punch.time, punch.state, punch.verify, "" if index in _NOBODY else index[:24])


def _columns(line: str) -> Mapping[str, str]:
    """Returns the columns by their lower-case keys. A row of a table begins with the table's name."""
    text = re.sub(r"^transaction ", "", line, flags=re.IGNORECASE)
    pairs = (column.partition("=") for column in text.split("\t"))
    return {key.strip().lower(): value.strip() for key, mark, value in pairs if mark}


def _time(columns: Mapping[str, str]) -> str:
    """Returns the time as attendance terminals write it; `time_second` counts seconds in months of 31 days."""
    packed = columns.get("time_second", "")
    if "time" in columns or not re.fullmatch("[0-9]{1,10}", packed, re.ASCII):
        return columns.get("time", "")
    try:
        return unpack_time(int(packed))
    except ValueError:
        return ""


def _state(columns: Mapping[str, str]) -> str:
    state = columns.get("inoutstatus", columns.get("inoutstate", ""))
    return state if re.fullmatch("[0-9]{1,3}", state, re.ASCII) else ""


def _verify(columns: Mapping[str, str]) -> str:
    verify = columns.get("verifytype", columns.get("verified", ""))
    if re.fullmatch("[01]{16}", verify, re.ASCII):
        return str(_FACE) if int(verify, 2) == 1 << _FACE_BIT else ""
    return verify if re.fullmatch("[0-9]{1,3}", verify, re.ASCII) else ""
