"""The days that must be judged again, marked in the transaction that brings the reason.

A mark takes its day's row until the commit, so that a day that is judged meanwhile is judged once more. Days are marked
in their order, and last: two batches never wait for each other in a circle, and not for long.
"""

from collections.abc import Collection, Iterable
from datetime import date, timedelta

import psycopg

from sync.contract.clocks import ClockAnchor, TrueClocks
from sync.ledger.intake.event_rows import EventEffects, EventRow, StrayedEvent


def mark_days(connection: psycopg.Connection, school: str, device: str, effects: EventEffects) -> None:
    """Marks the days on which a device's new events bear, and stores their clock evidence."""
    days = set(effects.days)
    if effects.anchors:
        _store_anchors(connection, school, device, effects)
    _store_strayed(connection, school, device, effects.strayed)
    boots = {boot for boot, _ in effects.anchors} | {event.row.boot for event in effects.strayed if event.is_uncertain}
    days |= _place_strayed(connection, school, device, boots - {""})
    for void in effects.voids:
        days |= _named_days(connection, school, device, void)
    if effects.carried_epochs:
        days |= _carried_days(connection, school, device, effects.carried_epochs)
    mark_dirty(connection, school, days)


def mark_dirty(connection: psycopg.Connection, school: str, days: Iterable[str]) -> None:
    """Marks these days of a school."""
    ordered = sorted(set(days) - {""})
    if ordered:
        connection.execute(_MARK, {"school": school, "days": ordered})


def change_basis(connection: psycopg.Connection, school: str, days: Iterable[str]) -> None:
    """Notes in the caller's transaction that these days must be judged by another basis. Call it before the change."""
    connection.execute("UPDATE school SET basis_version = basis_version + 1 WHERE school = %s", (school,))
    mark_dirty(connection, school, days)


# ON CONFLICT takes the row even where another transaction has just marked it: see the module's text.
_MARK = """
    INSERT INTO dirty_day (school, day) SELECT %(school)s, day FROM unnest(%(days)s::text[]) AS given (day)
    ON CONFLICT (school, day) DO UPDATE SET marks = dirty_day.marks + 1
"""

_INSERT_ANCHORS = """
    INSERT INTO clock_anchor (school, device, boot, span, mono_ms, recorded_at)
    SELECT %(school)s, %(device)s, given.*
    FROM unnest(%(boots)s::text[], %(spans)s::int8[], %(mono_ms)s::int8[], %(recorded)s::text[])
         AS given (boot, span, mono_ms, recorded_at)
    WHERE NOT EXISTS (
        SELECT 1 FROM clock_anchor earlier
        WHERE earlier.school = %(school)s AND earlier.device = %(device)s AND earlier.boot = given.boot
          AND earlier.span = given.span
          AND (earlier.mono_ms, earlier.recorded_at COLLATE "C")
              <= (given.mono_ms, given.recorded_at COLLATE "C")
    )
    ON CONFLICT (school, device, boot, span)
    DO UPDATE SET mono_ms = excluded.mono_ms, recorded_at = excluded.recorded_at
"""


def _store_anchors(connection: psycopg.Connection, school: str, device: str, effects: EventEffects) -> None:
    connection.execute(_INSERT_ANCHORS, {
        "school": school, "device": device, "boots": [boot for boot, _ in effects.anchors],
        "spans": [span for _, span in effects.anchors],
        "mono_ms": [anchor.mono_ms for anchor in effects.anchors.values()],
        "recorded": [anchor.at for anchor in effects.anchors.values()],
    })  # fmt: skip


_INSERT_STRAYED = """
    INSERT INTO strayed_event (school, device, epoch, seq, hash, boot, recorded_at, mono_ms, day, true_day)
    SELECT %(school)s, %(device)s, *
    FROM unnest(%(epochs)s::text[], %(seqs)s::int8[], %(hashes)s::bytea[], %(boots)s::text[], %(recorded)s::text[],
                %(mono_ms)s::int8[], %(days)s::text[], %(true_days)s::text[])
    ON CONFLICT DO NOTHING
"""


def _store_strayed(connection: psycopg.Connection, school: str, device: str, strayed: Collection[StrayedEvent]) -> None:
    if not strayed:
        return
    connection.execute(_INSERT_STRAYED, {
        "school": school, "device": device, "epochs": [event.epoch for event in strayed],
        "seqs": [event.seq for event in strayed], "hashes": [event.hash for event in strayed],
        "boots": [event.row.boot if event.is_uncertain else "" for event in strayed],
        "recorded": [event.row.recorded_at for event in strayed],
        "mono_ms": [event.row.mono_ms for event in strayed], "days": [event.row.day for event in strayed],
        "true_days": ["" if event.is_uncertain else event.row.recorded_at[:10] for event in strayed],
    })  # fmt: skip


