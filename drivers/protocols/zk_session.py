"""One conversation with a ZKTeco terminal on port 4370: who it is, its time, its rows, and live events. No I/O.

    us                                     terminal
    CONNECT                                ACK_OK, with a session number; or ACK_UNAUTH
    AUTH key                               ACK_OK
    OPTIONS_RRQ ~SerialNumber              ACK_OK ~SerialNumber=…
    REG_EVENT 1                            ACK_OK, and from now on REG_EVENT packets, which we answer ACK_OK
    GET_TIME                               ACK_OK packed time
    GET_FREE_SIZES                         ACK_OK twenty numbers: people, rows, room
    DATA_WRRQ table                        ACK_OK size, or DATA at once where it is small
    DATA_RDY from, size                    PREPARE_DATA size, DATA …, ACK_OK; or DATA
    FREE_DATA                              ACK_OK
    GET_TIME, every now and then           ACK_OK: a sign of life, and the measure of its clock

Events are registered before the rows are read, so nothing falls between. Nothing is ever written into the terminal, and
its memory is never cleared. Old firmware without DATA_WRRQ is asked for the table directly.
"""

import struct
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from drivers.protocols.fault import Fault
from drivers.protocols.zk_attlog import Punch
from drivers.protocols.zk_packets import REPLY_NUMBERS, ZkCommand, ZkPacket, encode_comm_key
from drivers.protocols.zk_records import ROW_FORMS, TABLE_HEAD_BYTES, RowParser, live_event, parse_users, row_size
from drivers.protocols.zk_time import pack_time, unpack_time

TABLE_CHUNK_BYTES = 0xFFC0  # in one DATA_RDY; as the maker's own client asks
DATAGRAM_CHUNK_BYTES = 16 * 1024
TABLE_BYTES_MAX = 16 * 1024 * 1024  # 400,000 rows
USERS_BYTES_MAX = 4 * 1024 * 1024
LIVE_ATTENDANCE = 1
NEARLY_FULL = 0.9
MARK_MARGIN = timedelta(minutes=10)  # a clock that was set back a little
_FCT_USER = 5
_USERS_AT, _ROWS_AT, _ROWS_MAX_AT = 4, 8, 16  # places among the twenty numbers


class SessionRefused(Exception):
    """The terminal does not let us in, or does not speak as it should; the message says what to do."""


@dataclass(frozen=True, slots=True)
class TerminalNamed:
    """The terminal's serial number."""

    serial: str


@dataclass(frozen=True, slots=True)
class ClockShown:
    """The terminal's local time, just now."""

    time: datetime  # naive


@dataclass(frozen=True, slots=True)
class RowsRead:
    """The whole table was read. `room`: how many rows the terminal can hold, 0 where it does not say."""

    rows: int
    room: int

    @property
    def is_nearly_full(self) -> bool:
        return self.room > 0 and self.rows >= self.room * NEARLY_FULL


Event = Punch | Fault | TerminalNamed | ClockShown | RowsRead
_Question = tuple[int, bytes] | None  # a command and its data; None: one more packet of the answer is awaited
_Steps = Generator[_Question, ZkPacket, None]


