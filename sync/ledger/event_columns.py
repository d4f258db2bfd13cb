"""The columns of an event, read out of its bytes: for reports and flags, with a reason where a person should check it.

The bytes decide nothing about being stored: a line that cannot be read is stored like any other, with a reason.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sync.contract.chain import Epoch, Hash
from sync.contract.event import (
    PAYLOAD_BYTES_MAX,
    Carried,
    ClockQuality,
    Entry,
    Event,
    Manual,
    Refusal,
    Sighting,
    UnreadableEvent,
    Void,
    decode,
)
from sync.contract.wire import INT_MAX, parse_epoch

# Nothing of this product is older; a kiosk whose clock lost its battery says 1970 or the image's build date.
_EARLIEST = "2020-01-01"
_FUTURE = timedelta(days=1)
_UTC_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class OddEvent:
    """An event that a person should check: it goes to the quarantine list, and is acknowledged all the same."""

    seq: int
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CarriedEvent:
    """A carried event under its old identity, and the event that carried it."""

    epoch: Epoch
    seq: int
    hash: Hash
    payload: bytes
    kind: str
    day: str
    flags: str
    by_seq: int


@dataclass(frozen=True, slots=True)
class EventColumns:
    """The columns of a run of events, in their order; one entry an event in the three lists."""

    kinds: list[str]
    days: list[str]
    flags: list[str]
    odd: tuple[OddEvent, ...]
    carried: tuple[CarriedEvent, ...]
    people: dict[str, int]  # person id → the first event of this run that names them


def read_columns(
    payloads: Sequence[bytes],
    first_seq: int,
    *,
    school: str,
    epoch: Epoch,
    now: datetime,
    tombstones: Container[int] = (),
) -> EventColumns:
    """Returns the columns of a run of events. `tombstones`: the numbers at which one stands instead of a payload."""
    reader = _EventReader(school, now)
    kinds, days, flags = [], [], []
    odd: list[OddEvent] = []
    carried: list[CarriedEvent] = []
    people: dict[str, int] = {}
    for seq, payload in enumerate(payloads, first_seq):
        event: Event | None = None
        if seq in tombstones:
            kind, day, flag = "tombstone", "", ""
            oddity: _Oddity | None = ("tombstone", payload[:200].decode("utf-8", "replace"))
        else:
            kind, day, flag, oddity, event = reader.read(payload)
        if isinstance(event, Sighting):
            if event.person not in people:
                if "\0" in event.person:
                    oddity = ("unreadable", "a person id with a zero byte")
                elif event.person:
                    people[event.person] = seq
        elif isinstance(event, Carried):
            unpacked, oddity = _unpack(event, seq, reader)
            if unpacked is not None:
                carried.append(unpacked)
        elif isinstance(event, Void) and event.void_epoch == epoch and event.void_seq >= seq:
            oddity = ("orphan", f"voids event {event.void_seq}, which had not happened yet")
        kinds.append(kind)
        days.append(day)
        flags.append(flag)
        if oddity is not None:
            odd.append(OddEvent(seq, oddity[0], oddity[1].replace("\0", "␀")))  # PostgreSQL's text holds no zero byte
    return EventColumns(kinds, days, flags, tuple(odd), tuple(carried), people)


_Oddity = tuple[str, str]  # code and detail


class _EventReader:
    """Reads payloads of one school at one moment. Written for speed: a backlog of weeks comes through here."""

    def __init__(self, school: str, now: datetime) -> None:
        self._school = school
        self._latest = (now.astimezone(UTC) + _FUTURE).strftime("%Y-%m-%dT%H:%M:%S")
        self._days: set[str] = set()  # whose form was checked before

    def read(self, payload: bytes) -> tuple[str, str, str, _Oddity | None, Event | None]:
        """Returns kind, day, flags, the reason why a person should check it, and the event."""
        if len(payload) > PAYLOAD_BYTES_MAX:
            return "", "", "", ("oversize", f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} are agreed"), None
        try:
            event = decode(payload)
        except UnreadableEvent as error:
            return "", "", "", ("unreadable", str(error)[:200]), None
        recorded = event.at
        oddity: _Oddity | None = None
        day = recorded[:10]
        if _UTC_TEXT.fullmatch(recorded) is None:
            day, oddity = "", ("bad-time", f"at {recorded[:40]!r} is no UTC time")
        if isinstance(event, Sighting) and event.service_date:
            if event.service_date in self._days or _DAY.fullmatch(event.service_date):
                day = event.service_date
                self._days.add(day)
            else:
                oddity = ("bad-time", f"service_date {event.service_date[:40]!r} is no date")
        if event.school != self._school:
            oddity = ("other-school", f"says school {event.school[:64]!r}, the device is of {self._school!r}")
        flags = ""
        if (
            not _EARLIEST <= recorded <= self._latest
            or event.clock is not ClockQuality.SYNCHRONISED
            or getattr(event, "review", False)
        ):
            flags = ",".join(self._flags(event))
        return event.__struct_config__.tag, day, flags, oddity, event  # type: ignore[return-value]  # tags are texts here

    def _flags(self, event: Event) -> Iterator[str]:
        if event.at < _EARLIEST:
            yield "past"
        elif event.at > self._latest:
            yield "future"
        if event.clock is not ClockQuality.SYNCHRONISED:
            yield "clock"
        if isinstance(event, Entry | Manual | Refusal) and event.review:
            yield "review"


def _unpack(wrapping: Carried, seq: int, reader: _EventReader) -> tuple[CarriedEvent | None, _Oddity | None]:
    """Returns the carried event and, where it is odd, the reason."""
    try:
        old_hash = Hash(bytes.fromhex(wrapping.old_hash))
        old_epoch = parse_epoch(wrapping.old_epoch)
    except ValueError as error:
        return None, ("unreadable", f"the old identity is none: {error}")
    if len(old_hash) != 32 or not 1 <= wrapping.old_seq <= INT_MAX:
        return None, ("unreadable", "the old identity is none")
    payload = wrapping.payload.encode()
    kind, day, flags, oddity, event = reader.read(payload)
    if isinstance(event, Carried):
        kind, day, flags, oddity = "", "", "", ("unreadable", "a carried event inside a carried event")
    return CarriedEvent(old_epoch, wrapping.old_seq, old_hash, payload, kind, day, flags, seq), oddity
