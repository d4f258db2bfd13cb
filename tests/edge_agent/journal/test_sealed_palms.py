"""Palms at rest: stored with a consent, deleted when it ends, with the receipt in the same transaction."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sqlite_utils import Database

from edge_agent.journal import schema
from edge_agent.journal.backup import back_up_journal
from edge_agent.journal.errors import NoConsent
from edge_agent.journal.export import export_journal
from edge_agent.journal.schema.migrations import migrations
from edge_agent.journal.sealed_palms import SealedPalm, rescue_palms
from edge_agent.journal.verify import verify_journal
from sync.contract.event import ClockQuality, ConsentNoted, ConsentWithdrawn, Event, PalmEnrolled, PersonId, decode
from sync.contract.roster import Change, Consent, DeletedRecord, Person, RosterPage
from tests.edge_agent.journal.samples import NOON, build_entry, open_journal

SEALED = bytes(range(256)) * 40


def build_palm(person: str, hand: str = "left", *, samples: int = 3, sealed: bytes = SEALED) -> SealedPalm:
    return SealedPalm(PersonId(person), hand, samples, sealed, 80, NOON)


def build_enrolment(person: str, hand: str = "left") -> PalmEnrolled:
    return PalmEnrolled(
        school="school-1",
        at="2026-11-23T04:40:00.000Z",
        boot="b",
        mono_ms=1,
        clock=ClockQuality.SYNCHRONISED,
        person=person,
        hand=hand,
        templates=3,
        operator="Cook",
    )


def build_consent(person: str, given_at: str = "2026-09-01T00:00:00Z", withdrawn: str = "") -> Consent:
    return Consent(id=f"k-{person}", person=person, given_at=given_at, withdrawn_at=withdrawn)


def build_pupil(id_: str) -> Person:
    return Person(id=id_, given_name="Айгүл", family_name="С.")


def build_page(since: int, version: int, *changes: Change, whole: bool = False) -> RosterPage:
    return RosterPage(school="school-1", since=since, version=version, changes=changes, whole=whole)


FIRST = build_page(
    0,
    1,
    build_pupil("u1"),
    build_pupil("u2"),
    build_pupil("u3"),
    build_consent("u1"),
    build_consent("u2"),
    build_consent("u3"),
    whole=True,
)


def read_events(path: Path) -> list[Event]:
    with open_journal(path) as journal:
        return [decode(row.payload) for row in reversed(journal.recent(100))]


def test_a_palm_and_its_event_are_stored_together(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.roster.apply([FIRST], NOON)
        journal.palms.add(build_palm("u1"), build_enrolment("u1"))
        journal.palms.add(build_palm("u1", "right", samples=4), build_enrolment("u1", "right"))
        journal.palms.add(
            build_palm("u1", samples=5), build_enrolment("u1")
        )  # enrolled again: in the place of the old one
    with open_journal(path) as journal:
        assert journal.palms.read_all() == [build_palm("u1", samples=5), build_palm("u1", "right", samples=4)]
        assert journal.outbox.head.seq == 3
    assert verify_journal(path).whole


def test_a_palm_that_cannot_be_stored_leaves_no_event(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.roster.apply([FIRST], NOON)
        with pytest.raises(ValueError, match="sealed palm"):
            journal.palms.add(build_palm("u1", sealed=b""), build_enrolment("u1"))
        journal.palms.add(build_palm("u1"), build_enrolment("u1"))
        with pytest.raises(ValueError, match="bytes"):
            journal.palms.add(build_palm("u1", samples=9), make_overlong(build_enrolment("u1")))
        assert journal.palms.read_all() == [build_palm("u1")]
        assert journal.outbox.head.seq == 1


def test_without_consent_nothing_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.roster.apply([build_page(0, 1, build_pupil("u1"), whole=True)], NOON)
        for person in ("u1", "u9"):
            with pytest.raises(NoConsent):
                journal.palms.add(build_palm(person), build_enrolment(person))
        assert (journal.palms.read_all(), journal.outbox.head.seq) == ([], 0)


def make_overlong(event: PalmEnrolled) -> PalmEnrolled:
    return msgspec.structs.replace(event, operator="x" * 8_000)


@pytest.mark.parametrize(
    "withdrawal",
    [
        build_consent("u2", withdrawn="2026-11-01T00:00:00Z"),
        DeletedRecord(deleted_type="consent", id="k-u2"),
        DeletedRecord(deleted_type="person", id="u2"),
    ],
)
def test_a_person_who_withdraws_or_leaves_is_forgotten_with_a_receipt(tmp_path: Path, withdrawal: Change) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.roster.apply([FIRST], NOON)
        for person in ("u1", "u2"):
            journal.palms.add(build_palm(person), build_enrolment(person))
        journal.palms.add(build_palm("u2", "right"), build_enrolment("u2", "right"))
        assert journal.roster.apply([build_page(1, 2, build_pupil("u3"))], NOON).forgotten == {}
        change = journal.roster.apply([build_page(2, 3, withdrawal)], NOON)
        assert change.forgotten == {"u2": 6}
        assert journal.palms.read_all() == [build_palm("u1")]
    receipt = read_events(path)[-1]
    assert isinstance(receipt, ConsentWithdrawn)
    assert (receipt.person, receipt.templates_deleted, receipt.roster) == ("u2", 6, 3)
    assert verify_journal(path).whole


def test_a_deleted_palm_is_in_no_file(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    secret = b"sealed palm of u2 " * 500
    with open_journal(path) as journal:
        journal.roster.apply([FIRST], NOON)
        journal.palms.add(build_palm("u2", sealed=secret), build_enrolment("u2"))
        journal.maintain()
        assert b"sealed palm of u2" in path.read_bytes()
        journal.roster.apply([build_page(1, 2, DeletedRecord(deleted_type="person", id="u2"))], NOON)
        for file in tmp_path.iterdir():
            assert b"sealed palm of u2" not in file.read_bytes(), file


def test_a_withdrawal_that_cannot_be_written_takes_nothing_away(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.roster.apply([FIRST], NOON)
        journal.palms.add(build_palm("u1"), build_enrolment("u1"))
        connection = sqlite3.connect(path)
        connection.execute(
            "CREATE TRIGGER no_receipt BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'not this time'); END"
        )
        connection.commit()
        connection.close()
        with pytest.raises(Exception, match="not this time"):
            journal.roster.apply([build_page(1, 2, DeletedRecord(deleted_type="person", id="u1"))], NOON)
        assert journal.palms.read_all() == [build_palm("u1")]
        assert journal.roster.version() == 1


def test_a_deletion_has_receipts_only_for_people_with_palms(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.roster.apply([FIRST], NOON)
        journal.palms.add(build_palm("u1"), build_enrolment("u1"))
        assert journal.palms.delete([PersonId("u1"), PersonId("u9")]) == {"u1": 3}
        assert journal.palms.read_all() == []
        assert journal.outbox.head.seq == 2


def test_a_rescue_obeys_the_roster_in_force(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    with open_journal(old) as journal:
        journal.roster.apply(
            [
                build_page(
                    0, 1, build_pupil("u1"), build_pupil("u9"), build_consent("u1"), build_consent("u9"), whole=True
                )
            ],
            NOON,
        )
        for person in ("u1", "u9"):
            journal.palms.add(build_palm(person), build_enrolment(person))
    assert rescue_palms(tmp_path / "none.db") == []
    with open_journal(new) as journal:
        journal.roster.apply([FIRST], NOON)
        journal.palms.restore(rescue_palms(old))
        assert journal.palms.read_all() == [build_palm("u1")]


def test_palms_leave_with_neither_backup_nor_export(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    secret = b"sealed palm of u1 " * 500
    with open_journal(path) as journal:
        journal.append(build_entry(1))
        journal.roster.apply([FIRST], NOON)
        journal.palms.add(build_palm("u1", sealed=secret), build_enrolment("u1"))
        back_up_journal(path, tmp_path / "copy.db")
        export_journal(path, tmp_path / "out.jsonl")
        assert journal.palms.read_all()
    for name in ("copy.db", "out.jsonl"):
        content = (tmp_path / name).read_bytes()
        assert b"sealed palm of u1" not in content
        assert secret.hex().encode() not in content
    assert b"sealed palm" not in repr(build_palm("u1", sealed=secret)).encode()


def test_a_palm_of_a_desk_consent_waits_until_the_roster_has_it(tmp_path: Path) -> None:
    """The ledger would not keep it before, and would not be asked again."""
    at = "2026-11-23T04:00:00.000Z"
    noted = ConsentNoted(
        school="school-1", at=at, boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED, person="u1", paper="17",
        given_by="mother", given_at=at, operator="op-1",
    )  # fmt: skip
    consent = Consent(id="desk:u1:palm", person="u1", given_at=at)
    with open_journal(tmp_path / "j.db") as journal:
        journal.roster.apply([build_page(0, 1, build_pupil("u1"), whole=True)], NOON)
        journal.desk_consents.note(consent, noted)
        journal.palms.add(build_palm("u1"), build_enrolment("u1"))
        assert journal.palms.next_unrelayed() is None
        journal.roster.apply([build_page(1, 2, consent)], NOON)
        waiting = journal.palms.next_unrelayed()
        assert waiting is not None
        assert waiting.person == "u1"


def make_older_journal(path: Path, stop_before: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    migrations.apply(Database(connection), stop_before=stop_before)
    assert schema.read_applied_steps(connection) == [name for name in schema.step_names() if name < stop_before]
    if stop_before > "0003":
        connection.execute("INSERT INTO template VALUES ('u1', 'left', 3, x'01', 80, '2026-11-23T07:00:00.000Z')")
    connection.close()


@pytest.mark.parametrize(("stop_before", "people"), [("0002_template", []), ("0003_palm_relay", ["u1"])])
def test_a_journal_from_before_palms_or_their_relay_is_brought_up_to_date(
    tmp_path: Path, stop_before: str, people: list[str]
) -> None:
    path = tmp_path / "j.db"
    make_older_journal(path, stop_before)
    assert [palm.person for palm in rescue_palms(path)] == people
    for _ in range(2):
        with open_journal(path) as journal:
            assert [(palm.person, palm.relayed) for palm in journal.palms.read_all()] == [
                (person, False) for person in people
            ]
            assert journal.palms.next_unrelayed() is None, "no roster has a consent yet"
    with closing(sqlite3.connect(path)) as connection:
        assert schema.read_applied_steps(connection) == schema.step_names()


@pytest.mark.parametrize("stop_before", ["0002_template", "0003_palm_relay"])
def test_an_older_journal_can_be_backed_up_without_being_changed(tmp_path: Path, stop_before: str) -> None:
    path = tmp_path / "j.db"
    make_older_journal(path, stop_before)
    assert back_up_journal(path, tmp_path / "copy.db").whole
    assert rescue_palms(tmp_path / "copy.db") == []


def test_a_restored_backup_asks_for_all_palms_again(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        journal.roster.apply([FIRST], NOON)
        journal.palms.accept([replace(build_palm("u1"), relayed=True)], (), 12, "key")
        assert (journal.palms.merged_palm_version("key"), journal.palms.merged_palm_version("other key")) == (12, 0)
        back_up_journal(tmp_path / "j.db", tmp_path / "copy.db")
    with open_journal(tmp_path / "copy.db") as copy:
        assert (copy.palms.merged_palm_version("key"), copy.palms.read_all()) == (0, [])


def test_a_sealed_palms_repr_hides_it() -> None:
    assert "sealed" not in repr(replace(build_palm("u1"), sealed=b"\xaa" * 100))
