"""Takes events out of a damaged journal that was brought on a stick.

Nobody has signed for them as a batch. What vouches for them is the hash chain, behind a genesis that names the device
and its key, and the operator who brings the file. So they never move a head: they are stored as carried events under
their own names, as if a later epoch had brought them, and the report counts each once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from sync.contract.chain import DeviceId, Epoch, Hash
from sync.ledger.errors import NotUnderstood
from sync.ledger.intake.carried_events import insert_carried
from sync.ledger.intake.event_columns import read_columns, read_inner
from sync.ledger.intake.event_rows import CarriedEvent, EventEffects
from sync.ledger.intake.holes import note_lost
from sync.ledger.intake.tombstones import fill_carried_tombstones
from sync.ledger.judgement.day_marks import mark_days
from sync.ledger.registry.schools import parse_school

BY_STICK = "stick"  # in the place of the epoch that carried them


@dataclass(frozen=True, slots=True)
class BroughtEvent:
    """An event of a damaged journal, under its own name. `is_proven`: the chain leads to it."""

    seq: int
    hash: Hash
    payload: bytes
    is_proven: bool


@dataclass(frozen=True, slots=True)
class StoredSalvage:
    """The outcome. `--json` shows these names."""

    school: str
    device: str
    epoch: str
    brought: int
    stored: int  # the others were here before
    unproven: int  # of those brought: nothing before them leads to them; they are listed in the quarantine


def store_salvaged(
    connection: psycopg.Connection, device: DeviceId, public_key: bytes, epoch: Epoch, events: Sequence[BroughtEvent],
    now: datetime,
) -> StoredSalvage:  # fmt: skip
    """Stores those of the events that are not here, in one transaction. Raises NotUnderstood for a foreign device."""
    school = parse_school(device)
    with connection.transaction():
        known = connection.execute(
            "SELECT 1 FROM head JOIN device_key USING (school, device)"
            " WHERE school = %s AND device = %s AND public_key = %s FOR UPDATE OF head",
            (school, device, public_key),
        ).fetchone()
        if known is None:
            raise NotUnderstood(f"no device {device!r} with the key of this journal: see `edge-agent ledger devices`")
        before = _count(connection, school, device)
        effects, unproven = EventEffects(), 0
        taken: list[CarriedEvent] = []
        for event in events:
            carried = read_columns([event.payload], event.seq, school=school, epoch=epoch, now=now).carried
            if carried:
                inner = carried[0]
                read_inner(inner.payload, inner.epoch, inner.seq, inner.hash, school, now, effects)
            else:
                row, _ = read_inner(event.payload, epoch, event.seq, event.hash, school, now, effects)
                inner = CarriedEvent(epoch, event.seq, event.hash, event.payload, event.seq, row)
            insert_carried(connection, school, device, BY_STICK, [inner])
            taken.append(inner)
            if not event.is_proven:
                unproven += 1
                connection.execute(_NOTE_UNPROVEN, (school, device, epoch, event.seq))
        filled = fill_carried_tombstones(connection, school, device, taken, now)
        note_lost(connection, school, device, effects.lost)
        mark_days(connection, school, device, effects)
        stored = _count(connection, school, device) - before + filled
    return StoredSalvage(school, device, epoch, len(events), stored, unproven)


_NOTE_UNPROVEN = """
    INSERT INTO quarantine (school, device, epoch, seq, code, detail)
    VALUES (%s, %s, %s, %s, 'unproven', 'from a damaged journal, behind a hole') ON CONFLICT DO NOTHING
"""


def _count(connection: psycopg.Connection, school: str, device: str) -> int:
    row = connection.execute(
        "SELECT count(*) FROM carried WHERE school = %s AND device = %s", (school, device)
    ).fetchone()
    return int(row[0]) if row else 0
