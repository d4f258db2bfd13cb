"""The place of carried events in the chain of their old epoch: where they part from it, and what came before them."""

from collections.abc import Collection
from dataclasses import dataclass, field

import psycopg

from sync.contract.clocks import CLOCK_SLACK
from sync.ledger.intake.event_rows import good_time

BearerName = tuple[str, str, str]  # device, old epoch, the epoch that carried the events


@dataclass(slots=True)
class CarriedHistory:
    """The events that one epoch carried of an older one, by their place in its chain."""

    parting: int = 0  # the first number under which the ledger has another event; 0: nowhere
    latest: list[tuple[int, str]] = field(default_factory=list)  # number → the latest good wall time before it

    def is_parted(self, seq: int) -> bool:
        """Returns True where the event of this number belongs to a branch of its own."""
        return 0 < self.parting <= seq

    def latest_before(self, seq: int) -> str:
        """Returns the latest good wall time before an event."""
        return next((latest for number, latest in self.latest if number == seq), "")


def read_bearers(
    connection: psycopg.Connection, school: str, names: Collection[BearerName]
) -> dict[BearerName, CarriedHistory]:
    """Returns the carried history of each bearer."""
    return {name: _read_history(connection, school, name) for name in names}


_PARTING = """
    SELECT coalesce(min(c.seq), 0) FROM carried c
    JOIN event e ON e.school = c.school AND e.device = c.device AND e.epoch = c.epoch AND e.seq = c.seq
    WHERE c.school = %(school)s AND c.device = %(device)s AND c.epoch = %(epoch)s AND c.by_epoch = %(by_epoch)s
"""
_CARRIED = """
    SELECT seq, kind, clock, day, recorded_at, received_at FROM carried
    WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s AND by_epoch = %(by_epoch)s
    ORDER BY seq, hash
"""
_BEFORE = """
    SELECT coalesce(max(recorded_at COLLATE "C"), '') FROM event
    WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s AND seq < %(seq)s
      AND kind NOT IN ('', 'carried') AND clock = 'synchronised' AND day <> '' AND recorded_at
          <= to_char((received_at + %(slack)s) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') COLLATE "C"
"""
# Of the epochs that the ledger had before the old one, or before the bearer of one that it never had.
_EARLIER = """
    SELECT coalesce(max(latest COLLATE "C"), '') FROM epoch
    WHERE school = %(school)s AND device = %(device)s AND opened_at < coalesce(
        (SELECT opened_at FROM epoch WHERE school = %(school)s AND device = %(device)s AND epoch = %(epoch)s),
        (SELECT opened_at FROM epoch WHERE school = %(school)s AND device = %(device)s AND epoch = %(by_epoch)s)
    )
"""


def _read_history(connection: psycopg.Connection, school: str, name: BearerName) -> CarriedHistory:
    device, epoch, by_epoch = name
    place = {"school": school, "device": device, "epoch": epoch, "by_epoch": by_epoch}
    parted = connection.execute(_PARTING, place).fetchone()
    history = CarriedHistory(parted[0] if parted else 0)
    latest, number = "", 0
    for seq, *row in connection.execute(_CARRIED, place).fetchall():
        if not history.latest:
            stored = connection.execute(_BEFORE, {**place, "seq": seq, "slack": CLOCK_SLACK}).fetchone()
            latest = stored[0] if stored else ""
            earlier = connection.execute(_EARLIER, place).fetchone()
            latest = max(latest, earlier[0] if earlier else "")
        if seq != number:
            history.latest.append((seq, latest))
        number = seq
        latest = max(latest, good_time(*row))
    return history
