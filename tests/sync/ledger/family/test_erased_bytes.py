"""After an erasure and a purge no byte of database, WAL, ledger's folder or kiosk names the person.

Searched are the files themselves: PostgreSQL's whole data directory with its WAL and log, acts and attachments, and the
journal of a kiosk that has its roster from the ledger over HTTP.
"""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest

from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from sync.contract import wire
from sync.contract.chain import DeviceId
from sync.contract.replacement_cards import ReplacementCardMessage
from sync.contract.roster import LATER_TYPES, Person, RosterPage
from sync.ledger.billing.count_uploads import CountKind, CountSubject
from sync.ledger.billing.payers import confirm_names
from sync.ledger.errors import NotUnderstood
from sync.ledger.family.codes import enter_code, issue_family_code
from sync.ledger.family.erasure import erase_from_ledger
from sync.ledger.judgement.contests import contest_absence
from sync.ledger.recovery.purging import purge_files
from sync.ledger.registry import rosters
from sync.ledger.registry.replacement_cards import store_card
from sync.ledger.registry.roster_files import read_export
from sync.ledger.registry.roster_import import import_export
from sync.ledger.registry.surrogates import find_surrogate
from sync.ledger.server import LedgerServer
from sync.money.payer_file import PayerChild, PayerMeal, PayerSheet
from sync.money.payer_people import name_key
from tests.conftest import CITUS_URL
from tests.edge_agent.journal.samples import open_journal
from tests.sync.ledger.kiosk import Kiosk
from tests.vectors import find_vector

SAMPLES = find_vector("canteen/oneroster12")
ON = "2026-11-22"
NOW = datetime.now(UTC)


class Child:
    """A person whose every text is drawn, so that it is found nowhere else."""

    def __init__(self) -> None:
        mark = "".join(chr(ord("а") + byte % 32) for byte in secrets.token_bytes(10))
        self.source_id, self.name, self.card = f"stu-{secrets.token_hex(6)}", f"Жан{mark}", secrets.token_hex(7).upper()
        self.note = f"Моего сына зовут {self.name}"

    @property
    def texts(self) -> tuple[bytes, ...]:
        folded = name_key(PayerChild("", self.name, ""))[0]
        return tuple(text.encode() for text in (self.source_id, self.name, folded, self.card))


def make_export(child: Child) -> dict[str, bytes]:
    """Returns the sample export with `u-2` as this child."""
    files = {
        name: content.replace(b"u-2", child.source_id.encode()).replace("Нұрлан".encode(), child.name.encode())
        for name, content in read_export(SAMPLES / "bulk").items()
    }
    files["cards.csv"] = f"userSourcedId,number\n{child.source_id},{child.card}\n".encode()
    files["consents.csv"] = f"userSourcedId,givenAt,withdrawnAt\n{child.source_id},2026-09-01T04:00:00Z,\n".encode()
    return files


