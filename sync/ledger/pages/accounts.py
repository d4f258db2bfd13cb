"""Accounts of those who read the ledger's pages: password and a code of the phone, throttled for each account.

A sign-in is login, password and a time-based code (RFC 6238), or one of the recovery codes that were printed once.
After three failures in a row an account must wait before its next try, at most half a minute: a prank costs seconds,
and no account is ever locked.
"""

import math
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
import pyotp
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from sync.ledger.errors import NotUnderstood
from sync.ledger.pages.access import PageReader, PageRole
from sync.ledger.paper_codes import hash_secret

PASSWORD_LENGTH_MIN = 12  # NIST SP 800-63B: length is what counts
RECOVERY_CODES = 8
RECOVERY_CODE_BYTES = 8
SESSION_LIFETIME = timedelta(hours=10)  # one working day
FREE_FAILURES = 3
SIGN_IN_WAIT_MAX_S = 30
CODE_PERIOD_S = 30
CODE_STEPS_OFF = 1  # a phone's clock may be one step early or late

# Argon2id, the second recommended option of RFC 9106 with the memory that OWASP's table names.
_LOGIN = re.compile(r"[A-Za-z0-9_-]{1,40}")
_MEMORY_KIB, _ITERATIONS, _LANES = 19 * 1024, 2, 1
_DUMMY_PASSWORD = "no account has this password"  # noqa: S105  the time of an unknown login is that of a known one


@dataclass(frozen=True, slots=True)
class AccountSecrets:
    """The secrets of a fresh account. They are shown once."""

    totp_address: str  # `otpauth://…`, for the phone
    recovery_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageSession:
    """A signed-in browser. `token` is the cookie's value; `form_token` stands in every form."""

    reader: PageReader
    token: str
    form_token: str


@dataclass(frozen=True, slots=True)
class RefusedSignIn:
    """A sign-in that failed. `wait_s` is how long the account must wait; 0 where it need not."""

    wait_s: int = 0


def parse_role(text: str) -> PageRole:
    """Returns the role of this name. Raises NotUnderstood."""
    try:
        return PageRole(text)
    except ValueError as error:
        raise NotUnderstood(f"{text!r} is no role", f"choose one of {', '.join(PageRole)}") from error


def add_account(
    connection: psycopg.Connection, school: str, login: str, role: PageRole, name: str, password: str
) -> AccountSecrets:
    """Adds an account and returns its secrets. `school` is '' for city and auditor. Raises NotUnderstood."""
    if _LOGIN.fullmatch(login) is None:
        raise NotUnderstood(f"{login[:80]!r} is no login", "take 1 to 40 letters, digits, - and _")
    if len(password) < PASSWORD_LENGTH_MIN:
        raise NotUnderstood(f"the password has {len(password)} characters", f"take at least {PASSWORD_LENGTH_MIN}")
    if (school == "") != (role in (PageRole.CITY, PageRole.AUDITOR)):
        raise NotUnderstood(f"{role} and school {school!r} do not fit", "school and caterer need one, the others none")
    secret = pyotp.random_base32(32)
    codes = tuple(secrets.token_hex(RECOVERY_CODE_BYTES) for _ in range(RECOVERY_CODES))
    try:
        with connection.transaction():
            connection.execute(
                "INSERT INTO account (school, login, role, name, password, totp_secret)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (school, login, role, name, _hash_password(password), secret),
            )
            connection.execute(
                "INSERT INTO recovery_code (school, login, code_hash) SELECT %s, %s, * FROM unnest(%s::bytea[])",
                (school, login, [hash_secret(code) for code in codes]),
            )
    except psycopg.errors.UniqueViolation as error:
        raise NotUnderstood(f"the login {login!r} exists", "choose another one") from error
    return AccountSecrets(pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name="canteen ledger"), codes)


def close_account(connection: psycopg.Connection, school: str, login: str) -> None:
    """Ends an account and its sessions. Raises NotUnderstood."""
    with connection.transaction():
        done = connection.execute(
            "UPDATE account SET closed_at = now() WHERE school = %s AND login = %s AND closed_at IS NULL",
            (school, login),
        )
        if done.rowcount == 0:
            raise NotUnderstood(f"no open account {login!r} of school {school!r}")
        connection.execute("DELETE FROM page_session WHERE school = %s AND login = %s", (school, login))


