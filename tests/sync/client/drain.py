"""How fast a backlog leaves a kiosk: `python -m tests.sync.client.drain [events [folder]]`.

Measured against the floor in the same run: raw httpx posting the same, already compressed bodies to the same sink. The
sink is another process; it answers in one write with TCP_NODELAY, signs receipts, and neither walks the chain nor
stores. So the figure is the kiosk's own share: one SELECT, joining, zstd, signing, checking, one commit a batch.
"""

import multiprocessing
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import httpx

from edge_agent.domain.moment import Moment
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from sync.client.batches import BatchSender
from sync.client.channel import HttpResponse, HttpTransport, LedgerChannel
from sync.client.http import HttpxTransport
from sync.client.paced import Pace, SyncOutcome
from sync.contract import batch, event, receipt, wire
from sync.contract.chain import DeviceId, Epoch, Hash, Head
from tests.edge_agent.journal.samples import migrate_in_process
from tests.sync.client.disk import KEY
from tests.sync.client.ledger import SERVER_KEY, SERVER_PUBLIC

DEVICE = DeviceId("kiosk-7")


def sink(port_pipe: Connection) -> None:
    """Accepts every connection, and every batch on it. Sends its port first."""
    listening = socket.create_server(("127.0.0.1", 0))
    port_pipe.send(listening.getsockname()[1])
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=attend, args=(connection,), daemon=True).start()


def attend(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            path, length = line.split()[1].decode(), 0
            while (header := stream.readline()) not in {b"\r\n", b""}:
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            body = respond(path, stream.read(length))
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


def respond(path: str, body: bytes) -> bytes:
    """Returns the ledger's answer, as JSON."""
    now_text = wire.time_text(datetime.now(UTC))
    if path.endswith("/cursor"):
        return wire.to_json(wire.Cursor(time=now_text))
    header = batch.decode(batch.decompress(body, "zstd")).header
    through = header.first_seq + header.count - 1
    head = Head(through, Hash(bytes.fromhex(header.head)))
    signed = receipt.issue(SERVER_KEY, DEVICE, Epoch(path.split("/")[5]), head, now_text)
    return wire.to_json(wire.BatchReply(accepted_through=through, head=header.head, time=now_text, receipt=signed))


@dataclass
class RecordingTransport:
    """A transport that remembers what was posted, so that the floor can post it again."""

    transport: HttpTransport
    posts: list[tuple[str, dict[str, str], bytes]]

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        if method == "POST":
            self.posts.append((path, headers, body))
        return self.transport.request(method, path, query, headers, body, bytes_max)


def now() -> Moment:
    return Moment(
        utc=datetime.now(UTC), boot="b", mono_ms=time.monotonic_ns() // 1_000_000, clock=event.ClockQuality.SYNCHRONISED
    )


def fill(journal: Journal, events: int, first: int = 0) -> None:
    """Appends so many events, made from the numbers from `first` on: the same number gives the same bytes."""
    numbers = range(first, first + events)
    for start in range(0, events, 1000):
        journal.append_all([entry(number) for number in numbers[start : start + 1000]])


def entry(number: int) -> event.Entry:
    random_source = Random(number)
    return event.Entry(
        school="s-12", at=f"2026-11-22T04:{number // 60 % 60:02}:{number % 60:02}.{random_source.randrange(1000):03}Z",
        boot="7a1c2f5e-0f8b-4c55-9a51-b1a9f2f0c3de", mono_ms=number * 700 + random_source.randrange(700),
        clock=event.ClockQuality.SYNCHRONISED, roster=17, roster_age_s=random_source.randrange(120),
        person=f"p-{random_source.randrange(1729)}",
        session="lunch-1", service_date="2026-11-22", reader="left", credential=f"c-{random_source.randrange(1729)}",
        reason="entitled", programme="state", claim=event.Claim.CLAIMABLE,
    )  # fmt: skip


def measure(events: int, folder: Path) -> tuple[float, float]:
    """Returns events a second, by the client and by raw httpx: batch by batch in turn, so that noise hits both."""
    port_pipe, child_pipe = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=sink, args=(child_pipe,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{port_pipe.recv()}"
    kiosk = KioskIdentity(DEVICE, KEY.public_bytes, "s-12")
    drained_s = posted_s = 0.0
    try:
        with (
            Journal.open(folder / "journal.db", kiosk, now=now, ballast_bytes=0, migrate=migrate_in_process) as journal,
            HttpxTransport(url) as http,
            httpx.Client(trust_env=False) as raw,
        ):
            fill(journal, events)
            recorded = RecordingTransport(http, [])
            channel = LedgerChannel(recorded, KEY, DEVICE, lambda: datetime.now(UTC))
            pace = Pace(lambda: datetime.now(UTC), time.monotonic, Random(1))
            client = BatchSender(journal.outbox, channel, SERVER_PUBLIC, pace)
            raw.get(f"{url}/v1/devices/{DEVICE}/cursor").raise_for_status()
            assert client.step().outcome is SyncOutcome.ALIGNED
            while journal.outbox.queue_depth():
                started = time.perf_counter()
                assert client.step().outcome is SyncOutcome.SENT
                sent = time.perf_counter()
                path, headers, body = recorded.posts.pop()
                raw.post(url + path, headers=headers, content=body).raise_for_status()
                drained_s += sent - started
                posted_s += time.perf_counter() - sent
    finally:
        process.kill()
        process.join()
    return events / drained_s, events / posted_s


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        client, floor = measure(events, Path(folder))
    print(f"{events} events: client {client:,.0f}/s, raw httpx {floor:,.0f}/s, ratio {client / floor:.2f}")


if __name__ == "__main__":
    main()
