"""The visits of a school from the bytes of all its events at once: what the settled days must equal."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import msgspec
import psycopg

from sync.contract import event
from sync.contract.event import Carried, ClockQuality, Event, Exit, UnreadableEvent, Void
from sync.contract.flags import Flag, FlagThresholds, find_flags
from sync.contract.visits import EventId, ReceivedEvent, Visit, derive_visits
from sync.ledger.judgement.days import read_visits
from sync.ledger.judgement.judgement_basis import read_basis

ALWAYS = (date(1970, 1, 1), date(2099, 12, 31))


def recompute_visits(db: psycopg.Connection, school: str, now: datetime) -> dict[str, list[Visit]]:
    """Returns the visits by day."""
    received = read_received(db, school)
    basis = read_basis(db, school)
    derived = derive_visits(received, timetable=basis.timetable, now=now, basis=basis.judgement)
    return _by_day(derived.visits)


def read_received(db: psycopg.Connection, school: str) -> list[ReceivedEvent]:
    """Returns all events of a school, decoded, in the order of their chains."""
    received: list[ReceivedEvent] = []
    before: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    rows = db.execute(
        "SELECT device, epoch, seq, payload, received_at FROM event WHERE school = %s ORDER BY device, epoch, seq",
        (school,),
    ).fetchall()
    floors = _read_floors(db, school)
    for device, epoch, seq, payload, received_at in rows:
        decoded = _decode(payload)
        times = before[device, epoch]
        times[:0] = [] if times else [(0, floors[device, epoch])]
        if decoded is not None and not isinstance(decoded, Carried):
            latest = max((time for _, time in times), default="")
            received.append(ReceivedEvent(EventId(device, epoch, seq), decoded, received_at, latest))
        times.append((seq, _good_time(decoded, received_at)))
    carried: dict[tuple[str, str, str], list[tuple[int, Event | None, datetime]]] = defaultdict(list)
    for device, epoch, by_epoch, seq, payload, received_at in db.execute(
        "SELECT device, epoch, by_epoch, seq, payload, received_at FROM carried WHERE school = %s ORDER BY seq, hash",
        (school,),
    ):
        carried[device, epoch, by_epoch].append((seq, _decode(payload), received_at))
    for (device, epoch, by_epoch), parcels in carried.items():
        own = before[device, epoch]
        stored = {seq for seq, _ in own} - {0}
        parting = min((seq for seq, _, _ in parcels if seq in stored), default=0)
        earlier = _list_earlier(db, school, device, epoch, by_epoch)
        floor = max((time for name in earlier for _, time in before[device, name]), default="")
        times = [(0, floor), *((seq, time) for seq, time in own if seq < parcels[0][0])]
        for seq, decoded, received_at in parcels:
            latest = max((time for number, time in times if number < seq), default="")
            times.append((seq, _good_time(decoded, received_at)))
            if decoded is None:
                continue
            parted = 0 < parting <= seq
            branch = f"{epoch}/{by_epoch}" if parted else epoch
            moved = _move_to_branch(decoded, epoch, branch, parting) if parted else decoded
            received.append(ReceivedEvent(EventId(device, branch, seq), moved, received_at, latest))
    return received


def _read_floors(db: psycopg.Connection, school: str) -> dict[tuple[str, str], str]:
    """Returns the latest good time that the ledger had of a device's earlier epochs when each was opened."""
    floors: dict[tuple[str, str], str] = defaultdict(str)
    former: dict[str, str] = {}
    for device, epoch, opened_at in db.execute(
        "SELECT device, epoch, opened_at FROM epoch WHERE school = %s ORDER BY device, opened_at", (school,)
    ).fetchall():
        rows = db.execute(
            "SELECT payload, received_at FROM event WHERE school = %s AND device = %s AND epoch = %s"
            " AND received_at < %s",
            (school, device, former.get(device, ""), opened_at),
        )
        times = [_good_time(_decode(payload), received_at) for payload, received_at in rows.fetchall()]
        floors[device, epoch] = max([floors[device, former.get(device, "")], *times])
        former[device] = epoch
    return floors


def _list_earlier(db: psycopg.Connection, school: str, device: str, epoch: str, by_epoch: str) -> list[str]:
    """Returns the epochs that were opened before one whose events were carried, or before the one that carried them."""
    opened = [
        row[0]
        for row in db.execute(
            "SELECT epoch FROM epoch WHERE school = %s AND device = %s ORDER BY opened_at", (school, device)
        )
    ]
    name = epoch if epoch in opened else by_epoch
    return opened[: opened.index(name)] if name in opened else []


def _decode(payload: bytes) -> Event | None:
    try:
        return event.decode(payload)
    except UnreadableEvent:
        return None


def _good_time(decoded: Event | None, received_at: datetime) -> str:
    if decoded is None or isinstance(decoded, Carried) or decoded.clock is not ClockQuality.SYNCHRONISED:
        return ""
    limit = (received_at.astimezone(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S")
    return decoded.at if decoded.at <= limit else ""


def _move_to_branch(decoded: Event, epoch: str, branch: str, first_seq: int) -> Event:
    match decoded:
        case Exit(entry_epoch=named, entry_seq=seq) if named == epoch and seq >= first_seq:
            return msgspec.structs.replace(decoded, entry_epoch=branch)
        case Void(void_epoch=named, void_seq=seq) if named == epoch and seq >= first_seq:
            return msgspec.structs.replace(decoded, void_epoch=branch)
        case _:
            return decoded


def read_by_day(db: psycopg.Connection, school: str) -> dict[str, list[Visit]]:
    """Returns the settled visits by day."""
    return _by_day(read_visits(db, school, *ALWAYS))


def recompute_flags(db: psycopg.Connection, school: str, first: date, last: date, limits: FlagThresholds) -> list[Flag]:
    """Returns the flags of these days out of all events whose day they may be."""
    visits = read_visits(db, school, first, last)
    timetable = read_basis(db, school).timetable
    flags = find_flags(read_received(db, school), visits, timetable=timetable, thresholds=limits)
    return [flag for flag in flags if flag.first in {visit.id for visit in visits}]


def _by_day(visits: Iterable[Visit]) -> dict[str, list[Visit]]:
    by_day: dict[str, list[Visit]] = defaultdict(list)
    for visit in visits:
        by_day[visit.day].append(visit)
    return by_day
