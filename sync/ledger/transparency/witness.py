"""A witness: its own key, its own process, and a durable memory of the last checkpoint of each log that it cosigned.

    POST /add-checkpoint    C2SP tlog-witness: 200 with the cosignature's line, 409 with the size that was seen last
    GET  /key               the key by which its cosignatures are verified, as it stands on slips

The memory is an SQLite file, written with `synchronous=FULL` before anything is answered: a witness that forgets can be
shown two histories. What contradicts it is stored as evidence: both checkpoints carry the log's own signature.
"""

import errno
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sync.contract.wire import time_text
from sync.proof.checkpoints import LogCheckpoint
from sync.proof.notes import NOTE_BYTES_MAX, BadNote, NoteKey
from sync.proof.signer import WitnessSigner
from sync.proof.tree import UnprovenTree
from sync.proof.witnessing import (
    CheckpointRequest,
    OtherView,
    UnknownLog,
    UnsignedCheckpoint,
    find_log_key,
    follow_log,
    parse_request,
)

SIZE_MEDIA: Final = "text/x.tlog.size"
REQUEST_BYTES_MAX: Final = NOTE_BYTES_MAX
DATABASE_NAME: Final = "witness.db"
EVIDENCE_MAX: Final = 1_000  # notes; beyond it more of the same proves nothing new

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS view (
        origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL,
        cosigned_at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS evidence (
        note TEXT PRIMARY KEY, reason TEXT NOT NULL, last_note TEXT NOT NULL, received_at TEXT NOT NULL
    ) STRICT;
"""


@dataclass(frozen=True, slots=True)
class RefusedView:
    """A checkpoint that a log had signed and that was not cosigned, with the one that was cosigned last."""

    note: str
    reason: str
    last_note: str
    received_at: str


class Witness:
    """Cosigns checkpoints of the logs that it trusts. `trusted`: as `find_log_key` takes them."""

    def __init__(
        self, folder: Path, signer: WitnessSigner, trusted: Sequence[NoteKey], clock: Callable[[], datetime]
    ) -> None:
        self._path = folder / DATABASE_NAME
        self._signer = signer
        self._trusted = tuple(trusted)
        self._clock = clock
        with self._open() as database:
            database.executescript(_SCHEMA)

    @property
    def key(self) -> NoteKey:
        return self._signer.key

    def add_checkpoint(self, body: bytes) -> str:
        """Returns the cosignature's line for the request in `body`, once the checkpoint is on disk.

        Raises `BadNote`, `UnknownLog`, `OtherView`, `UnprovenTree`: then nothing is cosigned.
        """
        request = parse_request(body)
        log_key = find_log_key(request.origin, self._trusted)
        now = self._clock()
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            last, last_note = self._read_view(database, request.origin)
            try:
                checkpoint = follow_log(last, request, log_key)
            except (OtherView, UnprovenTree) as refusal:
                self._store_evidence(database, request, str(refusal), last_note, now)
                database.execute("COMMIT")
                raise
            database.execute(
                "INSERT OR REPLACE INTO view VALUES (?, ?, ?, ?, ?)",
                (checkpoint.origin, checkpoint.size, checkpoint.root, str(request.note), time_text(now)),
            )
            database.execute("COMMIT")
        return str(self._signer.cosign(request.note.text, int(now.timestamp())))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=30)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            yield database

    def _read_view(self, database: sqlite3.Connection, origin: str) -> tuple[LogCheckpoint | None, str]:
        row = database.execute("SELECT size, root, note FROM view WHERE origin = ?", (origin,)).fetchone()
        return (None, "") if row is None else (LogCheckpoint(origin, row[0], row[1]), row[2])

    def _store_evidence(
        self, database: sqlite3.Connection, request: CheckpointRequest, reason: str, last_note: str, now: datetime
    ) -> None:
        database.execute(
            "INSERT OR IGNORE INTO evidence SELECT ?, ?, ?, ? WHERE (SELECT count(*) FROM evidence) < ?",
            (str(request.note), reason, last_note, time_text(now), EVIDENCE_MAX),
        )


def read_evidence(folder: Path) -> list[RefusedView]:
    """Returns what logs had signed and the witness of this folder did not cosign, oldest first.

    The witness may be running meanwhile. Raises FileNotFoundError where no witness has been.
    """
    path = folder / DATABASE_NAME
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no witness has been here", str(path))
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as database:
        rows = database.execute("SELECT note, reason, last_note, received_at FROM evidence ORDER BY rowid")
        return [RefusedView(*row) for row in rows]


def build_witness_application(witness: Witness) -> Starlette:
    """Returns the witness as an ASGI application."""

    async def add_checkpoint(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > REQUEST_BYTES_MAX:
                return PlainTextResponse(f"at most {REQUEST_BYTES_MAX} bytes are taken\n", 413)
        try:
            return PlainTextResponse(await anyio.to_thread.run_sync(witness.add_checkpoint, bytes(body)))
        except UnknownLog as error:
            return PlainTextResponse(f"{error}\n", 404)
        except OtherView as error:
            return Response(f"{error.size}\n", 409, {"Content-Type": SIZE_MEDIA})
        except UnprovenTree as error:
            return PlainTextResponse(f"{error}\n", 422)
        except UnsignedCheckpoint as error:
            return PlainTextResponse(f"{error}\n", 403)
        except BadNote as error:
            return PlainTextResponse(f"{error}\n", 400)

    async def key(_: Request) -> Response:
        return PlainTextResponse(f"{witness.key}\n")

    return Starlette(
        routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"]), Route("/key", key, methods=["GET"])]
    )
