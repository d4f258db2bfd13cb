"""A restored backup reopens no closed sheet and revives no erased person and no withdrawn code."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.ledger.billing import sheet_store, sheet_work, terms
from sync.ledger.billing.sheet_store import ActRecord
from sync.ledger.errors import ActsDamaged, ActsMissing
from sync.ledger.family.erasure import erase_from_ledger
from sync.ledger.judgement.days import settle_days
from sync.ledger.recovery import acts as acts_module
from sync.ledger.recovery.acts import ActFile, replay_acts, write_acts
from sync.ledger.recovery.restoring import HANDLERS, catch_up
from sync.ledger.registry import enrolment_codes, schools
from sync.ledger.registry.privileged_acts import list_acts
from sync.ledger.transparency.statements import state_days
from sync.money.calendars import Calendar
from sync.money.errors import ActRefused
from sync.money.protocol import SheetSide
from sync.money.sheet import SheetSubject
from sync.money.tariffs import TariffBook
from tests.sync.ledger.billing.sheet_school import meal
from tests.sync.ledger.billing.test_sheets import Party
from tests.sync.ledger.kiosk import Kiosk, accepted

NOW = datetime.now(UTC) + timedelta(days=1)  # after the events came
MONTH = "2025-11"


@pytest.fixture
def acts(db: psycopg.Connection, tmp_path: Path) -> ActFile:
    """A file of this test's own; what the other tests have noted is none of its business."""
    db.execute("CREATE TEMPORARY TABLE act (LIKE public.act INCLUDING ALL)")
    return ActFile(tmp_path / "acts.jsonl", Ed25519PrivateKey.generate())


def read_sheet(db: psycopg.Connection, subject: SheetSubject) -> tuple[bytes, list[ActRecord]]:
    return sheet_store.read_version(db, subject).body, sheet_store.read_acts(db, subject)


def close_sheet(
    db: psycopg.Connection, school: str, kiosk: Kiosk, calendar: Calendar, tariffs: TariffBook
) -> SheetSubject:
    """Closes the first sheet of a month, in its second version."""
    terms.import_calendar(db, school, calendar, by="city", now=NOW)
    terms.import_tariffs(db, school, tariffs, by="city", now=NOW)
    subject = SheetSubject(school, "state", MONTH)
    kiosk.record(meal("u1", school, 3), meal("u2", school, 4))
    accepted(kiosk.send(1, 1))
    sheet_work.propose(db, subject, by="cook", now=NOW)
    accepted(kiosk.send(2, 2))
    sheet_work.propose(db, subject, by="cook", now=NOW)
    for side in (SheetSide.CATERER, SheetSide.SCHOOL):
        Party(db, school, side).hand_in(subject, sheet_store.read_version(db, subject).body)
    sheet_work.close(db, subject, by="city", now=NOW)
    return subject


def forget_closing(db: psycopg.Connection, subject: SheetSubject) -> None:
    """Makes of a sheet what a backup from before its second version holds."""
    db.execute("DELETE FROM sheet_act WHERE school = %s AND act > 1", (subject.school,))
    db.execute("DELETE FROM sheet_version WHERE school = %s AND version > 1", (subject.school,))
    db.execute("DELETE FROM closed_month WHERE school = %s", (subject.school,))
    db.execute("DELETE FROM act WHERE school = %s", (subject.school,))


def test_a_closed_sheet_is_closed_again_as_it_was(
    db: psycopg.Connection, acts: ActFile, lunch: str, kiosk: Kiosk, calendar: Calendar, tariffs: TariffBook
) -> None:
    subject = close_sheet(db, lunch, kiosk, calendar, tariffs)
    closed = read_sheet(db, subject)
    months = db.execute("SELECT * FROM closed_month WHERE school = %s", (lunch,)).fetchall()
    assert len(closed[1]) == 5
    assert len(months) == 1
    write_acts(db, acts)
    forget_closing(db, subject)
    assert catch_up(db, acts) > 0
    assert read_sheet(db, subject) == closed
    assert db.execute("SELECT * FROM closed_month WHERE school = %s", (lunch,)).fetchall() == months
    leaves = db.execute("SELECT leaf FROM log_leaf WHERE school = %s AND log = 'claims' ORDER BY entry", (lunch,))
    assert closed[1][-1].digest in bytes(leaves.fetchall()[-1][0]).decode()
    with pytest.raises(ActRefused):
        sheet_work.propose(db, subject, by="cook", now=NOW)
    assert catch_up(db, acts) == 0


