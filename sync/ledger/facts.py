"""What the ledger reads out of an event's bytes: columns for its reports, flags, and reasons for a second look.

The bytes decide nothing about being stored: a line that cannot be read is kept like any other, with a reason beside it.
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
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Look:
    """One event's reason for a second look: it goes to the quarantine list, and is acknowledged all the same."""

    seq: int
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Parcel:
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
class Columns:
    """What was read of a run of events, in their order; one entry an event in the three lists."""

    kinds: list[str]
    days: list[str]
    flags: list[str]
    looks: tuple[Look, ...]
    parcels: tuple[Parcel, ...]
    people: dict[str, int]  # person id → the first event of this run that names them


def read(
    payloads: Sequence[bytes], first_seq: int, *, school: str, epoch: Epoch, now: datetime, stones: Container[int] = ()
) -> Columns:
    """Read every event of a run. `stones`: seqs at which a tombstone stands instead of a payload."""
    reader = _Reader(school, now)
    kinds, days, flags = [], [], []
    looks: list[Look] = []
    parcels: list[Parcel] = []
    people: dict[str, int] = {}
    for seq, payload in enumerate(payloads, first_seq):
        fact: Event | None = None
        if seq in stones:
            kind, day, flag = "tombstone", "", ""
            look: _Look | None = ("tombstone", payload[:200].decode("utf-8", "replace"))
        else:
            kind, day, flag, look, fact = reader.read(payload)
        if isinstance(fact, Sighting):
            if fact.person not in people:
                if "\0" in fact.person:
                    look = ("unreadable", "a person id with a zero byte")
                elif fact.person:
                    people[fact.person] = seq
        elif isinstance(fact, Carried):
            parcel, look = _unpack(fact, seq, reader)
            if parcel is not None:
                parcels.append(parcel)
        elif isinstance(fact, Void) and fact.void_epoch == epoch and fact.void_seq >= seq:
            look = ("orphan", f"voids event {fact.void_seq}, which had not happened yet")
        kinds.append(kind)
        days.append(day)
        flags.append(flag)
        if look is not None:
            looks.append(Look(seq, look[0], look[1].replace("\0", "␀")))  # PostgreSQL's text holds no zero byte
    return Columns(kinds, days, flags, tuple(looks), tuple(parcels), people)


_Look = tuple[str, str]  # code and detail


class _Reader:
    """Reads payloads of one school at one moment. Written for speed: a backlog of weeks comes through here."""

    def __init__(self, school: str, now: datetime) -> None:
        self._school = school
        self._latest = (now.astimezone(UTC) + _FUTURE).strftime("%Y-%m-%dT%H:%M:%S")
        self._days: set[str] = set()  # found good before

    def read(self, payload: bytes) -> tuple[str, str, str, _Look | None, Event | None]:
        """Kind, day, flags, the reason for a second look, the fact."""
        if len(payload) > PAYLOAD_BYTES_MAX:
            return "", "", "", ("oversize", f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} are agreed"), None
        try:
            fact = decode(payload)
        except UnreadableEvent as error:
            return "", "", "", ("unreadable", str(error)[:200]), None
        at = fact.at
        look: _Look | None = None
        day = at[:10]
        if _AT.fullmatch(at) is None:
            day, look = "", ("bad-time", f"at {at[:40]!r} is no UTC time")
        if isinstance(fact, Sighting) and fact.service_date:
            if fact.service_date in self._days or _DAY.fullmatch(fact.service_date):
                day = fact.service_date
                self._days.add(day)
            else:
                look = ("bad-time", f"service_date {fact.service_date[:40]!r} is no date")
        if fact.school != self._school:
            look = ("other-school", f"says school {fact.school[:64]!r}, the device is of {self._school!r}")
        flags = ""
        if (
            not _EARLIEST <= at <= self._latest
            or fact.clock is not ClockQuality.SYNCHRONISED
            or getattr(fact, "review", False)
        ):
            flags = ",".join(self._flags(fact))
        return fact.__struct_config__.tag, day, flags, look, fact  # type: ignore[return-value]  # tags are texts here

    def _flags(self, fact: Event) -> Iterator[str]:
        if fact.at < _EARLIEST:
            yield "past"
        elif fact.at > self._latest:
            yield "future"
        if fact.clock is not ClockQuality.SYNCHRONISED:
            yield "clock"
        if isinstance(fact, Entry | Manual | Refusal) and fact.review:
            yield "review"


def _unpack(carried: Carried, seq: int, reader: _Reader) -> tuple[Parcel | None, _Look | None]:
    """The carried event and, where something is odd about it, why a person should look."""
    try:
        old_hash = Hash(bytes.fromhex(carried.old_hash))
        old_epoch = parse_epoch(carried.old_epoch)
    except ValueError as error:
        return None, ("unreadable", f"the old identity is none: {error}")
    if len(old_hash) != 32 or not 1 <= carried.old_seq <= INT_MAX:
        return None, ("unreadable", "the old identity is none")
    payload = carried.payload.encode()
    kind, day, flags, look, fact = reader.read(payload)
    if isinstance(fact, Carried):
        kind, day, flags, look = "", "", "", ("unreadable", "a carried event inside a carried event")
    return Parcel(old_epoch, carried.old_seq, old_hash, payload, kind, day, flags, seq), look
