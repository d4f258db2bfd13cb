"""The events that bear on one school-day, out of their columns: the payloads stay unread.

These are the entries and exits under the day, those that strayed to it by their true time, and the voids that name one
of these entries, whenever they came.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
from psycopg.rows import args_row

from sync.contract.branches import move_to_branch
from sync.contract.clocks import ClockAnchor, TrueClocks
from sync.contract.event import Claim, ClockQuality, Entry, Event, Exit, Manual, Method, Refusal, Repeat, Void
from sync.contract.visit import EventId, ReceivedEvent
from sync.ledger.judgement.carried_history import BearerName, CarriedHistory, read_bearers
from sync.ledger.judgement.day_marks import neighbours

_METHODS = {method.value: method for method in Method}
_CLAIMS = {claim.value: claim for claim in Claim}
_DEVICE, _EPOCH, _SEQ = 20, 21, 22  # where a row names what a void takes back
_CLOCKS = {clock.value: clock for clock in ClockQuality}
_GOOD = ClockQuality.SYNCHRONISED


@dataclass(frozen=True, slots=True)
class DayEvents:
    """The events of a day, each once, with the evidence about their clocks."""

    received: Sequence[ReceivedEvent]
    clocks: TrueClocks


_COLUMNS = """
    e.device, e.epoch, e.seq, e.kind, position('review' in e.flags) > 0, e.person, e.session, e.service_date,
    e.programme, e.method, e.claim, e.reader, e.operator, e.note, e.group_id, e.recorded_at, e.boot, e.mono_ms,
    e.clock, e.roster, e.named_device, e.named_epoch, e.named_seq, e.scan_rules, e.received_at
"""

# Nearly all events of a day are entries and exits by a reader under a good clock: of these only what bears on a visit.
_ORDINARY_EVENTS = """
    SELECT kind, device, epoch, seq, position('review' in flags) > 0, person, session, service_date, programme, method,
           claim, recorded_at, roster, named_epoch, named_seq, received_at, latest_before
    FROM event WHERE school = %(school)s AND day = %(day)s AND kind IN ('entry', 'exit') AND clock = 'synchronised'
      AND scan_rules = ''
"""
_NOT_ORDINARY = "(e.kind = 'manual' OR e.kind IN ('entry', 'exit') AND e.clock <> 'synchronised' OR e.scan_rules <> '')"
_VISITING = "(e.kind IN ('entry', 'manual', 'exit') OR e.scan_rules <> '')"


# The day's other events, and all that were carried or have strayed.
_OTHER_EVENTS = f"""
    SELECT {_COLUMNS}, e.latest_before, '' FROM event e
    WHERE e.school = %(school)s AND e.day = %(day)s AND {_NOT_ORDINARY}
    UNION ALL
    SELECT {_COLUMNS}, '', e.by_epoch FROM carried e
    WHERE e.school = %(school)s AND e.day = %(day)s AND {_VISITING}
    UNION ALL
    SELECT {_COLUMNS}, e.latest_before, '' FROM strayed_event s JOIN event e USING (school, device, epoch, seq)
    WHERE s.school = %(school)s AND s.true_day = ANY(%(near)s) AND s.hash = '' AND e.day <> %(day)s
    UNION ALL
    SELECT {_COLUMNS}, '', e.by_epoch FROM strayed_event s JOIN carried e USING (school, device, epoch, seq, hash)
    WHERE s.school = %(school)s AND s.true_day = ANY(%(near)s) AND e.day <> %(day)s
"""  # noqa: S608  only texts of this file
_VOIDS = f"""
    SELECT {_COLUMNS}, '', '' FROM event e
    JOIN unnest(%(epochs)s::text[], %(firsts)s::int8[], %(lasts)s::int8[]) AS entries (epoch, first_seq, last_seq)
      ON e.named_epoch = entries.epoch AND e.named_seq BETWEEN entries.first_seq AND entries.last_seq
    WHERE e.school = %(school)s AND e.kind = 'void'
    UNION ALL
    SELECT {_COLUMNS}, '', e.by_epoch FROM carried e
    JOIN unnest(%(epochs)s::text[], %(firsts)s::int8[], %(lasts)s::int8[]) AS entries (epoch, first_seq, last_seq)
      ON e.named_epoch = entries.epoch AND e.named_seq BETWEEN entries.first_seq AND entries.last_seq
    WHERE e.school = %(school)s AND e.kind = 'void'