def find_files(folder: Path, child: Child) -> list[str]:
    """Returns the files below a folder in which one of the child's texts stands."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:  # the server's own, gone meanwhile
            continue
        if any(text in content for text in child.texts):
            found.append(str(path.relative_to(folder)))
    return found


def pull(journal: Journal, kiosk: Kiosk) -> None:
    """Fetches the changes since the journal's roster, as the kiosk's client does."""
    pages: list[RosterPage] = []
    cursor, since = "", journal.roster.pulled_version()
    while not pages or pages[-1].more:
        query = wire.roster_query(since, cursor, LATER_TYPES)
        answer = kiosk.call("GET", wire.roster_path(kiosk.school), query=query)
        pages.append(wire.read_json(RosterPage, answer.content))
        cursor = pages[-1].cursor
    journal.roster.apply(pages, NOW)


@pytest.mark.skipif(bool(CITUS_URL), reason="the files of a cluster lie elsewhere: unset CITUS_URL")
def test_no_byte_names_whoever_was_erased(
    db: psycopg.Connection, server: LedgerServer, school: str, kiosk: Kiosk, open_folder: Path, tmp_path: Path
) -> None:
    child, other = Child(), Child()
    import_export(db, make_export(other), [school], date=ON, org="sch-0151")
    import_export(db, make_export(child), [school], date=ON, org="sch-0151", vanish_share_max=1)
    db.execute("ANALYZE")
    person = find_surrogate(db, school, child.source_id)
    key = name_key(PayerChild("", child.name, "1 А"))
    confirm_names(db, school, {key: person}, by="o", now=NOW)
    hand_in(db, school, PayerChild("", *key))
    contest_absence(db, school, person, ON, "day", child.note, NOW)
    assert enter_code(db, issue_family_code(db, school, person, by="o", now=NOW), "phone", NOW) is not None
    given = ReplacementCardMessage(
        id="rc-1", person=person, made_at="2026-11-20T05:00:00.000Z", sealed=child.card.encode()
    )
    assert store_card(db, school, kiosk.device, given)[0].stored
    identity = KioskIdentity(DeviceId(kiosk.device), bytes(32), school)
    kiosk_folder = tmp_path / "kiosk"
    kiosk_folder.mkdir()
    with open_journal(kiosk_folder / "j.db", identity) as journal:
        pull(journal, kiosk)
        wait_for_acts(db)
        assert find_files(kiosk_folder, child)
        db.execute("CHECKPOINT")
        found = find_files(open_folder, child)
        assert any("pg_wal" in name for name in found)
        assert any("acts/" in name for name in found)
        assert any("base/" in name for name in found)

        erase_from_ledger(db, school, person, NOW)
        wait_for_acts(db)
        purged = purge_files(db)
        assert purged.segments_left == 0
        assert find_files(open_folder, child) == []
        assert find_files(kiosk_folder, child), "it has been offline"
        pull(journal, kiosk)
        assert find_files(kiosk_folder, child) == []
        assert [record.id for record in journal.roster.records() if isinstance(record, Person)]
    assert find_files(kiosk_folder, child) == []
    assert len(rosters.read_records(db, school)) > 1


def hand_in(db: psycopg.Connection, school: str, child: PayerChild) -> None:
    """Leaves a count as somebody hands it in, with one line of the child's."""
    subject = CountSubject(school, CountKind.MEALS, "state", "2026-11")
    lines = PayerSheet((PayerMeal(2, child, NOW.date(), 1),), (), ())
    result = {"differences": [], "unmatched": [], "ours_total": 0, "theirs_total": 1}
    db.execute(
        "INSERT INTO other_count (school, kind, programme, period, number, file, digest, map, lines, result,"
        " compared_at, handed_in_by, role, handed_in_at)"
        " VALUES (%s, %s, %s, %s, 1, 'f', 'd', 'm', %s, %s, %s, 'o', 'school', %s)",
        (school, subject.kind, subject.programme, subject.period, msgspec.json.encode(lines),
         msgspec.json.encode(result), NOW, NOW),
    )  # fmt: skip


def wait_for_acts(db: psycopg.Connection) -> None:
    """Waits until the serving ledger has brought every act into its file."""
    until = datetime.now(UTC) + timedelta(seconds=60)
    while db.execute("SELECT 1 FROM act WHERE NOT written LIMIT 1").fetchone() is not None:
        assert datetime.now(UTC) < until


def test_a_purge_needs_the_rights_for_it(db: psycopg.Connection, server: LedgerServer) -> None:
    db.execute("DROP ROLE IF EXISTS clerk")
    db.execute("CREATE ROLE clerk LOGIN")  # on a cluster it speaks to the other machines
    db.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk")
    try:
        db.execute("SET ROLE clerk")
        with pytest.raises((NotUnderstood, psycopg.errors.InsufficientPrivilege)):
            purge_files(db)
    finally:
        db.execute("RESET ROLE")
        db.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM clerk")
        db.execute("DROP ROLE clerk")
