"""The events that bear on one school-day, out of their columns: the payloads stay unread.

These are the entries and exits under the day, those that strayed to it by their true time, and the voids that name one
of these entries, whenever they came.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from msgspec.structs import replace

from sync.contract.clocks import ClockAnchor, TrueClocks
from sync.contract.event import Claim, ClockQuality, Entry, Event, Exit, Manual, Method, Void
from sync.contract.visits import EventId, ReceivedEvent
from sync.ledger.day_marks import neighbours

_METHODS = {method.value: method for method in Method}
_CLAIMS = {claim.value: claim for claim in Claim}
_CLOCKS = {clock.value: clock for clock in ClockQuality}


@dataclass(frozen=True, slots=True)
class DayEvents:
    """The events of a day, each once, with the evidence about their clocks."""

    received: Sequence[ReceivedEvent]
    clocks: TrueClocks


_COLUMNS = """
    e.device, e.epoch, e.seq, e.kind, position('review' in e.flags) > 0, e.person, e.session, e.service_date,
    e.programme, e.method, e.claim, e.reader, e.operator, e.note, e.group_id, e.recorded_at, e.boot, e.mono_ms,
    e.clock, e.roster, e.named_device, e.named_epoch, e.named_seq
"""

_OWN_EVENTS = f"""
    SELECT {_COLUMNS}, '' FROM event e
    WHERE e.school = %(school)s AND e.day = %(day)s AND e.kind IN ('entry', 'manual', 'exit')
"""  # noqa: S608  only texts of this file
_OWN_CARRIED = f"""
    SELECT {_COLUMNS}, e.by_epoch FROM carried e
    WHERE e.school = %(school)s AND e.day = %(day)s AND e.kind IN ('entry', 'manual', 'exit')
"""  # noqa: S608  only texts of this file
_STRAYED_EVENTS = f"""
    SELECT {_COLUMNS}, '' FROM strayed_event s JOIN event e USING (school, device, epoch, seq)
    WHERE s.school = %(school)s AND s.true_day = ANY(%(near)s) AND s.hash = '' AND e.day <> %(day)s
"""  # noqa: S608  only texts of this file
_STRAYED_CARRIED = f"""
    SELECT {_COLUMNS}, e.by_epoch FROM strayed_event s JOIN carried e USING (school, device, epoch, seq, hash)
    WHERE s.school = %(school)s AND s.true_day = ANY(%(near)s) AND e.day <> %(day)s
"""  # noqa: S608  only texts of this file
_VOIDS = f"""
    SELECT {_COLUMNS}, '' FROM event e
    JOIN unnest(%(epochs)s::text[], %(firsts)s::int8[], %(lasts)s::int8[]) AS entries (epoch, first_seq, last_seq)
      ON e.named_epoch = entries.epoch AND e.named_seq BETWEEN entries.first_seq AND entries.last_seq
    WHERE e.school = %(school)s AND e.kind = 'void'
    UNION ALL
    SELECT {_COLUMNS}, e.by_epoch FROM carried e
    JOIN unnest(%(epochs)s::text[], %(firsts)s::int8[], %(lasts)s::int8[]) AS entries (epoch, first_seq, last_seq)
      ON e.named_epoch = entries.epoch AND e.named_seq BETWEEN entries.first_seq AND entries.last_seq
    WHERE e.school = %(school)s AND e.kind = 'void'
"""  # noqa: S608  only texts of this file
# Where the events that one epoch carried part from those that the ledger has under the same numbers.
_PARTINGS = """
    SELECT c.device, c.epoch, c.by_epoch, min(c.seq)
    FROM unnest(%(devices)s::text[], %(epochs)s::text[], %(by_epochs)s::text[]) AS named (device, epoch, by_epoch)
    JOIN carried c ON c.school = %(school)s AND c.device = named.device AND c.epoch = named.epoch
                  AND c.by_epoch = named.by_epoch
    JOIN event e ON e.school = %(school)s AND e.device = c.device AND e.epoch = c.epoch AND e.seq = c.seq
    GROUP BY c.device, c.epoch, c.by_epoch
