"""The flags on the days of schools. The database chooses what may raise one, and only that is read into memory.

It leaves out what cannot matter; `sync.contract.flags` decides on the rest.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import psycopg

from sync.contract.event import ClockQuality, Entry, Exit, Manual, Method
from sync.contract.flags import Flag, FlagThresholds, find_flags
from sync.contract.sessions import Timetable
from sync.contract.visit import EventId, ReceivedEvent
from sync.contract.visits import Visit
from sync.ledger.judgement.visit_rows import read_rows_outside, to_visit


def read_flags(
    connection: psycopg.Connection, timetables: Mapping[str, Timetable], first: date, last: date,
    thresholds: FlagThresholds | None = None,
) -> dict[str, list[Flag]]:  # fmt: skip
    """Returns the flags whose first event is a visit from `first` to `last` inclusive, by school, in their order.

    `timetables`: by school, of each school that is asked for.
    """
    limits = thresholds or FlagThresholds()
    suspects = _read_suspects(connection, list(timetables), first, last, limits)
    late = _read_late(connection, timetables, first, last)
    raised = {
        school: find_flags(suspects[school], late[school], timetable=timetable, thresholds=limits)
        for school, timetable in timetables.items()
    }
    visited = _read_visited(connection, raised, first, last)
    return {school: [flag for flag in flags if (school, *flag.first) in visited] for school, flags in raised.items()}


# Of the city: what may be part of a burst by hand or of a pile of cards, chosen where each school's rows lie. A carried
# event stands under the branch that it is of, and of two under one number the one of the earlier time stays.
_SUSPECTS = """
    SELECT school, device, epoch, seq, kind, person, place, group_id, recorded_at, boot, mono_ms, received_at
    FROM (
        SELECT *, count(*) OVER (PARTITION BY school, device, boot, kind = 'manual', place, run) AS run_length
        FROM (
            SELECT *,
                   sum(is_apart) OVER (
                       PARTITION BY school, device, boot, kind = 'manual', place ORDER BY mono_ms) AS run,
                   max(acts) OVER (
                       PARTITION BY school, device, boot, kind = 'manual', place ORDER BY mono_ms
                       RANGE BETWEEN CURRENT ROW AND %(window_ms)s::int8 FOLLOWING) AS acts_near
            FROM (
                SELECT *,
                       CASE WHEN mono_ms - lag(mono_ms) OVER (
                           PARTITION BY school, device, boot, kind = 'manual', place ORDER BY mono_ms
                       ) <= %(gap_ms)s THEN 0 ELSE 1 END AS is_apart,
                       count(*) OVER (
                           PARTITION BY school, device, boot, kind = 'manual', place ORDER BY mono_ms
                           RANGE BETWEEN %(window_ms)s::int8 PRECEDING AND CURRENT ROW) AS acts
                FROM (
                    SELECT school, device, epoch, seq, kind, person, method, group_id, recorded_at, boot, mono_ms,
                           received_at, CASE WHEN kind = 'manual' THEN operator ELSE reader END AS place,
                           min(recorded_at COLLATE "C") OVER (PARTITION BY school, device, epoch, seq) AS earliest
                    FROM (
                        SELECT e.school, e.device, e.epoch, e.seq, e.kind, e.person, e.method, e.reader, e.operator,
                               e.group_id, e.recorded_at, e.boot, e.mono_ms, e.received_at
                        FROM event e
                        WHERE e.school = ANY(%(schools)s) AND e.day = ANY(%(days)s)
                        UNION ALL
                        SELECT e.school, e.device, e.epoch, e.seq, e.kind, e.person, e.method, e.reader, e.operator,
                               e.group_id, e.recorded_at, e.boot, e.mono_ms, e.received_at
                        FROM event e JOIN strayed_event s USING (school, device, epoch, seq)
                        WHERE e.school = ANY(%(schools)s) AND s.true_day = ANY(%(near)s) AND s.hash = ''
                          AND e.day <> ALL(%(days)s)
                        UNION ALL
                        SELECT c.school, c.device,
                               CASE WHEN c.seq >= p.seq THEN c.epoch || '/' || c.by_epoch ELSE c.epoch END, c.seq,
                               c.kind, c.person, c.method, c.reader, c.operator,
                               c.group_id, c.recorded_at, c.boot, c.mono_ms, c.received_at
                        FROM carried c
                        LEFT JOIN (
                            SELECT c.school, c.device, c.epoch, c.by_epoch, min(c.seq) AS seq
                            FROM carried c JOIN event e USING (school, device, epoch, seq)
                            WHERE c.school = ANY(%(schools)s) GROUP BY c.school, c.device, c.epoch, c.by_epoch
                        ) p USING (school, device, epoch, by_epoch)
                        LEFT JOIN strayed_event s
                          ON s.school = c.school AND s.device = c.device AND s.epoch = c.epoch AND s.seq = c.seq
                         AND s.hash = c.hash AND s.true_day = ANY(%(near)s)
                        WHERE c.school = ANY(%(schools)s) AND (c.day = ANY(%(days)s) OR s.school IS NOT NULL)
                    ) AS placed
                    WHERE kind IN ('entry', 'manual', 'exit')
                ) AS rival
                WHERE recorded_at = earliest AND (kind = 'manual' OR method = 'card')
            ) AS sighting
        ) AS marked
    ) AS counted
    WHERE CASE WHEN kind = 'manual' THEN acts_near >= %(acts)s ELSE run_length >= %(cards)s END
