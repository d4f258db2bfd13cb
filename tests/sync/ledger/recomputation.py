"""The visits of a school from the bytes of all its events at once: what the settled days must equal."""

from collections import defaultdict
from datetime import date, datetime

import msgspec
import psycopg

from sync.contract import event
from sync.contract.event import Event, Exit, UnreadableEvent, Void
from sync.contract.visits import EventId, ReceivedEvent, Visit, derive_visits
from sync.ledger.days import read_visits
from sync.ledger.judgement_basis import read_basis

ALWAYS = (date(1970, 1, 1), date(2099, 12, 31))


def recompute_visits(db: psycopg.Connection, school: str, now: datetime) -> dict[str, list[Visit]]:
    """Returns the visits by day."""
    rows = db.execute(
        "SELECT device, epoch, seq, branch, payload FROM fact WHERE school = %s ORDER BY device, epoch, branch, seq",
        (school,),
    ).fetchall()
    branches: dict[tuple[str, str, str], int] = {}
    for device, epoch, seq, branch, _ in rows:
        if branch:
            branches[device, epoch, branch] = min(seq, branches.get((device, epoch, branch), seq))
    received = []
    for device, epoch, seq, branch, payload in rows:
        try:
            decoded = event.decode(payload)
        except UnreadableEvent:
            continue
        if branch:
            decoded = _move_to_branch(decoded, epoch, branch, branches[device, epoch, branch])
        received.append(ReceivedEvent(EventId(device, f"{epoch}/{branch}" if branch else epoch, seq), decoded))
    basis = read_basis(db, school)
    derived = derive_visits(received, timetable=basis.timetable, now=now, entitlements=basis.entitlements)
    by_day: dict[str, list[Visit]] = defaultdict(list)
    for visit in derived.visits:
        by_day[visit.day].append(visit)
    return by_day


def _move_to_branch(decoded: Event, epoch: str, branch: str, first_seq: int) -> Event:
    match decoded:
        case Exit(entry_epoch=named, entry_seq=seq) if named == epoch and seq >= first_seq:
            return msgspec.structs.replace(decoded, entry_epoch=f"{epoch}/{branch}")
        case Void(void_epoch=named, void_seq=seq) if named == epoch and seq >= first_seq:
            return msgspec.structs.replace(decoded, void_epoch=f"{epoch}/{branch}")
        case _:
            return decoded


def read_by_day(db: psycopg.Connection, school: str) -> dict[str, list[Visit]]:
    """Returns the settled visits by day."""
    by_day: dict[str, list[Visit]] = defaultdict(list)
    for visit in read_visits(db, school, *ALWAYS):
        by_day[visit.day].append(visit)
    return by_day
