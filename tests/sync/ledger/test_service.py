"""HTTP as a stranger sees it: problems are documents, the contract is published, floods are turned away politely."""

import datetime
import ipaddress
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.routing import Route

from sync.contract import wire
from sync.contract.chain import Head
from sync.contract.event import ClockQuality
from sync.contract.wire import HeadText, Heartbeat, HeartbeatReply, ProblemDocument
from sync.ledger.errors import NotUnderstood
from sync.ledger.keys import load_or_create
from sync.ledger.registry import schools
from sync.ledger.registry.twins import TWIN_ALARM, list_twins
from sync.ledger.server import LedgerOptions, LedgerServer, utc_now
from tests.sync.ledger.kiosk import Kiosk, accepted, entry, read_reply


@pytest.fixture
def contract(server: LedgerServer) -> Any:
    return json.loads(httpx.get(f"{server.url}/openapi.json").content)


def test_every_route_stands_in_the_contract(server: LedgerServer, contract: Any) -> None:
    assert contract["openapi"].startswith("3.1")
    assert server.app is not None
    routes = {
        (route.path, method)
        for route in server.app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert len(routes) == sum(isinstance(route, Route) for route in server.app.routes), "pages are mounted beside them"
    assert routes == {(path, method.upper()) for path, item in contract["paths"].items() for method in item}


def test_every_reference_in_the_contract_leads_somewhere(contract: Any) -> None:
    text = json.dumps(contract)
    names = set(contract["components"]["schemas"])
    assert {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]} <= names


KINDS = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def check(schema: Any, value: Any, contract: Any) -> None:
    """As much of JSON Schema as the contract's answers use; an unknown word fails."""
    for word, rule in schema.items():
        match word:
            case "$ref":
                check(contract["components"]["schemas"][rule.rsplit("/", 1)[1]], value, contract)
            case "type":
                kinds = {
                    "object": dict,
                    "array": list,
                    "string": str,
                    "integer": int,
                    "boolean": bool,
                    "null": type(None),
                }
                assert isinstance(value, kinds[rule]), (value, rule)
            case "required":
                assert set(rule) <= set(value)
            case "properties":
                for name in rule.keys() & value.keys():
                    check(rule[name], value[name], contract)
            case "items":
                for each in value if rule else ():
                    check(rule, each, contract)
            case "anyOf":
                assert any(fits(each, value, contract) for each in rule), value
            case "enum":
                assert value in rule
            case "minimum":
                assert value >= rule
            case "maximum":
                assert value <= rule
            case "title" | "description" | "default" | "pattern" | "discriminator":
                pass
            case _:
                raise NotImplementedError(word)


def fits(schema: Any, value: Any, contract: Any) -> bool:
    try:
        check(schema, value, contract)
    except AssertionError:
        return False
    return True


def test_answers_are_what_the_contract_says(kiosk: Kiosk, contract: Any) -> None:
    kiosk.record(entry("u1", school=kiosk.school), b"rubbish")
    batches = "/v1/devices/{device}/epochs/{epoch}/batches"
    body = msgspec.json.encode(kiosk.send(1, 2))
    seen = [
        (batches, "post", httpx.Response(200, content=body, headers={"content-type": wire.JSON})),
        (batches, "post", kiosk.post_body(b"x")),
        ("/v1/devices/{device}/cursor", "get", kiosk.call("GET", wire.cursor_path(kiosk.device))),
        ("/v1/schools/{school}/roster", "get", kiosk.call("GET", wire.roster_path(kiosk.school), query="since=0")),
        ("/v1/devices/{device}/heartbeats", "post", beat(kiosk, "run 1")),
        ("/v1/health", "get", kiosk.http.get("/v1/health")),
    ]
    for path, method, response in seen:
        answer = contract["paths"][path][method]["responses"][str(response.status_code)]
        media = response.headers["content-type"].split(";")[0]
        check(answer["content"][media]["schema"], response.json(), contract)


def beat(kiosk: Kiosk, instance: str) -> httpx.Response:
    body = wire.to_json(Heartbeat(
        epoch=kiosk.epoch, head=HeadText.from_head(Head(0, kiosk.hashes[0])), acknowledged=0, queue=0, agent="0.1",
        roster=0, boot="b", instance=instance, at="2026-11-20T04:00:00.000Z", clock=ClockQuality.SYNCHRONISED,
    ))  # fmt: skip
    return kiosk.call("POST", wire.heartbeats_path(kiosk.device), headers={"content-type": wire.JSON}, body=body)


def test_a_kiosk_that_sends_batches_and_no_heartbeat_was_heard(kiosk: Kiosk, db: psycopg.Connection) -> None:
    def last_heard() -> datetime.datetime | None:
        return next(row.last_heard for row in schools.list_devices(db) if row.device == kiosk.device)

    assert last_heard() is None
    kiosk.record(entry("p1", school=kiosk.school))
    accepted(kiosk.send_all())
    came = last_heard()
    assert came is not None
    assert beat(kiosk, "i1").status_code < 300
    beaten = last_heard()
    assert beaten is not None
    assert beaten > came


