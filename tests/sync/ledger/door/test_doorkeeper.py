"""Strangers knock, in every way that was seen; the kiosks go on as if nobody had."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import signature, wire
from sync.contract.wire import ProblemDocument, ProblemType
from sync.ledger.door import lobby
from sync.ledger.door.limits import DoorLimits
from sync.ledger.registry import schools
from sync.ledger.server import LedgerOptions, LedgerServer
from tests.sync.ledger.kiosk import Kiosk, accepted, entry, new_school


@pytest.fixture
def narrow(server: LedgerServer, open_folder: Path) -> Iterator[LedgerServer]:
    """A second process of the same ledger, with little room."""
    limits = DoorLimits(
        rate_per_s=5, burst=20, device_burst=10, stranger_rate_per_s=0.01, stranger_burst=12, strangers_max=10,
        header_s=1.0, body_s=1.0,
    )  # fmt: skip
    options = LedgerOptions(folder=open_folder / "ledger", port=0, limits=limits, settle_interval_s=0)
    with LedgerServer(server.database_url, options) as running:
        yield running


@pytest.fixture
def door_kiosk(db: psycopg.Connection, narrow: LedgerServer) -> Iterator[Kiosk]:
    kiosk = Kiosk.enrol(narrow.url, schools.issue_code(db, new_school(db), "left door", datetime.now(UTC)))
    yield kiosk
    kiosk.close()


def ask(kiosk: Kiosk) -> httpx.Response:
    return kiosk.call("GET", wire.cursor_path(kiosk.device))


def connect(server: LedgerServer) -> socket.socket:
    address = urlsplit(server.url)
    assert address.hostname is not None
    assert address.port is not None
    return socket.create_connection((address.hostname, address.port), timeout=20)


def test_strangers_are_told_to_wait_and_kiosks_are_not(narrow: LedgerServer, door_kiosk: Kiosk) -> None:
    assert ask(door_kiosk).status_code == 200
    seen = [httpx.get(narrow.url + wire.cursor_path(door_kiosk.device)) for _ in range(13)]
    statuses = [answer.status_code for answer in seen]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert int(seen[-1].headers["retry-after"]) >= 1
    assert ask(door_kiosk).status_code == 200, "behind the same address"


def test_half_requests_keep_no_kiosk_out(narrow: LedgerServer, door_kiosk: Kiosk) -> None:
    assert ask(door_kiosk).status_code == 200, "from here on its connection is a device's"
    with ExitStack() as open_ends:
        for _ in range(60):
            half = open_ends.enter_context(connect(narrow))
            half.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert ask(door_kiosk).status_code == 200
        fresh = httpx.Client(base_url=narrow.url, timeout=10)
        door_kiosk.close()
        door_kiosk.http = fresh  # a connection that begins while the strangers' stand
        assert ask(door_kiosk).status_code == 200


def test_a_header_has_its_time_and_its_size(narrow: LedgerServer) -> None:
    with connect(narrow) as slow, connect(narrow) as large:
        slow.sendall(b"GET /v1/health HTTP/1.1\r\n")
        large.sendall(b"GET /v1/health HTTP/1.1\r\nX-Large: " + b"x" * (lobby.REQUEST_HEAD_BYTES_MAX + 1))
        assert is_ended(large)
        assert is_ended(slow)


def is_ended(end: socket.socket) -> bool:
    try:
        return end.recv(1) == b""
    except ConnectionResetError:
        return True


def test_an_unknown_senders_body_is_not_read(narrow: LedgerServer, door_kiosk: Kiosk) -> None:
    path = wire.batches_path(door_kiosk.device, door_kiosk.epoch)
    with connect(narrow) as half:
        half.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode())
        assert half.recv(12) == b"HTTP/1.1 401", "the answer does not wait for the body"


def test_a_known_senders_body_has_its_time(narrow: LedgerServer, door_kiosk: Kiosk) -> None:
    path = wire.batches_path(door_kiosk.device, door_kiosk.epoch)
    request = signature.SignableRequest("POST", path, "", {"content-type": wire.NDJSON}, b"the whole body")
    signed = signature.sign(request, door_kiosk.key, door_kiosk.device, int(time.time()))
    head = "".join(f"{name}: {value}\r\n" for name, value in {**request.headers, **signed}.items())
    with connect(narrow) as half:
        half.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n{head}\r\nthe whole".encode())
        assert half.recv(12) == b"HTTP/1.1 408"


def test_a_signature_by_another_key_is_a_strangers(narrow: LedgerServer, door_kiosk: Kiosk) -> None:
    assert ask(door_kiosk).status_code == 200
    right, door_kiosk.key = door_kiosk.key, Ed25519PrivateKey.generate()
    statuses = {ask(door_kiosk).status_code for _ in range(20)}
    assert statuses == {401, 429}
    door_kiosk.key = right
    assert ask(door_kiosk).status_code == 200


def test_one_device_cannot_use_up_the_others_turn(
    narrow: LedgerServer, door_kiosk: Kiosk, db: psycopg.Connection
) -> None:
    other = Kiosk.enrol(narrow.url, schools.issue_code(db, door_kiosk.school, "right door", datetime.now(UTC)))
    assert {ask(door_kiosk).status_code for _ in range(14)} >= {200}
    answers = [ask(other).status_code for _ in range(3)]
    assert 200 in answers
    other.close()


def test_a_question_of_another_day_is_not_answered(narrow: LedgerServer, door_kiosk: Kiosk) -> None:
    old = sign_at(door_kiosk, datetime.now(UTC) - timedelta(minutes=6))
    assert old.status_code == 401
    assert wire.read_json(ProblemDocument, old.content).type == ProblemType.CLOCK
    assert "behind" in old.json()["detail"]
    assert "signature" in old.headers, "so that the kiosk can believe the ledger's time"
    assert sign_at(door_kiosk, datetime.now(UTC) + timedelta(minutes=4)).status_code == 200
    door_kiosk.record(entry("u1", school=door_kiosk.school))
    accepted(door_kiosk.send(1, 1))


def sign_at(kiosk: Kiosk, moment: datetime) -> httpx.Response:
    path = wire.cursor_path(kiosk.device)
    signed = signature.sign(signature.SignableRequest("GET", path), kiosk.key, kiosk.device, int(moment.timestamp()))
    return kiosk.http.get(path, headers=signed)
