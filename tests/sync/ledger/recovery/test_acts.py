"""A backup that is put back does not revive what was ended since: keys, codes, consents."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract.consents import consenting_people
from sync.contract.roster import Consent, Person, Record
from sync.ledger.errors import ActsDamaged
from sync.ledger.recovery.acts import ActFile, ActKind, note_act, replay_acts, write_acts
from sync.ledger.recovery.restoring import HANDLERS, catch_up, follow_acts, open_acts
from sync.ledger.registry import rosters, schools
from sync.ledger.registry.privileged_acts import list_acts
from tests.sync.ledger.kiosk import new_school

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)


@pytest.fixture
def acts(db: psycopg.Connection, tmp_path: Path) -> ActFile:
    """A file of this test's own; the ledger that runs would at once do again what is missing in its database."""
    db.execute("CREATE TEMPORARY TABLE act (LIKE public.act INCLUDING ALL)")
    return open_acts(tmp_path, KEY)


@pytest.mark.parametrize("bring_back", [catch_up, follow_acts], ids=["at a start", "under a running process"])
def test_what_was_ended_stays_ended_after_a_restore(
    bring_back: Callable[[psycopg.Connection, ActFile], object], db: psycopg.Connection, acts: ActFile
) -> None:
    school = new_school(db)
    code = schools.issue_code(db, school, "left door", NOW)
    people: list[Record] = [
        Person(id="p1", given_name="Aliya", family_name="K"),
        Consent(id="c1", person="p1", given_at="2026-09-01T00:00:00.000Z"),
    ]
    rosters.apply_changes(db, school, people)
    write_acts(db, acts)
    before = read_state(db, school)
    public_key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    registered = schools.register_device(db, code, public_key, "", NOW)
    assert not isinstance(registered, schools.RefusedCode)
    device = registered[0].device
    schools.set_status(db, device, "suspended")
    withdrawn = Consent(
        id="c1", person="p1", given_at="2026-09-01T00:00:00.000Z", withdrawn_at="2026-11-30T09:00:00.000Z"
    )
    rosters.apply_changes(db, school, [withdrawn])
    after = read_state(db, school)
    write_acts(db, acts)
    follow_acts(db, acts)
    assert read_state(db, school) == after, "where nothing is missing nothing is done"
    put_back(db, school, device)
    assert read_state(db, school) == before
    bring_back(db, acts)
    assert read_state(db, school) == after
    found = schools.find_device(db, device)
    assert found is not None
    assert found.public_keys == (public_key,)
    again = schools.register_device(db, code, bytes(32), "", datetime.now(UTC))
    assert isinstance(again, schools.RefusedCode), "the code stays used"
    assert "suspension" in "".join(act.subject for act in list_acts(db, school, 10)), "the log of acts says so"
    assert catch_up(db, acts) == 0


def read_state(db: psycopg.Connection, school: str) -> tuple[object, ...]:
    devices = db.execute("SELECT device, status FROM device WHERE school = %s", (school,)).fetchall()
    agreed = consenting_people(rosters.read_records(db, school))
    return devices, agreed, rosters.read_version(db, school)


def put_back(db: psycopg.Connection, school: str, device: str) -> None:
    """Makes of the school what a backup from before the kiosk's registration holds."""
    with db.transaction():
        for table in ("device_suspension", "device_key", "head", "log_leaf"):
            db.execute(f"DELETE FROM {table} WHERE school = %s AND device = %s".encode(), (school, device))
        db.execute("DELETE FROM device WHERE school = %s AND device = %s", (school, device))
        db.execute(
            "UPDATE enrolment_code SET device = NULL, used_at = NULL, public_key = NULL WHERE school = %s", (school,)
        )
        db.execute("DELETE FROM roster_record WHERE school = %s AND version = 2", (school,))
        db.execute("UPDATE roster_record SET superseded = NULL WHERE school = %s", (school,))
        db.execute("DELETE FROM roster_version WHERE school = %s AND version = 2", (school,))
        db.execute("UPDATE school SET roster_version = 1 WHERE school = %s", (school,))
        db.execute("DELETE FROM act WHERE school = %s AND (kind <> 'roster' OR fields LIKE '%%consent%%')", (school,))


def test_a_restore_begins_a_new_incarnation_and_a_plain_start_none(db: psycopg.Connection, acts: ActFile) -> None:
    school = new_school(db)
    before = read_incarnation(db, school)
    assert len(before) == 32
    rosters.apply_changes(db, school, [Person(id="p1", given_name="Aliya", family_name="K")])
    catch_up(db, acts)
    assert read_incarnation(db, school) == before
    db.execute("DELETE FROM act WHERE school = %s", (school,))
    catch_up(db, acts)
    assert read_incarnation(db, school) != before


def read_incarnation(db: psycopg.Connection, school: str) -> str:
    row = db.execute("SELECT incarnation FROM school WHERE school = %s", (school,)).fetchone()
    assert row is not None
    return str(row[0])


def test_no_line_can_be_changed_or_taken_out(db: psycopg.Connection, tmp_path: Path) -> None:
    file = ActFile(tmp_path / "acts.jsonl", KEY)
    for number in range(4):
        file.append("s", f"token-{number}", ActKind.SUSPENSION, {"device": "d", "status": "suspended"})
    lines = file.path.read_bytes().splitlines(keepends=True)
    assert [act.number for act in file.read()] == [1, 2, 3, 4]
    changed = lines[1].replace(b"suspended", b"activated")
    for wrong in (
        [*lines[:1], *lines[2:]],
        [lines[0], changed, *lines[2:]],
        [*lines[:2], b"[[[\n", lines[3]],
        lines[1:],
    ):
        file.path.write_bytes(b"".join(wrong))
        with pytest.raises(ActsDamaged, match="restore the file"):
            replay_acts(db, file, HANDLERS)
    file.path.write_bytes(b"".join(lines))
    with pytest.raises(ActsDamaged):
        ActFile(file.path, Ed25519PrivateKey.generate()).read()


def test_a_line_torn_by_a_power_cut_is_written_again(tmp_path: Path) -> None:
    file = ActFile(tmp_path / "acts.jsonl", KEY)
    for number in range(3):
        file.append("s", f"token-{number}", ActKind.SUSPENSION, {"device": "d"})
    file.path.write_bytes(file.path.read_bytes()[:-20])
    assert [act.token for act in file.read()] == ["token-0", "token-1"]
    file.append("s", "token-2", ActKind.SUSPENSION, {"device": "d"})
    assert [act.token for act in file.read()] == ["token-0", "token-1", "token-2"]


def test_an_act_of_a_later_version_stops_the_start(db: psycopg.Connection, tmp_path: Path) -> None:
    file = ActFile(tmp_path / "acts.jsonl", KEY)
    file.append("s", "token", "amnesty", {})
    with pytest.raises(ActsDamaged, match="later version"):
        replay_acts(db, file, HANDLERS)


def test_what_is_noted_is_written_once(db: psycopg.Connection, acts: ActFile, school: str) -> None:
    with db.transaction():
        note_act(db, ActKind.ROSTER, school, {"version": "1", "deleted": ""})
    write_acts(db, acts)
    write_acts(db, acts)
    assert [act.fields["version"] for act in acts.read() if act.school == school] == ["1"]
