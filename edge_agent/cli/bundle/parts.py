"""The parts of the bundle. Each names what it lets out; what is not named here stays on the kiosk."""

import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.cli.checks.finding import ExaminedKiosk, Finding
from edge_agent.journal.store import connect_read_only
from edge_agent.runtime.opening import JOURNAL_NAME

LOG_LINES = 2_000
READINGS = 200
# Of an event: when and where something was seen and what became of it. Never who, and by which card.
READING_FIELDS = ("kind", "at", "clock", "reader", "method", "reason", "session", "authenticity", "roster_age_s")
_SECRET_KEYS = ("password", "secret", "pin", "token", "login", "user")


def list_findings(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Returns the doctor's findings in English."""
    return [finding.as_row() for finding in findings]


def list_settings(kiosk: ExaminedKiosk) -> dict[str, str]:
    """Returns every setting in force; of one that may be a secret only if it is set, of operators how many."""
    shown = {}
    for key, value, source in kiosk.loaded.list_values():
        name = key.rpartition(".")[2]
        text = str(value)
        if key == "screen.operators":
            text = f"{len(kiosk.loaded.settings.screen.operators)} names"
        elif any(word in name for word in _SECRET_KEYS) and not name.endswith("_file"):
            text = "set" if value else ""
        shown[key] = f"{text} ({source})"
    return shown


def list_versions() -> dict[str, str]:
    """Returns the version of each Python package beside the agent."""
    return {found.metadata["Name"]: found.version for found in distributions()}


def describe_status(kiosk: ExaminedKiosk) -> dict[str, Any]:
    """Returns the daemon's own account: readers, last refusals, queue, chain, roster's age. Empty without a daemon."""
    return {} if kiosk.status is None else msgspec.to_builtins(kiosk.status)


def count_journal(kiosk: ExaminedKiosk) -> dict[str, Any]:
    """Returns schema, epochs, rows a table and events a kind. Raises `sqlite3.Error`."""
    path = kiosk.state_dir / JOURNAL_NAME
    if not path.exists():
        return {}
    with closing(connect_read_only(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kinds = Counter(_read_event(payload).get("kind") for (payload,) in connection.execute(_PAYLOADS))
        return {
            "bytes": path.stat().st_size,
            "schema": [list(row) for row in connection.execute("PRAGMA user_version")],
            "rows": {table: _count(connection, table) for table in sorted(tables)},
            "kinds": {str(kind): number for kind, number in sorted(kinds.items(), key=str)},
            "epochs": [
                dict(zip(("epoch", "head", "acknowledged", "anchor", "opened_at", "why"), row, strict=True))
                for row in connection.execute(
                    "SELECT substr(id, 1, 6), head_seq, acked_seq, anchor_seq, opened_at, why"
                    " FROM epoch ORDER BY ordinal"
                )
            ],
        }


def list_readings(kiosk: ExaminedKiosk) -> list[dict[str, object]]:
    """Returns the last events, each by its allowed fields alone, the newest first. Raises `sqlite3.Error`."""
    path = kiosk.state_dir / JOURNAL_NAME
    if not path.exists():
        return []
    with closing(connect_read_only(path)) as connection:
        rows = connection.execute(f"{_PAYLOADS} ORDER BY epoch DESC, seq DESC LIMIT {READINGS}").fetchall()
    events = [_read_event(payload) for (payload,) in rows]
    return [{field: event[field] for field in READING_FIELDS if field in event} for event in events]


_PAYLOADS = "SELECT payload FROM event"


def read_log(path: Path | None) -> str:
    """Returns the last lines of the agent's log: of this file, else of systemd's journal, or why there are none."""
    if path is not None:
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-LOG_LINES:])
    command = ["journalctl", "--unit=edge-agent", f"--lines={LOG_LINES}", "--output=short-iso", "--no-pager", "--quiet"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    except FileNotFoundError:
        return "there is no journalctl on this machine: --log FILE names the agent's log"
    return done.stdout or f"journalctl has no lines of edge-agent: {done.stderr.strip()}"


def _read_event(payload: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(payload, type=dict[str, object])
    except msgspec.DecodeError:
        return {"kind": "unreadable"}


def _count(connection: sqlite3.Connection, table: str) -> int:
    (number,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()  # noqa: S608  # a name out of the schema
    return int(number)
