"""ZKTeco terminals that listen on port 4370, mostly old ones: we call, read their rows, and hear live events.

    host = "192.168.1.201"            the terminal
    udp = false                       true for terminals that do not answer by TCP
    key_file = "zk-key"               its communication key (Comm. → PC connection), where it has one
    utc_offset = "+05:00"             of its clock

The rows are read when the agent starts and every `pull_s`, so that nothing is lost while the line was away: from the
mark on up to which they were taken, or at the very first those of the last days. What was taken already is passed over.
Nothing is written into the terminal, and its memory is never cleared.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, ClassVar

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.credential_file import credential_path, read_credential
from drivers.errors import DeviceGone, NotSupported, ProtocolError
from drivers.network.http_callers import utc_now
from drivers.network.recent_keys import RecentKeys
from drivers.protocols import adms, zk_packets
from drivers.protocols.fault import Fault
from drivers.protocols.terminal_clock import AHEAD_MAX, SAME_LAG_MAX
from drivers.protocols.zk_attlog import Punch
from drivers.protocols.zk_packets import Decoder, ZkPacket
from drivers.protocols.zk_session import (
    DATAGRAM_CHUNK_BYTES,
    TABLE_CHUNK_BYTES,
    ClockShown,
    Event,
    RowsRead,
    SessionRefused,
    TerminalNamed,
    ZkSession,
)
from drivers.readings import IMPOSSIBLE_RUN, DeviceEvent, PersonMatched, StreamFault
from drivers.row_mark import RowMark, RowMarkInMemory
from drivers.terminals import DoubtedClock, offset_errors
from drivers.transports.dialled import DialledSocket

ANSWER_S = 10  # a terminal that reads a large table takes seconds
READ_EVENTS_MAX = 100  # handed on at once
KEYS_MAX = 50_000  # rows that are known to be taken


class Zk4370Settings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: Annotated[str, Meta(pattern="^[0-9A-Za-z.-]{1,253}$")]
    port: Annotated[int, Meta(ge=1, le=65_535)] = 4370
    udp: bool = False
    key_file: str = ""  # the communication key in digits; a plain name stands in the credentials folder
    serial: str = ""  # only this terminal; empty: whichever answers
    utc_offset: str = "+05:00"  # of the terminal's clock
    method: Annotated[str, Meta(pattern="^[a-z]{1,16}$")] = "finger"  # of a way of recognition that is on no list
    days: Annotated[int, Meta(ge=1, le=366)] = 2  # at the first start; older rows are left in the terminal
    pull_s: Annotated[float, Meta(ge=10, le=86_400)] = 300.0  # between two readings of all rows
    clock_s: Annotated[float, Meta(ge=5, le=600)] = 30.0  # between two questions for its time: a sign of life


class Zk4370:
    Settings: ClassVar[type[DriverSettings]] = Zk4370Settings

    def __init__(
        self,
        name: str,
        settings: Zk4370Settings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
        wall: Callable[[], datetime] = utc_now,
    ) -> None:
        self.name = name
        self._settings, self._clock, self._tap = settings, clock, tap
        self.wall = wall
        self.trusts_wall: Callable[[], bool] = lambda: True
        self.mark: RowMark = RowMarkInMemory()
        self._line = transport or DialledSocket(settings.host, settings.port, udp=settings.udp)
        self._taken = RecentKeys(KEYS_MAX)  # over a reopen too: what was taken stays taken
        self._zone = timezone(timedelta(0))
        self._comm_key = 0
        self._clock_off, self._clock_run = timedelta(0), ""  # over a reopen too: it is the same run of a wrong clock
        self._serial = ""
        self._forget()

    def open(self) -> None:
        """Calls the terminal. Raises DeviceGone, DeviceBusy, and NotSupported for settings that cannot be."""
        with offset_errors():
            self._zone = timezone(adms.parse_offset(self._settings.utc_offset))
        self._comm_key = self._read_comm_key()
        self._line.open()
        self._forget()
        self._send(self._session.begin())

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """Returns what the terminal told; READ_EVENTS_MAX events at most, the rest with the next call."""
        if not self._events:
            self._ask_what_is_due()
            data = self._line.read(timeout_s)
            if data:
                self._heard_ns = self._clock()
                self._take(data)
            elif self._session.is_waiting and self._clock() - self._heard_ns > ANSWER_S * 1_000_000_000:
                raise DeviceGone(f"{self._settings.host} does not answer: check its power, its cable and `udp`")
        return [self._events.popleft() for _ in range(min(READ_EVENTS_MAX, len(self._events)))]

    def close(self) -> None:
        self._line.close()

    def absence(self) -> str:
        """Returns nothing: a terminal that is away is gone for this reader, which says why."""
        return ""

    def doubted_clocks(self) -> Sequence[DoubtedClock]:
        """Returns the terminal where its clock is wrong by more than two good clocks differ."""
        if not self._clock_run:
            return ()
        off_s = int(self._clock_off.total_seconds())
        return [DoubtedClock(self._serial, self._say_off(), self._name_run(self._clock_run), off_s)]

    def _forget(self) -> None:
        chunk_bytes = DATAGRAM_CHUNK_BYTES if self._settings.udp else TABLE_CHUNK_BYTES
        keeps = timedelta(days=self._settings.days)
        self._session = ZkSession(self._comm_key, keeps=keeps, mark=self.mark.read(), chunk_bytes=chunk_bytes)
        self._shown: datetime | None = None  # the terminal's time when it was last asked
        self._next_mark = ""
        self._decoder = Decoder()
        self._events: deque[DeviceEvent] = deque()
        self._heard_ns = self._asked_ns = self._pulled_ns = self._clock()

    def _read_comm_key(self) -> int:
        if not self._settings.key_file:
            return 0
        path = credential_path("key_file", self._settings.key_file)
        text = read_credential("key_file", path, "write the terminal's communication key into it").decode("latin-1")
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise NotSupported(f"key_file: {path} does not hold a number", "write the communication key, digits only")
        return int(text)

    def _ask_what_is_due(self) -> None:
        if self._session.is_waiting:
            return
        now_ns = self._clock()
        if self._session.wants_rows or now_ns - self._pulled_ns > self._settings.pull_s * 1e9:
            self._pulled_ns = now_ns
            self._send(self._session.ask_rows())
        elif now_ns - self._asked_ns > self._settings.clock_s * 1e9:
            self._asked_ns = now_ns
            self._send(self._session.ask_time())

    def _send(self, packet: ZkPacket) -> None:
        if not self._session.is_waiting or packet.command != zk_packets.ZkCommand.ACK_OK:
            self._heard_ns = self._clock()  # its time to answer begins
        encode = zk_packets.encode_packet if self._settings.udp else zk_packets.encode_frame
        data = encode(packet)
        self._show_tap("SEND", data)
        self._line.write(data)

    def _take(self, data: bytes) -> None:
        self._show_tap("RECV", data)
        for packet in [zk_packets.parse_packet(data)] if self._settings.udp else self._decoder.feed(data):
            if isinstance(packet, Fault):
                self._tell(packet.what)
                continue
            try:
                answers, events = self._session.receive(packet)
            except SessionRefused as error:
                raise ProtocolError(f"{self.name}: {error}") from error
            for answer in answers:
                self._send(answer)
            for event in events:
                self._translate(event)

    def _show_tap(self, direction: str, data: bytes) -> None:
        """Shows bytes to the tap, but those that hold people's names, passwords and cards as zeros."""
        if self._tap is not None:
            self._tap(direction, bytes(len(data)) if self._session.is_private else data)

    def _translate(self, event: Event) -> None:
        match event:
            case Punch():
                if self._taken.is_new((self._serial, event.number, event.time)):
                    self._events.append(self._matched(event))
            case Fault(what=what):
                self._tell(what)
            case TerminalNamed(serial=serial):
                self._serial = serial
                if self._settings.serial not in ("", serial):
                    raise ProtocolError(
                        f"{self.name}: another terminal ({serial}) answers at {self._settings.host}",
                        "correct `serial` or `host`",
                    )
            case ClockShown(time=shown):
                self._shown = shown
                self._compare_clock(shown.replace(tzinfo=self._zone))
            case RowsRead():
                self._note_rows(event)

    def _note_rows(self, rows: RowsRead) -> None:
        """Moves the mark to the reading before this one, whose rows have long been recorded."""
        if self._next_mark:
            self.mark.write(self._next_mark)
            self._session.mark = self._next_mark
        self._next_mark = f"{self._serial} {self._shown.isoformat(' ')}" if self._shown else ""
        if rows.is_nearly_full:
            self._tell(f"the terminal's memory is nearly full ({rows.rows} of {rows.room} rows): clear it there")

    def _compare_clock(self, shown: datetime) -> None:
        """Measures the terminal's clock. Nothing is measured while our own is not synchronised."""
        if not self.trusts_wall():
            return
        now = self.wall()
        off = shown - now
        if abs(off) <= AHEAD_MAX:
            self._clock_off, self._clock_run = timedelta(0), ""
        elif not self._clock_run or abs(off - self._clock_off) > SAME_LAG_MAX:
            self._clock_off, self._clock_run = off, now.strftime("%Y-%m-%dT%H:%M:%SZ")
            self._tell(f"rows of {self._serial} are held, {self._say_off()}: set the terminal's clock")

    def _say_off(self) -> str:
        ahead = "ahead of ours" if self._clock_off > timedelta(0) else "behind ours"
        return f"its clock is {abs(int(self._clock_off.total_seconds()))} s {ahead}"

    def _name_run(self, run: str) -> str:
        return f"{self.name} {self._serial} {run}"

    def _matched(self, punch: Punch) -> PersonMatched:
        seen_at = punch.at(self._zone).astimezone(UTC)
        run, off = self._clock_run, self._clock_off
        if not run and self.trusts_wall() and adms.clock_suspect(seen_at, self.wall()):
            run, off = IMPOSSIBLE_RUN, seen_at - self.wall()  # the battery ran out, and somebody set the clock
        return PersonMatched(
            self.name,
            punch.number,
            self._clock(),
            punch.method(self._settings.method),
            seen_at=seen_at,
            clock_suspect=bool(run),
            terminal=self._serial,
            clock_run=run,
            offset_s=int(off.total_seconds()),
        )

    def _tell(self, what: str) -> None:
        self._events.append(StreamFault(self.name, what, self._clock()))
