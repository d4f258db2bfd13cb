"""A month of events goes into a file: the chain of what stays holds, and the file can be checked and put back."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract.wire import ProblemDocument
from sync.ledger.errors import NotUnderstood
from sync.ledger.intake.event_months import attach_part, list_months, name_part
from sync.ledger.intake.month_detaching import attach_month, check_file, detach_month, find_broken_links
from sync.ledger.judgement.day_marks import mark_dirty
from sync.ledger.judgement.days import settle_days
from sync.ledger.keys import load_or_create
from sync.ledger.server import LedgerServer
from tests.sync.ledger.kiosk import Kiosk, accepted, entry

NOW = datetime(2026, 12, 1, tzinfo=UTC)
_years = itertools.count(2001, -1)  # each test has a month older than those of the tests before it


@pytest.fixture
def old(db: psycopg.Connection) -> str:
    month = f"{next(_years)}-01"
    db.execute(f"CREATE TABLE {name_part(month)} (LIKE event INCLUDING ALL)".encode())
    attach_part(db, month)
    return month


@pytest.fixture
def month_file(tmp_path: Path) -> Path:
    return tmp_path / "month.zst"


@pytest.fixture
def key(server: LedgerServer) -> Ed25519PrivateKey:
    return load_or_create(server._options.folder / "receipt.key")


@pytest.fixture
def delivered(db: psycopg.Connection, kiosk: Kiosk, old: str) -> Kiosk:
    """A kiosk whose first five events came in an old month, and five more since."""
    kiosk.record(*(entry(f"u{number}", school=kiosk.school, minute=number, note="a\tb\\c\n") for number in range(10)))
    accepted(kiosk.send_all(5))
    db.execute(
        "UPDATE event SET month = %s WHERE school = %s AND device = %s AND seq <= 5", (old, kiosk.school, kiosk.device)
    )
    db.execute("DELETE FROM dirty_day WHERE school = %s", (kiosk.school,))  # as if judged, with its sheet closed
    return kiosk


def read_events(db: psycopg.Connection, kiosk: Kiosk) -> list[tuple[object, ...]]:
    return db.execute("SELECT * FROM event WHERE school = %s ORDER BY seq", (kiosk.school,)).fetchall()


def test_a_month_goes_into_a_file_and_back(
    db: psycopg.Connection, key: Ed25519PrivateKey, delivered: Kiosk, old: str, month_file: Path
) -> None:
    before = read_events(db, delivered)
    done = detach_month(db, old, month_file, key)
    assert (done.month, done.epochs, done.events, done.faults) == (old, 1, 5, ())
    assert old not in list_months(db)
    assert read_events(db, delivered) == before[5:]
    assert find_broken_links(db, delivered.school) == [], "the anchor bears the rest out"
    assert check_file(db, month_file).faults == ()
    db.execute("UPDATE event SET payload = payload || 'x' WHERE school = %s AND seq = 6", (delivered.school,))
    assert [link.seq for link in find_broken_links(db, delivered.school)] == [6]
    db.execute("UPDATE event SET payload = %s WHERE school = %s AND seq = 6", (before[5][4], delivered.school))
    attach_month(db, month_file)
    assert read_events(db, delivered) == before
    assert find_broken_links(db, delivered.school) == []
    assert detach_month(db, old, month_file.with_suffix(".again"), key) == done


def test_a_kiosk_that_sends_old_events_again(
    db: psycopg.Connection, key: Ed25519PrivateKey, delivered: Kiosk, old: str, month_file: Path
) -> None:
    """A receipt bears out what the table has no more; another chain is a fork, as ever."""
    twin = delivered.twin()
    twin.payloads[2] = twin.payloads[3]
    detach_month(db, old, month_file, key)
    assert accepted(delivered.send(1, 5)).duplicates == 5
    assert accepted(delivered.send(1, 10)).duplicates == 10
    assert accepted(delivered.send(4, 8)).duplicates == 5, "events that are here bear out those before them"
    forked = twin.send(1, 5)
    assert isinstance(forked, ProblemDocument)
    assert forked.type.endswith("fork")


def test_days_of_a_detached_month_are_not_judged_anew(
    db: psycopg.Connection, key: Ed25519PrivateKey, delivered: Kiosk, old: str, month_file: Path
) -> None:
    detach_month(db, old, month_file, key)
    mark_dirty(db, delivered.school, ["2026-11-20"])
    assert settle_days(db, delivered.school, now=NOW) == ()
    attach_month(db, month_file)
    assert settle_days(db, delivered.school, now=NOW) == ("2026-11-20",)


@pytest.mark.parametrize("obstacle", ["marked day", "open month", "not the oldest", "no such month"])
def test_what_may_still_change_is_not_detached(
    obstacle: str, db: psycopg.Connection, key: Ed25519PrivateKey, delivered: Kiosk, old: str, month_file: Path
) -> None:
    month = {"not the oldest": max(list_months(db)), "no such month": "2098-01"}
    if obstacle == "marked day":
        mark_dirty(db, delivered.school, ["2026-11-20"])
    if obstacle == "open month":
        mark_dirty(db, delivered.school, ["2026-11-20"])
        settle_days(db, delivered.school, now=NOW)
    with pytest.raises(NotUnderstood):
        detach_month(db, month.get(obstacle, old), month_file, key)
    assert old in list_months(db)


@pytest.mark.parametrize("damage", ["an event", "a hash", "an event less", "an anchor", "an epoch less"])
def test_a_changed_file_is_found(
    damage: str, db: psycopg.Connection, key: Ed25519PrivateKey, delivered: Kiosk, old: str, month_file: Path
) -> None:
    detach_month(db, old, month_file, key)
    lines = zstandard.ZstdDecompressor().decompressobj().decompress(month_file.read_bytes()).split(b"\n")
    assert len(lines) == 8  # head, anchor, five events, the end
    match damage:
        case "an event":
            lines[4] = lines[4].replace(b"5", b"6", 9)
        case "a hash":
            cells = lines[3].split(b"\t")
            cells[4] = lines[4].split(b"\t")[4]
            lines[3] = b"\t".join(cells)
        case "an event less":
            del lines[6]
        case "an anchor":
            lines[1] = lines[1].replace(b'"last_seq":5', b'"last_seq":6')
        case _:
            del lines[1:7]
    month_file.write_bytes(zstandard.compress(b"\n".join(lines)))
    assert check_file(db, month_file).faults
    with pytest.raises(NotUnderstood):
        attach_month(db, month_file)
