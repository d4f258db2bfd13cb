"""Gates and access control systems that post JSON when somebody passes: Sigur, PERCo-Web, and what can do the like.

    listen = "192.168.1.10:8083"
    auth = "token"                          or basic, or hmac over the body
    secret_file = "gate-token"
    person = "/emp/number"                  where things are, as JSON pointers: see `drivers.protocols.gate_json`
    id = "/id"
    time = "/time"

A call without the secret is told nothing but that. A record is known by its id, or by person and time where the system
gives none: what comes twice counts once. The answer leaves when the readings have been taken; it is 200 only when every
record that counts could be read, so that nothing is lost in silence.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from drivers.base import DriverSettings, Monotonic, Tap, Transport
from drivers.credential_file import credential_path, read_credential
from drivers.errors import DeviceGone, NotSupported
from drivers.network.http_callers import LISTEN_PATTERN, CallRate, HttpCallers, HttpReply, peers_of, utc_now
from drivers.network.recent_keys import RecentKeys
from drivers.protocols import gate_json
from drivers.protocols.adms import clock_suspect, parse_offset
from drivers.protocols.gate_json import GateBodyUnreadable, GateMap, GateOmission, GateRecord, TimeForm
from drivers.protocols.http import Exchange, HttpRequest
from drivers.readings import IMPOSSIBLE_RUN, CardRead, DeviceEvent, FaultCause, PersonMatched, StreamFault
from drivers.terminals import DoubtedClock, offset_errors
from drivers.uid import RejectedNumber, UidEncoding, to_uid

SECRET_BYTES_MIN = 16
CARD_LATE_S = 120.0  # a card that is told later than this has no time of its own that could be kept


Pointer = Annotated[str, Meta(pattern="^(/.{0,200})?$")]
Words = Annotated[str, Meta(max_length=128)]


class GateAuth(StrEnum):
    """The proof that a call is from the system that we know."""

    TOKEN = "token"  # Authorization: Bearer SECRET  # noqa: S105 - a kind, no secret
    BASIC = "basic"  # Authorization: Basic, of user:password
    HMAC = "hmac"  # of the body, by SHA-256


class HttpGateSettings(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    listen: Annotated[str, Meta(pattern=LISTEN_PATTERN)]
    secret_file: Annotated[str, Meta(min_length=1)]  # a plain name stands in the credentials folder
    path: Annotated[str, Meta(pattern="^/[0-9A-Za-z/_.-]{0,100}$")] = "/gate"
    auth: GateAuth = GateAuth.TOKEN
    header: Annotated[str, Meta(pattern="^[0-9A-Za-z-]{0,64}$")] = ""  # that holds it; empty: the usual one
    records: Pointer = ""  # where in the body the list is, or the one object; empty: the body itself
    where: dict[Pointer, tuple[Words, ...]] = {}  # noqa: RUF012 - msgspec copies it; values of records that count
    person: Pointer = ""  # the number of a person, as the roster's credentials of kind terminal have it
    card: Pointer = ""  # the number of a card; used where there is no person
    card_encoding: UidEncoding = UidEncoding.HEX
    id: Pointer = ""  # what is different in each record
    time: Pointer = ""
    time_form: TimeForm = TimeForm.ISO
    utc_offset: str = "+05:00"  # of times without one
    direction_at: Pointer = ""
    directions: dict[Words, Literal["in", "out"]] = {}  # noqa: RUF012 - value → in or out
    only: Literal["", "in", "out"] = ""  # take records of this direction; the others are another reader's
    method: Annotated[str, Meta(pattern="^[a-z]{1,16}$")] = "card"  # how people are recognised there
    method_at: Pointer = ""
    methods: dict[Words, Annotated[str, Meta(pattern="^[a-z]{1,16}$")]] = {}  # noqa: RUF012 - value → way
    silence_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0  # without a call before it counts as gone; 0: no limit
    requests_per_minute: Annotated[int, Meta(ge=10, le=10_000)] = 600  # from one address
    body_bytes_max: Annotated[int, Meta(ge=1024, le=4 * 1024 * 1024)] = 256 * 1024


class HttpGate:
    Settings: ClassVar[type[DriverSettings]] = HttpGateSettings

    def __init__(
        self,
        name: str,
        settings: HttpGateSettings,
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
            lambda: Exchange(body_bytes_max=settings.body_bytes_max, unwanted=self._is_elsewhere),
            self._reply,
            clock=clock,
            wall=self._now,
            tap=tap,
            dates=lambda: self._trusted_now() is not None,
        )
        self._taken = RecentKeys()  # over a reopen too: what was taken stays taken
        self._secret = b""
        self._map: GateMap | None = None
        self._heard_ns = 0  # over a reopen too; 0: never
        self._opened_ns = 0
        self._rate = CallRate(settings.requests_per_minute, clock)

    def open(self) -> None:
        self._map = _gate_map(self._settings)
        self._secret = _secret(self._settings)
        self._callers.open()
        self._taken.forget_given()
        self._opened_ns = self._clock()
        self._rate = CallRate(self._settings.requests_per_minute, self._clock)

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """Answers the callers that were held back, then hears every one that posts."""
        self._taken.confirm()
        events = self._callers.read(timeout_s)
        silence_ns = self._settings.silence_s * 1e9
        if silence_ns and not events and self._clock() - max(self._heard_ns, self._opened_ns) > silence_ns:
            raise DeviceGone(self.absence())
        return events

    def absence(self) -> str:
        """Returns that the system has not called, and what to do; empty once it has, within `silence_s` if set."""
        silence_s = self._settings.silence_s
        is_silent = silence_s > 0 and self._clock() - self._heard_ns > silence_s * 1e9
        if self._heard_ns and not is_silent:
            return ""
        since = f"for {silence_s:.0f} s" if self._heard_ns else "yet"
        return (
            f"no call with the right secret {since}: check the gate's system, the network between, and that its "
            "address for calls is ours"
        )

    def doubted_clocks(self) -> Sequence[DoubtedClock]:
        """Returns nobody: a system tells of gates that were cut off while it tells of others."""
        return ()

    def close(self) -> None:
        self._callers.close()

    def _reply(self, request: HttpRequest, address: str) -> HttpReply:
        path = request.target.partition("?")[0]
        if not self._rate.allows(address):
            return self._refuse("too many calls from one address: is a system at fault, or is somebody trying?", 429)
        if path != self._settings.path:
            return self._refuse(f"a call for something that is not here: post to {self._settings.path}", 404)
        if not self._is_authentic(request):
            self._show(request, b"")
            return self._refuse("a call without the secret of `secret_file`: enter it in the gate's system", 401)
        self._heard_ns = self._clock()
        if request.method == "GET":
            return HttpReply(f"post records here: {self._settings.path}\n")
        return self._take(request)

    def _take(self, request: HttpRequest) -> HttpReply:
        assert self._map is not None, "nobody calls before it is open"
        try:
            records = gate_json.read_records(request.body, self._map)
        except GateBodyUnreadable as error:
            self._show(request, b"")
            return self._refuse(str(error), 400)
        self._show(request, _tellable(records))
        events: list[DeviceEvent] = []
        said: list[str] = []
        for number, record in enumerate(records, 1):
            for event in self._told(record):
                events.append(event)
                if isinstance(event, StreamFault):
                    said.append(f"record {number}: {event.what}\n")
        return HttpReply("".join(said) or "OK", 422 if said else 200, tuple(events))

    def _told(self, record: GateRecord | GateOmission) -> Iterator[DeviceEvent]:
        if isinstance(record, GateOmission):
            yield self._fault(record.why, FaultCause.SETTINGS)
            return
        only = self._settings.only
        if only and record.direction != only:
            return
        key = record.record_id or (record.person, record.card, record.at)
        if key in self._taken:
            return
        event = self._person(record) if record.person else self._card(record)
        if not isinstance(event, StreamFault):
            self._taken.is_new(key)
        yield event
        if isinstance(event, CardRead):  # the system has made sure of it
            yield CardRead(self.name, event.uid, event.monotonic_ns, again=True)

    def _person(self, record: GateRecord) -> PersonMatched:
        method = record.method or self._settings.method
        if record.at is None:
            return PersonMatched(self.name, record.person, self._clock(), method)
        now = self._trusted_now()
        cannot_be = now is not None and clock_suspect(record.at, now)
        ahead = record.at - now if now is not None and cannot_be else timedelta(0)
        return PersonMatched(
            self.name,
            record.person,
            self._clock(),
            method,
            seen_at=record.at,
            clock_suspect=cannot_be,
            terminal=self.name,
            clock_run=IMPOSSIBLE_RUN if cannot_be else "",
            offset_s=int(ahead.total_seconds()),
        )

    def _now(self) -> datetime:
        return self.wall()

    def _trusted_now(self) -> datetime | None:
        """Returns our time; None while it is not synchronised."""
        return self.wall() if self.trusts_wall() else None

    def _card(self, record: GateRecord) -> CardRead | StreamFault:
        if record.at is not None and abs((self.wall() - record.at).total_seconds()) > CARD_LATE_S:
            return self._fault("a card that is told late has no time of its own: let the system send person numbers")
        uid = to_uid(record.card, self._settings.card_encoding)
        if isinstance(uid, RejectedNumber):
            return self._fault(uid.why, uid.cause)
        return CardRead(self.name, uid, self._clock())

    def _is_authentic(self, request: HttpRequest) -> bool:
        settings = self._settings
        header = (settings.header or ("X-Signature" if settings.auth is GateAuth.HMAC else "Authorization")).lower()
        said = request.headers.get(header, "")
        match settings.auth:
            case GateAuth.HMAC:
                return gate_json.is_signed(request.body, said, self._secret)
            case GateAuth.BASIC:
                return gate_json.is_token(said, "Basic", self._secret)
            case GateAuth.TOKEN:
                return gate_json.is_token(said, "" if settings.header else "Bearer", self._secret)

    def _is_elsewhere(self, target: str) -> bool:
        return target.partition("?")[0] != self._settings.path

    def _show(self, request: HttpRequest, body: bytes) -> None:
        """Shows the tap a request without its secret, and of its records what the map names."""
        if self._tap is not None:
            head = (
                f"{request.method} {self._settings.path} HTTP/1.1\r\nHost: kiosk\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            self._tap("RECV", head.encode("ascii") + body)

    def _refuse(self, what: str, status: int) -> HttpReply:
        return HttpReply(what + "\n", status, (self._fault(what),))

    def _fault(self, what: str, cause: FaultCause = FaultCause.LINE) -> StreamFault:
        return StreamFault(self.name, what, self._clock(), cause)


def _gate_map(settings: HttpGateSettings) -> GateMap:
    if not settings.person and not settings.card:
        raise NotSupported("person: neither `person` nor `card` is set", "name where a record holds one of them")
    if not settings.id and not settings.time:
        raise NotSupported("id: neither `id` nor `time` is set", "name one, or what is sent twice would count twice")
    if settings.only and not (settings.direction_at and settings.directions):
        raise NotSupported(
            "only: needs `direction_at` and `directions`", "name where a record holds it, and its values"
        )
    with offset_errors():
        zone = timezone(parse_offset(settings.utc_offset))
    return GateMap(
        zone,
        settings.records,
        settings.person,
        settings.card,
        settings.id,
        settings.time,
        settings.time_form,
        settings.direction_at,
        settings.directions,
        settings.method_at,
        settings.methods,
        settings.where,
    )


def _secret(settings: HttpGateSettings) -> bytes:
    path = credential_path("secret_file", settings.secret_file)
    secret = read_credential("secret_file", path, "write the secret into it")
    if len(secret) < SECRET_BYTES_MIN:
        raise NotSupported(
            f"secret_file: {path} holds fewer than {SECRET_BYTES_MIN} characters",
            "draw one: openssl rand -hex 32",
        )
    return secret


def _tellable(records: Sequence[GateRecord | GateOmission]) -> bytes:
    rows = [
        {
            "id": record.record_id,
            "person": record.person,
            "card": record.card,
            "time": record.at and record.at.isoformat(),
        }
        for record in records
        if isinstance(record, GateRecord)
    ]
    return json.dumps(rows).encode()
