"""Signing in: password and phone, no code twice, and a wait that grows with the failures and locks nobody out."""

from datetime import UTC, datetime, timedelta

import psycopg
import pyotp
import pytest

from sync.ledger.errors import NotUnderstood
from sync.ledger.pages import accounts
from sync.ledger.pages.access import PageReader, PageRole
from sync.ledger.pages.accounts import AccountSecrets, PageSession, RefusedSignIn

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
PASSWORD = "қарлығаш-2026-көктем"


def add(db: psycopg.Connection, school: str) -> AccountSecrets:
    return accounts.add_account(db, school, "aigul", PageRole.SCHOOL, "Завуч", PASSWORD)


def code(fresh: AccountSecrets, moment: datetime) -> str:
    totp = pyotp.parse_uri(fresh.totp_address)
    assert isinstance(totp, pyotp.TOTP)
    return totp.at(moment)


def try_code(db: psycopg.Connection, school: str, text: str, moment: datetime = NOW) -> PageSession | RefusedSignIn:
    return accounts.sign_in(db, school, "aigul", PASSWORD, text, moment)


def test_password_and_code_open_a_session_that_ends(db: psycopg.Connection, school: str) -> None:
    fresh = add(db, school)
    session = try_code(db, school, code(fresh, NOW))
    assert isinstance(session, PageSession)
    assert session.reader == PageReader(school, "aigul", PageRole.SCHOOL, "Завуч")
    assert accounts.find_session(db, session.token, NOW) == session
    assert accounts.find_session(db, session.token, NOW + accounts.SESSION_LIFETIME) is None
    assert accounts.find_session(db, session.token + "x", NOW) is None
    accounts.sign_out(db, session)
    assert accounts.find_session(db, session.token, NOW) is None


@pytest.mark.parametrize("steps", [-2, 2])
def test_a_code_of_another_minute_is_none(db: psycopg.Connection, school: str, steps: int) -> None:
    fresh = add(db, school)
    assert try_code(db, school, code(fresh, NOW + timedelta(seconds=30 * steps))) == RefusedSignIn()


def test_no_code_counts_twice_nor_an_older_one_after_it(db: psycopg.Connection, school: str) -> None:
    fresh = add(db, school)
    earlier, current = code(fresh, NOW - timedelta(seconds=30)), code(fresh, NOW)
    assert isinstance(try_code(db, school, current), PageSession)
    assert try_code(db, school, current) == RefusedSignIn()
    assert try_code(db, school, earlier) == RefusedSignIn()


def test_a_recovery_code_opens_once(db: psycopg.Connection, school: str) -> None:
    fresh = add(db, school)
    assert len(set(fresh.recovery_codes)) == accounts.RECOVERY_CODES
    assert isinstance(try_code(db, school, f" {fresh.recovery_codes[0].upper()} "), PageSession)
    assert try_code(db, school, fresh.recovery_codes[0]) == RefusedSignIn()
    assert isinstance(try_code(db, school, fresh.recovery_codes[1]), PageSession)


def test_failures_make_an_account_wait_at_most_half_a_minute(db: psycopg.Connection, school: str) -> None:
    fresh = add(db, school)
    waits: list[int] = []
    for _ in range(9):
        outcome = accounts.sign_in(db, school, "aigul", "wrong", "000000", NOW + timedelta(hours=len(waits)))
        assert isinstance(outcome, RefusedSignIn)
        waits.append(outcome.wait_s)
    assert waits == [0, 0, 2, 4, 8, 16, 30, 30, 30]
    last = NOW + timedelta(hours=8)
    assert try_code(db, school, code(fresh, last), last + timedelta(seconds=29)) == RefusedSignIn(1)
    late = last + timedelta(seconds=30)
    assert isinstance(try_code(db, school, code(fresh, late), late), PageSession)
    assert try_code(db, school, "000000", late) == RefusedSignIn(), "a good sign-in forgets the failures"


def test_others_are_not_slowed_by_one_accounts_failures(db: psycopg.Connection, school: str) -> None:
    fresh = add(db, school)
    accounts.add_account(db, school, "prank", PageRole.CATERER, "Кухня", PASSWORD)
    for _ in range(9):
        accounts.sign_in(db, school, "prank", "wrong", "", NOW)
    assert isinstance(try_code(db, school, code(fresh, NOW)), PageSession)


def test_an_unknown_login_is_refused_like_a_wrong_password(db: psycopg.Connection, school: str) -> None:
    assert accounts.sign_in(db, school, "nobody", PASSWORD, "000000", NOW) == RefusedSignIn()


def test_a_closed_account_is_out_at_once(db: psycopg.Connection, school: str) -> None:
    fresh = add(db, school)
    session = try_code(db, school, code(fresh, NOW))
    assert isinstance(session, PageSession)
    accounts.close_account(db, school, "aigul")
    assert accounts.find_session(db, session.token, NOW) is None
    later = NOW + timedelta(minutes=5)
    assert try_code(db, school, code(fresh, later), later) == RefusedSignIn()
    with pytest.raises(NotUnderstood, match="no open account"):
        accounts.close_account(db, school, "aigul")


def test_no_secret_stands_in_the_database(db: psycopg.Connection, school: str) -> None:
    fresh = add(db, school)
    session = try_code(db, school, fresh.recovery_codes[0])
    assert isinstance(session, PageSession)
    stored = [
        str(db.execute(f"SELECT * FROM {table} WHERE school = %s", (school,)).fetchall())
        for table in ("account", "recovery_code", "page_session")
    ]
    for secret in (PASSWORD, *fresh.recovery_codes, session.token.partition(":")[2]):
        assert not any(secret in text for text in stored)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"password": "short"}, "at least 12"),
        ({"login": "a b"}, "letters, digits"),
        ({"role": PageRole.CITY}, "do not fit"),
        ({"role": PageRole.AUDITOR}, "do not fit"),
        ({"school": ""}, "do not fit"),
    ],
)
def test_what_is_no_account_is_refused(
    db: psycopg.Connection, school: str, changes: dict[str, object], message: str
) -> None:
    given: dict[str, object] = {
        "school": school, "login": "aigul", "role": PageRole.SCHOOL, "name": "Завуч", "password": PASSWORD,
    }  # fmt: skip
    with pytest.raises(NotUnderstood, match=message):
        accounts.add_account(db, **(given | changes))  # type: ignore[arg-type]
    add(db, school)
    with pytest.raises(NotUnderstood, match="exists"):
        add(db, school)
    with pytest.raises(NotUnderstood, match="school, caterer"):
        accounts.parse_role("cook")
