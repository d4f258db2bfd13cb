"""The rows that a ZKTeco terminal posts (see `drivers.protocols.adms`): what they say, what of them may be shown, and
which came before.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from drivers.protocols import zk_access, zk_attlog
from drivers.protocols.adms import BIOMETRIC_TABLES, Call
from drivers.protocols.adms_redaction import redact_row
from drivers.protocols.fault import Fault
from drivers.protocols.zk_access import AccessRefusal
from drivers.protocols.zk_attlog import Punch

_TELLABLE_TABLES = frozenset({"ATTLOG", "OPTIONS", "RTSTATE"})  # the others hold names, cards, pictures or templates
_ACCESS_TABLES = frozenset({"RTLOG", "TRANSACTION"})
_IDLE_TABLES = frozenset({"RTSTATE", "ERRORLOG", "USER"})  # signs of life, and whom the terminal knows: not used here
_BIOMETRIC_ROWS = ("FP ", "FACE ", "BIODATA ", "BIOPHOTO ", "USERPIC ", "FVEIN ", "PALM ")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Upload:
    """The content of one POST. `biometric` is set when it held pictures or templates."""

    answer: str = "OK"
    punches: tuple[Punch, ...] = ()
    refusals: tuple[AccessRefusal, ...] = ()
    faults: tuple[Fault, ...] = ()  # one for each row that cannot be read, or one for a whole table
    unread: tuple[str, ...] = field(default=(), repr=False)  # those rows
    biometric: bool = False


def upload(table: str, body: bytes) -> Upload:
    """Reads the rows of a POST; those that cannot be read are in `unread`. An empty table is told by its rows."""
    if table in BIOMETRIC_TABLES:
        return Upload("OK: 1", biometric=True)
    lines = [line.decode("latin-1") for line in re.split(rb"\r?\n", body) if line.strip()]
    match table or _guess_table(lines):
        case "ATTLOG":
            return _rows(f"OK: {len(lines)}", lines, zk_attlog.row)
        case access if access in _ACCESS_TABLES:
            return _rows("OK", lines, zk_access.access_row)
        case "OPERLOG":
            return _operation_log(lines)
        case "OPTIONS":
            return Upload(f"OK: {len(lines)}")
        case known if known in _IDLE_TABLES or not lines:
            return Upload(f"OK: {len(lines)}")
        case _:
            what = f"rows of a table that we do not know ({table or 'none is named'})"
            return Upload(f"OK: {len(lines)}", faults=(Fault(what),), unread=tuple(lines))


def _guess_table(lines: Sequence[str]) -> str:
    if lines and all(zk_access.is_access_row(line) for line in lines):
        return "RTLOG"
    return "ATTLOG" if any(isinstance(zk_attlog.row(line), Punch) for line in lines) else ""


def _rows(answer: str, lines: Sequence[str], read: Callable[[str], zk_attlog.Event | zk_access.Event]) -> Upload:
    events = [(line, read(line)) for line in lines]
    return Upload(
        answer,
        punches=tuple(event for _, event in events if isinstance(event, Punch)),
        refusals=tuple(event for _, event in events if isinstance(event, AccessRefusal)),
        faults=tuple(event for _, event in events if isinstance(event, Fault)),
        unread=tuple(line for line, event in events if isinstance(event, Fault)),
    )


def acknowledgement(to: Call, taken: Upload) -> str:
    """Returns the answer that makes the terminal forget these rows."""
    return f"{to.named_table}={to.count}" if to.named_table else taken.answer


def tellable(table: str, body: bytes) -> bytes:
    """Returns the part of a body that a technician may see: rows of events without the numbers of cards, and nothing of
    tables that hold names, pictures or templates.
    """
    if table in _TELLABLE_TABLES:
        return body
    if table not in _ACCESS_TABLES:
        return b""
    return b"\n".join(redact_row(line).encode("latin-1", "replace") for line in body.decode("latin-1").split("\n"))


def row_key(serial: str, punch: Punch) -> tuple[str, Punch]:
    """Returns the key by which a row is known when it comes again.

    The terminal's own number of a row stands for the state and the way of recognition.
    """
    return serial, Punch(punch.number, punch.time, index=punch.index) if punch.index else punch


def _operation_log(lines: Sequence[str]) -> Upload:
    """Finds broken rows and templates. The people and deeds in the others are not read."""
    broken = tuple(line for line in lines if line.startswith("OPLOG") and not _is_operation(line))
    return Upload(
        f"OK: {len(lines)}",
        faults=tuple(Fault("a row of operations of unknown form") for _ in broken),
        unread=broken,
        biometric=any(line.startswith(_BIOMETRIC_ROWS) for line in lines),
    )


def _is_operation(text: str) -> bool:
    """Tells if a row is OPLOG, code, admin and a time, whose column differs between firmwares."""
    columns = re.split(r"[\t ]", text, maxsplit=2)
    return len(columns) == 3 and columns[1].isascii() and columns[1].isdigit() and _TIME.search(text) is not None