def sign_in(
    connection: psycopg.Connection, school: str, login: str, password: str, code: str, now: datetime
) -> PageSession | RefusedSignIn:
    """Returns the session of a good sign-in, or the refusal. A code counts once, also when two try it at a time."""
    with connection.transaction():
        row = connection.execute(
            "SELECT role, name, password, totp_secret, totp_step, failures, failed_at FROM account"
            " WHERE school = %s AND login = %s AND closed_at IS NULL FOR UPDATE",
            (school, login),
        ).fetchone()
        if row is None:
            _hash_password(_DUMMY_PASSWORD)
            return RefusedSignIn()
        role, name, password_hash, secret, last_step, failures, failed_at = row
        wait_s = _wait_s(failures, failed_at, now)
        if wait_s:
            return RefusedSignIn(wait_s)
        is_right = _check_password(password, password_hash)
        step = _find_step(secret, code, last_step, now)
        is_right = is_right and (step is not None or _use_recovery_code(connection, school, login, code, now))
        if not is_right:
            connection.execute(
                "UPDATE account SET failures = failures + 1, failed_at = %s WHERE school = %s AND login = %s",
                (now, school, login),
            )
            return RefusedSignIn(_wait_s(failures + 1, now, now))
        connection.execute(
            "UPDATE account SET failures = 0, failed_at = NULL, totp_step = greatest(totp_step, %s)"
            " WHERE school = %s AND login = %s",
            (step or 0, school, login),
        )
        return _open_session(connection, PageReader(school, login, PageRole(role), name), now)


def _wait_s(failures: int, failed_at: datetime | None, now: datetime) -> int:
    """Returns the seconds that an account must wait: 2, 4, 8 … up to half a minute after each further failure."""
    if failed_at is None or failures < FREE_FAILURES:
        return 0
    wait_s = min(SIGN_IN_WAIT_MAX_S, 1 << min(failures - FREE_FAILURES + 1, 10))
    return max(0, math.ceil(wait_s - (now - failed_at).total_seconds()))


def _find_step(secret: str, code: str, last_step: int, now: datetime) -> int | None:
    """Returns the time step of this code where it is one of now and newer than the last used one."""
    totp = pyotp.TOTP(secret)
    current = int(now.timestamp()) // CODE_PERIOD_S
    for step in range(current - CODE_STEPS_OFF, current + CODE_STEPS_OFF + 1):
        if step > last_step and secrets.compare_digest(totp.at(step * CODE_PERIOD_S).encode(), code.strip().encode()):
            return step
    return None


def _use_recovery_code(connection: psycopg.Connection, school: str, login: str, code: str, now: datetime) -> bool:
    done = connection.execute(
        "UPDATE recovery_code SET used_at = %s WHERE school = %s AND login = %s AND code_hash = %s AND used_at IS NULL",
        (now, school, login, hash_secret(code.strip().lower())),
    )
    return done.rowcount == 1


def _open_session(connection: psycopg.Connection, reader: PageReader, now: datetime) -> PageSession:
    token, form_token = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
    connection.execute(
        "DELETE FROM page_session WHERE school = %s AND login = %s AND expires_at <= %s",
        (reader.school, reader.login, now),
    )
    connection.execute(
        "INSERT INTO page_session (school, login, token_hash, form_token, expires_at) VALUES (%s, %s, %s, %s, %s)",
        (reader.school, reader.login, hash_secret(token), form_token, now + SESSION_LIFETIME),
    )
    return PageSession(reader, f"{reader.school}:{token}", form_token)


def find_session(connection: psycopg.Connection, cookie: str, now: datetime) -> PageSession | None:
    """Returns the session of this cookie while it lasts."""
    school, _, token = cookie.partition(":")
    row = connection.execute(
        "SELECT login, role, name, form_token FROM page_session JOIN account USING (school, login)"
        " WHERE school = %s AND token_hash = %s AND expires_at > %s AND closed_at IS NULL",
        (school, hash_secret(token), now),
    ).fetchone()
    if row is None:
        return None
    login, role, name, form_token = row
    return PageSession(PageReader(school, login, PageRole(role), name), cookie, form_token)


def sign_out(connection: psycopg.Connection, session: PageSession) -> None:
    """Ends one session."""
    token = session.token.partition(":")[2]
    connection.execute(
        "DELETE FROM page_session WHERE school = %s AND login = %s AND token_hash = %s",
        (session.reader.school, session.reader.login, hash_secret(token)),
    )


def _hash_password(password: str) -> str:
    kdf = Argon2id(
        salt=secrets.token_bytes(16), length=32, iterations=_ITERATIONS, lanes=_LANES, memory_cost=_MEMORY_KIB
    )
    return kdf.derive_phc_encoded(password.encode())


def _check_password(password: str, encoded: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(password.encode(), encoded)
    except InvalidKey:
        return False
    return True
