"""A statement: the numbered set of one school-day's rows, as the claims log keeps it.

    row        every field as UTF-8 behind its length, uint16 big-endian, in the order of `MealRow`
    leaf       "canteen row v1\n" ‖ salt (16 bytes) ‖ row           in the statement's own tree, by RFC 9162
    statement  canteen statement v1\n day\n number\n time\n how many rows\n base64 of that tree's root\n

The text of the statement is the leaf of the log. It names nobody, and a row cannot be guessed from its hash: a small
table of names and times would do, but for the salt, which travels only in the proof of that row. A late event makes
statement number n+1 of its day; number n stays true as what was stated then.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from dataclasses import fields as dataclass_fields
from datetime import datetime
from typing import Final

from sync.contract.visits import Visit
from sync.contract.wire import time_text
from sync.proof.notes import encode_base64, join_lines
from sync.proof.tree import HashTree, hash_leaf

SALT_BYTES: Final = 16
_ROW_TAG: Final = b"canteen row v1\n"
_STATEMENT_TAG: Final = "canteen statement v1"


@dataclass(frozen=True, slots=True)
class MealRow:
    """A visit as a statement holds it. All fields are text; times are UTC, '' where nothing vouches for one."""

    person: str
    session: str
    method: str
    device: str
    epoch: str
    seq: str
    entry_time: str
    exit_time: str
    closing: str
    programme: str
    claim: str
    why: str

    def encode(self) -> bytes:
        """Returns the row's bytes. Raises ValueError for a field above 65,535 bytes."""
        return b"".join(map(prefix_field, astuple(self)))


def read_row(body: bytes) -> MealRow:
    """Returns the row in these bytes, which `MealRow.encode` made. Raises ValueError for any others."""
    fields, start = [], 0
    while start < len(body):
        stop = start + 2 + int.from_bytes(body[start : start + 2], "big")
        fields.append(body[start + 2 : stop].decode())
        start = stop
    if start != len(body) or len(fields) != len(dataclass_fields(MealRow)):
        raise ValueError("no row of a statement")
    return MealRow(*fields)


def prefix_field(text: str) -> bytes:
    """Returns a text as UTF-8 behind its length. Raises ValueError above 65,535 bytes."""
    field = text.encode()
    if len(field) > 0xFFFF:
        raise ValueError(f"a field of {len(field)} bytes in a row; at most {0xFFFF} are allowed")
    return len(field).to_bytes(2, "big") + field


def make_row(visit: Visit) -> MealRow:
    """Returns the row of a visit."""
    return MealRow(
        person=visit.person,
        session=visit.session,
        method=visit.method.value,
        device=visit.id.device,
        epoch=visit.id.epoch,
        seq=str(visit.id.seq),
        entry_time=_optional_time(visit.entry_time),
        exit_time=_optional_time(visit.exit_time),
        closing=visit.closing.value,
        programme=visit.programme,
        claim=visit.claim.value,
        why=visit.why.value,
    )


def _optional_time(moment: datetime | None) -> str:
    return "" if moment is None else time_text(moment)


def hash_row(row: bytes, salt: bytes) -> bytes:
    """Returns the leaf hash under which a row stands in its statement. `salt`: 16 bytes, drawn for this row."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt of {len(salt)} bytes, expected {SALT_BYTES}")
    return hash_leaf(_ROW_TAG + salt + row)


@dataclass(frozen=True, slots=True)
class DayStatement:
    """A statement of one service date. `number` counts from 1; `stated_at` is the ledger's clock, as on the wire."""

    day: str
    number: int
    stated_at: str
    rows: int
    root: bytes

    def leaf(self) -> bytes:
        """Returns the leaf of the claims log."""
        lines = [_STATEMENT_TAG, self.day, str(self.number), self.stated_at, str(self.rows), encode_base64(self.root)]
        return join_lines(lines).encode()


def state_day(day: str, number: int, stated_at: datetime, row_hashes: Sequence[bytes]) -> DayStatement:
    """Returns the statement of a day whose rows have these leaf hashes. A day without rows is stated, too."""
    return DayStatement(day, number, time_text(stated_at), len(row_hashes), HashTree(row_hashes).root())