@pytest.mark.parametrize("harm", ["missing", "changed", "another way"])
def test_where_its_bytes_are_missing_no_other_closes_in_its_place(
    harm: str, db: psycopg.Connection, acts: ActFile, lunch: str, kiosk: Kiosk, calendar: Calendar,
    tariffs: TariffBook,
) -> None:  # fmt: skip
    subject = close_sheet(db, lunch, kiosk, calendar, tariffs)
    closed = read_sheet(db, subject)
    write_acts(db, acts)
    forget_closing(db, subject)
    (attached,) = (acts.path.parent / acts_module.ATTACHMENTS_NAME).iterdir()
    content = attached.read_bytes()
    if harm == "missing":
        attached.unlink()
    elif harm == "changed":
        attached.write_bytes(content + b" ")
    else:
        db.execute("UPDATE sheet_act SET done_by = 'somebody' WHERE school = %s", (lunch,))
    catch_up(db, acts)
    assert sheet_store.read_process(db, subject).closing is None
    sheet_work.propose(db, subject, by="cook", now=NOW)
    for side in (SheetSide.CATERER, SheetSide.SCHOOL):
        Party(db, lunch, side).hand_in(subject, sheet_store.read_version(db, subject).body)
    with pytest.raises(ActRefused, match=f"are missing: state 0 .{closed[1][-1].digest[:16]}"):
        sheet_work.close(db, subject, by="city", now=NOW)
    if harm != "another way":
        forget_closing(db, subject)
        attached.write_bytes(content)
        catch_up(db, acts)
        assert read_sheet(db, subject) == closed
        assert db.execute("SELECT count(*) FROM lost_closing WHERE school = %s", (lunch,)).fetchone() == (0,)


def test_nobody_who_was_erased_is_stated_again(db: psycopg.Connection, acts: ActFile, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(*(meal(person, lunch, day) for day, person in ((3, "u1"), (3, "u2"), (4, "u1"))))
    accepted(kiosk.send(1, 2))
    state(db, lunch)
    assert stated(db, lunch) == {"u1", "u2"}
    erase_from_ledger(db, lunch, "u1", NOW)
    assert stated(db, lunch) == {"", "u2"}
    write_acts(db, acts)
    # What a backup from before it holds: nothing of the erasure.
    db.execute("DELETE FROM act WHERE school = %s", (lunch,))
    db.execute("DELETE FROM erased_person WHERE school = %s", (lunch,))
    db.execute(
        "UPDATE statement_row SET person = 'u1', body = 'x', salt = 'x' WHERE school = %s AND person = ''", (lunch,)
    )
    catch_up(db, acts)
    assert stated(db, lunch) == {"", "u2"}
    accepted(kiosk.send(3, 3))  # comes late, or again
    state(db, lunch)
    assert stated(db, lunch) == {"", "u2"}
    rows = db.execute("SELECT body, salt FROM statement_row WHERE school = %s AND person = ''", (lunch,)).fetchall()
    assert rows == [(None, None)] * 2


def state(db: psycopg.Connection, school: str) -> None:
    settle_days(db, school, now=NOW)
    state_days(db, school, now=NOW)


def stated(db: psycopg.Connection, school: str) -> set[str]:
    return {row[0] for row in db.execute("SELECT person FROM statement_row WHERE school = %s", (school,))}


def test_a_withdrawn_code_stays_withdrawn(db: psycopg.Connection, acts: ActFile, school: str) -> None:
    code = schools.issue_code(db, school, "left door", NOW)
    (row,) = enrolment_codes.list_codes(db, school, NOW)
    enrolment_codes.withdraw_code(db, school, row.name, NOW)
    write_acts(db, acts)
    db.execute("DELETE FROM act WHERE school = %s", (school,))
    db.execute("UPDATE enrolment_code SET withdrawn_at = NULL WHERE school = %s", (school,))
    catch_up(db, acts)
    assert schools.register_device(db, code, bytes(32), "", NOW) == schools.RefusedCode("withdrawn")
    acts.append(school, "token", "amnesty", {})
    with pytest.raises(ActsDamaged, match="later version"):
        replay_acts(db, acts, HANDLERS)


@pytest.mark.parametrize("harm", ["lost", "an older copy"])
def test_the_door_stays_shut_where_the_file_of_acts_is_not_the_newest(
    harm: str, db: psycopg.Connection, acts: ActFile, lunch: str, kiosk: Kiosk, calendar: Calendar,
    tariffs: TariffBook,
) -> None:  # fmt: skip
    schools.set_status(db, kiosk.device, "suspended")
    write_acts(db, acts)
    older = acts.path.read_bytes()
    schools.set_status(db, kiosk.device, "active")
    subject = close_sheet(db, lunch, kiosk, calendar, tariffs)
    closed = read_sheet(db, subject)
    write_acts(db, acts)
    shutil.rmtree(acts.path.parent / acts_module.ATTACHMENTS_NAME)
    acts.path.unlink()
    if harm == "an older copy":
        acts.path.write_bytes(older)
    with pytest.raises(ActsMissing, match="the door stays shut"):
        catch_up(db, acts)
    catch_up(db, acts, acts_are_lost=True)
    assert catch_up(db, acts) == 0
    forget_closing(db, subject)
    assert catch_up(db, acts) > 0
    assert read_sheet(db, subject) == closed, "the file that was written again is as good as the lost one"
    assert "acts are lost" in {act.act for act in list_acts(db, None, 10)}
