"""Obstacles of a closing, besides the sides' signatures: open days, missing events and sheets.

An open contest is none: its meal is held, and so on no sheet until somebody answers.
"""

from datetime import datetime, tzinfo

import psycopg

from sync.contract.event import TERMINAL_BOOT, ClockQuality
from sync.errors import Wording
from sync.ledger.intake.holes import read_holes
from sync.money.months import Month
from sync.money.protocol import ClosingObstacle

LISTED_MAX = 5  # of each kind; the others are counted


def find_days_to_come(month: Month, tz: tzinfo, now: datetime) -> list[ClosingObstacle]:
    """Returns an obstacle before the month is over at the school: its later meals would all be corrections."""
    if now.astimezone(tz).date() > month.last:
        return []
    day = month.following.first
    what, next_step = f"days that are still to come: {month} lasts until {month.last}", f"close it from {day} on"
    return [ClosingObstacle(what, next_step, Wording("obstacle.days_to_come", day=day))]


def find_open_questions(connection: psycopg.Connection, school: str, month: Month) -> list[ClosingObstacle]:
    """Returns an obstacle for each kind of question that is open in a month of a school."""
    return [
        *_find_open_days(connection, school, month),
        *_find_holes(connection, school, month),
        *_find_lost_closings(connection, school, month),
    ]


def _find_lost_closings(connection: psycopg.Connection, school: str, month: Month) -> list[ClosingObstacle]:
    rows = connection.execute(
        "SELECT programme, number, digest FROM lost_closing WHERE school = %s AND month = %s"
        " ORDER BY programme, number",
        (school, str(month)),
    ).fetchall()
    names = [f"{programme} {number} ({digest[:16]})" for programme, number, digest in rows]
    next_step = "put its file back into the folder `acts` beside acts.jsonl, from a copy, and start the ledger again"
    wording = Wording("obstacle.lost_closings", sheets=_shorten(names), count=len(names))
    what = f"sheets that were closed before the restore and are missing: {_list(names)}"
    return [ClosingObstacle(what, next_step, wording)] if names else []


def _find_open_days(connection: psycopg.Connection, school: str, month: Month) -> list[ClosingObstacle]:
    rows = connection.execute(
        "SELECT day FROM dirty_day WHERE school = %s AND day BETWEEN %s AND %s ORDER BY day",
        (school, month.first.isoformat(), month.last.isoformat()),
    ).fetchall()
    days = [row[0] for row in rows]
    next_step = "wait until their sessions have ended, and propose again"
    wording = Wording("obstacle.open_days", days=_shorten(days), count=len(days))
    return [ClosingObstacle(f"days that are not judged yet: {_list(days)}", next_step, wording)] if days else []


# The UTC dates between which a hole was recorded, by the events on both sides of it; a side without one is open. Only
# what has its time from the kiosk's own clock, synchronised then, says where it lies: a row of 1970 or of 2099 behind a
# power cut, an entry on paper for last month and a terminal's late row would move it elsewhere.
_SELECT_DATES = """
    SELECT max(at) FILTER (WHERE seq < %(first)s), min(at) FILTER (WHERE seq > %(last)s)
    FROM (
        SELECT seq, left(recorded_at, 10) AS at FROM event
        WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s AND day <> '' AND recorded_at <> ''
          AND clock = %(good)s AND NOT starts_with(boot, %(terminal)s)
          AND left(recorded_at, 10) <= to_char(received_at AT TIME ZONE 'UTC' + interval '1 day', 'YYYY-MM-DD')
    ) AS trusted
"""


def _find_holes(connection: psycopg.Connection, school: str, month: Month) -> list[ClosingObstacle]:
    holes = []
    for hole in read_holes(connection, school):
        row = connection.execute(_SELECT_DATES, {
            "school": school, "device": hole.device, "epoch": hole.epoch, "first": hole.first_seq,
            "last": hole.last_seq, "good": ClockQuality.SYNCHRONISED, "terminal": TERMINAL_BOOT,
        }).fetchone()  # fmt: skip
        before, after = row if row is not None else (None, None)
        if (before or "") <= month.last.isoformat() and month.first.isoformat() <= (after or hole.noted_on):
            holes.append(f"{hole.device} {hole.epoch} {hole.first_seq}-{hole.last_seq}")
    next_step = "bring the missing events: from the kiosk's old card, another kiosk or a stick"
    wording = Wording("obstacle.holes", holes=_shorten(holes), count=len(holes))
    return [ClosingObstacle(f"events that are missing: {_list(holes)}", next_step, wording)] if holes else []


def _shorten(names: list[str]) -> str:
    """Returns the first names, in a form that needs no language."""
    return ", ".join(names[:LISTED_MAX]) + (" …" if len(names) > LISTED_MAX else "")


def _list(names: list[str]) -> str:
    more = len(names) - LISTED_MAX
    return ", ".join(names[:LISTED_MAX]) + (f" and {more} more" if more > 0 else "")
