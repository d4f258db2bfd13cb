"""The ledger as an ASGI application: HTTP in, `requests` in worker threads, HTTP out. It has no state of its own.

Bodies are read with a cap before anything is believed. The database is asked from worker threads, as many as the pool
has connections; a kiosk beyond that waits its turn or learns when to come again.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio
import msgspec
import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from sync.contract import signature, wire
from sync.contract.palms import PALM_MESSAGE_BYTES_MAX
from sync.contract.wire import ProblemDocument, ProblemType
from sync.ledger.admission import TokenBucket
from sync.ledger.answers import AnswerSigner
from sync.ledger.openapi import document
from sync.ledger.requests import COMPRESSED_BYTES_MAX, MESSAGE_BYTES_MAX, LedgerContext, ProblemReply, problem_reply

Pool = ConnectionPool[psycopg.Connection]
_ResultT = TypeVar("_ResultT")

DATABASE_RETRY_S = 5  # until a database that restarts is there again


def build_application(ledger: LedgerContext, pool: Pool, bucket: TokenBucket, pages: Sequence[Mount] = ()) -> Starlette:
    """Returns the application for the contract's calls, over a pool of autocommit connections, and for the pages."""
    service = _Service(ledger, pool, bucket)
    return Starlette(
        routes=[
            Route("/v1/devices/{device}/epochs/{epoch}/batches", service.batches, methods=["POST"]),
            Route("/v1/devices/{device}/cursor", service.cursor, methods=["GET"]),
            Route("/v1/devices/{device}/heartbeats", service.heartbeats, methods=["POST"]),
            Route("/v1/devices/{device}/log", service.log_view, methods=["GET"]),
            Route("/v1/schools/{school}/roster", service.roster, methods=["GET"]),
            Route("/v1/schools/{school}/palms", service.store_palm, methods=["POST"]),
            Route("/v1/schools/{school}/palms", service.palms, methods=["GET"]),
            Route(wire.REGISTRATIONS_PATH, service.register, methods=["POST"]),
            Route("/v1/health", service.health, methods=["GET"]),
            Route("/openapi.json", service.openapi, methods=["GET"]),
            *pages,
        ],
        exception_handlers={
            ProblemReply: _refused,
            HTTPException: _http_error,
            PoolTimeout: _database_away,
            TooManyRequests: _database_away,
            psycopg.OperationalError: _database_away,
        },
        # Answers to batches are small; a roster is not. zstd is not among what every HTTP client asks for.
        middleware=[
            Middleware(AnswerSigner, ledger.key, ledger.clock),
            Middleware(GZipMiddleware, minimum_size=8 * 1024, compresslevel=1),
        ],
    )


class _Service:
    def __init__(self, ledger: LedgerContext, pool: Pool, bucket: TokenBucket) -> None:
        self._ledger = ledger
        self._pool = pool
        self._bucket = bucket
        self._threads = anyio.CapacityLimiter(pool.max_size)

    async def batches(self, request: Request) -> Response:
        signed = await self._admitted(request, COMPRESSED_BYTES_MAX)
        device, epoch = request.path_params["device"], request.path_params["epoch"]
        return _json(await self._blocking(lambda db: self._ledger.store_batch(db, signed, device, epoch)))

    async def cursor(self, request: Request) -> Response:
        signed = await self._admitted(request, 0)
        device = request.path_params["device"]
        return _json(await self._blocking(lambda db: self._ledger.read_cursor(db, signed, device)))

    async def heartbeats(self, request: Request) -> Response:
        # Not admitted by the bucket: small, and the centre wants to see every school while their queues wait.
        signed = await _signed(request, MESSAGE_BYTES_MAX)
        device = request.path_params["device"]
        return _json(await self._blocking(lambda db: self._ledger.record_heartbeat(db, signed, device)))

    async def log_view(self, request: Request) -> Response:
        signed = await self._admitted(request, 0)
        device, since = request.path_params["device"], request.query_params.get("since", "0")
        return _json(await self._blocking(lambda db: self._ledger.read_log_view(db, signed, device, since)))

    async def roster(self, request: Request) -> Response:
        signed = await self._admitted(request, 0)
        school = request.path_params["school"]
        since, cursor = request.query_params.get("since", "0"), request.query_params.get("cursor", "")
        return _json(await self._blocking(lambda db: self._ledger.read_roster(db, signed, school, since, cursor)))

    async def store_palm(self, request: Request) -> Response:
        signed = await self._admitted(request, PALM_MESSAGE_BYTES_MAX)
        school = request.path_params["school"]
        return _json(await self._blocking(lambda db: self._ledger.store_palm(db, signed, school)))

    async def palms(self, request: Request) -> Response:
        signed = await self._admitted(request, 0)
        school, since = request.path_params["school"], request.query_params.get("since", "0")
        return _json(await self._blocking(lambda db: self._ledger.read_palms(db, signed, school, since)))

    async def register(self, request: Request) -> Response:
        signed = await self._admitted(request, MESSAGE_BYTES_MAX)
        identity, new = await self._blocking(lambda db: self._ledger.register(db, signed))
        return _json(identity, 201 if new else 200)

    async def health(self, _: Request) -> Response:
        await self._blocking(lambda db: db.execute("SELECT 1"))
        return _json(wire.PartHealth("ledger", "ok"))

    async def openapi(self, _: Request) -> Response:
        return Response(document(), media_type=wire.JSON)

    async def _admitted(self, request: Request, bytes_max: int) -> signature.SignableRequest:
        wait_s = self._bucket.admit()
        if wait_s:
            raise problem_reply(ProblemType.BUSY, 503, "many kiosks at once", f"come again in {wait_s} s", wait_s)
        return await _signed(request, bytes_max)

    async def _blocking(self, call: Callable[[psycopg.Connection], _ResultT]) -> _ResultT:
        def with_connection() -> _ResultT:
            with self._pool.connection() as connection:
                return call(connection)

        return await anyio.to_thread.run_sync(with_connection, limiter=self._threads)


async def _signed(request: Request, bytes_max: int) -> signature.SignableRequest:
    """Returns the request as its signature covers it; the body is read with a cap."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > bytes_max:
                raise problem_reply(ProblemType.TOO_LARGE, 413, "too many bytes", f"at most {bytes_max} are taken here")
    except ClientDisconnect as error:
        raise problem_reply(ProblemType.MALFORMED, 400, "the connection broke off", "nothing was stored") from error
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return signature.SignableRequest(
        method=request.method,
        path=request.scope.get("raw_path", request.url.path.encode()).decode("latin-1"),
        query=request.url.query,
        headers=headers,
        body=bytes(body),
    )


def _json(message: msgspec.Struct, status: int = 200) -> Response:
    return Response(wire.to_json(message), status, media_type=wire.JSON)


def _problem(problem: ProblemDocument, retry_after_s: int = 0) -> Response:
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s else None
    return Response(wire.to_json(problem), problem.status, headers, media_type=wire.PROBLEM_JSON)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemReply)
    return _problem(error.problem, error.retry_after_s)


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = ProblemType.NOT_FOUND if error.status_code == 404 else ProblemType.BLANK
    return _problem(ProblemDocument(type=kind, status=error.status_code, title=error.detail))


def _database_away(_: Request, error: Exception) -> Response:
    return _problem(
        ProblemDocument(type=ProblemType.BUSY, status=503, title="the database is away", detail=type(error).__name__),
        DATABASE_RETRY_S,
    )
