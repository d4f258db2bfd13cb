"""The one file that knows httpx, against real sockets."""

import ssl
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sync.client.channel import HttpResponse
from sync.client.http import HttpxTransport
from sync.client.paced import SyncOutcome
from sync.contract.batch import Compressor
from sync.errors import SyncAlarm, Unreachable, Untrusted
from tests.sync.client.bench import Bench
from tests.sync.client.loopback import from_transport, respond, server

NOW = datetime.now(UTC)


def get(http: HttpxTransport, bytes_max: int = 1000) -> HttpResponse:
    return http.request("GET", "/v1/x", "", {}, b"", bytes_max)


def test_a_day_over_a_real_socket_on_one_connection() -> None:
    bench = Bench(events=2500)
    with server(from_transport(bench.ledger)) as (url, listening), HttpxTransport(url) as http:
        bench.transport = http
        bench.restart_client()
        bench.drain()
        assert listening.connections == 1
    assert len(list(bench.ledger.list_events(bench.disk.device))) == 2500
    assert bench.disk.queue_depth() == 0


def test_path_and_query_arrive_as_they_were_signed() -> None:
    targets: list[str] = []

    def serve(request: BaseHTTPRequestHandler) -> None:
        targets.append(request.path)
        respond(request, HttpResponse(200, {}, b"{}"))

    with server(serve) as (url, _), HttpxTransport(url) as http:
        http.request("GET", "/v1/schools/s-12/roster", "since=0&cursor=a+b%26c%2F", {}, b"", 100)
    assert targets == ["/v1/schools/s-12/roster?since=0&cursor=a+b%26c%2F"]


def test_nobody_there() -> None:
    with server(lambda request: None) as (url, _):
        pass
    with HttpxTransport(url) as http, pytest.raises(Unreachable, match="check network"):
        get(http)


def test_a_name_that_does_not_resolve() -> None:
    with HttpxTransport("https://ledger.invalid") as http, pytest.raises(Unreachable):
        get(http)


