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
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.credential_file import credential_path, read_credential
from drivers.errors import DeviceGone, NotSupported
from drivers.network.http_callers import LISTEN_PATTERN, CallRate, HttpCallers, HttpReply, peers_of, utc_now
from drivers.network.recent_keys import RecentKeys
from drivers.network.terminal_visit import TerminalServer, TerminalVisit, VisitOutcome, VisitPlan
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
from drivers.protocols.isapi import ISAPI_BYTES_MAX, EventListener
from drivers.protocols.multipart import JsonPartSieve, boundary_of
from drivers.readings import DeviceEvent, FaultCause, PersonMatched, StreamFault

FRESH_MAX = timedelta(minutes=2)  # an event that has just happened is not further from our time
REVISIT_S = 60.0  # a silent terminal is asked again after so long
LOCKED_OUT_S = 3600.0  # and one that refused the password, since it locks the account after a few
OVERLAP = timedelta(minutes=1)  # by which a search begins before the newest event that was taken


class HikvisionTerminal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One terminal of a reader's table. Without `address` it is listened to and never asked."""

    serial: Annotated[str, Meta(pattern="^[0-9A-Za-z_-]{4,64}$")]
    address: Annotated[str, Meta(pattern="^[0-9A-Za-z.:-]{0,64}$")] = ""


class HikvisionSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    listen: Annotated[str, Meta(pattern=LISTEN_PATTERN)]
    terminals: Annotated[tuple[HikvisionTerminal, ...], Meta(min_length=1, max_length=16)]
    user: str = "admin"
    password_file: str = ""  # a plain name stands in the credentials folder
    tls: bool = False  # the terminal is asked by HTTPS; its own certificate is believed
    host_id: Annotated[int, Meta(ge=1, le=8)] = 1  # the line of the terminal's list of servers that is ours
    utc_offset: str = "+05:00"  # of times that come without one
    passes: tuple[int, ...] = ()  # more codes of events in which a person was recognised
    method: Annotated[str, Meta(pattern="^[a-z]{1,16}$")] = "face"  # of those codes
    heartbeat_s: Annotated[int, Meta(ge=1, le=30)] = 30  # how often a terminal shows that it lives
    silence_s: Annotated[float, Meta(ge=10, le=86_400)] = 90.0  # of a terminal, before it counts as gone
    check_s: Annotated[float, Meta(ge=30, le=86_400)] = 300.0  # how often a terminal is asked if it still posts to us
    catch_up_h: Annotated[float, Meta(ge=0, le=168)] = 12.0  # how far back the first search goes; 0: no search
    requests_per_minute: Annotated[int, Meta(ge=10, le=10_000)] = 600  # from one address
    body_bytes_max: Annotated[int, Meta(ge=1024, le=1024 * 1024)] = 64 * 1024  # of JSON; pictures do not count