"""


def _read_suspects(
    connection: psycopg.Connection, schools: Sequence[str], first: date, last: date, limits: FlagThresholds
) -> dict[str, list[ReceivedEvent]]:
    """Returns the entries by hand that others surround and the cards that follow each other closely, by school."""
    near = [(first + timedelta(days=number)).isoformat() for number in range(-1, (last - first).days + 2)]
    wanted = {
        "schools": schools, "days": near[1:-1], "near": near, "window_ms": limits.burst_window_ms,
        "acts": min(limits.burst_acts, limits.burst_people), "gap_ms": limits.pile_gap_ms, "cards": limits.pile_cards,
    }  # fmt: skip
    suspects: dict[str, list[ReceivedEvent]] = defaultdict(list)
    with connection.cursor() as cursor:
        for school, device, epoch, seq, kind, person, place, group, recorded_at, boot, mono_ms, received_at in (
            cursor.execute(_SUSPECTS, wanted)
        ):  # fmt: skip
            event: Entry | Manual | Exit
            if kind == "manual":
                event = Manual(
                    school=school, at=recorded_at, boot=boot, mono_ms=mono_ms, clock=ClockQuality.UNKNOWN,
                    person=person, method=Method.MANUAL, operator=place, group=group,
                )  # fmt: skip
            else:
                event = (Entry if kind == "entry" else Exit)(
                    school=school, at=recorded_at, boot=boot, mono_ms=mono_ms, clock=ClockQuality.UNKNOWN,
                    person=person, reader=place,
                )  # fmt: skip
            suspects[school].append(ReceivedEvent(EventId(device, epoch, seq), event, received_at))
    return suspects


# Of the city: the sessions and dates that the visits are of; their hours are the timetable's.
_SLOTS = """
    SELECT DISTINCT school, session, service_date FROM visit
    WHERE school = ANY(%s) AND day BETWEEN %s AND %s AND closing <> 'void' AND entry_time IS NOT NULL
"""


def _read_late(
    connection: psycopg.Connection, timetables: Mapping[str, Timetable], first: date, last: date
) -> dict[str, list[Visit]]:
    """Returns the visits outside of the hours of their sessions, by school."""
    days = (first.isoformat(), last.isoformat())
    hours = []
    for school, session, service_date in connection.execute(_SLOTS, (list(timetables), *days)).fetchall():
        slot = timetables[school].slot(session, service_date)
        hours.append((school, session, service_date, *((slot.starts, slot.ends) if slot else (None, None))))
    late: dict[str, list[Visit]] = defaultdict(list)
    for school, *row in read_rows_outside(connection, hours, *days) if hours else ():
        late[school].append(to_visit(tuple(row)))
    return late


# Of the city: those of the events that are visits.
_VISITED = """
    SELECT v.school, v.device, v.epoch, v.seq FROM visit v
    JOIN unnest(%s::text[], %s::text[], %s::text[], %s::int8[]) AS given (school, device, epoch, seq)
      USING (school, device, epoch, seq)
    WHERE v.school = ANY(%s) AND v.day BETWEEN %s AND %s
"""


def _read_visited(
    connection: psycopg.Connection, raised: Mapping[str, Iterable[Flag]], first: date, last: date
) -> frozenset[tuple[str, str, str, int]]:
    """Returns school, device, epoch and number of each flag's first event that is a visit of these days."""
    places = [(school, *flag.first) for school, flags in raised.items() for flag in flags]
    if not places:
        return frozenset()
    schools, devices, epochs, seqs = (list(column) for column in zip(*places, strict=True))
    bounds = (sorted(set(schools)), first.isoformat(), last.isoformat())
    return frozenset(connection.execute(_VISITED, (schools, devices, epochs, seqs, *bounds)).fetchall())