def test_an_answer_that_is_cut_off() -> None:
    def serve(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")
        request.close_connection = True

    with server(serve) as (url, _), HttpxTransport(url) as http, pytest.raises(Unreachable):
        get(http)


@pytest.mark.parametrize("reply", [b"", b"\x00\x01rubbish\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"])
def test_an_answer_that_is_no_http(reply: bytes) -> None:
    def serve(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(reply)
        request.close_connection = True

    with server(serve) as (url, _), HttpxTransport(url) as http, pytest.raises(Unreachable):
        get(http)


def test_an_answer_without_an_end() -> None:
    def serve(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(10_000):
            request.wfile.write(b"x" * 1000)
            request.wfile.flush()

    with (
        server(serve) as (url, _),
        HttpxTransport(url) as http,
        pytest.raises(Unreachable, match="more than 5000 bytes"),
    ):
        get(http, 5000)


def test_an_answer_that_trickles_is_given_up() -> None:
    ticks = iter(range(0, 10_000, 1_000))

    def serve(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        for _ in range(100):
            request.wfile.write(b"x")
            request.wfile.flush()
        request.rfile.read(1)  # until the other end hangs up

    with (
        server(serve) as (url, _),
        HttpxTransport(url, monotonic=lambda: float(next(ticks))) as http,
        pytest.raises(Unreachable, match="not over after"),
    ):
        http.request("GET", "/v1/x", "", {}, b"", 200_000)


def test_a_ledger_that_does_not_answer_in_time() -> None:
    def serve(request: BaseHTTPRequestHandler) -> None:
        request.rfile.read(1)  # until the other end hangs up

    started = time.monotonic()
    with server(serve) as (url, _), HttpxTransport(url, timeout_s=0.1) as http, pytest.raises(Unreachable):
        get(http)
    assert time.monotonic() - started < 5


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    paths: list[str] = []

    def serve(request: BaseHTTPRequestHandler) -> None:
        paths.append(request.path)
        request.rfile.read(int(request.headers.get("content-length", "0")))
        respond(request, HttpResponse(302, {"location": "/login"}, b""))

    bench = Bench(events=1)
    with server(serve) as (url, _), HttpxTransport(url) as http:
        bench.transport = http
        bench.restart_client()
        step = bench.step()
    assert (step.outcome, len(paths)) == (SyncOutcome.UNREACHABLE, 1)
    assert "portal" in step.why


def test_a_compressed_answer_is_read_and_a_bomb_is_not() -> None:
    bench = Bench(events=3)

    class Compressing:
        body = b""

        def request(
            self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
        ) -> HttpResponse:
            response = bench.ledger.request(method, path, query, headers, body, bytes_max)
            return HttpResponse(response.status, {"content-encoding": "zstd"}, Compressor()(self.body or response.body))

    peer = Compressing()
    with server(from_transport(peer)) as (url, _), HttpxTransport(url) as http:
        bench.transport = http
        bench.restart_client()
        peer.body = bytes(50_000_000)
        assert bench.step().outcome is SyncOutcome.UNREACHABLE
        peer.body = b""
        bench.drain()
    assert bench.disk.queue_depth() == 0


def test_closing_from_elsewhere_is_no_crash() -> None:
    http = HttpxTransport("http://127.0.0.1:9")
    http.close()
    with pytest.raises(Unreachable, match="stopping"):
        get(http)


@pytest.mark.parametrize(
    "url",
    ["http://ledger.example", "http://10.0.0.1", "ftp://x", "ledger.example", "", "https://", "https://x/prefix",
     "https://user:secret@x", "https://x?y=1", "https://x:port"],
)  # fmt: skip
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(Untrusted):
        HttpxTransport(url)


def test_a_ca_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Untrusted, match="ca_file"):
        HttpxTransport("https://x", ca_file=tmp_path / "no.pem")
    (tmp_path / "no.pem").write_text("rubbish")
    with pytest.raises(Untrusted, match="ca_file"):
        HttpxTransport("https://x", ca_file=tmp_path / "no.pem")


def certificate(folder: Path, first: datetime, last: datetime, address: str = "127.0.0.1") -> ssl.SSLContext:
    """A self-signed certificate in `folder`/tls.pem, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a ledger in a test")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "tls.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + signed.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


DAY = timedelta(days=1)


def test_tls_with_the_ledgers_own_authority(tmp_path: Path) -> None:
    bench = Bench(events=10)
    tls = certificate(tmp_path, NOW - DAY, NOW + DAY)
    with (
        server(from_transport(bench.ledger), tls) as (url, _),
        HttpxTransport(url, ca_file=tmp_path / "tls.pem") as http,
    ):
        bench.transport = http
        bench.restart_client()
        bench.drain()
    assert bench.disk.queue_depth() == 0


@pytest.mark.parametrize(
    ("first", "last", "address", "says"),
    [
        (NOW + DAY, NOW + 2 * DAY, "127.0.0.1", "not yet valid by this kiosk's clock .* set the clock"),
        (NOW - 2 * DAY, NOW - DAY, "127.0.0.1", "expired by this kiosk's clock .* set the clock"),
        (NOW - DAY, NOW + DAY, "10.0.0.1", "check address"),
    ],
)
def test_certificates_that_do_not_hold_stop_sending(
    tmp_path: Path, first: datetime, last: datetime, address: str, says: str
) -> None:
    tls = certificate(tmp_path, first, last, address)
    bench = Bench(events=1)
    with (
        server(from_transport(bench.ledger), tls) as (url, _),
        HttpxTransport(url, ca_file=tmp_path / "tls.pem") as http,
    ):
        with pytest.raises(Untrusted, match=says):
            get(http)
        bench.transport = http
        bench.restart_client()
        step = bench.step()
    assert (step.outcome, step.alarm) == (SyncOutcome.STOPPED, SyncAlarm.UNTRUSTED)
    assert bench.disk.queue_depth() == 1


def test_an_authority_that_nobody_named_is_not_trusted(tmp_path: Path) -> None:
    tls = certificate(tmp_path, NOW - DAY, NOW + DAY)
    bench = Bench()
    with server(from_transport(bench.ledger), tls) as (url, _), HttpxTransport(url) as http, pytest.raises(Untrusted):
        get(http)
