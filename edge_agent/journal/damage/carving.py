"""Rows out of a journal's pages, without the tree that leads to them: a damaged page hides only what lies in itself.

A page that holds rows of a table with its own key (WITHOUT ROWID, as `event`) has the type 0x0A, or 0x02 where it also
leads on; a page of a table with row numbers (as `epoch`) has the type 0x0D. A row is a record: the length of its
header, the columns' types, the columns' bytes. What does not fit into the page goes on in a chain of further pages.

https://sqlite.org/fileformat2.html#b_tree_pages

Nothing here says that a row is true: the hash chain does.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import unpack, unpack_from
from typing import Final

from edge_agent.journal.epochs import EpochRow
from sync.client.ports import DEFERRED
from sync.contract.chain import DeviceId, Epoch, Hash, Head, genesis

PAGE_TYPES: Final = {0x02: 12, 0x0A: 8, 0x0D: 8}  # and the bytes of each one's header
_TABLE_LEAF: Final = 0x0D
_INTERIOR: Final = 0x02
_INTEGER_BYTES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_CONSTANTS: Final = {8: 0, 9: 1}
RECORD_BYTES_MAX: Final = 64 * 1024

CarvedColumn = int | bytes | None
ReadPage = Callable[[int], bytes]  # by number, from 1; empty where there is none


@dataclass(frozen=True, slots=True)
class CarvedEvent:
    """A record that has the form of a row of `event`."""

    ordinal: int
    seq: int
    payload: bytes
    hash: bytes


class _NoRecord(ValueError):
    """The bytes at this place are no record."""


def carve_events(page: bytes, read_page: ReadPage) -> Iterator[CarvedEvent]:
    """Yields what looks like rows of `event` in this page; `read_page` gives the pages in which long ones go on."""
    if page[:1] not in (b"\x0a", b"\x02"):
        return
    for _, columns in carve_records(page, read_page):
        match columns:
            case [int(ordinal), int(seq), bytes(payload), bytes(row_hash)] if seq > 0 and len(row_hash) == 32:
                yield CarvedEvent(ordinal, seq, payload, row_hash)


def carve_epochs(page: bytes, read_page: ReadPage) -> Iterator[EpochRow]:
    """Yields what looks like rows of `epoch` in this page and follows from its own identity."""
    if page[:1] != b"\x0d":
        return
    for ordinal, columns in carve_records(page, read_page):
        match columns:
            case [
                None, bytes(epoch), bytes(device), bytes(public_key), bytes(parent_head), bytes(first_hash),
                int(anchor_seq), bytes(anchor_hash), int(head_seq), bytes(head_hash),
                int(acked_seq), bytes(acked_hash), int(carried_seq), bytes(), bytes(),
            ]:  # fmt: skip
                row = EpochRow(
                    ordinal,
                    Epoch(epoch.decode("ascii", "replace")),
                    DeviceId(device.decode("ascii", "replace")),
                    public_key,
                    parent_head,
                    Hash(first_hash),
                    anchor=Head(anchor_seq, Hash(anchor_hash)),
                    head=Head(head_seq, Hash(head_hash)),
                    acked=Head(acked_seq, Hash(acked_hash)),
                    carried_seq=carried_seq,
                )
                if genesis(row.device, row.public_key, row.id, row.parent_head) == row.genesis:
                    yield row


def carve_deferred(page: bytes, read_page: ReadPage) -> Iterator[tuple[int, int]]:
    """Yields ordinal and number of what looks like notes of deferred events: the ledger has only their hashes."""
    if page[:1] not in (b"\x0a", b"\x02"):
        return
    for _, columns in carve_records(page, read_page):
        match columns:
            case [int(ordinal), int(seq), bytes(code), bytes(), 1, bytes(), _] if code.startswith(DEFERRED.encode()):
                yield ordinal, seq


def carve_records(page: bytes, read_page: ReadPage) -> Iterator[tuple[int, list[CarvedColumn]]]:
    """Yields the row number (0 in a table with its own key) and the columns of every readable record in a page of rows.

    Text comes as its bytes.
    """
    header_bytes = PAGE_TYPES.get(page[0]) if page else None
    if header_bytes is None:
        return
    (cells,) = unpack_from(">H", page, 3)
    cells = min(cells, (len(page) - header_bytes) // 2)
    for place in unpack_from(f">{cells}H", page, header_bytes):
        try:
            number, record = _read_record(page, place, read_page)
            yield number, _read_columns(record)
        except (_NoRecord, IndexError):
            continue


def _read_record(page: bytes, place: int, read_page: ReadPage) -> tuple[int, bytes]:
    """Returns the row number and the record of the cell at this place. Raises `_NoRecord`, IndexError."""
    if page[0] == _INTERIOR:
        place += 4
    length, place = _read_varint(page, place)
    if not 1 < length <= RECORD_BYTES_MAX:
        raise _NoRecord("no length of a row")
    usable, number = len(page), 0
    if page[0] == _TABLE_LEAF:
        number, place = _read_varint(page, place)
        most = usable - 35
    else:
        most = (usable - 12) * 64 // 255 - 23
    if length <= most:
        return number, page[place : place + length]
    least = (usable - 12) * 32 // 255 - 23
    part = least + (length - least) % (usable - 4)
    part = part if part <= most else least
    record = bytearray(page[place : place + part])
    (onward,) = unpack(">I", page[place + part : place + part + 4].ljust(4, b"\0"))
    while len(record) < length and onward:
        page = read_page(onward)
        if len(page) != usable:
            raise _NoRecord("it goes on in a page that is not there")
        (onward,) = unpack_from(">I", page)
        record += page[4 : 4 + length - len(record)]
    return number, bytes(record)


def _read_columns(record: bytes) -> list[CarvedColumn]:
    """Returns the columns of a record. Raises `_NoRecord`, IndexError."""
    end, place = _read_varint(record, 0)
    if not 1 < end <= len(record):
        raise _NoRecord("no header of a row")
    kinds = []
    while place < end:
        kind, place = _read_varint(record, place)
        kinds.append(kind)
    columns: list[CarvedColumn] = []
    for kind in kinds:
        size = _INTEGER_BYTES.get(kind, 0) if kind < 12 else (kind - 12) // 2
        content = record[place : place + size]
        if len(content) != size:
            raise _NoRecord("a column that is cut off")
        place += size
        if kind >= 12:
            columns.append(content)
        elif kind in _INTEGER_BYTES:
            columns.append(int.from_bytes(content, "big", signed=True))
        else:
            columns.append(_CONSTANTS.get(kind))
    return columns


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    number = 0
    for index in range(9):
        byte = content[place + index]
        if index == 8:
            return number << 8 | byte, place + 9
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, place + index + 1
    raise AssertionError("nine bytes end every number")
