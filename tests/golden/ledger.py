"""A ledger under the same scripted clock, and a line to it that writes down what passes.

Both are seen only from outside: `edge-agent ledger …`, HTTP, PostgreSQL's wire.
"""

import http.client
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import zstandard

from tests.golden.kiosk import SEAMS, WAIT_S, Kiosk
from tests.golden.shapes import of_value

# What each end's HTTP library adds by itself.
_LIBRARYS_OWN = {"host", "connection", "user-agent", "accept", "accept-encoding", "content-length", "date", "server"}
# There or not by what else the kiosk does at that moment; the messages' own golden file has them.
_SOMETIMES = {"asks queue: int", "asks health[].detail: str"}
QUIET_S = 1.0
_BODY_MAX = 4 * 1024 * 1024


class Ledger:
    """`edge-agent ledger serve` on its own PostgreSQL."""

    def __init__(self, kiosk: Kiosk) -> None:
        self.kiosk = kiosk
        self._folder = Path(tempfile.mkdtemp(prefix="ledger-golden-"))
        self._folder.chmod(0o755)  # PostgreSQL runs as another account where this is root
        self.data = self._folder / "data"
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(SEAMS), "ledger", "serve", "--data", str(self.data), "--port", "0"],
                stdout=subprocess.PIPE, stderr=log, text=True, env=self.kiosk.environment(GOLDEN_DICE="ledger"),
            )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found is not None, f"no ledger: {line}\n{(self._folder / 'log').read_text('utf-8')}"
        self.url = found[0]

    def command(self, *arguments: str) -> list[Any]:
        """The JSON documents that a command prints; its own word on it where it prints none."""
        done = self.kiosk.command(*arguments, "--data", str(self.data), dice=f"ledger {' '.join(arguments)}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("{", "["))]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(WAIT_S)
            assert self._process.stdout is not None
            self._process.stdout.close()
        shutil.rmtree(self._folder)


class Line:
    """A proxy between kiosk and ledger. `seen`: for each kind of exchange what its parts are called."""

    def __init__(self, ledger: str) -> None:
        self.seen: dict[str, set[str]] = defaultdict(set)
        self.down = False
        self._last_s = 0.0
        line, target = self, urlsplit(ledger).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
                """Keep standard error for what fails."""

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if line.down:
                    self.close_connection = True
                    return
                connection = http.client.HTTPConnection(target, timeout=WAIT_S)
                connection.request(self.command, self.path, body or None, dict(self.headers.items()))
                answer = connection.getresponse()
                content = answer.read(_BODY_MAX)
                connection.close()
                line.touch()
                line.note(self, body, answer, content)
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {"connection", "content-length", "transfer-encoding"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = handle_any  # noqa: N815  the library's names

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="line to the ledger", daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def touch(self) -> None:
        self._last_s = time.monotonic()

    def quiet(self) -> bool:
        """Nothing has passed for a while: whatever one answer leads to has followed it."""
        return time.monotonic() - self._last_s > QUIET_S

    def note(
        self, request: BaseHTTPRequestHandler, body: bytes, answer: http.client.HTTPResponse, content: bytes
    ) -> None:
        url = urlsplit(request.path)
        parts = url.path.split("/")
        path = "/".join(
            f"{{{before[:-1]}}}" if before in _NAMED else each
            for before, each in zip(["", *parts], parts, strict=False)
        )
        found = self.seen[f"{request.command} {path} → {answer.status}"]
        found |= {f"asks ?{name}" for name, _ in parse_qsl(url.query)}
        found |= {f"asks header {_header(*item)}" for item in request.headers.items() if _ours(item[0])}
        found |= {f"asks {each}" for each in _keys(body, request.headers.get("Content-Encoding", ""))}
        found |= {f"answers header {_header(*item)}" for item in answer.getheaders() if _ours(item[0])}
        found |= {f"answers {each}" for each in _keys(content, answer.getheader("Content-Encoding", ""))}

    def text(self) -> str:
        return "\n".join(
            "\n".join([f"== {kind}", *sorted(found - _SOMETIMES), ""]) for kind, found in sorted(self.seen.items())
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


_NAMED = {"devices", "epochs", "schools"}


def _ours(name: str) -> bool:
    return name.lower() not in _LIBRARYS_OWN


def _header(name: str, value: str) -> str:
    """Its name; its value too where that is of the contract and not of the moment."""
    name = name.lower()
    if name in {"content-type", "content-encoding"}:
        return f"{name}: {value}"
    if name == "signature-input":
        return f"{name}: {re.sub(r'created=[0-9]+', 'created=N', re.sub(r'keyid=.[^;]+', 'keyid=K', value))}"
    return f"{name}: {re.sub(r':[A-Za-z0-9+/=]+:', ':…:', value)}" if ":" in value else name


def _keys(body: bytes, encoding: str) -> set[str]:
    """The keys of a JSON document, or of a batch's first line; its events have their own golden file."""
    if not body:
        return set()
    if encoding == "zstd":
        body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
    first = body.partition(b"\n")[0]
    return set(of_value(json.loads(first)))