def _place_strayed(connection: psycopg.Connection, school: str, device: str, boots: Collection[str]) -> set[str]:
    """Finds the true days of the uncertain events of these boots by the evidence at hand.

    Returns all days that this may concern: the true one, the one before, and the neighbours to which a session that
    ends after midnight may belong.
    """
    place = (school, device, list(boots))
    strayed = connection.execute(
        "SELECT epoch, seq, hash, boot, mono_ms, day, true_day FROM strayed_event"
        " WHERE school = %s AND device = %s AND boot = ANY(%s)",
        place,
    ).fetchall()
    if not strayed:
        return set()
    clocks = TrueClocks()
    for boot, mono_ms, recorded_at in connection.execute(
        "SELECT boot, mono_ms, recorded_at FROM clock_anchor WHERE school = %s AND device = %s AND boot = ANY(%s)",
        place,
    ):
        clocks.add(device, boot, ClockAnchor(mono_ms, recorded_at))
    days: set[str] = set()
    moved: list[tuple[str, str, int, bytes]] = []
    for epoch, seq, digest, boot, mono_ms, day, earlier_day in strayed:
        true_time = clocks.reckon(device, boot, mono_ms)
        true_day = true_time.date().isoformat() if true_time else ""
        days |= {day, *neighbours(true_day), *neighbours(earlier_day)}
        if true_day != earlier_day:
            moved.append((true_day, epoch, seq, digest))
    if moved:
        true_days, epochs, seqs, hashes = zip(*moved, strict=True)
        connection.execute(_MOVE_STRAYED, {
            "school": school, "device": device, "epochs": list(epochs), "seqs": list(seqs), "hashes": list(hashes),
            "true_days": list(true_days),
        })  # fmt: skip
    return days


_MOVE_STRAYED = """
    UPDATE strayed_event SET true_day = moved.true_day
    FROM unnest(%(epochs)s::text[], %(seqs)s::int8[], %(hashes)s::bytea[], %(true_days)s::text[])
         AS moved (epoch, seq, hash, true_day)
    WHERE strayed_event.school = %(school)s AND strayed_event.device = %(device)s
      AND strayed_event.epoch = moved.epoch AND strayed_event.seq = moved.seq AND strayed_event.hash = moved.hash
"""


def neighbours(day: str) -> tuple[str, ...]:
    """Returns a date with the one before and the one after it; nothing for a text that is no date."""
    try:
        middle = date.fromisoformat(day)
        return tuple((middle + timedelta(days=distance)).isoformat() for distance in (-1, 0, 1))
    except (ValueError, OverflowError):
        return ()


# A void may name an event of its own kiosk, of a named one, or of any kiosk of the school.
_NAMED_DAYS = """
    SELECT event.day, strayed.true_day FROM (
        SELECT device, epoch, seq, ''::bytea AS hash, day FROM event
        WHERE school = %(school)s AND epoch = %(epoch)s AND seq = %(seq)s
          AND device IN (SELECT device FROM device WHERE school = %(school)s)
        UNION ALL
        SELECT device, epoch, seq, hash, day FROM carried
        WHERE school = %(school)s AND epoch = %(epoch)s AND seq = %(seq)s
          AND device IN (SELECT device FROM device WHERE school = %(school)s)
    ) AS event
    LEFT JOIN strayed_event strayed
    ON strayed.school = %(school)s AND strayed.device = event.device AND strayed.epoch = event.epoch
       AND strayed.seq = event.seq AND strayed.hash = event.hash
"""


def _named_days(connection: psycopg.Connection, school: str, device: str, void: EventRow) -> set[str]:
    rows = connection.execute(
        _NAMED_DAYS, {"school": school, "device": device, "epoch": void.named_epoch, "seq": void.named_seq}
    )
    return {day for row_day, true_day in rows for day in (row_day, *neighbours(true_day or ""))}


def _carried_days(connection: psycopg.Connection, school: str, device: str, epochs: Collection[str]) -> set[str]:
    """Returns the days of all carried events of these epochs: a further one may show where their branch begins."""
    rows = connection.execute(
        "SELECT DISTINCT carried.day, strayed.true_day FROM carried LEFT JOIN strayed_event strayed"
        " USING (school, device, epoch, seq, hash)"
        " WHERE carried.school = %s AND carried.device = %s AND carried.epoch = ANY(%s)"
        " AND (carried.kind IN ('entry', 'manual', 'exit') OR carried.scan_rules <> '')",
        (school, device, list(epochs)),
    )
    return {day for row_day, true_day in rows for day in (row_day, *neighbours(true_day or ""))}