"""


def read_day_events(connection: psycopg.Connection, school: str, day: str) -> DayEvents:
    """Returns the events that bear on a day."""
    place = {"school": school, "day": day, "near": list(neighbours(day))}
    rows = [
        row
        for query in (_OWN_EVENTS, _OWN_CARRIED, _STRAYED_EVENTS, _STRAYED_CARRIED)
        for row in connection.execute(query, place, binary=True)
    ]
    rows += _read_voids(connection, school, rows)
    partings = _read_partings(connection, school, rows)
    received = [_build_received(row, partings) for row in rows]
    return DayEvents(received, _read_clocks(connection, school, received))


_Row = tuple[Any, ...]
_Partings = dict[tuple[str, str, str], int]


def _read_voids(connection: psycopg.Connection, school: str, rows: Iterable[_Row]) -> list[_Row]:
    spans: dict[str, tuple[int, int]] = {}
    for row in rows:
        first, last = spans.get(row[1], (row[2], row[2]))
        spans[row[1]] = min(first, row[2]), max(last, row[2])
    if not spans:
        return []
    return connection.execute(_VOIDS, {
        "school": school, "epochs": list(spans), "firsts": [first for first, _ in spans.values()],
        "lasts": [last for _, last in spans.values()],
    }, binary=True).fetchall()  # fmt: skip


def _read_partings(connection: psycopg.Connection, school: str, rows: Iterable[_Row]) -> _Partings:
    carried = {(row[0], row[1], row[-1]) for row in rows if row[-1]}
    if not carried:
        return {}
    devices, epochs, by_epochs = zip(*carried, strict=True)
    partings = connection.execute(_PARTINGS, {
        "school": school, "devices": list(devices), "epochs": list(epochs), "by_epochs": list(by_epochs)
    })  # fmt: skip
    return {(device, epoch, by_epoch): seq for device, epoch, by_epoch, seq in partings}


def _read_clocks(connection: psycopg.Connection, school: str, received: Iterable[ReceivedEvent]) -> TrueClocks:
    boots: dict[str, set[str]] = defaultdict(set)
    for arrival in received:
        if arrival.event.clock is not ClockQuality.SYNCHRONISED:
            boots[arrival.id.device].add(arrival.event.boot)
    clocks = TrueClocks()
    for device, names in boots.items():
        for boot, mono_ms, recorded_at in connection.execute(
            "SELECT boot, mono_ms, recorded_at FROM clock_anchor WHERE school = %s AND device = %s AND boot = ANY(%s)",
            (school, device, list(names)),
        ):
            clocks.add(device, boot, ClockAnchor(mono_ms, recorded_at))
    return clocks


def _build_received(row: _Row, partings: _Partings) -> ReceivedEvent:
    device, epoch, seq, *_, by_epoch = row
    event = _build_event(row)
    parting = partings.get((device, epoch, by_epoch)) if by_epoch else None
    if parting is None or seq < parting:
        return ReceivedEvent(EventId(device, epoch, seq), event)
    branch = f"{epoch}/{by_epoch}"
    return ReceivedEvent(EventId(device, branch, seq), _move_to_branch(event, epoch, branch, parting))


def _build_event(row: _Row) -> Event:
    """Returns the event in these columns; the fields that bear on no visit are at their defaults."""
    (
        _, _, _, kind, review, person, session, service_date, programme, method, claim, reader, operator, note, group,
        recorded_at, boot, mono_ms, clock, roster, _, named_epoch, named_seq, _,
    ) = row  # fmt: skip
    quality = _CLOCKS[clock]
    match kind:
        case "entry":
            return Entry(
                school="", at=recorded_at, boot=boot, mono_ms=mono_ms, clock=quality, roster=roster, person=person,
                session=session, service_date=service_date, method=_METHODS[method], reader=reader, operator=operator,
                note=note, programme=programme, claim=_CLAIMS[claim], review=review,
            )  # fmt: skip
        case "manual":
            return Manual(
                school="", at=recorded_at, boot=boot, mono_ms=mono_ms, clock=quality, roster=roster, person=person,
                session=session, service_date=service_date, method=_METHODS[method], reader=reader, operator=operator,
                note=note, programme=programme, claim=_CLAIMS[claim], review=review, group=group,
            )  # fmt: skip
        case "exit":
            return Exit(
                school="", at=recorded_at, boot=boot, mono_ms=mono_ms, clock=quality, roster=roster, person=person,
                session=session, service_date=service_date, method=_METHODS[method], reader=reader, operator=operator,
                note=note, entry_epoch=named_epoch, entry_seq=named_seq,
            )  # fmt: skip
        case _:
            return Void(
                school="", at=recorded_at, boot=boot, mono_ms=mono_ms, clock=quality, roster=roster, person=person,
                void_epoch=named_epoch, void_seq=named_seq, operator=operator, note=note,
            )  # fmt: skip


def _move_to_branch(event: Event, epoch: str, branch: str, parting: int) -> Event:
    """Returns an event of a branch with the branch's own entry in it: the number alone may name another branch's."""
    match event:
        case Exit(entry_epoch=named, entry_seq=seq) if named == epoch and seq >= parting:
            return replace(event, entry_epoch=branch)
        case Void(void_epoch=named, void_seq=seq) if named == epoch and seq >= parting:
            return replace(event, void_epoch=branch)
        case _:
            return event
