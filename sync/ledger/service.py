"""The ledger as an ASGI application: HTTP in, `requests` in worker threads, HTTP out. It has no state of its own.

Who may come in is `door`'s. The database is asked from worker threads, as many as the pool
has connections; a kiosk beyond that waits its turn or learns when to come again.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio
import msgspec
import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from sync.contract import wire
from sync.contract.palms import PALM_MESSAGE_BYTES_MAX
from sync.contract.receipt_keys import RECEIPT_KEYS_PATH
from sync.contract.replacement_cards import CARD_MESSAGE_BYTES_MAX
from sync.contract.wire import ProblemDocument, ProblemType
from sync.ledger.database import Pool
from sync.ledger.door.answers import AnswerSigner
from sync.ledger.door.counts import RequestCounter
from sync.ledger.door.doorkeeper import Doorkeeper
from sync.ledger.door.limits import DoorLimits
from sync.ledger.door.unsigned import UnsignedRefusal
from sync.ledger.openapi import document
from sync.ledger.registry import schools
from sync.ledger.requests import COMPRESSED_BYTES_MAX, MESSAGE_BYTES_MAX, LedgerContext, ProblemReply

_ResultT = TypeVar("_ResultT")

HEALTH_PATH = "/v1/health"
DATABASE_RETRY_S = 5  # until a database that restarts is there again


def build_application(ledger: LedgerContext, pool: Pool, limits: DoorLimits, pages: Sequence[Mount] = ()) -> Starlette:
    """Returns the application for the contract's calls, over a pool of autocommit connections, and for the pages."""
    service = _Service(ledger, pool, limits)
    return Starlette(
        routes=[
            Route("/v1/devices/{device}/epochs/{epoch}/batches", service.batches, methods=["POST"]),
            Route("/v1/devices/{device}/cursor", service.cursor, methods=["GET"]),
            Route("/v1/devices/{device}/heartbeats", service.heartbeats, methods=["POST"]),
            Route("/v1/devices/{device}/log", service.log_view, methods=["GET"]),
            Route("/v1/devices/{device}/keys", service.device_keys, methods=["POST"]),
            Route("/v1/schools/{school}/roster", service.roster, methods=["GET"]),
            Route("/v1/schools/{school}/palms", service.store_palm, methods=["POST"]),
            Route("/v1/schools/{school}/palms", service.palms, methods=["GET"]),
            Route("/v1/schools/{school}/replacement-cards", service.store_card, methods=["POST"]),
            Route("/v1/schools/{school}/replacement-cards", service.cards, methods=["GET"]),
            Route("/v1/schools/{school}/code-uses", service.code_uses, methods=["GET"]),
            Route(wire.REGISTRATIONS_PATH, service.register, methods=["POST"]),
            Route(RECEIPT_KEYS_PATH, service.receipt_keys, methods=["GET"]),
            Route(HEALTH_PATH, service.health, methods=["GET"]),
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
            Middleware(UnsignedRefusal, service.strangers, frozenset({HEALTH_PATH, RECEIPT_KEYS_PATH})),
            Middleware(RequestCounter),
            Middleware(AnswerSigner, ledger.receipts, ledger.clock),
            Middleware(GZipMiddleware, minimum_size=8 * 1024, compresslevel=1),
        ],
    )


