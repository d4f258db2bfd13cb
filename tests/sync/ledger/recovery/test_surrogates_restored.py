"""A restored backup knows people by the same names as before, and nobody who was erased."""

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.ledger.family.erasure import erase_from_ledger
from sync.ledger.recovery.acts import ATTACHMENTS_NAME, ActFile, replay_acts, write_acts
from sync.ledger.recovery.restoring import HANDLERS
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.surrogates import find_surrogates
from tests.vectors import find_vector

SAMPLES = find_vector("canteen/oneroster12")
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture
def acts(db: psycopg.Connection, tmp_path: Path) -> ActFile:
    """A file of this test's own; what the other tests have noted is none of its business."""
    db.execute("CREATE TEMPORARY TABLE act (LIKE public.act INCLUDING ALL)")
    return ActFile(tmp_path / "acts.jsonl", Ed25519PrivateKey.generate())


def test_names_come_back_and_an_erased_persons_does_not(db: psycopg.Connection, school: str, acts: ActFile) -> None:
    files = read_export(SAMPLES / "bulk")
    import_export(db, files, [school], date="2026-11-22", org="sch-0151")
    people = [f"u-{number}" for number in range(1, 7)]
    before = dict(find_surrogates(db, school, people))
    write_acts(db, acts)
    erase_from_ledger(db, school, before["u-2"], NOW)
    write_acts(db, acts)
    [attached] = (acts.path.parent / ATTACHMENTS_NAME).iterdir()
    assert b"u-1" in attached.read_bytes()
    assert b"u-2" not in attached.read_bytes() + acts.path.read_bytes()

    # What a backup from before the import holds of it: nothing. And one from before the erasure: the person.
    db.execute("DELETE FROM act")
    db.execute("DELETE FROM erased_person WHERE school = %s", (school,))
    db.execute("DELETE FROM person_surrogate WHERE school = %s AND source_id <> 'u-2'", (school,))
    db.execute("INSERT INTO person_surrogate VALUES (%s, 'u-2', %s)", (school, before["u-2"]))
    replay_acts(db, acts, HANDLERS)
    import_export(db, files, [school], date="2026-11-22", org="sch-0151")
    after = find_surrogates(db, school, people)
    assert {name: after[name] for name in people if name != "u-2"} == {
        name: before[name] for name in people if name != "u-2"
    }
    assert after["u-2"] not in (before["u-2"], "u-2")
