"""`edge-agent register` when it cannot work: real sockets, certificates and a real ledger, and one thing to do each."""

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import psycopg
import pytest

from edge_agent.cli.phrases import say_error
from edge_agent.cli.register import register_and_store
from edge_agent.cli.registration_refusals import RegistrationRefused, explain_refusal
from edge_agent.identity import IDENTITY_NAME
from edge_agent.settings.reading import parse_settings
from edge_agent.settings.tables import Settings
from sync.client.channel import HttpResponse
from sync.client.http import HttpxTransport
from sync.client.keys import DeviceKey
from sync.client.registration import register_kiosk
from sync.contract.event import ClockQuality
from sync.errors import SyncError
from sync.ledger.registry import schools
from sync.ledger.registry.enrolment_codes import list_codes, withdraw_code
from sync.ledger.server import LedgerServer, utc_now
from tests.sync.client import loopback
from tests.sync.client.loopback import respond
from tests.sync.client.test_http import DAY, NOW, certificate

Serve = Callable[[BaseHTTPRequestHandler], None]


def build_settings(folder: Path, ca_file: Path | None = None) -> Settings:
    ca = f'ca_file = "{ca_file}"\n' if ca_file else ""
    text = f'[kiosk]\nstate_dir = "{folder}/state"\nrun_dir = "{folder}/run"\n[ledger]\ntimeout_s = 5\n{ca}'
    return parse_settings(text, folder / "agent.toml").settings


def fail_to_register(folder: Path, url: str, code: str = "CODE", ca_file: Path | None = None) -> RegistrationRefused:
    """Returns how registering at this address ends; nothing may be left but the kiosk's own key."""
    with pytest.raises(RegistrationRefused) as refused:
        register_and_store(build_settings(folder, ca_file), url, code)
    assert not (folder / "state" / IDENTITY_NAME).exists()
    return refused.value


def check_texts(error: RegistrationRefused, reason: str, step: str) -> None:
    assert reason in error.reason
    assert step in error.next_step
    for language in ("kk", "ru"):
        said = say_error(error, language)
        assert error.reason not in said, f"{said} is English"
    assert "again by itself" not in str(error), "nobody tries again behind a command"
    assert "by itself" not in str(error)


def answer_with(status: int, **headers: str) -> Serve:
    def serve(request: BaseHTTPRequestHandler) -> None:
        respond(request, HttpResponse(status, {name.replace("_", "-"): text for name, text in headers.items()}, b"x"))

    return serve


@pytest.mark.parametrize(
    ("url", "reason", "step"),
    [
        ("ledger.example", "does not begin with https://", "write https://ledger.example"),
        ("ledger.example:8443", "does not begin with https://", "write https://ledger.example:8443"),
        ("ftp://ledger.example", "does not begin with https://", "write https://ledger.example"),
        ("http://ledger.example", "is plain http", "write https://ledger.example"),
        ("https://ledger.example/v1", "more than scheme, host and port", "leave out what follows"),
        ("https://no-such-ledger.invalid", "no machine is known by the name", "compare the name"),
    ],
)
def test_an_address_that_is_none(tmp_path: Path, url: str, reason: str, step: str) -> None:
    check_texts(fail_to_register(tmp_path, url), reason, step)


def test_a_port_where_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    check_texts(fail_to_register(tmp_path, f"http://127.0.0.1:{port}"), "no ledger listens", "compare the port")


@pytest.mark.parametrize(
    ("serve", "reason", "step"),
    [
        (answer_with(404), "is no ledger (404)", "compare the address"),
        (answer_with(200), "is no ledger", "compare the address"),
        (answer_with(302, location="/portal"), "is no ledger", "compare the address"),
        (answer_with(503, retry_after="30"), "too much to do", "type the same again in 30 s"),
        (answer_with(401), "cannot be used: 401", "tell the ledger's operator"),
    ],
)
def test_something_else_answers(tmp_path: Path, serve: Serve, reason: str, step: str) -> None:
    with loopback.server(serve) as (url, _):
        check_texts(fail_to_register(tmp_path, url), reason, step)