class _Service:
    def __init__(self, ledger: LedgerContext, pool: Pool, limits: DoorLimits) -> None:
        self._ledger = ledger
        self._pool = pool
        self._door = Doorkeeper(self._find_keys, ledger.clock, time.monotonic, limits)
        self.strangers = self._door.strangers
        self._threads = anyio.CapacityLimiter(pool.max_size - 1)
        self._strangers = anyio.CapacityLimiter(1)  # they share one connection, and the devices have the others

    async def batches(self, request: Request) -> Response:
        signed = await self._door.admit(request, COMPRESSED_BYTES_MAX)
        device, epoch = request.path_params["device"], request.path_params["epoch"]
        return _json(await self._blocking(lambda db: self._ledger.store_batch(db, signed, device, epoch)))

    async def cursor(self, request: Request) -> Response:
        signed = await self._door.admit(request, 0)
        device = request.path_params["device"]
        return _json(await self._blocking(lambda db: self._ledger.read_cursor(db, signed, device)))

    async def heartbeats(self, request: Request) -> Response:
        # Urgent: small, and the centre wants to see every school while their queues wait.
        signed = await self._door.admit(request, MESSAGE_BYTES_MAX, is_urgent=True)
        device = request.path_params["device"]
        return _json(await self._blocking(lambda db: self._ledger.record_heartbeat(db, signed, device)))

    async def log_view(self, request: Request) -> Response:
        signed = await self._door.admit(request, 0)
        device, since = request.path_params["device"], request.query_params.get("since", "0")
        return _json(await self._blocking(lambda db: self._ledger.read_log_view(db, signed, device, since)))

    async def device_keys(self, request: Request) -> Response:
        signed = await self._door.admit(request, MESSAGE_BYTES_MAX)
        device = request.path_params["device"]
        return _json(await self._blocking(lambda db: self._ledger.add_device_key(db, signed, device)))

    async def roster(self, request: Request) -> Response:
        signed = await self._door.admit(request, 0)
        school = request.path_params["school"]
        since, cursor = request.query_params.get("since", "0"), request.query_params.get("cursor", "")
        knows = request.query_params.get("knows", "")
        return _json(
            await self._blocking(lambda db: self._ledger.read_roster(db, signed, school, since, cursor, knows))
        )

    async def store_palm(self, request: Request) -> Response:
        signed = await self._door.admit(request, PALM_MESSAGE_BYTES_MAX)
        school = request.path_params["school"]
        return _json(await self._blocking(lambda db: self._ledger.store_palm(db, signed, school)))

    async def palms(self, request: Request) -> Response:
        signed = await self._door.admit(request, 0)
        school, since = request.path_params["school"], request.query_params.get("since", "0")
        return _json(await self._blocking(lambda db: self._ledger.read_palms(db, signed, school, since)))

    async def store_card(self, request: Request) -> Response:
        signed = await self._door.admit(request, CARD_MESSAGE_BYTES_MAX)
        school = request.path_params["school"]
        return _json(await self._blocking(lambda db: self._ledger.store_card(db, signed, school)))

    async def cards(self, request: Request) -> Response:
        signed = await self._door.admit(request, 0)
        school, since = request.path_params["school"], request.query_params.get("since", "0")
        return _json(await self._blocking(lambda db: self._ledger.read_cards(db, signed, school, since)))

    async def code_uses(self, request: Request) -> Response:
        signed = await self._door.admit(request, 0)
        school, since = request.path_params["school"], request.query_params.get("since", "0")
        return _json(await self._blocking(lambda db: self._ledger.read_code_uses(db, signed, school, since)))

    async def register(self, request: Request) -> Response:
        signed = await self._door.admit_newcomer(request, MESSAGE_BYTES_MAX)
        identity, new = await self._blocking(lambda db: self._ledger.register(db, signed))
        return _json(identity, 201 if new else 200)

    async def receipt_keys(self, request: Request) -> Response:
        self._door.greet(request)
        return _json(await self._in_thread(self._ledger.read_receipt_keys, self._strangers))

    async def health(self, _: Request) -> Response:
        await self._blocking(lambda db: db.execute("SELECT 1"))
        return _json(wire.PartHealth("ledger", "ok"))

    async def openapi(self, _: Request) -> Response:
        return Response(document(), media_type=wire.JSON)

    async def _find_keys(self, device: str) -> Sequence[bytes]:
        sender = await self._in_thread(lambda db: schools.find_device(db, device), self._strangers)
        return sender.public_keys if sender else ()

    async def _blocking(self, call: Callable[[psycopg.Connection], _ResultT]) -> _ResultT:
        return await self._in_thread(call, self._threads)

    async def _in_thread(
        self, call: Callable[[psycopg.Connection], _ResultT], limiter: anyio.CapacityLimiter
    ) -> _ResultT:
        def with_connection() -> _ResultT:
            with self._pool.connection() as connection:
                return call(connection)

        return await anyio.to_thread.run_sync(with_connection, limiter=limiter)


def _json(message: msgspec.Struct, status: int = 200) -> Response:
    return Response(wire.to_json(message), status, media_type=wire.JSON)


def _problem(problem: ProblemDocument, retry_after_s: int = 0, *, closes: bool = False) -> Response:
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s else {}
    if closes:
        headers["Connection"] = "close"
    return Response(wire.to_json(problem), problem.status, headers, media_type=wire.PROBLEM_JSON)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemReply)
    return _problem(error.problem, error.retry_after_s, closes=error.closes)


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = ProblemType.NOT_FOUND if error.status_code == 404 else ProblemType.BLANK
    return _problem(ProblemDocument(type=kind, status=error.status_code, title=error.detail))


def _database_away(_: Request, error: Exception) -> Response:
    return _problem(
        ProblemDocument(type=ProblemType.BUSY, status=503, title="the database is away", detail=type(error).__name__),
        DATABASE_RETRY_S,
    )
