"""Hikvision access terminals (DS-K1T, MinMoe) that post their events. See `drivers.protocols.hikvision`.

    listen = "192.168.1.10:8082"      our address in the terminals' network
    terminals = [{ serial = "DS-K1T341AM20220210V030230ENGA6820584", address = "192.168.1.31" }]
    password_file = "hikvision-password"

The terminal matches by itself and says an employee number. Its own serial number stands in the address to which it
posts, `/hikvision/SERIAL`, and which we write into it: a terminal whose `address` is known is asked who it is, whether
it still posts to us (some forget it when they start), and which events it has kept. Pictures are let go unread.

An answer to events leaves with the next `read`: a caller that reads again has taken them. A terminal that gets none
sends again, and what was taken already is passed over.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import ClassVar

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.errors import DeviceGone
from drivers.network.checkup_schedule import CheckupSchedule
from drivers.network.hikvision_settings import HikvisionSettings, read_password
from drivers.network.http_callers import CallRate, HttpCallers, HttpReply, peers_of, utc_now
from drivers.network.recent_keys import RecentKeys
from drivers.network.terminal_checkup import TerminalServer
from drivers.protocols import hikvision
from drivers.protocols.adms import clock_suspect, parse_offset
from drivers.protocols.hikvision import (
    LifeSign,
    Meaning,
    Notice,
    NoticeUnreadable,
    RecognisedEvent,
    RefusedEvent,
    UnreadEvent,
)
from drivers.protocols.http import Exchange, HttpRequest
from drivers.protocols.isapi import ISAPI_BYTES_MAX
from drivers.protocols.multipart import JsonPartSieve, boundary_of
from drivers.protocols.terminal_clock import LATE_MAX, RowClock, TerminalClock
from drivers.readings import IMPOSSIBLE_RUN, DeviceEvent, FaultCause, PersonMatched, StreamFault
from drivers.terminals import DoubtedClock, offset_errors, read_trusted_wall
from drivers.unread import NoUnreadStore, UnreadRequest, UnreadStore


class Hikvision:
    Settings: ClassVar[type[DriverSettings]] = HikvisionSettings

    def __init__(
        self,
        name: str,
        settings: HikvisionSettings,
        *,
        clock: Monotonic = time.monotonic_ns,
        tap: Tap | None = None,
        transport: Transport | None = None,
        wall: Callable[[], datetime] = utc_now,
        connect: Callable[[str], TerminalServer] | None = None,
    ) -> None:
        self.name = name
        self._settings, self._clock, self._tap = settings, clock, tap
        self.wall = wall
        self.trusts_wall: Callable[[], bool] = lambda: True
        self.unread: UnreadStore = NoUnreadStore()
        self._connect = connect or self._connect_by_digest
        self._callers = HttpCallers(
            name,
            peers_of(settings.listen, transport),
            lambda: Exchange(body_bytes_max=settings.body_bytes_max, unwanted=_unwanted, sieve=_sieve),
            self._reply,
            clock=clock,
            wall=self._now,
            tap=tap,
            dates=lambda: read_trusted_wall(self) is not None,
        )
        self._taken = RecentKeys()  # over a reopen too: what was taken stays taken
        self._schedules = {
            terminal.serial: CheckupSchedule(terminal, settings, self._connect) for terminal in settings.terminals
        }
        self._heard_ns: dict[str, int] = {}  # by serial; over a reopen too
        self._clocks = {terminal.serial: TerminalClock() for terminal in settings.terminals}
        self._meaning = Meaning(timezone(timedelta(0)))
        self._opened_ns = 0
        self._last_serial_nos: dict[str, int] = {}
        self._password = ""
        self._rate = CallRate(settings.requests_per_minute, clock)

    def open(self) -> None:
        settings = self._settings
        with offset_errors():
            zone = timezone(parse_offset(settings.utc_offset))
        self._meaning = Meaning(zone, frozenset(settings.passes), settings.method)
        if any(terminal.address for terminal in settings.terminals):
            self._password = read_password(settings)
        self._callers.open()
        self._taken.forget_given()
        self._opened_ns = self._clock()
        self._last_serial_nos.clear()
        self._rate = CallRate(settings.requests_per_minute, self._clock)

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """Answers the terminals that were held back, then hears all that post, and looks after them."""
        self._taken.confirm()
        events = self._callers.read(timeout_s)
        now_ns = self._clock()
        for serial, schedule in self._schedules.items():
            events += self._end_checkup(schedule, now_ns)
            schedule.begin(self.wall(), now_ns, self._meaning, is_silent=self._is_silent(serial, now_ns))
        if not events and all(self._is_silent(serial, now_ns) for serial in self._schedules):
            raise DeviceGone(self.absence())
        return events

    def absence(self) -> str:
        """Returns which terminals have not posted within `silence_s`, and what to do; empty while all have."""
        now_ns, silence_s = self._clock(), self._settings.silence_s
        gone = [
            f"…{terminal.serial[-9:]} has not posted {f'for {silence_s:.0f} s' if heard_ns else 'yet'}"
            for terminal in self._settings.terminals
            if not (heard_ns := self._heard_ns.get(terminal.serial, 0)) or now_ns - heard_ns > silence_s * 1e9
        ]
        if not gone:
            return ""
        return (
            f"{', '.join(gone)}: check its power and its cable, and that its HTTP listening names this machine; "
            "strike a terminal that is not used from `terminals`"
        )

    def doubted_clocks(self) -> Sequence[DoubtedClock]:
        """Returns the terminals whose clocks are not believed."""
        return [
            DoubtedClock(
                serial,
                clock.doubt,
                f"{self.name} {serial} {clock.run}" if clock.run else "",
                None if clock.offset is None else int(clock.offset.total_seconds()),
            )
            for serial, clock in self._clocks.items()
            if clock.doubt
        ]

    def reread(self, request: UnreadRequest) -> Sequence[DeviceEvent] | None:
        """Returns the matches in events that were not understood when they came; None while they still are not."""
        notices = [notice for row in request.rows for notice, _ in hikvision.read_body(row.encode(), self._meaning)]
        if any(isinstance(notice, UnreadEvent) for notice in notices):
            return None
        return [
            self._match(request.serial, notice, RowClock()) for notice in notices if isinstance(notice, RecognisedEvent)
        ]

    def close(self) -> None:
        self._callers.close()
        for schedule in self._schedules.values():
            schedule.cancel()

    def _connect_by_digest(self, address: str) -> TerminalServer:
        from drivers.transports.digest_http import DigestHttp  # the library is imported where a terminal is asked

        settings = self._settings
        return DigestHttp(address, settings.user, self._password, tls=settings.tls, bytes_max=ISAPI_BYTES_MAX)

    def _reply(self, request: HttpRequest, address: str) -> HttpReply:
        path = request.target.partition("?")[0]
        if self._tap is not None:
            body = hikvision.tellable(request.body)
            head = f"{request.method} {path} HTTP/1.1\r\nHost: kiosk\r\nContent-Length: {len(body)}\r\n\r\n"
            self._tap("RECV", head.encode("ascii") + body)
        if not self._rate.allows(address):
            return self._refuse("too many calls from one address: is a terminal at fault, or is somebody trying?", 429)
        if request.method != "POST" or not path.startswith(hikvision.EVENT_PATH):
            return self._refuse(
                f"a call for something that is not here: a terminal posts to {hikvision.EVENT_PATH}SERIAL", 404
            )
        schedule = self._schedules.get(path.removeprefix(hikvision.EVENT_PATH).strip("/"))
        if schedule is None:
            return self._refuse("a terminal that is not in `terminals`: add its serial number", 403)
        host = schedule.terminal.address.partition(":")[0]
        if host and address and address != host:
            return self._refuse("a call for a terminal from another address than its own: correct `terminals`", 403)
        try:
            notices = hikvision.read_body(request.body, self._meaning)
        except NoticeUnreadable as error:
            return self._refuse(str(error), 400)
        if any(short and not schedule.terminal.serial.endswith(short) for _, short in notices):
            return self._refuse("another terminal posts to this address: give each its own", 403)
        serial = schedule.terminal.serial
        matches = [notice for notice, _ in notices if isinstance(notice, RecognisedEvent)]
        self._note_call(serial, matches)
        if not self._is_stored(serial, [notice for notice, _ in notices], request.body):
            return self._refuse("no more room for what is not understood: look at `devices unread`", 503)
        times = [match.at for match in matches if match.is_fresh is not False]  # the others are late, it says
        row_clock = self._clocks[serial].judge(times, read_trusted_wall(self), self._clock())
        told = [event for notice, _ in notices for event in self._told(schedule, notice, row_clock)]
        if row_clock.suspect and matches:
            told.insert(
                0, self._fault(f"events of …{serial[-9:]} are held, {self._clocks[serial].doubt}: set its clock")
            )
        return HttpReply(events=tuple(told))

    def _note_call(self, serial: str, matches: Sequence[RecognisedEvent]) -> None:
        now, now_ns, clock = read_trusted_wall(self), self._clock(), self._clocks[serial]
        self._heard_ns[serial] = now_ns
        clock.hear(now, now_ns, int(self._settings.silence_s * 1e9), with_rows=bool(matches))
        if now is not None and any(match.is_fresh and now - match.at > LATE_MAX for match in matches):
            clock.doubt = "it says of an event of now that it was long ago"

    def _is_stored(self, serial: str, notices: Sequence[Notice], body: bytes) -> bool:
        """Stores a post with an event that nobody can read. True where there is none, or it is stored."""
        if not any(isinstance(notice, UnreadEvent) for notice in notices):
            return True
        rows = tuple(row.decode("ascii") for row in hikvision.storable(body))
        return self.unread.keep(UnreadRequest(serial, hikvision.EVENT_PATH, "AccessControllerEvent", rows))

    def _told(self, schedule: CheckupSchedule, notice: Notice, row_clock: RowClock) -> Iterator[DeviceEvent]:
        """Yields the events of a notice that was posted, and makes up for those that are missing before it."""
        serial, number = schedule.terminal.serial, notice.serial_no
        last = self._last_serial_nos.get(serial, 0)
        if number and last and number > last + 1:
            schedule.needs_checkup = True
            yield self._fault(
                f"{number - last - 1} events of a terminal did not come: it is asked for them if it may be"
            )
        if number:
            self._last_serial_nos[serial] = number
        match notice:
            case RecognisedEvent():
                yield from self._matched(schedule, notice, row_clock)
            case RefusedEvent(why=why, is_fresh=is_fresh):
                cause = FaultCause.LINE if is_fresh is False else FaultCause.CARD  # told late, nobody stands there
                yield self._fault(f"{why}: use a card, or enter the person in the terminal", cause)
            case UnreadEvent(why=why):
                yield self._fault(why, FaultCause.SETTINGS)
            case LifeSign():
                pass

    def _matched(self, schedule: CheckupSchedule, match: RecognisedEvent, row_clock: RowClock) -> Iterator[DeviceEvent]:
        serial = schedule.terminal.serial
        if not self._taken.is_new((serial, match.serial_no, match.number, match.at)):
            return
        schedule.note_event(match.at, self.wall())
        yield self._match(serial, match, row_clock)

    def _match(self, serial: str, match: RecognisedEvent, row_clock: RowClock) -> PersonMatched:
        now, run, offset = read_trusted_wall(self), row_clock.run, row_clock.offset
        if not row_clock.suspect and now is not None and clock_suspect(match.at, now):
            run, offset = IMPOSSIBLE_RUN, match.at - now
        return PersonMatched(
            self.name,
            match.number,
            self._clock(),
            match.method,
            seen_at=match.at,
            clock_suspect=bool(run),
            terminal=serial,
            clock_run=run,
            offset_s=int(offset.total_seconds()),
        )

    def _end_checkup(self, schedule: CheckupSchedule, now_ns: int) -> Iterator[DeviceEvent]:
        outcome = schedule.end(now_ns)
        if outcome is None:
            return
        if outcome.failure is not None:
            yield self._fault(str(outcome.failure))
        if outcome.was_set and schedule.was_ours:
            yield self._fault("a terminal had lost our address, and has it again")
        schedule.was_ours = schedule.was_ours or outcome.failure is None
        if outcome.has_no_history and not schedule.has_no_history:
            schedule.has_no_history = True
            yield self._fault("a terminal gives no past events: what it did not post stands in its own list only")
        row_clock = self._clocks[schedule.terminal.serial].judge((), None, now_ns)  # as its last posts showed it
        for notice in outcome.notices:
            if isinstance(notice, RecognisedEvent):
                yield from self._matched(schedule, notice, row_clock)

    def _is_silent(self, serial: str, now_ns: int) -> bool:
        heard_ns = max(self._heard_ns.get(serial, 0), self._opened_ns)
        return now_ns - heard_ns > self._settings.silence_s * 1e9

    def _now(self) -> datetime:
        return self.wall()

    def _refuse(self, what: str, status: int) -> HttpReply:
        return HttpReply(what + "\n", status, (self._fault(what),))

    def _fault(self, what: str, cause: FaultCause = FaultCause.LINE) -> StreamFault:
        return StreamFault(self.name, what, self._clock(), cause)


def _unwanted(target: str) -> bool:
    return not target.startswith(hikvision.EVENT_PATH)


def _sieve(content_type: str) -> JsonPartSieve | None:
    boundary = boundary_of(content_type)
    return JsonPartSieve(boundary) if boundary else None
