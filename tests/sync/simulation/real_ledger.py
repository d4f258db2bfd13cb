"""The ledger of the simulation: real ingest on a real PostgreSQL, without HTTP, and its backups."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.client.channel import HttpResponse
from sync.contract import receipt, signature, wire
from sync.contract.chain import DeviceId
from sync.errors import Unreachable
from sync.ledger.intake.holes import read_holes
from sync.ledger.receipt_keys import ReceiptSigner
from sync.ledger.registry import schools
from sync.ledger.requests import LedgerContext, ProblemReply
from sync.proof.signer import LogSigner

LEDGER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LEDGER_KEY_NAME = receipt.fingerprint(LEDGER_KEY.public_key().public_bytes_raw())
SCHOOL = "simulated"  # one for all schedules: a device's name goes into its hashes, and a seed must play again
# What a backup holds of the school. The device and its key were there before the first one.
TABLES = (
    "hole", "heard_head", "receipt", "quarantine", "fork", "carried", "event", "batch", "log_leaf", "epoch", "head",
)  # fmt: skip
# What else a schedule leaves behind, and the next one must not meet.
OTHER_TABLES = ("log_subtree", "log_head", "heartbeat", "clock_anchor", "strayed_event", "dirty_day")

LedgerBackup = dict[str, list[tuple[object, ...]]]  # table → rows
Name = tuple[str, int]  # epoch and number under which an event was recorded


class LedgerStopped(Exception):
    """The ledger's process has ended in the middle of a request; PostgreSQL rolls back what was not committed."""


class StoppableConnection(psycopg.Connection[tuple[object, ...]]):
    """A ledger's connection that ends its process before one of its statements."""

    statements = 0
    stop_at: int | None = None

    def is_to_stop(self) -> bool:
        """Returns True while the statement that it ends at has not come."""
        return self.stop_at is not None

    def execute(self, *arguments: Any, **named: Any) -> psycopg.Cursor[tuple[object, ...]]:
        self.statements += 1
        if self.statements == self.stop_at:
            self.stop_at = None
            raise LedgerStopped
        return super().execute(*arguments, **named)


@dataclass
class RealLedger:
    """The ledger's requests as a transport that signs its answers, and what an operator does with it."""

    connection: psycopg.Connection
    clock: Callable[[], datetime]
    signer: LogSigner
    device: str = ""
    context: LedgerContext = field(init=False)
    changes: int = 0  # requests and restores so far: while it stands, so does the database

    def __post_init__(self) -> None:
        self.context = LedgerContext(ReceiptSigner(LEDGER_KEY), self.clock, self.signer)

    @property
    def public_key(self) -> bytes:
        return LEDGER_KEY.public_key().public_bytes_raw()

    def register(self, public_key: bytes, seed: int) -> str:
        """Makes the school as new, with one kiosk whose name depends on the seed alone; returns that name."""
        with self.connection.transaction():
            for table in (*OTHER_TABLES, *TABLES, "device_key", "device"):
                self.connection.execute(f"DELETE FROM {table} WHERE school = %s".encode(), (SCHOOL,))
            schools.add_school(self.connection, SCHOOL, "Мектеп")
            self.device = f"{SCHOOL}-{seed:016x}"
            schools.restore_device(self.connection, SCHOOL, DeviceId(self.device), "door", public_key, b"")
        return self.device

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        self.changes += 1
        request = signature.SignableRequest(method, path, query, headers, body)
        try:
            match path.split("/")[2:]:
                case ["devices", device, "epochs", epoch, "batches"]:
                    reply = wire.to_json(self.context.store_batch(self.connection, request, device, epoch))
                case ["devices", device, "cursor"]:
                    reply = wire.to_json(self.context.read_cursor(self.connection, request, device))
                case ["devices", device, "heartbeats"]:
                    reply = wire.to_json(self.context.record_heartbeat(self.connection, request, device))
                case _:
                    raise AssertionError(path)
            status = 200
        except ProblemReply as error:
            status, reply = error.problem.status, wire.to_json(error.problem)
        except LedgerStopped as error:
            raise Unreachable("connection reset by peer") from error
        answer = signature.SignableAnswer(status, {}, reply)
        signed = signature.sign_answer(answer, request, LEDGER_KEY, LEDGER_KEY_NAME, int(self.clock().timestamp()))
        return HttpResponse(status, signed, reply)

    # The operator

    def back_up(self) -> LedgerBackup:
        return {
            table: self.connection.execute(f"SELECT * FROM {table} WHERE school = %s".encode(), (SCHOOL,)).fetchall()
            for table in TABLES
        }

    def restore(self, backup: LedgerBackup) -> None:
        self.changes += 1
        with self.connection.transaction():
            for table in TABLES:
                self.connection.execute(f"DELETE FROM {table} WHERE school = %s".encode(), (SCHOOL,))
            for table in reversed(TABLES):
                for row in backup[table]:
                    marks = ", ".join(["%s"] * len(row))
                    overriding = " OVERRIDING SYSTEM VALUE" if table == "log_leaf" else ""
                    self.connection.execute(f"INSERT INTO {table}{overriding} VALUES ({marks})".encode(), row)

    def list_backed_up(self, backup: LedgerBackup) -> set[bytes]:
        """Returns the payloads of a backup."""
        return {bytes(column) for row in backup["event"] for column in row if isinstance(column, bytes)}

    def list_heard(self, backup: LedgerBackup) -> dict[str, int]:
        """Returns, for each epoch, the last event that a heartbeat had told of."""
        return {epoch: seq for _, _, epoch, seq, _ in backup["heard_head"]}  # type: ignore[misc]

    # What it has

    def count_delivered(self) -> dict[bytes, int]:
        """Returns how often each payload counts."""
        counts: dict[bytes, int] = {}
        rows = self.connection.execute("SELECT payload FROM fact WHERE school = %s AND kind <> 'tombstone'", (SCHOOL,))
        for (payload,) in rows:
            counts[bytes(payload)] = counts.get(bytes(payload), 0) + 1
        return counts

    def list_unsigned(self) -> list[Name]:
        """Returns the stored events that no receipt covers."""
        return self.connection.execute(
            "SELECT epoch, seq FROM event e WHERE school = %s AND NOT EXISTS (SELECT 1 FROM receipt r"
            " WHERE r.school = e.school AND r.device = e.device AND r.epoch = e.epoch AND r.accepted_through >= e.seq)",
            (SCHOOL,),
        ).fetchall()

    def list_holes(self) -> set[Name]:
        return {
            (hole.epoch, seq)
            for hole in read_holes(self.connection, SCHOOL)
            for seq in range(hole.first_seq, hole.last_seq + 1)
        }
