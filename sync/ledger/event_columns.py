"""The columns of an event, read out of its bytes: for judgement and flags, with a reason where a person should look.

The bytes decide nothing about being stored: a line that cannot be read is stored like any other, with a reason.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sync.contract.chain import Epoch, Hash
from sync.contract.clocks import is_utc_text
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
from sync.ledger.event_rows import UNREAD, CarriedEvent, DayEffects, EventRow, build_row, receipt_limit

# Nothing of this product is older; a kiosk whose clock lost its battery says 1970 or the image's build date.
_EARLIEST = "2020-01-01"
_FUTURE = timedelta(days=1)
_GOOD = ClockQuality.SYNCHRONISED.value
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class OddEvent:
    """An event that a person should check: it goes to the quarantine list, and is acknowledged all the same."""

    seq: int
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EventColumns:
    """The columns of a run of events, in their order."""

    rows: list[EventRow]
    latest_before: list[str]  # of each event: the latest good wall time before it in its epoch
    latest: str  # behind the last of them
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
    latest: str = "",
    effects: DayEffects | None = None,
) -> EventColumns:
    """Returns the columns of a run of events.

    `tombstones`: the numbers at which one stands instead of a payload. `latest`: the latest good wall time of the
    epoch's earlier events. What the events bear on is added to `effects`.
    """
    reader, received_by = _EventReader(school, now), receipt_limit(now)
    effects = effects or DayEffects()
    rows: list[EventRow] = []
    latest_before: list[str] = []
    odd: list[OddEvent] = []
    carried: list[CarriedEvent] = []
    people: dict[str, int] = {}
    for seq, payload in enumerate(payloads, first_seq):
        event: Event | None = None
        latest_before.append(latest)
        if seq in tombstones:
            row = EventRow("tombstone", "", "")
            oddity: _Oddity | None = ("tombstone", payload[:200].decode("utf-8", "replace"))
        else:
            row, oddity, event = reader.read(payload)
        if isinstance(event, Carried):
            unpacked, oddity = _unpack(event, seq, reader)
            if unpacked is not None:
                carried.append(unpacked)
                effects.carried_epochs.add(unpacked.epoch)
                effects.note(unpacked.epoch, unpacked.seq, unpacked.hash, unpacked.row)
        elif event is not None:
            effects.note(epoch, seq, b"", row)
            if row.clock == _GOOD and latest < row.recorded_at <= received_by and row.day:
                latest = row.recorded_at
            if isinstance(event, Sighting):
                if event.person not in people:
                    if "\0" in event.person:
                        oddity = ("unreadable", "a person id with a zero byte")
                    elif event.person:
                        people[event.person] = seq
            elif isinstance(event, Void) and event.void_epoch == epoch and event.void_seq >= seq:
                oddity = ("orphan", f"voids event {event.void_seq}, which had not happened yet")
        rows.append(row)
        if oddity is not None:
            odd.append(OddEvent(seq, oddity[0], oddity[1].replace("\0", "␀")))  # PostgreSQL's text holds no zero byte
    return EventColumns(rows, latest_before, latest, tuple(odd), tuple(carried), people)


_Oddity = tuple[str, str]  # code and detail


class _EventReader:
    """Reads payloads of one school at one moment. Written for speed: a backlog of weeks comes through here."""

    def __init__(self, school: str, now: datetime) -> None:
        self._school = school
        self._latest = (now.astimezone(UTC) + _FUTURE).strftime("%Y-%m-%dT%H:%M:%S")
        self._days: set[str] = set()  # whose form was checked before

    def read(self, payload: bytes) -> tuple[EventRow, _Oddity | None, Event | None]:
        """Returns the columns, the reason why a person should check it, and the event."""
        if len(payload) > PAYLOAD_BYTES_MAX:
            return UNREAD, ("oversize", f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} are agreed"), None
        try:
            event = decode(payload)
        except UnreadableEvent as error:
            return UNREAD, ("unreadable", str(error)[:200]), None
        recorded = event.at
        oddity: _Oddity | None = None
        day = recorded[:10]
        if not is_utc_text(recorded) or not self._is_day(day):
            day, oddity = "", ("bad-time", f"at {recorded[:40]!r} is no UTC time")
        if isinstance(event, Sighting) and event.service_date:
            if self._is_day(event.service_date):
                day = event.service_date
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
        row = build_row(event, day, flags)
        if b"\\u0000" in payload:
            row = EventRow._make(value.replace("\0", "␀") if isinstance(value, str) else value for value in row)
        return row, oddity, event

    def _is_day(self, text: str) -> bool:
        """Returns True for a day of the calendar, as 2026-11-22."""
        if text in self._days:
            return True
        try:
            known = _DAY.fullmatch(text) is not None and bool(date.fromisoformat(text))
        except ValueError:
            return False
        if known:
            self._days.add(text)
        return known

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
    row, oddity, event = reader.read(payload)
    if isinstance(event, Carried):
        row, oddity = UNREAD, ("unreadable", "a carried event inside a carried event")
    return CarriedEvent(old_epoch, wrapping.old_seq, old_hash, payload, seq, row), oddity