def test_two_kiosks_with_one_identity_are_seen(kiosk: Kiosk, db: psycopg.Connection) -> None:
    def twins() -> bool:
        (row,) = [row for row in schools.list_devices(db) if row.device == kiosk.device]
        assert row.last_heard is not None
        return row.twins

    assert wire.read_json(HeartbeatReply, beat(kiosk, "run 1").content).roster == 0
    beat(kiosk, "run 1")
    beat(kiosk, "run 2")  # it was restarted
    assert not twins()
    assert list_twins(db, kiosk.school, utc_now()) == []
    told = wire.read_json(HeartbeatReply, beat(kiosk, "run 1").content)  # and yet the first one lives
    assert twins()
    assert told.twin, "the first kiosk hears of the second"
    assert wire.read_json(HeartbeatReply, beat(kiosk, "run 2").content).twin, "and the other way round"
    assert [row.device for row in list_twins(db, kiosk.school, utc_now())] == [kiosk.device]
    assert list_twins(db, kiosk.school, utc_now() + TWIN_ALARM) == [], "it was switched off"
    assert wire.read_json(HeartbeatReply, beat(kiosk, "run 3").content).twin == "", "nobody was heard since its start"


def test_heartbeats_are_bounded(kiosk: Kiosk, db: psycopg.Connection) -> None:
    for number in range(schools.HEARTBEATS_MAX + 5):
        beat(kiosk, f"run {number}")
    kept = db.execute("SELECT count(*) FROM heartbeat WHERE device = %s", (kiosk.device,)).fetchone()
    assert kept == (schools.HEARTBEATS_MAX,)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/v1/health", 405), ("GET", "/v1/devices/x/cursor", 401)],
)
def test_problems_are_documents(server: LedgerServer, method: str, path: str, status: int) -> None:
    response = httpx.request(method, server.url + path)
    assert (response.status_code, response.headers["content-type"]) == (status, wire.PROBLEM_JSON)
    assert wire.read_json(ProblemDocument, response.content).status == status


def test_a_body_beyond_the_cap_is_cut_off(kiosk: Kiosk) -> None:
    assert kiosk.post_body(bytes(4 * 1024 * 1024)).status_code == 413


def test_a_second_process_shares_the_database(open_folder: Path, server: LedgerServer, kiosk: Kiosk) -> None:
    """Stateless: a kiosk may talk to either."""
    folder = open_folder / "second"
    folder.mkdir()
    for name in ("receipt.key", "acts.jsonl", "acts"):  # all processes of a ledger share these
        (folder / name).symlink_to(open_folder / "ledger" / name)
    with LedgerServer(server.database_url, LedgerOptions(folder=folder, port=0)) as second:
        kiosk.record(*(entry(f"u{n}", school=kiosk.school) for n in range(10)))
        accepted(kiosk.send(1, 5))
        kiosk.http.close()
        kiosk.http = httpx.Client(base_url=second.url)
        reply = accepted(kiosk.send(3, 10))
        assert reply.duplicates == 3
        kiosk.checked(reply.receipt)


def test_the_receipts_key_is_drawn_once(tmp_path: Path) -> None:
    first = load_or_create(tmp_path / "key")
    assert load_or_create(tmp_path / "key").private_bytes_raw() == first.private_bytes_raw()
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "key").write_text("no key", encoding="ascii")
    with pytest.raises(NotUnderstood, match="restore it"):
        load_or_create(tmp_path / "key")


def self_signed(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ledger")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, private


def test_tls(open_folder: Path, tmp_path: Path, server: LedgerServer) -> None:
    chain, private = self_signed(tmp_path)
    options = LedgerOptions(
        folder=open_folder / "ledger", port=0, settle_interval_s=0, certificate=chain, certificate_key=private
    )  # fmt: skip
    with LedgerServer(server.database_url, options) as secure:
        trusted = ssl.create_default_context(cafile=str(chain))
        assert httpx.get(f"{secure.url}/v1/health", verify=trusted).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{secure.url}/v1/health")


def test_a_renewed_certificate_is_taken_without_a_restart(
    open_folder: Path, tmp_path: Path, server: LedgerServer
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    chain, private = self_signed(first)
    options = LedgerOptions(
        folder=open_folder / "ledger", port=0, certificate=chain, certificate_key=private, settle_interval_s=0
    )
    with LedgerServer(server.database_url, options) as secure:
        renewed, renewed_key = self_signed(second)
        trusted = ssl.create_default_context(cafile=str(renewed))
        chain.write_bytes(renewed.read_bytes())  # half of a renewal: a certificate without its key
        secure.watch()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{secure.url}/v1/health", verify=trusted)
        private.write_bytes(renewed_key.read_bytes())
        secure.watch()
        assert httpx.get(f"{secure.url}/v1/health", verify=trusted).status_code == 200


def test_a_certificate_needs_its_key(open_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotUnderstood, match="both or neither"):
        LedgerOptions(folder=open_folder / "half", certificate=tmp_path / "chain.pem")


def test_replies_are_read_as_written(kiosk: Kiosk) -> None:
    assert isinstance(read_reply(kiosk.post_body(b"x")), ProblemDocument)