class ZkSession:
    """One conversation. `begin` and the calls that ask return a packet to send; `receive` takes every packet.

    Rows of the table from before `mark` are passed over: a serial number and a local time, up to which the rows of that
    terminal were taken. Without one, or with one of another terminal or of a time to come, rows older than `keeps` are.
    """

    def __init__(
        self, comm_key: int, *, keeps: timedelta, mark: str = "", chunk_bytes: int = TABLE_CHUNK_BYTES
    ) -> None:
        self.mark = mark
        self._comm_key, self._keeps, self._chunk_bytes = comm_key, keeps, chunk_bytes
        self._session, self._number = 0, REPLY_NUMBERS - 1
        self._serial = ""
        self._pins: Mapping[int, str] = {}
        self._events: list[Event] = []
        self._steps: _Steps | None = None
        self.is_private = False  # people's names, cards and passwords pass
        self._since = 0  # rows before this packed time are passed over
        self.wants_rows = False  # a live event could not be read, so the table should be

    @property
    def is_waiting(self) -> bool:
        """Tells if an answer is awaited."""
        return self._steps is not None

    def begin(self) -> ZkPacket:
        """Returns the first packet."""
        return self._start(self._introduce())

    def ask_time(self) -> ZkPacket:
        """Returns the question for the terminal's time."""
        return self._start(self._read_time())

    def ask_rows(self) -> ZkPacket:
        """Returns the first question for all rows."""
        return self._start(self._read_rows())

    def farewell(self) -> ZkPacket:
        """Returns the last packet; its answer is not awaited."""
        return self._packet(ZkCommand.EXIT, b"")

    def receive(self, packet: ZkPacket) -> tuple[Sequence[ZkPacket], Sequence[Event]]:
        """Takes a packet; returns the packets to send, and what it tells. Raises SessionRefused."""
        if packet.command == ZkCommand.REG_EVENT:
            return [self._take_live(packet)], self._taken()
        if self._steps is None or (packet.number != self._number and packet.command != ZkCommand.ACK_UNAUTH):
            return [], self._taken()  # a late or doubled answer
        return self._advance(self._steps, packet), self._taken()

    def _taken(self) -> Sequence[Event]:
        events, self._events = self._events, []
        return events

    def _take_live(self, packet: ZkPacket) -> ZkPacket:
        if packet.session == LIVE_ATTENDANCE:  # this field holds the kind of event
            event = live_event(packet.data, self._pins)
            self.wants_rows |= isinstance(event, Fault)
            self._events.append(event)
        return ZkPacket(ZkCommand.ACK_OK, self._session, packet.number)

    def _start(self, steps: _Steps) -> ZkPacket:
        if self._steps is not None:
            raise RuntimeError("an answer is still awaited")
        question = next(steps)
        assert question is not None
        self._steps = steps
        return self._packet(*question)

    def _advance(self, steps: _Steps, packet: ZkPacket) -> Sequence[ZkPacket]:
        try:
            question = steps.send(packet)
        except StopIteration:
            self._steps = None
            return []
        return [] if question is None else [self._packet(*question)]

    def _packet(self, command: int, data: bytes) -> ZkPacket:
        self._number = (self._number + 1) % REPLY_NUMBERS
        return ZkPacket(command, self._session, self._number, data)

    def _introduce(self) -> _Steps:
        answer = yield ZkCommand.CONNECT, b""
        self._session = answer.session
        if answer.command == ZkCommand.ACK_UNAUTH:
            answer = yield ZkCommand.AUTH, encode_comm_key(self._comm_key, self._session)
            if answer.command != ZkCommand.ACK_OK:
                raise SessionRefused("the terminal wants another communication key: see Comm. → PC connection there")
        elif answer.command != ZkCommand.ACK_OK:
            raise SessionRefused(f"the terminal refuses the connection (answer {answer.command})")
        answer = yield ZkCommand.OPTIONS_RRQ, b"~SerialNumber\0"
        _, _, serial = answer.data.partition(b"=")
        self._serial = serial.partition(b"\0")[0].decode("latin-1")
        self._events.append(TerminalNamed(self._serial))
        answer = yield ZkCommand.REG_EVENT, struct.pack("<I", LIVE_ATTENDANCE)
        if answer.command != ZkCommand.ACK_OK:
            self._events.append(Fault("the terminal tells no live events; its rows are read every now and then"))
        yield from self._read_time()
        yield from self._read_rows()

    def _read_time(self) -> _Steps:
        answer = yield ZkCommand.GET_TIME, b""
        if answer.command != ZkCommand.ACK_OK or len(answer.data) < 4:
            raise SessionRefused(f"the terminal does not say its time (answer {answer.command})")
        try:
            time = datetime.fromisoformat(unpack_time(*struct.unpack_from("<I", answer.data)))
        except ValueError:
            self._events.append(Fault("the terminal's clock shows a day that does not exist: set it"))
            return
        self._since = pack_time(self._first_wanted(time))
        self._events.append(ClockShown(time))

    def _first_wanted(self, now: datetime) -> datetime:
        serial, _, text = self.mark.partition(" ")
        try:
            marked = datetime.fromisoformat(text).replace(tzinfo=None)
        except ValueError:
            return now - self._keeps
        return now - self._keeps if serial != self._serial or marked > now else marked - MARK_MARGIN

    def _read_rows(self) -> _Steps:
        sizes = yield ZkCommand.GET_FREE_SIZES, b""
        if len(sizes.data) < 80:
            raise SessionRefused(f"the terminal does not say how many rows it has (answer {sizes.command})")
        numbers = struct.unpack_from("<20i", sizes.data)
        users, rows, room = numbers[_USERS_AT], numbers[_ROWS_AT], numbers[_ROWS_MAX_AT]
        self.wants_rows = False
        if rows > 0:
            yield from self._read_attendance(users, rows)
        self._events.append(RowsRead(max(rows, 0), max(room, 0)))

    def _read_attendance(self, users: int, rows: int) -> _Steps:
        size, table = yield from self._prepare(ZkCommand.ATTLOG_RRQ, 0, TABLE_BYTES_MAX)
        if size <= TABLE_HEAD_BYTES:
            return  # models that push say so, and show an empty table
        try:
            form = row_size(size, rows)
            if ROW_FORMS[form].has_uid:
                yield ZkCommand.FREE_DATA, b""
                self._pins = parse_users((yield from self._read_users()), users)
                size, table = yield from self._prepare(ZkCommand.ATTLOG_RRQ, 0, TABLE_BYTES_MAX)
        except ValueError as error:
            raise SessionRefused(f"the terminal has rows of a form that we do not know: {error}") from error
        parser = RowParser(form, self._pins, self._since)
        for start in range(0, size, self._chunk_bytes):
            part = table[start : start + self._chunk_bytes]
            if not part:
                part = yield from self._read_part(start, min(self._chunk_bytes, size - start))
            self._events += parser.feed(part)
        yield ZkCommand.FREE_DATA, b""

    def _read_users(self) -> Generator[_Question, ZkPacket, bytes]:
        self.is_private = True
        try:
            size, table = yield from self._prepare(ZkCommand.USERTEMP_RRQ, _FCT_USER, USERS_BYTES_MAX)
            while len(table) < size:
                table += yield from self._read_part(len(table), min(self._chunk_bytes, size - len(table)))
            yield ZkCommand.FREE_DATA, b""
        finally:
            self.is_private = False
        return table

    def _prepare(self, table: int, part: int, bytes_max: int) -> Generator[_Question, ZkPacket, tuple[int, bytes]]:
        """Returns a table's size, and the table where it came at once."""
        answer = yield ZkCommand.DATA_WRRQ, struct.pack("<bhii", 1, table, part, 0)
        if answer.command == ZkCommand.ACK_OK and len(answer.data) >= 5:
            (size,) = struct.unpack_from("<I", answer.data, 1)
            content = b""
        else:
            if answer.command not in (ZkCommand.DATA, ZkCommand.PREPARE_DATA):  # old firmware
                answer = yield table, struct.pack("<b", part) if part else b""
            content = yield from self._collect(answer, bytes_max)
            size = len(content)
        if size > bytes_max:
            raise SessionRefused(f"the terminal announces {size} bytes, more than any holds")
        return size, content

    def _read_part(self, start: int, size: int) -> Generator[_Question, ZkPacket, bytes]:
        answer = yield ZkCommand.DATA_RDY, struct.pack("<ii", start, size)
        content = yield from self._collect(answer, size)
        if len(content) != size:
            raise SessionRefused(f"the terminal gave {len(content)} bytes of {size}")
        return content

    def _collect(self, answer: ZkPacket, bytes_max: int) -> Generator[_Question, ZkPacket, bytes]:
        """Returns what an answer brings: at once, or announced, in parts, and closed by ACK_OK."""
        if answer.command == ZkCommand.DATA:
            return answer.data
        if answer.command != ZkCommand.PREPARE_DATA:
            raise SessionRefused(f"the terminal does not give its rows (answer {answer.command})")
        parts: list[bytes] = []
        while (packet := (yield None)).command == ZkCommand.DATA:
            parts.append(packet.data)
            if sum(map(len, parts)) > bytes_max:
                raise SessionRefused("the terminal gives more bytes than it announced")
        if packet.command != ZkCommand.ACK_OK:
            raise SessionRefused(f"the terminal broke off its rows (answer {packet.command})")
        return b"".join(parts)