def test_a_code_that_is_good_no_more(tmp_path: Path, server: LedgerServer, db: psycopg.Connection, school: str) -> None:
    fresh = "ask the ledger's operator for a new code"
    late = schools.issue_code(db, school, "late", utc_now() - timedelta(days=4))
    check_texts(fail_to_register(tmp_path / "1", server.url, late), "the code has expired", fresh)
    gone = schools.issue_code(db, school, "gone", utc_now())
    (row,) = (row for row in list_codes(db, school, utc_now()) if row.kiosk == "gone")
    withdraw_code(db, school, row.name, utc_now())
    check_texts(fail_to_register(tmp_path / "2", server.url, gone), "the code was withdrawn", fresh)
    used = schools.issue_code(db, school, "used", utc_now())
    register_once(server.url, used)
    check_texts(fail_to_register(tmp_path / "3", server.url, used), "another kiosk has used this code", fresh)
    check_texts(fail_to_register(tmp_path / "4", server.url, "CODE"), "does not know this code", "letter by letter")


def register_once(url: str, code: str) -> None:
    with HttpxTransport(url) as http:
        register_kiosk(http, DeviceKey.make(), code, clock=lambda: datetime.now(UTC))


@pytest.mark.parametrize(
    ("first", "last", "address", "named", "reason", "step"),
    [
        (NOW - DAY, NOW + DAY, "127.0.0.1", False, "does not know", "name it as ledger.ca_file"),
        (NOW - DAY, NOW + DAY, "10.0.0.1", True, "for another name", "type the name"),
    ],
)
def test_a_certificate_that_does_not_hold(
    tmp_path: Path, first: datetime, last: datetime, address: str, named: bool, reason: str, step: str
) -> None:
    tls = certificate(tmp_path, first, last, address)
    with loopback.server(answer_with(200), tls) as (url, _):
        check_texts(fail_to_register(tmp_path, url, ca_file=tmp_path / "tls.pem" if named else None), reason, step)


def test_a_certificate_of_another_authority_than_the_named_one(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificate(tmp_path / "other", NOW - DAY, NOW + DAY)
    tls = certificate(tmp_path, NOW - DAY, NOW + DAY)
    with loopback.server(answer_with(200), tls) as (url, _):
        error = fail_to_register(tmp_path, url, ca_file=tmp_path / "other" / "tls.pem")
    check_texts(error, "not from the authority in ledger.ca_file", "put the file")


@pytest.mark.parametrize(
    ("clock", "reason", "step"),
    [
        (ClockQuality.UNSYNCHRONISED, "the clock is not synchronised", "set the clock: timedatectl"),
        (ClockQuality.SYNCHRONISED, "this kiosk's clock is right", "the ledger's operator must renew it"),
    ],
)
def test_a_certificate_out_of_its_time_is_the_clocks_fault_or_the_operators(
    tmp_path: Path, clock: ClockQuality, reason: str, step: str
) -> None:
    tls = certificate(tmp_path, NOW - 2 * DAY, NOW - DAY)
    with (
        loopback.server(answer_with(200), tls) as (url, _),
        HttpxTransport(url, ca_file=tmp_path / "tls.pem") as http,
        pytest.raises(SyncError) as refused,
    ):
        register_kiosk(http, DeviceKey.make(), "CODE", clock=lambda: NOW)
    check_texts(explain_refusal(refused.value, url, clock, has_ca_file=True), reason, step)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder that the agent's user may not write")
def test_a_user_who_may_not_write_the_state(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    os.seteuid(65_534)
    try:
        with pytest.raises(RegistrationRefused) as refused:
            register_and_store(build_settings(tmp_path), "http://127.0.0.1:9", "CODE")
    finally:
        os.seteuid(0)
    check_texts(refused.value, "may not write", "sudo -u canteen edge-agent register")
