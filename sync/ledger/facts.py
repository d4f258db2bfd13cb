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
    Clock,
    Entry,
    Exit,
    Fact,
    Manual,
    Refusal,
    Repeat,
    Sighting,
    Unreadable,
    Void,
    decode,
)
from sync.contract.wire import INT_MAX, epoch_id

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


@dataclass(slots=True)
class _Reading:
    """One payload's columns while they are being found out."""

    kind: str = ""
    day: str = ""
    flags: str = ""
    look: tuple[str, str] | None = None
    fact: Fact | None = None


def read(
    payloads: Sequence[bytes], first_seq: int, *, school: str, epoch: Epoch, now: datetime, stones: Container[int] = ()
) -> Columns:
    """Read every event of a run. `stones`: seqs at which a tombstone stands instead of a payload."""
    latest = (now.astimezone(UTC) + _FUTURE).strftime("%Y-%m-%dT%H:%M:%S")
    kinds, days, flags = [], [], []
    looks: list[Look] = []
    parcels: list[Parcel] = []
    people: dict[str, int] = {}
    for seq, payload in enumerate(payloads, first_seq):
        if seq in stones:
            reading = _Reading(kind="tombstone", look=("tombstone", payload[:200].decode("utf-8", "replace")))
        else:
            reading = _read_one(payload, school, latest)
        match reading.fact:
            case Carried() as carried:
                parcel, reading.look = _unpack(carried, seq, school, latest)
                if parcel is not None:
                    parcels.append(parcel)
            case Void(void_epoch=void_epoch, void_seq=void_seq) if void_epoch == epoch and void_seq >= seq:
                reading.look = ("orphan", f"voids event {void_seq}, which had not happened yet")
            case Entry() | Manual() | Exit() | Repeat() | Refusal() as sighting:
                if "\0" in sighting.person:
                    reading.look = ("unreadable", "a person id with a zero byte")
                elif sighting.person:
                    people.setdefault(sighting.person, seq)
            case _:
                pass
        kinds.append(reading.kind)
        days.append(reading.day)
        flags.append(reading.flags)
        if reading.look is not None:
            code, detail = reading.look
            looks.append(Look(seq, code, detail.replace("\0", "␀")))  # PostgreSQL's text holds no zero byte
    return Columns(kinds, days, flags, tuple(looks), tuple(parcels), people)


def _read_one(payload: bytes, school: str, latest: str) -> _Reading:
    if len(payload) > PAYLOAD_BYTES_MAX:
        return _Reading(look=("oversize", f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} are agreed"))
    try:
        fact = decode(payload)
    except Unreadable as error:
        return _Reading(look=("unreadable", str(error)[:200]))
    reading = _Reading(kind=str(fact.__struct_config__.tag), fact=fact)
    if _AT.fullmatch(fact.at) is None:
        reading.look = ("bad-time", f"at {fact.at[:40]!r} is no UTC time")
    else:
        reading.day = fact.at[:10]
    if isinstance(fact, Sighting) and fact.service_date:
        if _DAY.fullmatch(fact.service_date):
            reading.day = fact.service_date
        else:
            reading.look = ("bad-time", f"service_date {fact.service_date[:40]!r} is no date")
    if fact.school != school:
        reading.look = ("other-school", f"says school {fact.school[:64]!r}, the device is of {school!r}")
    reading.flags = ",".join(_flags(fact, latest))
    return reading


def _flags(fact: Fact, latest: str) -> Iterator[str]:
    if fact.at < _EARLIEST:
        yield "past"
    elif fact.at > latest:
        yield "future"
    if fact.clock is not Clock.SYNCHRONISED:
        yield "clock"
    if isinstance(fact, Entry | Manual | Refusal) and fact.review:
        yield "review"


def _unpack(carried: Carried, seq: int, school: str, latest: str) -> tuple[Parcel | None, tuple[str, str] | None]:
    """The carried event and, where something is odd about it, why a person should look."""
    try:
        old_hash = Hash(bytes.fromhex(carried.old_hash))
        old_epoch = epoch_id(carried.old_epoch)
    except ValueError as error:
        return None, ("unreadable", f"the old identity is none: {error}")
    if len(old_hash) != 32 or not 1 <= carried.old_seq <= INT_MAX:
        return None, ("unreadable", "the old identity is none")
    payload = carried.payload.encode()
    inner = _read_one(payload, school, latest)
    if isinstance(inner.fact, Carried):
        inner = _Reading(look=("unreadable", "a carried event inside a carried event"))
    parcel = Parcel(old_epoch, carried.old_seq, old_hash, payload, inner.kind, inner.day, inner.flags, seq)
    return parcel, inner.look