@dataclass(slots=True)
class _TerminalState:
    """One terminal as this reader knows it. Times are of the monotonic clock, in nanoseconds."""

    terminal: HikvisionTerminal
    heard_ns: int
    visit_due_ns: int
    needs_visit: bool = False  # before that
    visit: TerminalVisit | None = None
    last_serial_no: int = 0
    newest_at: datetime | None = None  # of an event that was taken
    is_silent: bool = False
    told_no_history: bool = False


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
        self._settings, self._clock, self._tap, self._wall = settings, clock, tap, wall
        self._connect = connect or self._connect_by_digest
        self._callers = HttpCallers(
            name,
            peers_of(settings.listen, transport),
            lambda: Exchange(body_bytes_max=settings.body_bytes_max, unwanted=_unwanted, sieve=_sieve),
            self._reply,
            clock=clock,
            wall=wall,
            tap=tap,
        )
        self._taken = RecentKeys()  # over a reopen too: what was taken stays taken
        self._newest: dict[str, datetime] = {}
        self._meaning = Meaning(timezone(timedelta(0)))
        self._states: dict[str, _TerminalState] = {}
        self._password = ""
        self._rate = CallRate(settings.requests_per_minute, clock)

    def open(self) -> None:
        settings = self._settings
        try:
            zone = timezone(parse_offset(settings.utc_offset))
        except ValueError as error:
            raise NotSupported(f"utc_offset: {error}; accepted: an offset such as +05:00") from error
        self._meaning = Meaning(zone, frozenset(settings.passes), settings.method)
        if any(terminal.address for terminal in settings.terminals):
            self._prepare_to_ask()
        self._callers.open()
        now_ns = self._clock()
        self._states = {
            terminal.serial: _TerminalState(terminal, now_ns, now_ns, newest_at=self._newest.get(terminal.serial))
            for terminal in settings.terminals
        }
        self._rate = CallRate(settings.requests_per_minute, self._clock)

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """Answers the terminals that were held back, then hears every one that posts; visits those that need it."""
        events = self._callers.read(timeout_s)
        now_ns = self._clock()
        for state in self._states.values():
            events += self._end_visit(state, now_ns)
            self._begin_visit(state, now_ns)
            events += self._watch_silence(state, now_ns)
        if not events and self._states and all(state.is_silent for state in self._states.values()):
            raise DeviceGone(
                f"{self.name}: no terminal has posted for {self._settings.silence_s:.0f} s: check its power and its "
                "cable, and that its HTTP listening names this machine"
            )
        return events

    def close(self) -> None:
        self._callers.close()
        for state in self._states.values():
            if state.visit is not None:
                state.visit.cancel()

    def _prepare_to_ask(self) -> None:
        settings = self._settings
        if not settings.password_file:
            raise NotSupported(
                "password_file: a terminal with an address is asked, and wants a password",
                "name the file, or leave `address` out and enter our address in the terminal's page",
            )
        if settings.listen.startswith(("0.0.0.0:", "localhost:")):
            raise NotSupported(
                "listen: a terminal is told where to post, so the address itself must stand here",
                "write our address in the terminals' network",
            )
        path = credential_path("password_file", settings.password_file)
        self._password = read_credential("password_file", path, "write the terminal's password into it").decode(
            "utf-8", "replace"
        )

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
        state = self._states.get(path.removeprefix(hikvision.EVENT_PATH).strip("/"))
        if state is None:
            return self._refuse("a terminal that is not in `terminals`: add its serial number", 403)
        host = state.terminal.address.partition(":")[0]
        if host and address and address != host:
            return self._refuse("a call for a terminal from another address than its own: correct `terminals`", 403)
        try:
            notices = hikvision.read_body(request.body, self._meaning)
        except NoticeUnreadable as error:
            return self._refuse(str(error), 400)
        if any(short and not state.terminal.serial.endswith(short) for _, short in notices):
            return self._refuse("another terminal posts to this address: give each its own", 403)
        state.heard_ns = self._clock()
        state.is_silent = False
        return HttpReply(events=tuple(event for notice, _ in notices for event in self._told(state, notice)))

    def _told(self, state: _TerminalState, notice: Notice) -> Iterator[DeviceEvent]:
        """Yields the events of a notice that was posted, and makes up for those that are missing before it."""
        last, number = state.last_serial_no, notice.serial_no
        if number and last and number > last + 1:
            state.needs_visit = True
            yield self._fault(
                f"{number - last - 1} events of a terminal did not come: it is asked for them if it may be"
            )
        if number:
            state.last_serial_no = number
        yield from self._events(state, notice)

    def _events(self, state: _TerminalState, notice: Notice) -> Iterator[DeviceEvent]:
        match notice:
            case RecognisedEvent():
                yield from self._matched(state, notice)
            case RefusedEvent(why=why):
                yield self._fault(f"{why}: use a card, or enter the person in the terminal", FaultCause.CARD)
            case UnreadEvent(why=why):
                yield self._fault(why, FaultCause.SETTINGS)
            case LifeSign():
                pass

    def _matched(self, state: _TerminalState, match: RecognisedEvent) -> Iterator[DeviceEvent]:
        if not self._taken.is_new((state.terminal.serial, match.serial_no, match.number, match.at)):
            return
        now = self._wall()
        is_wrong = clock_suspect(match.at, now)
        if match.is_fresh is True and abs(match.at - now) > FRESH_MAX:
            is_wrong = True
            yield self._fault("an event of this moment at another time: set the terminal's clock, and this machine's")
        if state.newest_at is None or match.at > state.newest_at:
            state.newest_at = self._newest[state.terminal.serial] = min(match.at, now)
        yield PersonMatched(
            self.name, match.number, self._clock(), match.method, seen_at=match.at, clock_suspect=is_wrong
        )

    def _begin_visit(self, state: _TerminalState, now_ns: int) -> None:
        is_due = state.needs_visit or now_ns >= state.visit_due_ns
        if not state.terminal.address or state.visit is not None or not is_due:
            return
        state.needs_visit = False
        settings, now = self._settings, self._wall()
        since = until = None
        if settings.catch_up_h and not state.told_no_history:
            earliest = now - timedelta(hours=settings.catch_up_h)
            since = (state.newest_at - OVERLAP if state.newest_at else earliest).astimezone(self._meaning.zone)
            until = (now + timedelta(days=1)).astimezone(self._meaning.zone)
        host, _, port = settings.listen.rpartition(":")
        serial, address = state.terminal.serial, state.terminal.address
        listener = EventListener(settings.host_id, hikvision.EVENT_PATH + serial, host, int(port), settings.heartbeat_s)
        state.visit = TerminalVisit(
            VisitPlan(serial, listener, self._meaning, since, until), lambda: self._connect(address)
        )
        state.visit.start()

    def _end_visit(self, state: _TerminalState, now_ns: int) -> Iterator[DeviceEvent]:
        outcome = state.visit.outcome if state.visit is not None else None
        if outcome is None:
            return
        state.visit = None
        state.visit_due_ns = now_ns + int(self._next_visit_s(state, outcome) * 1e9)
        if outcome.failure is not None:
            yield self._fault(str(outcome.failure))
        if outcome.was_set:
            yield self._fault("a terminal had lost our address, and has it again")
        if outcome.has_no_history and not state.told_no_history:
            state.told_no_history = True
            yield self._fault("a terminal gives no past events: what it did not post stands in its own list only")
        for notice in outcome.notices:
            if isinstance(notice, RecognisedEvent):
                yield from self._matched(state, notice)

    def _next_visit_s(self, state: _TerminalState, outcome: VisitOutcome) -> float:
        if isinstance(outcome.failure, NotSupported):
            return LOCKED_OUT_S
        return REVISIT_S if outcome.failure is not None or state.is_silent else self._settings.check_s

    def _watch_silence(self, state: _TerminalState, now_ns: int) -> Iterator[DeviceEvent]:
        if state.is_silent or now_ns - state.heard_ns <= self._settings.silence_s * 1e9:
            return
        state.is_silent = True
        state.needs_visit = True
        if len(self._states) > 1:
            yield self._fault(f"terminal …{state.terminal.serial[-9:]} is silent: check its power and its cable")

    def _refuse(self, what: str, status: int) -> HttpReply:
        return HttpReply(what + "\n", status, (self._fault(what),))

    def _fault(self, what: str, cause: FaultCause = FaultCause.LINE) -> StreamFault:
        return StreamFault(self.name, what, self._clock(), cause)


def _unwanted(target: str) -> bool:
    return not target.startswith(hikvision.EVENT_PATH)


def _sieve(content_type: str) -> JsonPartSieve | None:
    boundary = boundary_of(content_type)
    return JsonPartSieve(boundary) if boundary else None
