"""A ledger in a process of its own that says yes: it signs receipts, never has anything newer, stores nothing.

Each answer leaves in one write, with TCP_NODELAY: two would cost 40 ms a request and flatter whatever is measured.
"""

import contextlib
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from urllib.parse import parse_qs, urlsplit

import msgspec

from sync.contract import wire
from sync.contract.roster import RosterPage
from tests.sync.client import drain


@contextmanager
def sink(pause_s: float = 0.0) -> Iterator[str]:
    """Yields its URL; it waits `pause_s` before it answers a batch.

    Its receipts are for the device `drain.DEVICE`, signed with `ledger.SERVER_KEY`.
    """
    told, tell = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(tell, pause_s), daemon=True)
    process.start()
    tell.close()  # so that a process which does not start is an EOFError and no long wait
    try:
        yield f"http://127.0.0.1:{told.recv()}"
    finally:
        process.kill()
        process.join()
        told.close()


def _serve(told: Connection, pause_s: float) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    told.send(listening.getsockname()[1])
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_attend, args=(connection, pause_s), daemon=True).start()


def _attend(connection: socket.socket, pause_s: float) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A kiosk that is stopped while it sends resets the connection.
    with contextlib.suppress(ConnectionResetError), connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            target, length = line.split()[1].decode(), 0
            while (header := stream.readline()) not in {b"\r\n", b""}:
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            body = _answer(target, stream.read(length))
            if target.endswith("/batches"):
                time.sleep(pause_s)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


def _answer(target: str, body: bytes) -> bytes:
    parts = urlsplit(target)
    if parts.path.endswith("/heartbeats"):
        return wire.to_json(wire.HeartbeatReply(time=wire.time_text(datetime.now(UTC))))
    if parts.path.endswith("/roster"):
        since = int(parse_qs(parts.query)["since"][0])
        return wire.to_json(RosterPage(school=parts.path.split("/")[3], since=since, version=since, changes=()))
    if parts.path.endswith("/palms"):
        return _palms_answer(parts.path.split("/")[3], parse_qs(parts.query))
    return drain.respond(parts.path, body)


def _palms_answer(school: str, query: Mapping[str, Sequence[str]]) -> bytes:
    """Returns the answer to a palm that is brought, or, where a number is asked about, that there is nothing newer."""
    if "since" not in query:
        return msgspec.json.encode({"version": 1, "kept": True})
    since = int(query["since"][0])
    return msgspec.json.encode({"school": school, "since": since, "version": since, "roster": 0})
