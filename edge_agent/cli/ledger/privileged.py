"""The commands that change something in the ledger, and the log of who used them.

Each command of `edge-agent ledger` stands in one of two tables here. Whoever opens the ledger's database for a command
of the first table has a row in the log, in the same transaction as the change, so that there is no change without one.
"""

import getpass
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from typer.main import get_current_context  # type: ignore[attr-defined]  # typer's own copy of click's

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True)
class ChangingCommand:
    """How the log names a command's use: the parameters that say to what it was done.

    `only_with`: the command changes something only where this parameter is given. `is_long`: its change is made in
    transactions of its own, one a school, and the row follows it: no school waits for another. `is_by_school`: it has a
    row in each of these transactions, by `log_school`.
    """

    subject: tuple[str, ...] = ()
    only_with: str = ""
    is_long: bool = False
    is_by_school: bool = False


_SHEET = ChangingCommand(("programme", "month", "number"))

CHANGING: Mapping[str, ChangingCommand] = {
    "school": ChangingCommand(("name",)),
    "enrol-code": ChangingCommand(("name",)),
    "codes": ChangingCommand(("withdraw",), only_with="withdraw"),
    "suspend": ChangingCommand(("device", "lift", "since")),
    "salvage": ChangingCommand(("file",), is_long=True),
    "month detach": ChangingCommand(("month",)),
    "month attach": ChangingCommand(("file",)),
    "receipt-key rotate": ChangingCommand(),
    "roster import": ChangingCommand(("export",), is_by_school=True),
    "account add": ChangingCommand(("login", "role")),
    "account close": ChangingCommand(("login",)),
    "officer add": ChangingCommand(("officer", "role")),
    "officer retire": ChangingCommand(("officer",)),
    "reverse": ChangingCommand(("event", "claim")),
    "contest answer": ChangingCommand(("contest", "outcome")),
    "slip": ChangingCommand(("person", "revoke")),
    "erase": ChangingCommand(("person",)),
    "purge": ChangingCommand(is_long=True),
    "webhook add": ChangingCommand(("url",)),
    "webhook retire": ChangingCommand(("webhook",)),
    "calendar import": ChangingCommand(("file",)),
    "tariff import": ChangingCommand(("file",)),
    "tariff categories": ChangingCommand(("file", "first")),
    "payer map": ChangingCommand(("file",)),
    "payer numbers": ChangingCommand(("file",)),
    "payer confirm": ChangingCommand(("month", "file")),
    "sheet propose": _SHEET,
    "sheet propose-all": ChangingCommand(("programme", "month"), is_long=True),
    "sheet correction": _SHEET,
    "sheet object": _SHEET,
    "sheet confirm": _SHEET,
    "sheet hand-in": _SHEET,
    "sheet close": _SHEET,
    "sheet signer": ChangingCommand(("name", "side", "retire")),
}

# Those that show, check or serve. What `settle` and `export` judge and seal follows from what is there.
SHOWING = frozenset({
    "serve", "devices", "report", "settle", "conformance", "log-key", "witness", "witness-evidence", "export",
    "verify", "log", "person", "month list", "month check", "month verify", "receipt-key list", "officer list",
    "contest list", "webhook list", "calendar list", "payer compare", "payer hash", "payer lessons", "sheet list",
    "sheet show", "sheet export", "sheet form", "sheet sign-request", "sheet signers",
})  # fmt: skip


@contextmanager
def log_command(connection: "psycopg.Connection") -> Iterator[None]:
    """Logs the command under way, where it changes something, together with its change."""
    context: Any = get_current_context(silent=True)
    name = _find_name(context) if context is not None else None
    if context is None or name is None:
        yield
        return
    command = CHANGING[name]
    if command.is_by_school:
        yield
        return
    if command.is_long:
        yield
        _log(connection, context, name, command)
        return
    with connection.transaction():
        yield
        _log(connection, context, name, command)


def log_school(connection: "psycopg.Connection", school: str) -> None:
    """Logs the command under way at one school, in the transaction of its change there."""
    context: Any = get_current_context(silent=True)
    name = _find_name(context) if context is not None else None
    if context is not None and name is not None:
        _log_subject(connection, school, context, name, CHANGING[name])


def _find_name(context: typer.Context) -> str | None:
    """Returns a changing command's name in the table: its own, or its group's and its own."""
    own = context.info_name or ""
    group = context.parent.info_name or "" if context.parent is not None else ""
    name = next((name for name in (f"{group} {own}", own) if name in CHANGING), None)
    if name is None or (CHANGING[name].only_with and not context.params[CHANGING[name].only_with]):
        return None
    return name


def _log(connection: "psycopg.Connection", context: typer.Context, name: str, command: ChangingCommand) -> None:
    for school in _find_schools(context.params):
        _log_subject(connection, school, context, name, command)


def _log_subject(
    connection: "psycopg.Connection", school: str, context: typer.Context, name: str, command: ChangingCommand
) -> None:
    from sync.ledger.registry.privileged_acts import log_act

    subject = " ".join(filter(None, (_format(part, context.params.get(part)) for part in command.subject)))
    log_act(connection, school, name, subject, find_actor(context))


def _format(name: str, value: Any) -> str:
    """Returns a parameter as the log shows it; a flag that is not set, and a number 0, are left out."""
    if isinstance(value, bool):
        return name if value else ""
    return str(value) if value else ""


def _find_schools(given: Mapping[str, Any]) -> Sequence[str]:
    """Returns the schools that a command names, by themselves or in a kiosk's id; '' for the city's own."""
    school = given.get("school", given.get("schools"))
    if isinstance(school, str):
        return [school]
    if school:
        return [str(each) for each in school]
    kiosk = str(given.get("device") or given.get("event") or "").partition("/")[0]
    return [kiosk.rpartition("-")[0]]


def find_actor(context: typer.Context) -> str:
    """Returns who uses the command: as named with --by, else the system's login name."""
    level: Any = context
    while level is not None:
        if level.params.get("by"):
            return str(level.params["by"])
        level = level.parent
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in the system: a container's number
        return f"uid {os.getuid()}"
