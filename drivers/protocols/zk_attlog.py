"""Attendance rows of ZKTeco terminals: what they push (table ATTLOG) and the file `1_attlog.dat` from a USB stick.

    pushed   PIN \t 2026-11-20 09:40:15 \t state \t verify \t work code \t reserved …       4 to 16 columns, or more
    file     PIN, right-justified to 9 \t 2026-11-20 09:40:15 \t device \t state \t verify \t work code

A number of nine digits or more has no blanks before it: then what was pushed is never taken for a row of a file, and a
row of a file is known by its six columns, a device (which is never 0) and a state that terminals send.

The time is the terminal's own, local, without a zone. The PIN is text: 007 and 7 are two people. `verify` says how the
person was recognised; terminals of one maker disagree with their own manual there (see METHODS).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, datetime, timezone

from drivers.protocols.fault import Fault

ATTLOG_LINE_BYTES_MAX = 512
STATE_UNKNOWN = 255

# V3.2.0 of the protocol has 0 to 9, 16 and 17; the others are what eight unrelated public servers agree on. 4 is `PIN
# and fingerprint` in the manual, and a card in terminals in the field.
METHODS = {
    0: "password",
    1: "finger",
    2: "card",
    3: "pin",
    4: "card",
    5: "finger",
    6: "finger",
    7: "card",
    8: "finger",
    9: "finger",
    15: "face",
    16: "pin",
    17: "card",
    25: "palm",
    200: "manual",
}

_ROW = re.compile(
    r"(?P<blanks> *)(?P<number>[0-9A-Za-z]{1,24})\t"
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)"
    r"(?P<rest>(?:\t[^\t]*){0,30})",
    re.ASCII,
)
_BY_BLANKS = re.compile(r"[0-9A-Za-z]{1,24} +\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", re.ASCII)
_NOT_BEFORE = re.compile(r"(?<![0-9A-Za-z])" + _ROW.pattern + "$", re.ASCII)
_LINE_ENDS = re.compile(rb"[\r\n]")
_FILE_WIDTH, _FILE_COLUMNS = 9, 4  # columns behind number and time
_STATES = frozenset({*map(str, range(6)), str(STATE_UNKNOWN)})
_BOM = b"\xef\xbb\xbf"  # editors put it before the first row of a file


@dataclass(frozen=True, slots=True)
class Punch:
    """One row: a person was recognised. `time` is as the terminal wrote it; `verify` is -1 where the row does not
    say; `index` is the terminal's own number of the row, empty where it gives none.
    """

    number: str
    time: str
    state: int = STATE_UNKNOWN
    verify: int = -1
    index: str = ""

    def method(self, otherwise: str) -> str:
        """Returns how the person was recognised; `otherwise` for a code that nobody knows."""
        return METHODS.get(self.verify, otherwise)

    def at(self, zone: timezone) -> datetime:
        return datetime.fromisoformat(self.time).replace(tzinfo=zone)


Event = Punch | Fault


@dataclass(frozen=True, slots=True)
class Preview:
    """The content of an attlog file, for people to look at before it is used."""

    punches: Sequence[Punch]  # each once, in the order of the file
    repeated: int  # rows that say the same as an earlier one
    faults: Sequence[tuple[int, str]] = field(default=())  # number of the line, what is wrong with it

    @property
    def numbers(self) -> frozenset[str]:
        return frozenset(punch.number for punch in self.punches)

    @property
    def first(self) -> str:
        return min((punch.time for punch in self.punches), default="")

    @property
    def last(self) -> str:
        return max((punch.time for punch in self.punches), default="")


def row(line: str) -> Event:
    """Reads one row that was pushed, without its end."""
    match = _ROW.fullmatch(line)
    return _no_row(line) if match is None else _punch(match, in_file=False)


def preview(data: bytes) -> Preview:
    """Reads a whole attlog file, faults included; no row is dropped silently."""
    punches: dict[Punch, None] = {}
    faults: list[tuple[int, str]] = []
    repeated = 0
    for number, line in enumerate(data.removeprefix(_BOM).decode("latin-1").split("\n"), 1):
        if not line.strip():
            continue
        match _file_row(line.rstrip("\r")) if len(line) <= ATTLOG_LINE_BYTES_MAX else Fault("a row is too long"):
            case Punch() as punch:
                repeated += punch in punches
                punches[punch] = None
            case Fault(what=what):
                faults.append((number, what))
    return Preview(tuple(punches), repeated, tuple(faults))


class Decoder:
    """Turns bytes into punches and faults, however the bytes are cut. It knows rows that were pushed and rows of
    files.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._first = True
        self._overlong = False  # reported once a line; its last LINE_BYTES_MAX bytes are still looked at

    def feed(self, data: bytes) -> Sequence[Event]:
        events: list[Event] = []
        *ended, rest = _LINE_ENDS.split(data)
        for part in ended:
            events += self._append(part)
            events += self._end()
        events += self._append(rest)
        return events

    def flush(self) -> Sequence[Event]:
        """Ends the stream. Its last row may lack an end."""
        return list(self._end())

    def _append(self, part: bytes) -> Sequence[Event]:
        self._line += part
        if len(self._line) <= ATTLOG_LINE_BYTES_MAX:
            return ()
        del self._line[:-ATTLOG_LINE_BYTES_MAX]
        was_overlong, self._overlong = self._overlong, True
        return () if was_overlong else (Fault("a row is too long"),)

    def _end(self) -> Iterator[Event]:
        if self._first:
            self._line = self._line.removeprefix(_BOM)
        self._first = False
        line, overlong = self._line.decode("latin-1"), self._overlong
        self._line.clear()
        self._overlong = False
        if not line.strip():
            return
        minimum = _NOT_BEFORE.search(line)
        if minimum is None:
            if not overlong:
                yield _no_row(line)
            return
        if line[: minimum.start()].strip() and not overlong:
            yield Fault("bytes before a row")
        yield _punch(minimum, in_file=True)


