"""Rows in the memory of a ZKTeco terminal (port 4370), whose size tells the firmware. After pyzk and zk-protocol.

    attendance   8   uid 2 | verify 1 | time 4 | state 1                                  black and white terminals
                16   PIN 4 | time 4 | verify 1 | state 1 | reserved 2 | work code 4
                40   uid 2 | PIN, text, 24 | verify 1 | time 4 | state 1 | reserved 8     colour terminals
    user        28   uid 2 | … | PIN 4                  72   uid 2 | … | PIN, text, 24
    live        10 and 14   uid 2 | …      12   PIN 4 | …      32 and more   PIN, text, 24 | …
                behind it   verify 1 | state 1 | year, month, day, hour, minute, second, 1 each

`uid` is a place in the terminal's own table of people, not the number that anybody knows. Of a user only the two
numbers are read: name, password and card stay in the bytes.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from drivers.protocols.fault import Fault
from drivers.protocols.zk_attlog import Punch, row
from drivers.protocols.zk_time import unpack_time

Event = Punch | Fault
ROWS_MISSED_MAX = 16  # people who came between the count and the table
TABLE_HEAD_BYTES = 4  # before the first row: the size of all rows


@dataclass(frozen=True, slots=True)
class RowForm:
    """One firmware's form of a row; `has_uid` where only the place in the table of people is known."""

    layout: struct.Struct
    read: Callable[[tuple[int | bytes, ...]], tuple[int | bytes, int, int, int]]  # number, packed time, verify, state
    has_uid: bool = False


ROW_FORMS: Mapping[int, RowForm] = {
    8: RowForm(struct.Struct("<HBIB"), lambda row: (row[0], int(row[2]), int(row[1]), int(row[3])), has_uid=True),
    16: RowForm(struct.Struct("<IIBB6x"), lambda row: (row[0], int(row[1]), int(row[2]), int(row[3]))),
    40: RowForm(struct.Struct("<2x24sBIB8x"), lambda row: (row[0], int(row[2]), int(row[1]), int(row[3]))),
}
_USER_FORMS = {28: struct.Struct("<H22xI"), 72: struct.Struct("<H46x24s")}
_LIVE_FORMS = {10: struct.Struct("<HBB6B"), 12: struct.Struct("<IBB6B"), 14: struct.Struct("<HBB6B4x")}
_LIVE_TEXT = struct.Struct("<24sBB6B")
_LIVE_UIDS = frozenset({10, 14})


class RowParser:
    """Turns a table of attendance into punches, however its bytes are cut. `pins` gives the PIN behind a uid; rows
    before `since`, a packed time, are passed over.
    """

    def __init__(self, size: int, pins: Mapping[int, str], since: int = 0) -> None:
        self._size, self._form, self._pins, self._since = size, ROW_FORMS[size], pins, since
        self._bytes = bytearray()
        self._head_remaining = TABLE_HEAD_BYTES

    def feed(self, data: bytes) -> Sequence[Event]:
        """Takes bytes of the table and returns the rows that are whole."""
        skipped = min(self._head_remaining, len(data))
        self._head_remaining -= skipped
        self._bytes += data[skipped:]
        whole = len(self._bytes) // self._size * self._size
        rows = map(self._form.read, self._form.layout.iter_unpack(self._bytes[:whole]))
        events = [self._punch(*row) for row in rows if row[1] >= self._since]
        del self._bytes[:whole]
        return events

    def _punch(self, number: int | bytes, packed: int, verify: int, state: int) -> Event:
        try:
            time = unpack_time(packed)
        except ValueError:
            return Fault("a row with a day or hour that does not exist")
        return _punch(_number(number, self._pins if self._form.has_uid else None), time, verify, state)


def row_size(table_bytes: int, rows: int) -> int:
    """Returns the size of one row, from the size of the whole table and the number of rows, which people may change
    between the two. Raises ValueError for a size that nobody knows.
    """
    content = table_bytes - TABLE_HEAD_BYTES
    missed = {size: abs(content // size - rows) for size in ROW_FORMS if content % size == 0}
    size = min(missed, key=missed.__getitem__, default=0)
    if not missed or missed[size] > ROWS_MISSED_MAX:
        raise ValueError(f"{table_bytes} bytes for {rows} rows of attendance")
    return size


def parse_users(table: bytes, users: int) -> Mapping[int, str]:
    """Returns the PIN of each place in the table of people. Raises ValueError for a form that nobody knows."""
    size, rest = divmod(len(table) - TABLE_HEAD_BYTES, max(users, 1))
    if rest or size not in _USER_FORMS:
        raise ValueError(f"{len(table)} bytes for {users} people")
    rows = _USER_FORMS[size].iter_unpack(table[TABLE_HEAD_BYTES:])
    return {uid: _number(number, None) for uid, number in rows}


def live_event(data: bytes, pins: Mapping[int, str]) -> Event:
    """Reads the data of one live event of attendance."""
    form = _LIVE_FORMS.get(len(data)) or (_LIVE_TEXT if len(data) >= _LIVE_TEXT.size else None)
    if form is None:
        return Fault(f"a live event of a form that we do not know ({len(data)} bytes)")
    number, verify, state, year, month, day, hour, minute, second = form.unpack_from(data)
    time = f"{2000 + year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}"
    return _punch(_number(number, pins if len(data) in _LIVE_UIDS else None), time, verify, state)


def _number(number: int | bytes, pins: Mapping[int, str] | None) -> str:
    """Returns a PIN; empty for a uid that has none, since a uid taken for a PIN would be another child."""
    if isinstance(number, int):
        return str(number) if pins is None else pins.get(number, "")
    return number.partition(b"\0")[0].decode("latin-1")


def _punch(number: str, time: str, verify: int, state: int) -> Event:
    """Holds the row to the same rules as one that was pushed."""
    if not number:
        return Fault("a row of somebody whose number the terminal does not say")
    return row(f"{number}\t{time}\t{state}\t{verify}")
