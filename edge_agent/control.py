"""The socket by which the command line asks the running daemon.

One request a connection, a JSON line: `{"command": …, "arguments": {…}}`. The answer is lines, too: `{"row": …}` as
often as there is something to tell, then `{"done": …}` or `{"error": …, "code": …}`. Who asks is known from the
kernel (SO_PEERCRED); the socket's mode lets in root, the daemon's user and its group.
"""

import json
import logging
import os
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.errors import AgentError, AgentNotRunning, ExitCode, RequestRefused

log = logging.getLogger(__name__)

REQUEST_BYTES_MAX = 8 * 1024 * 1024  # a whole school's roster, for `roster import --local`
CONNECTIONS_MAX = 8
SOCKET_NAME = "control.sock"

Json = Any  # what json.dumps takes; every handler says in its docstring what it gives


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is on the other end, by the kernel's word."""

    pid: int
    uid: int
    gid: int


Handler = Callable[[Mapping[str, Json], Asker], Iterator[Json]]


class _Connection(socketserver.StreamRequestHandler):
    timeout = 30.0
    server: "ControlServer"

    def handle(self) -> None:
        credentials = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        asker = Asker(*struct.unpack("3i", credentials))
        line = self.rfile.readline(REQUEST_BYTES_MAX + 1)
        try:
            for answer in self.server.answers(line, asker):
                self.wfile.write(json.dumps(answer, ensure_ascii=False, default=str).encode() + b"\n")
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            log.debug("pid %d hung up before its answer was complete", asker.pid)


class ControlServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves a table of commands on a unix socket; `serve_forever` and `shutdown` are the caller's to run."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._places = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self.on_poll: Callable[[], object] = lambda: None  # called at every poll of `serve_forever`
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # the journal's lock has shown that no other daemon lives
        previous = os.umask(0o117)
        try:
            super().__init__(str(path), _Connection)
        finally:
            os.umask(previous)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            request.sendall(b'{"error": "too many questions at once; ask again", "code": 1}\n')
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.error("a question on the control socket could not be answered: %r", sys.exception())

    def answers(self, line: bytes, asker: Asker) -> Iterator[Json]:
        """The answer's lines to one request line."""
        try:
            request = json.loads(line)
            command, arguments = request["command"], request.get("arguments", {})
        except (ValueError, KeyError, TypeError, AttributeError):
            yield {"error": "not a request: one JSON line with a command is expected", "code": ExitCode.USAGE}
            return
        handler = self._handlers.get(command)
        if handler is None:
            yield {"error": f"the daemon knows no command {command!r}; is it older than this tool?", "code": 2}
            return
        log.debug("pid %d uid %d asks %s", asker.pid, asker.uid, command)
        try:
            for row in handler(arguments, asker):
                yield {"row": row}
        except AgentError as error:
            yield {"error": str(error), "code": error.exit_code}
        else:
            yield {"done": True}

    def service_actions(self) -> None:
        self.on_poll()

    def server_close(self) -> None:
        super().server_close()
        self.path.unlink(missing_ok=True)


def ask(run_dir: Path, command: str, timeout_s: float | None = 60.0, **arguments: Json) -> Iterator[Json]:
    """The rows of the running daemon's answer. Raises `AgentNotRunning` or `RequestRefused`."""
    path = run_dir / SOCKET_NAME
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise AgentNotRunning(f"no agent answers on {path}; start it (systemctl start edge-agent)") from error
        except PermissionError as error:
            raise RequestRefused(
                f"{path}: no right to ask; run this as root or as a member of the group canteen"
            ) from error
        connection.sendall(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
        with connection.makefile("rb") as answers:
            for line in answers:
                answer = json.loads(line)
                if "row" in answer:
                    yield answer["row"]
                elif "error" in answer:
                    refused = RequestRefused(answer["error"])
                    refused.exit_code = ExitCode(answer["code"])
                    raise refused
                else:
                    return
    raise RequestRefused("the agent stopped in the middle of its answer; look at its log (journalctl -u edge-agent)")
