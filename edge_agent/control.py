"""The socket by which the command line asks the running daemon.

One request a connection, a JSON line: `{"command": …, "arguments": {…}}`. The answer is lines, too: `{"row": …}` for
each row, then `{"done": true}` or `{"error": …, "code": …}`. The kernel names the process that asks (SO_PEERCRED); the
socket's mode lets in root, the daemon's user and its group.

A `ControlCommand` names the types of its arguments and of its rows. Both ends convert into them, so that nobody handles
a bare dictionary. `control_api` holds the commands of the daemon.
"""

import logging
import os
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from edge_agent.errors import AgentError, AgentNotRunning, DaemonVersionDiffers, ExitCode, RequestRefused

log = logging.getLogger(__name__)

REQUEST_BYTES_MAX = 8 * 1024 * 1024  # a whole school's roster, for `roster import --local`
CONTROL_CONNECTIONS_MAX = 8
SOCKET_NAME = "control.sock"
POLL_S = 0.5
REPLY_TIMEOUT_S = 60.0

Arguments = TypeVar("Arguments", bound=msgspec.Struct)
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class ControlCommand(Generic[Arguments, Row]):
    """One command of the socket: its name on the wire, and the types of its arguments and of each row it answers."""

    name: str
    arguments: type[Arguments]
    row: type[Row]


@dataclass(frozen=True, slots=True)
class Requester:
    """The process that asks, as the kernel knows it."""

    pid: int
    uid: int
    gid: int


Handler = Callable[[msgspec.Raw, Requester], Iterable[object]]


def bind_handler(
    command: ControlCommand[Arguments, Row], build_rows: Callable[[Arguments, Requester], Iterable[Row]]
) -> tuple[str, Handler]:
    """Returns the entry for a server's table: the command's name, and `build_rows` behind a check of the arguments."""

    def handle(arguments: msgspec.Raw, requester: Requester) -> Iterable[object]:
        try:
            typed = msgspec.json.decode(arguments, type=command.arguments)
        except msgspec.ValidationError as error:
            raise RequestRefused(
                f"the arguments of {command.name} are wrong: {error}; see edge-agent --help"
            ) from error
        return build_rows(typed, requester)

    return command.name, handle


class _RequestLine(msgspec.Struct, frozen=True):
    command: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class _ReplyLine(msgspec.Struct, frozen=True):
    """A row, an error with its exit code, or the end."""

    row: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET
    code: int = ExitCode.FAILED


class _Connection(socketserver.StreamRequestHandler):
    timeout = 30.0
    server: "ControlServer"

    def handle(self) -> None:
        credentials = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        requester = Requester(*struct.unpack("3i", credentials))
        line = self.rfile.readline(REQUEST_BYTES_MAX + 1)
        try:
            for reply in self.server.reply_lines(line, requester):
                self.wfile.write(msgspec.json.encode(reply) + b"\n")
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            log.debug("pid %d hung up before its answer was complete", requester.pid)


class ControlServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves a table of commands on a unix socket: `listen`, then `serve` until another thread calls `shutdown`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._places = threading.BoundedSemaphore(CONTROL_CONNECTIONS_MAX)
        self._on_poll: Callable[[], object] | None = None
        self.path = path
        super().__init__(str(path), _Connection, bind_and_activate=False)

    @property
    def commands(self) -> frozenset[str]:
        """Returns the names of the commands that are answered."""
        return frozenset(self._handlers)

    def listen(self) -> None:
        """Makes the socket's file and listens; connections wait until `serve` takes them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)  # the journal's lock has shown that no other daemon lives
        previous = os.umask(0o117)
        try:
            self.server_bind()
            self.server_activate()
        finally:
            os.umask(previous)

    def serve(self, on_poll: Callable[[], object], poll_s: float = POLL_S) -> None:
        """Answers until `shutdown`; calls `on_poll` about every `poll_s` seconds."""
        self._on_poll = on_poll
        self.serve_forever(poll_interval=poll_s)

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

    def reply_lines(self, line: bytes, requester: Requester) -> Iterator[dict[str, object]]:
        """Yields the answer's lines to one request line."""
        try:
            request = msgspec.json.decode(line, type=_RequestLine)
        except msgspec.DecodeError:
            yield {"error": "not a request: one JSON line with a command is expected", "code": ExitCode.USAGE}
            return
        handler = self._handlers.get(request.command)
        if handler is None:
            yield {"error": f"the daemon knows no command {request.command!r}; is it older than this tool?", "code": 2}
            return
        log.debug("pid %d uid %d asks %s", requester.pid, requester.uid, request.command)
        try:
            for row in handler(request.arguments, requester):
                yield {"row": row}
        except AgentError as error:
            yield {"error": str(error), "code": error.exit_code}
        else:
            yield {"done": True}

    def service_actions(self) -> None:
        if self._on_poll is not None:
            self._on_poll()

    def server_close(self) -> None:
        super().server_close()
        self.path.unlink(missing_ok=True)


def ask(
    run_dir: Path,
    command: ControlCommand[Arguments, Row],
    arguments: Arguments,
    timeout_s: float | None = REPLY_TIMEOUT_S,
) -> Iterator[Row]:
    """Yields the rows of the running daemon's answer.

    Raises `AgentNotRunning`, `RequestRefused` with the daemon's own exit code, or `DaemonVersionDiffers`.
    """
    path = run_dir / SOCKET_NAME
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise AgentNotRunning(f"no agent answers on {path}", "start it (systemctl start edge-agent)") from error
        except PermissionError as error:
            step = "run this as root or as a member of the group canteen"
            raise RequestRefused(f"{path}: no right to ask", step) from error
        connection.sendall(msgspec.json.encode({"command": command.name, "arguments": arguments}) + b"\n")
        with connection.makefile("rb") as lines:
            for line in lines:
                reply = _decode(line, _ReplyLine, command.name)
                if isinstance(reply.row, msgspec.Raw):
                    yield _decode(reply.row, command.row, command.name)
                elif isinstance(reply.error, str):
                    refused = RequestRefused(reply.error)
                    refused.exit_code = ExitCode(reply.code)
                    raise refused
                else:
                    return
    raise RequestRefused("the agent stopped in the middle of its answer", "look at its log (journalctl -u edge-agent)")


def _decode(line: bytes | msgspec.Raw, kind: type[Row], command: str) -> Row:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError as error:
        raise DaemonVersionDiffers(
            f"the daemon's answer to {command} cannot be read: {error}; is it of another version than this tool? "
            "restart it (systemctl restart edge-agent)"
        ) from error