"""  # noqa: S608  only texts of this file
# All events of the school with the number that a void names, where it does not name its own kiosk's.
_NAMESAKES = f"""
    SELECT {_COLUMNS}, e.latest_before, '' FROM event e
    JOIN unnest(%(epochs)s::text[], %(seqs)s::int8[]) AS named (epoch, seq) USING (epoch, seq)
    WHERE e.school = %(school)s AND e.device IN (SELECT device FROM device WHERE school = %(school)s)
      AND e.kind <> 'carried'
    UNION ALL
    SELECT {_COLUMNS}, '', e.by_epoch FROM carried e
    JOIN unnest(%(epochs)s::text[], %(seqs)s::int8[]) AS named (epoch, seq) USING (epoch, seq)
    WHERE e.school = %(school)s AND e.device IN (SELECT device FROM device WHERE school = %(school)s)
"""  # noqa: S608  only texts of this file


def read_day_events(connection: psycopg.Connection, school: str, day: str) -> DayEvents:
    """Returns the events that bear on a day. Readers and monotonic times are in few of them."""
    place = {"school": school, "day": day, "near": list(neighbours(day))}
    ordinary = _read_ordinary(connection, place)
    rows = connection.execute(_OTHER_EVENTS, place, binary=True).fetchall()
    names = [*(arrival.id for arrival in ordinary), *(row[:3] for row in rows)]
    voids = _read_voids(connection, school, names)
    if voids:
        rows += voids
        rows += _read_namesakes(connection, school, frozenset(names), voids)
    bearers = read_bearers(connection, school, {(row[0], row[1], row[-1]) for row in rows if row[-1]})
    others = [_build_received(row, bearers) for row in rows]
    return DayEvents([*ordinary, *others], _read_clocks(connection, school, others))


def _read_ordinary(connection: psycopg.Connection, place: Mapping[str, object]) -> list[ReceivedEvent]:
    with connection.cursor(binary=True, row_factory=args_row(_build_ordinary)) as cursor:
        return cursor.execute(_ORDINARY_EVENTS, place).fetchall()


def _build_ordinary(
    kind: str, device: str, epoch: str, seq: int, review: bool, person: str, session: str, service_date: str,
    programme: str, method: str, claim: str, recorded_at: str, roster: int, named_epoch: str, named_seq: int,
    received_at: datetime, latest_before: str,
) -> ReceivedEvent:  # fmt: skip
    event = Exit(
        school="", at=recorded_at, boot="", mono_ms=0, clock=_GOOD, person=person, session=session,
        service_date=service_date, entry_epoch=named_epoch, entry_seq=named_seq,
    ) if kind == "exit" else Entry(
        school="", at=recorded_at, boot="", mono_ms=0, clock=_GOOD, roster=roster, person=person, session=session,
        service_date=service_date, method=_METHODS[method], programme=programme, claim=_CLAIMS[claim], review=review,
    )  # fmt: skip
    return ReceivedEvent(EventId(device, epoch, seq), event, received_at, latest_before)


_Row = tuple[Any, ...]


def _read_voids(connection: psycopg.Connection, school: str, own: Iterable[tuple[str, str, int]]) -> list[_Row]:
    seqs: dict[str, list[int]] = defaultdict(list)
    for _, epoch, seq in own:
        seqs[epoch].append(seq)
    if not seqs:
        return []
    return connection.execute(_VOIDS, {
        "school": school, "epochs": list(seqs), "firsts": [min(numbers) for numbers in seqs.values()],
        "lasts": [max(numbers) for numbers in seqs.values()],
    }, binary=True).fetchall()  # fmt: skip


def _read_namesakes(
    connection: psycopg.Connection, school: str, own: Collection[tuple[str, str, int]], voids: Iterable[_Row]
) -> list[_Row]:
    # A void without a kiosk's name that is not about an entry of its own kiosk of this day.
    named = {
        (row[_EPOCH], row[_SEQ]) for row in voids if not row[_DEVICE] and (row[0], row[_EPOCH], row[_SEQ]) not in own
    }
    if not named:
        return []
    epochs, seqs = zip(*named, strict=True)
    wanted = {"school": school, "epochs": list(epochs), "seqs": list(seqs)}
    return [row for row in connection.execute(_NAMESAKES, wanted, binary=True) if row[:3] not in own]


def _read_clocks(connection: psycopg.Connection, school: str, received: Iterable[ReceivedEvent]) -> TrueClocks:
    boots: dict[str, set[str]] = defaultdict(set)
    for arrival in received:
        if arrival.event.clock is not _GOOD:
            boots[arrival.id.device].add(arrival.event.boot)
    clocks = TrueClocks()
    for device, names in boots.items():
        for boot, mono_ms, recorded_at in connection.execute(
            "SELECT boot, mono_ms, recorded_at FROM clock_anchor WHERE school = %s AND device = %s AND boot = ANY(%s)",
            (school, device, list(names)),
        ):
            clocks.add(device, boot, ClockAnchor(mono_ms, recorded_at))
    return clocks


def _build_received(row: _Row, bearers: Mapping[BearerName, CarriedHistory]) -> ReceivedEvent:
    device, epoch, seq, *_, received_at, latest_before, by_epoch = row
    event = _build_event(row)
    if not by_epoch:
        return ReceivedEvent(EventId(device, epoch, seq), event, received_at, latest_before)
    bearer = bearers[device, epoch, by_epoch]
    branch = epoch
    if bearer.is_parted(seq):
        branch = f"{epoch}/{by_epoch}"
        event = move_to_branch(event, epoch, branch, bearer.parting)
    return ReceivedEvent(EventId(device, branch, seq), event, received_at, bearer.latest_before(seq))


def _build_event(row: _Row) -> Event:
    """Returns the event in these columns; the fields that bear on no visit are at their defaults."""
    (
        _, _, _, kind, review, person, session, service_date, programme, method, claim, reader, operator, note, group,
        recorded_at, boot, mono_ms, clock, roster, named_device, named_epoch, named_seq, scan_rules, *_,
    ) = row  # fmt: skip
    quality = _CLOCKS.get(clock, ClockQuality.UNKNOWN)  # of a line that is no event there is none
    match kind:
        case "entry":
            return Entry(
                school="", at=recorded_at, boot=boot, mono_ms=mono_ms, clock=quality, roster=roster, person=person,
                session=session, service_date=service_date, method=_METHODS[method], reader=reader, operator=operator,
                note=note, programme=programme, claim=_CLAIMS[claim], review=review, scan_rules=scan_rules,
            )  # fmt: skip
        case "manual":
            return Manual(
                school="", at=recorded_at, boot=boot, mono_ms=mono_ms, clock=quality, roster=roster, person=person,
                session=session, service_date=service_date, method=_METHODS[method], reader=reader, operator=operator,
                note=note, programme=programme, claim=_CLAIMS[claim], review=review, group=group,
                scan_rules=scan_rules,
            )  # fmt: skip
        case "exit":
            return Exit(
                school="", at=recorded_at, boot=boot, mono_ms=mono_ms, clock=quality, roster=roster, person=person,
                session=session, service_date=service_date, method=_METHODS[method], reader=reader, operator=operator,
                note=note, entry_epoch=named_epoch, entry_seq=named_seq, scan_rules=scan_rules,
            )  # fmt: skip
        case "repeat" | "refusal" if scan_rules:
            return (Repeat if kind == "repeat" else _refuse_outside_hours)(
                school="", at=recorded_at, boot=boot, mono_ms=mono_ms, clock=quality, roster=roster, person=person,
                session=session, service_date=service_date, method=_METHODS[method], reader=reader, operator=operator,
                note=note, scan_rules=scan_rules,
            )  # fmt: skip
        case "void":
            return Void(
                school="", at=recorded_at, boot=boot, mono_ms=mono_ms, clock=quality, roster=roster, person=person,
                void_epoch=named_epoch, void_seq=named_seq, operator=operator, note=note, void_device=named_device,
            )  # fmt: skip
        case _:  # a namesake: it only has to be there
            return Repeat(school="", at=recorded_at, boot=boot, mono_ms=mono_ms, clock=quality, person=person)


_refuse_outside_hours = partial(Refusal, reason="no_session")  # no other refusal has its rules in a column
