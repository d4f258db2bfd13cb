"""The shipped configuration of nginx before a real ledger: signatures hold, and strangers end at the proxy."""

import datetime
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from sync.contract import wire
from sync.ledger.registry import schools
from sync.ledger.server import LedgerServer
from tests.sync.ledger.kiosk import Kiosk, accepted, entry
from tests.sync.ledger.test_service import self_signed

CONFIGURATION = Path(__file__).parents[4] / "config/nginx/edge-agent-ledger.conf"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt install nginx-light")

MAIN = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def adapt(text: str, *changes: tuple[str, str]) -> str:
    """The shipped file with the test's own names; each must stand there."""
    for shipped, own in changes:
        assert shipped in text, f"{shipped!r} is not in the configuration any more"
        text = text.replace(shipped, own)
    return text


@pytest.fixture
def proxy(server: LedgerServer, open_folder: Path, tmp_path: Path) -> Iterator[tuple[int, ssl.SSLContext]]:
    """A running nginx before the ledger: its port, and what trusts it."""
    assert NGINX is not None
    folder = open_folder / f"nginx-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir(mode=0o755)
    chain, key = self_signed(tmp_path)
    port = free_port()
    site = adapt(
        CONFIGURATION.read_text("utf-8"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("127.0.0.1:8460", f"127.0.0.1:{server.port}"),
        ("/etc/ssl/ledger/chain.pem", str(chain)),
        ("/etc/ssl/ledger/key.pem", str(key)),
        ("client_header_timeout 10s", "client_header_timeout 1s"),
        ("client_body_timeout 30s", "client_body_timeout 1s"),
    )
    (folder / "site.conf").write_text(site, "utf-8")
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder), "utf-8")
    running = subprocess.Popen([NGINX, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")])
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert running.poll() is None, (folder / "error.log").read_text("utf-8")
            assert time.monotonic() < until
            time.sleep(0.05)
    yield port, ssl.create_default_context(cafile=str(chain))
    running.terminate()
    running.wait(timeout=30)


def test_a_kiosk_behind_the_proxy(
    proxy: tuple[int, ssl.SSLContext], db: psycopg.Connection, school: str, server: LedgerServer
) -> None:
    port, trusted = proxy
    code = schools.issue_code(db, school, "left door", datetime.datetime.now(datetime.UTC))
    kiosk = Kiosk.enrol(server.url, code)
    kiosk.http.close()
    kiosk.http = httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trusted, timeout=30)
    kiosk.record(*(entry(f"u{number}", school=school) for number in range(500)))
    kiosk.checked(accepted(kiosk.send(1, 500)).receipt)
    answer = kiosk.call("GET", wire.roster_path(school), query="since=0&cursor=")
    assert answer.status_code == 200
    assert "signature" in answer.headers, "the ledger's own word comes through"
    kiosk.close()


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /v1/health HTTP/1.1\r\nHost: x\r\n",
        b"POST /v1/enrolments HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\nhalf",
    ],
)
def test_half_a_request_ends_at_the_proxy(
    proxy: tuple[int, ssl.SSLContext], server: LedgerServer, beginning: bytes
) -> None:
    port, trusted = proxy
    address = urlsplit(server.url)
    assert address.port != port
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        trusted.wrap_socket(plain, server_hostname="127.0.0.1") as half,
    ):
        half.sendall(beginning)
        assert half.recv(100) == b"", "closed by the proxy, without a word from the ledger"
