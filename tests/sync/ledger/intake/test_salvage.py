"""A damaged journal on a stick: what it still holds is stored once, and closes holes."""

from pathlib import Path

import psycopg
import pytest

from edge_agent.journal.damage.salvage import read_journal
from edge_agent.journal.epochs import KioskIdentity
from sync.client.keys import DeviceKey
from sync.ledger.errors import NotUnderstood
from sync.ledger.intake.holes import read_holes
from sync.ledger.intake.salvage import BroughtEvent, StoredSalvage, store_salvaged
from sync.ledger.judgement.report import build_report
from tests.edge_agent.journal.samples import NOON, build_entry, open_journal
from tests.edge_agent.journal.test_open import ALTERED, spoil
from tests.sync.ledger.kiosk import Kiosk, accepted


def bring(db: psycopg.Connection, path: Path) -> StoredSalvage:
    found = read_journal(path, None, everything=True)
    assert found.epoch is not None
    events = [BroughtEvent(row.seq, row.hash, row.payload, row.proven) for row in found.rows]
    return store_salvaged(db, found.epoch.device, found.epoch.public_key, found.epoch.id, events, NOON)


def test_what_a_stick_brings_is_stored_once(db: psycopg.Connection, kiosk: Kiosk, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    identity = KioskIdentity(kiosk.device, DeviceKey(kiosk.key).public_bytes, kiosk.school)
    with open_journal(path, identity) as journal:
        journal.append_all([build_entry(number, f"p{number}") for number in range(1, 21)])
        kiosk.epoch = journal.outbox.epoch
        kiosk.payloads = [row.payload for row in journal.outbox.read_rows(0, 100, 100_000)]
    accepted(kiosk.send(1, 8))
    spoil(path, ALTERED + " 15")
    outcome = bring(db, path)
    assert (outcome.brought, outcome.stored, outcome.unproven) == (19, 11, 0)
    assert bring(db, path).stored == 0
    counted = db.execute(
        "SELECT count(*), count(DISTINCT seq) FROM fact WHERE school = %s AND device = %s", (kiosk.school, kiosk.device)
    ).fetchone()
    assert counted == (19, 19)
    accepted(kiosk.send(9, 20))
    assert kiosk.cursor().accepted_through == 20
    assert read_holes(db, kiosk.school) == []
    report = build_report(db, kiosk.school, NOON.date(), NOON.date(), now=NOON)
    assert sum(line.visits for line in report.lines) == 20, "each once, whichever way it came"


def test_a_journal_of_another_device_is_not_taken(db: psycopg.Connection, kiosk: Kiosk, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with open_journal(path, KioskIdentity(kiosk.device, bytes(32), kiosk.school)) as journal:
        journal.append(build_entry(1))
    with pytest.raises(NotUnderstood, match="key of this journal"):
        bring(db, path)
