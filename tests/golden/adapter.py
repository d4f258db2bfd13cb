"""Every name of the project's own code that the golden files are read through.

A renamer mends this file and nothing else here. The labels on the left are the outside's words, and stay.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import typer

from drivers import registry
from drivers.registry import DriverKind
from edge_agent.cli.main import build
from edge_agent.control_api import COMMANDS
from edge_agent.domain.decision import DecisionReason
from edge_agent.domain.health import HealthLine
from edge_agent.errors import ExitCode
from edge_agent.palms.enrolment import EnrolmentLine, EnrolmentRequest
from edge_agent.palms.gallery import ImportedPalms
from edge_agent.screen.ports import (
    ActionDone,
    DayBoard,
    EntryReason,
    FailureReason,
    RosterPerson,
    TickPerson,
    VoidReason,
)
from edge_agent.screen.sign_in import _SessionBody, _SignIn
from edge_agent.screen.staff import _Enter, _EnterClass, _EnterTicked, _Find, _ListTicks, _Void
from edge_agent.screen.state import ChildView, StaffView
from edge_agent.settings.reading import _DeviceHead
from edge_agent.settings.tables import Settings
from sync.contract import batch, device_keys, event, palms, receipt, receipt_keys, roster, signature, wire
from sync.ledger import openapi

EVENT: Any = event.Event
ROSTER_RECORD: Any = roster.Change

MESSAGES: dict[str, Any] = {
    "POST /v1/devices/{device}/epochs/{epoch}/batches: first line": batch.BatchHeader,
    "POST /v1/devices/{device}/epochs/{epoch}/batches: a tombstone's line": batch.Tombstone,
    "POST /v1/devices/{device}/epochs/{epoch}/batches: 200": wire.BatchReply,
    "GET /v1/devices/{device}/cursor: 200": wire.Cursor,
    "POST /v1/devices/{device}/heartbeats: body": wire.Heartbeat,
    "POST /v1/devices/{device}/heartbeats: 200": wire.HeartbeatReply,
    "GET /v1/schools/{school}/roster: 200": roster.RosterPage,
    "POST /v1/schools/{school}/palms: body": palms.SealedPalmMessage,
    "POST /v1/schools/{school}/palms: 200": palms.SealedPalmReply,
    "GET /v1/schools/{school}/palms: 200": palms.SealedPalmPage,
    "POST /v1/enrolments: body": wire.RegistrationRequest,
    "POST /v1/enrolments: 200, 201": wire.RegistrationReply,
    "POST /v1/devices/{device}/keys: body": device_keys.DeviceKeyRequest,
    "POST /v1/devices/{device}/keys: 200": device_keys.DeviceKeyReply,
    "GET /v1/receipt-keys: 200": receipt_keys.ReceiptKeyPage,
    "application/problem+json": wire.ProblemDocument,
    "problem: type": wire.ProblemType,
    "receipt, as a journal keeps it": receipt.Receipt,
    "palm export: first line": palms.PalmStickHeader,
    "palm export: every other line": palms.SealedTemplates,
    "event: reason": DecisionReason,
}
SCREEN: dict[str, Any] = {
    "GET /events: state": ChildView,
    "GET /events/staff: state": StaffView,
    "GET /health: a line": HealthLine,
    "GET /staff/session: 200": _SessionBody,
    "POST /staff/sign-in: body": _SignIn,
    "POST /staff/find: body": _Find,
    "POST /staff/find: 200, each": RosterPerson,
    "GET /staff/today: 200": DayBoard,
    "POST /staff/enter: body": _Enter,
    "POST /staff/class: body": _EnterClass,
    "POST /staff/ticks: body": _ListTicks,
    "POST /staff/ticks: 200, each": TickPerson,
    "POST /staff/tick: body": _EnterTicked,
    "POST /staff/void: body": _Void,
    "POST /staff/enter, class, void: 200": ActionDone,
    "POST /staff/enter, class, void: 409, why": FailureReason,
    "POST /staff/enter: stock reasons": EntryReason,
    "POST /staff/void: stock reasons": VoidReason,
}
CONTROL: dict[str, Any] = {
    "palm.enrol: arguments, beside reader": EnrolmentRequest,
    "palm.enrol: answer, each row": EnrolmentLine,
    "palm.import: answer": ImportedPalms,
}
SETTINGS: Any = Settings
DEVICE_SETTINGS: Any = _DeviceHead
EXIT_CODES: Any = ExitCode


def control_commands() -> list[str]:
    return sorted(command.name for command in COMMANDS)


def command_line() -> Any:
    """The tree of commands, as click or the like has it."""
    return typer.main.get_command(build(None))


def drivers() -> dict[str, tuple[str, str, Any]]:
    """Name → kind, extra, the type of its options."""
    found: dict[str, tuple[str, str, Any]] = {}
    for name, entry in registry.DRIVERS.items():
        load = registry.reader_class if entry.kind is DriverKind.READER else registry.indicator_class
        found[name] = (entry.kind.value, entry.extra, load(name).Settings)
    return found


def openapi_document() -> bytes:
    return openapi.document()


def signed_headers(method: str, path: str, query: str, headers: dict[str, str], body: bytes, key: Any) -> Any:
    """The headers that a kiosk adds to this request."""
    return signature.sign(signature.SignableRequest(method, path, query, headers, body), key, "k1", 1_795_322_400)


def ledger_database(data: Path) -> AbstractContextManager[Any]:
    """A connection to the ledger's own PostgreSQL in this folder, made and brought up to date where it is not."""
    return _open_ledger_database(data)


@contextmanager
def _open_ledger_database(data: Path) -> Iterator[Any]:
    from canteen_demo.postgres import embedded_database
    from sync.ledger.database import connected

    with embedded_database(data) as url, connected(url) as connection:
        yield connection
