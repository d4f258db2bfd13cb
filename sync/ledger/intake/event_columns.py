"""The columns of an event, read out of its bytes: for judgement and flags, with a reason where a person should look.

The bytes decide nothing about being stored: a line that cannot be read is stored like any other, with a reason.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sync.contract.chain import Epoch, Hash
from sync.contract.clocks import UTC_TEXT
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
from sync.ledger.intake.event_rows import (
    INDEXED_CHARS_MAX,
    UNREAD,
    CarriedEvent,
    EventEffects,
    EventRow,
    fit_row,
    read_row,
    receipt_limit,
)

# Nothing of this product is older; a kiosk whose clock lost its battery says 1970 or the image's build date.
_EARLIEST = "2020-01-01"
_FUTURE = timedelta(days=1)
_GOOD = ClockQuality.SYNCHRONISED
_BACKSLASH = ord("\\")
_match_utc_text = UTC_TEXT.fullmatch
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

    rows: Sequence[EventRow]
    latest: str  # the latest good wall time of their epoch, behind the last of them
    odd: tuple[OddEvent, ...]
    carried: tuple[CarriedEvent, ...]
    people: dict[str, int]  # person id → the first event of this run that names them
    effects: EventEffects


def read_columns(
    payloads: Sequence[bytes],
    first_seq: int,
    *,
    school: str,
    epoch: Epoch,
    now: datetime,
    tombstones: Container[int] = (),
    latest: str = "",
    effects: EventEffects | None = None,
) -> EventColumns:
    """Returns the columns of a run of events.

    `tombstones`: the numbers at which one stands instead of a payload. `latest`: the latest good wall time of the
    epoch's earlier events. What the events bear on is added to `effects` where they are given.
    """
    reader, received_by = EventReader(school, now), receipt_limit(now)
    effects = EventEffects() if effects is None else effects
    rows: list[EventRow] = []
    odd: list[OddEvent] = []
    carried: list[CarriedEvent] = []
    people: dict[str, int] = {}
    for seq, payload in enumerate(payloads, first_seq):
        if seq in tombstones:
            rows.append(EventRow("tombstone"))
            odd.append(_odd(seq, "tombstone", payload[:200].decode("utf-8", "replace")))
            continue
        row, oddity, event = reader.read(payload, latest)
        rows.append(row)
        if type(event) is Carried:
            unpacked, oddity = _unpack(event, seq, school, now, effects)
            if unpacked is not None:
                carried.append(unpacked)
        elif event is not None:
            effects.note(epoch, seq, b"", event, row)
            if latest < event.at <= received_by and event.clock is _GOOD and row.day:
                latest = event.at
            if isinstance(event, Sighting):
                if event.person not in people:
                    if "\0" in event.person:
                        oddity = ("unreadable", "a person id with a zero byte")
                    elif event.person:
                        people[event.person] = seq
            elif type(event) is Void and event.void_epoch == epoch and event.void_seq >= seq:
                oddity = ("orphan", f"voids event {event.void_seq}, which had not happened yet")
        if oddity is not None:
            odd.append(_odd(seq, *oddity))
    return EventColumns(rows, latest, tuple(odd), tuple(carried), people, effects)


def _odd(seq: int, code: str, detail: str) -> OddEvent:
    return OddEvent(seq, code, detail.replace("\0", "␀"))  # PostgreSQL's text holds no zero byte


_Oddity = tuple[str, str]  # code and detail


class EventReader:
    """Reads payloads of one school at one moment. Written for speed: a backlog of weeks comes through here."""

    def __init__(self, school: str, now: datetime) -> None:
        self._school = school
        self._latest = (now.astimezone(UTC) + _FUTURE).strftime("%Y-%m-%dT%H:%M:%S")
        self._days: set[str] = set()  # whose form was checked before

    def read(self, payload: bytes, latest: str) -> tuple[EventRow, _Oddity | None, Event | None]:
        """Returns the columns, the reason why a person should check them, and the event.

        `latest`: the latest good wall time before it in its epoch.
        """
        if len(payload) > PAYLOAD_BYTES_MAX:
            return UNREAD, ("oversize", f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} are agreed"), None
        try:
            event = decode(payload)
        except UnreadableEvent as error:
            return UNREAD, ("unreadable", str(error)[:200]), None
        recorded = event.at
        oddity: _Oddity | None = None
        day = recorded[:10]
        if _match_utc_text(recorded) is None or not (day in self._days or self._is_day(day)):
            day, oddity = "", ("bad-time", f"at {recorded[:40]!r} is no UTC time")
        if isinstance(event, Sighting) and event.service_date and event.service_date != day:
            if event.service_date in self._days or self._is_day(event.service_date):
                day = event.service_date
            else:
                oddity = ("bad-time", f"service_date {event.service_date[:40]!r} is no date")
        if event.school != self._school:
            oddity = ("other-school", f"says school {event.school[:64]!r}, the device is of {self._school!r}")
        flags = ""
        if not _EARLIEST <= recorded <= self._latest or event.clock is not _GOOD or _needs_review(event):
            flags = ",".join(self._flags(event))
        row = read_row(event, day, flags, latest)
        if (
            _BACKSLASH in payload  # only an escape makes a zero byte
            or not -INT_MAX <= row.mono_ms <= INT_MAX
            or not 0 <= row.roster <= INT_MAX
            or not -INT_MAX <= row.named_seq <= INT_MAX
            or len(row.boot) > INDEXED_CHARS_MAX
            or len(row.named_device) > INDEXED_CHARS_MAX
            or len(row.named_epoch) > INDEXED_CHARS_MAX
        ):
            row = fit_row(row)
        return row, oddity, event

    def _is_day(self, text: str) -> bool:
        """Returns True for a day of the calendar, as 2026-11-22."""
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
        if event.clock is not _GOOD:
            yield "clock"
        if _needs_review(event):
            yield "review"


def _needs_review(event: Event) -> bool:
    """Returns True for an event whose kiosk asks for a second judgement."""
    return (type(event) is Entry or type(event) is Manual or type(event) is Refusal) and event.review


def _unpack(
    wrapping: Carried, seq: int, school: str, now: datetime, effects: EventEffects
) -> tuple[CarriedEvent | None, _Oddity | None]:
    """Returns the carried event and, where it is odd, the reason."""
    try:
        old_hash = Hash(bytes.fromhex(wrapping.old_hash))
        old_epoch = parse_epoch(wrapping.old_epoch)
    except ValueError as error:
        return None, ("unreadable", f"the old identity is none: {error}")
    if len(old_hash) != 32 or not 1 <= wrapping.old_seq <= INT_MAX:
        return None, ("unreadable", "the old identity is none")
    payload = wrapping.payload.encode()
    row, oddity = read_inner(payload, old_epoch, wrapping.old_seq, old_hash, school, now, effects)
    return CarriedEvent(old_epoch, wrapping.old_seq, old_hash, payload, seq, row), oddity


def read_inner(
    payload: bytes, epoch: str, seq: int, digest: bytes, school: str, now: datetime, effects: EventEffects
) -> tuple[EventRow, _Oddity | None]:
    """Returns the columns of a carried event under its old identity and, where it is odd, the reason."""
    row, oddity, event = EventReader(school, now).read(payload, "")
    if isinstance(event, Carried):
        return UNREAD, ("unreadable", "a carried event inside a carried event")
    effects.carried_epochs.add(epoch)
    if event is not None:
        effects.note(epoch, seq, digest, event, row)
    return row, oddity
