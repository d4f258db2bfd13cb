"""ZKTeco palm and face terminals that push what they saw over HTTP. See `drivers.protocols.adms`.

    listen = "192.168.1.10:8081"      our address in the terminals' network, and the port set in their menu
    serials = ["BOCK200961014"]       the terminals that may speak; others are turned away

The terminal matches by itself and says a number, its PIN. The serial number is all that tells one terminal from another
and proves nothing, so the port belongs in a network of its own. Pictures and templates are refused: the bodies that
bring them are passed over, answered (or they would come again for ever), and reported.

An answer to rows leaves with the next `read`: a caller that reads again has kept the events. A terminal that gets none
sends again, and what was taken already is passed over. Rows that nobody can read go to `unread`, redacted, and are
answered only when they are stored there.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, ClassVar

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.errors import DeviceGone
from drivers.network.http_callers import LISTEN_PATTERN, CallRate, HttpCallers, HttpReply, peers_of, utc_now
from drivers.network.recent_keys import RecentKeys
from drivers.protocols import adms, adms_access, adms_upload
from drivers.protocols.adms import Call, TimeZoneForm
from drivers.protocols.adms_redaction import redact_row
from drivers.protocols.http import Exchange, HttpRequest
from drivers.protocols.terminal_clock import RowClock, TerminalClock
from drivers.protocols.zk_access import AccessRefusal
from drivers.protocols.zk_attlog import Punch
from drivers.readings import IMPOSSIBLE_RUN, DeviceEvent, FaultCause, PersonMatched, StreamFault
from drivers.terminals import DoubtedClock, offset_errors, read_trusted_wall
from drivers.unread import NoUnreadStore, UnreadRequest, UnreadStore

LIVE_MAX = timedelta(minutes=1)  # a row that is told later speaks of somebody who has gone


class ZkAdmsSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    listen: Annotated[str, Meta(pattern=LISTEN_PATTERN)]
    serials: Annotated[tuple[str, ...], Meta(min_length=1, max_length=16)]
    utc_offset: str = "+05:00"  # of the terminals' clocks
    time_zone_form: TimeZoneForm = TimeZoneForm.OFFSET  # try another when a terminal's clock jumps by hours
    set_clock: bool = True  # set each terminal's clock when it starts
    method: Annotated[str, Meta(pattern="^[a-z]{1,16}$")] = "palm"  # of a way of recognition that is on no list
    silence_s: Annotated[float, Meta(ge=10, le=86_400)] = 90.0  # of one terminal: three times the 30 s it may wait
    requests_per_minute: Annotated[int, Meta(ge=10, le=10_000)] = 600  # from one address
    body_bytes_max: Annotated[int, Meta(ge=1024, le=16 * 1024 * 1024)] = 1024 * 1024


class ZkAdms:
    Settings: ClassVar[type[DriverSettings]] = ZkAdmsSettings

    def __init__(
        self,
        name: str,
        settings: ZkAdmsSettings,
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
        self._callers = HttpCallers(
            name,
            peers_of(settings.listen, transport),
            lambda: Exchange(body_bytes_max=settings.body_bytes_max, unwanted=adms.unwanted),
            self._reply,
            clock=clock,
            wall=self._now,
            tap=tap,
            dates=self._is_trusted,
        )
        self.unread: UnreadStore = NoUnreadStore()
        self._taken = RecentKeys()  # over a reopen too: what was taken stays taken
        self._access_serials: set[str] = set()  # of terminals in access mode
        self._stamps: dict[str, str] = {}
        self._clocks = {serial: TerminalClock() for serial in settings.serials}
        self._heard_ns: dict[str, int] = {}  # by serial; over a reopen too
        self._commands = 0
        self._to_set: dict[str, int] = {}  # terminals whose clock is to be set: number of the command
        self._sent: dict[str, int] = {}  # the command that each was sent and has not answered; over a reopen too
        self._zone = timezone(timedelta(0))
        self._forget()

    def open(self) -> None:
        with offset_errors():
            offset = adms.parse_offset(self._settings.utc_offset)
            adms.time_zone(offset, self._settings.time_zone_form)
        self._callers.open()
        self._taken.forget_given()
        self._forget()
        self._zone = timezone(offset)

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """Answers the peers that were held back, then hears every terminal that speaks.

        Raises DeviceGone once all terminals that had called are silent; `absence` says for how long each of them is.
        """
        self._taken.confirm()
        events = self._callers.read(timeout_s)
        if not events and self._last_call_ns and self._clock() - self._last_call_ns > self._settings.silence_s * 1e9:
            raise DeviceGone(f"{self.name}: no terminal calls: {self.absence()}")
        return events

    def absence(self) -> str:
        """Returns which terminals have not called within `silence_s`, and what to do; empty while all have."""
        now_ns, silence_ns = self._clock(), self._settings.silence_s * 1e9
        gone = [
            f"{serial} has not called {f'for {self._settings.silence_s:.0f} s' if heard_ns else 'yet'}"
            for serial in self._settings.serials
            if not (heard_ns := self._heard_ns.get(serial, 0)) or now_ns - heard_ns > silence_ns
        ]
        if not gone:
            return ""
        return (
            f"{', '.join(gone)}: check its power and its cable, and that its menu names this machine as server; "
            "strike a terminal that is not used from `serials`"
        )

    def doubted_clocks(self) -> Sequence[DoubtedClock]:
        """Returns the terminals whose clocks are not believed."""
        return [
            DoubtedClock(
                serial, clock.doubt, self._name_run(serial, clock.run) if clock.run else "",
                None if clock.offset is None else int(clock.offset.total_seconds()),
            )
            for serial, clock in self._clocks.items()
            if clock.doubt
        ]  # fmt: skip

    def close(self) -> None:
        self._callers.close()

    def _forget(self) -> None:
        self._rate = CallRate(self._settings.requests_per_minute, self._clock)
        self._last_call_ns = 0

    def _reply(self, request: HttpRequest, address: str) -> HttpReply:
        try:
            call = adms.call(request.target)
        except ValueError:
            return self._refuse("a call to an address that is none", 400)
        body = adms_upload.tellable(call.table, request.body)
        head = f"{request.method} {request.target} HTTP/1.1\r\nHost: kiosk\r\nContent-Length: {len(body)}\r\n\r\n"
        self._tell("RECV", head.encode("ascii") + body)
        if not self._rate.allows(address):
            return self._refuse("too many calls from one address; is a terminal at fault, or is somebody trying?", 429)
        if not call.path.startswith("/iclock/"):
            return self._refuse("a call for something that is not here", 404)
        if call.serial not in self._settings.serials:
            return self._refuse(
                f"a terminal that is not in `serials`: {call.serial or 'it gives no serial number'}", 403
            )
        self._note_call(call, with_rows=request.method == "POST" and call.path != "/iclock/devicecmd")
        if adms.unwanted(request.target):
            return HttpReply(events=(self._thrown_away(),))
        if call.access or call.path in adms_access.PATHS:
            self._access_serials.add(call.serial)
        match request.method, call.path:
            case "GET", "/iclock/cdata":
                return self._start(call)
            case "POST", "/iclock/cdata" | "/iclock/querydata":
                return self._take(call, request.body)
            case "GET", "/iclock/getrequest" if call.serial in self._to_set and self._is_trusted():
                number = self._sent[call.serial] = self._to_set.pop(call.serial)
                return HttpReply(adms.set_time(number, self._local()))
            case "GET", "/iclock/rtdata" if call.wants == "time" and self._is_trusted():
                return HttpReply(self._time_reply(call))
            case "POST", "/iclock/devicecmd":
                return HttpReply(events=tuple(self._hear_answers(call, request.body)))
            case "POST", "/iclock/registry":
                return HttpReply(adms_access.registry_reply(call.serial))
            case _, "/iclock/push":
                return HttpReply(adms_access.orders(call.serial))
            case "POST", "/iclock/exchange":
                return self._refuse("a terminal that wants to encrypt: switch that off in its menu", 404)
            case "POST", path if path not in adms.REPORT_PATHS and request.body:
                return self._take(call, request.body)
            case _:
                return HttpReply()

    def _start(self, call: Call) -> HttpReply:
        self._plan_to_set_the_clock(call)
        if call.serial in self._access_serials:
            return HttpReply(adms_access.start_reply(call.serial))
        offset, form = self._zone.utcoffset(None), self._settings.time_zone_form
        stamp = self._stamps.get(call.serial, "")
        return HttpReply(adms.options(call.serial, offset, form, stamp, takes_time=self._is_trusted()))

    def _plan_to_set_the_clock(self, call: Call) -> None:
        """Plans the command that sets the clock, since not every firmware asks for the time. The terminal gets it with
        its next request for commands, once our own clock is synchronised.
        """
        if self._settings.set_clock and self._settings.time_zone_form is not TimeZoneForm.OMIT:
            self._commands += 1
            self._to_set[call.serial] = self._commands

    def _take(self, call: Call, body: bytes) -> HttpReply:
        upload = adms_upload.upload(call.table, body)
        if call.table == "ATTLOG" and call.stamp:
            self._stamps[call.serial] = call.stamp
        events: list[DeviceEvent] = [StreamFault(self.name, fault.what, self._clock()) for fault in upload.faults]
        events += map(self._refused, upload.refusals)
        punches = [punch for punch in upload.punches if self._taken.is_new(adms_upload.row_key(call.serial, punch))]
        clock = self._clocks[call.serial]
        if call.table in ("OPERLOG", "") and adms.tells_new_clock(body):
            clock.note_change()
        row_clock = clock.judge([self._time_of(punch) for punch in punches], read_trusted_wall(self), self._clock())
        matches = [self._matched(punch, call.serial, row_clock) for punch in punches]
        if any(match.clock_suspect for match in matches):
            why = clock.doubt or "a time that cannot be"
            events.append(self._fault(f"rows of {call.serial} are held, {why}: set the terminal's clock"))
            self._plan_to_set_the_clock(call)
        elif clock.doubt:
            events.append(self._fault(f"rows of {call.serial} by a doubted clock: {clock.doubt}"))
        elif matches and clock.is_unsure:
            events.append(self._fault(
                f"rows of hours ago from {call.serial}: if it was not cut off then, its clock is wrong; set it"
            ))  # fmt: skip
        events += matches
        if upload.biometric:
            events.append(self._thrown_away())
        if not self._is_stored(call, upload.unread):
            what = "there is no more room for what is not understood; the terminal keeps it: look at `devices unread`"
            return HttpReply("", 503, (*events, StreamFault(self.name, what, self._clock())))
        return HttpReply(adms_upload.acknowledgement(call, upload), events=tuple(events))

    def _is_stored(self, call: Call, rows: Sequence[str]) -> bool:
        """Stores rows that nobody can read. True when there are none, or they are stored."""
        redacted = tuple(map(redact_row, rows))
        return not rows or self.unread.keep(UnreadRequest(call.serial, call.path, call.table, redacted))

    def reread(self, request: UnreadRequest) -> Sequence[DeviceEvent] | None:
        """Returns the matches in rows that were not understood when they came; None while they still are not."""
        upload = adms_upload.upload(request.table, "\n".join(request.rows).encode("latin-1"))
        return None if upload.unread else [self._matched(punch, request.serial, RowClock()) for punch in upload.punches]

    def _time_of(self, punch: Punch) -> datetime:
        return punch.at(self._zone).astimezone(UTC)

    def _matched(self, punch: Punch, serial: str, row_clock: RowClock) -> PersonMatched:
        seen_at, now = self._time_of(punch), read_trusted_wall(self)
        run, offset = row_clock.run, row_clock.offset
        if not row_clock.suspect and now is not None and adms.clock_suspect(seen_at, now):
            run, offset = IMPOSSIBLE_RUN, seen_at - now  # the battery ran out, and somebody set the clock
        return PersonMatched(
            self.name,
            punch.number,
            self._clock(),
            punch.method(self._settings.method),
            seen_at=seen_at,
            clock_suspect=bool(run),
            terminal=serial,
            clock_run=run,
            offset_s=int(offset.total_seconds()),
        )

    def _name_run(self, serial: str, run: str) -> str:
        return f"{self.name} {serial} {run}"

    def _note_call(self, call: Call, *, with_rows: bool) -> None:
        now_ns = self._clock()
        self._heard_ns[call.serial] = self._last_call_ns = now_ns
        silence_ns = int(self._settings.silence_s * 1e9)
        self._clocks[call.serial].hear(read_trusted_wall(self), now_ns, silence_ns, with_rows=with_rows)

    def _hear_answers(self, call: Call, body: bytes) -> Iterator[DeviceEvent]:
        """Hears what came of our commands; yields a fault where a terminal does not take our time."""
        for number, answer in adms.command_answers(body):
            if self._sent.get(call.serial) != number:
                continue
            del self._sent[call.serial]
            if answer != 0:
                self._clocks[call.serial].refuse_setting(str(answer))
                yield self._fault(f"{call.serial} refuses our time (answer {answer}): set its clock at the terminal")

    def _now(self) -> datetime:
        return self.wall()

    def _is_trusted(self) -> bool:
        return read_trusted_wall(self) is not None

    def _fault(self, what: str) -> StreamFault:
        return StreamFault(self.name, what, self._clock())

    def _refused(self, refusal: AccessRefusal) -> StreamFault:
        """Returns the fault of a person whom the terminal did not let in; they stand there unless it is told late."""
        seen_at = refusal.at(self._zone)
        is_live = seen_at is not None and abs(self.wall() - seen_at) < LIVE_MAX
        what = f"the terminal let somebody not in: {refusal.why}"
        return StreamFault(self.name, what, self._clock(), FaultCause.CARD if is_live else FaultCause.LINE)

    def _thrown_away(self) -> StreamFault:
        what = "pictures or templates of people came and were thrown away: switch their upload off in the terminal"
        return StreamFault(self.name, what, self._clock())

    def _refuse(self, what: str, status: int) -> HttpReply:
        return HttpReply("", status, (StreamFault(self.name, what, self._clock()),))

    def _tell(self, direction: str, data: bytes) -> None:
        """Shows the tap whole requests as if all came on one line, and bodies of TELLABLE_TABLES only."""
        if self._tap is not None:
            self._tap(direction, data)

    def _time_reply(self, call: Call) -> str:
        if call.serial in self._access_serials:
            return adms_access.time_reply(self._local(), self._local().utcoffset() or timedelta(0))
        return adms.time_reply(self._local())

    def _local(self) -> datetime:
        return self.wall().astimezone(self._zone)