def _file_row(line: str) -> Event:
    match = _ROW.fullmatch(line)
    return _no_row(line) if match is None else _punch(match, in_file=True)


def _no_row(line: str) -> Fault:
    if _BY_BLANKS.search(line):
        return Fault("a row whose columns are parted by blanks: take the file as the terminal wrote it, with its tabs")
    return Fault("a row without number or time")


def _is_file_row(match: re.Match[str], columns: Sequence[str], *, in_file: bool) -> bool:
    """Tells if the row is of a file, where the device stands before the state. Blanks before the number are never
    pushed.
    """
    if len(match["blanks"]) + len(match["number"]) < _FILE_WIDTH:
        return False
    if match["blanks"]:
        return len("\t".join(columns).rstrip("\t").split("\t")) >= _FILE_COLUMNS - 1  # a last one may be empty
    return in_file and len(columns) == _FILE_COLUMNS and columns[0] not in ("", "0") and columns[1] in _STATES


def _punch(match: re.Match[str], *, in_file: bool) -> Event:
    try:
        time = datetime.fromisoformat(match["time"])
    except ValueError:
        return Fault("a row with a day or hour that does not exist")
    if not MINYEAR < time.year < MAXYEAR:  # in another zone it would be in no year at all
        return Fault("a row of a year that no clock shows")
    columns = match["rest"].split("\t")[1:]
    if _is_file_row(match, columns, in_file=in_file):
        columns = columns[1:]
    codes = [int(column) if column else None for column in columns[:2] if re.fullmatch("[0-9]{0,5}", column)]
    if len(codes) != len(columns[:2]):
        return Fault("a row whose state or way of recognition is no number")
    state, verify = [*codes, None, None][:2]
    return Punch(
        match["number"], match["time"], STATE_UNKNOWN if state is None else state, -1 if verify is None else verify
    )
