"""The least that a ledger can do with a batch: the same HTTP server reads it and echoes a short answer, or first stores
it as one row, in a transaction of its own, over a pool of as many connections.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection

import anyio
import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync.contract import wire
from sync.ledger.database import open_pool
from sync.ledger.door.listening import HttpServerThread, ListeningAddress
from tests.sync.ledger.kiosk import OPEN_DOOR

CONNECTIONS = 8  # as a process of the ledger has


@contextmanager
def serving_floor(database_url: str, *, stores: bool) -> Iterator[tuple[str, int]]:
    """Yields the URL and the process id of the bare server."""
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("CREATE TABLE IF NOT EXISTS floor_batch (number bigserial PRIMARY KEY, body bytea NOT NULL)")
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(database_url, stores, there), daemon=True)
    process.start()
    there.close()  # so that a process which does not start is an EOFError and no long wait
    try:
        url: str = here.recv()
        assert process.pid is not None
        yield url, process.pid
    finally:
        process.terminate()
        process.join()


def _serve(database_url: str, stores: bool, report: Connection) -> None:
    pool = open_pool(database_url, CONNECTIONS, lambda _: None)
    threads = anyio.CapacityLimiter(CONNECTIONS - 1)

    def store(body: bytes) -> None:
        with pool.connection() as connection:
            connection.execute("INSERT INTO floor_batch (body) VALUES (%b)", (body,))

    async def answer(request: Request) -> Response:
        body = await request.body()
        if stores:
            await anyio.to_thread.run_sync(store, body, limiter=threads)
        return Response(b"{}", media_type=wire.JSON)

    app = Starlette(routes=[Route("/v1/devices/{device}/epochs/{epoch}/batches", answer, methods=["POST"])])
    server = HttpServerThread(app, ListeningAddress(), "floor", OPEN_DOOR)
    report.send(server.url)
    signal.pause()
