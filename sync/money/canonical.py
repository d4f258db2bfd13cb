"""The bytes of a sheet: what is hashed, signed, downloaded and kept for years.

Format `canteen-sheet/1`, UTF-8, one JSON object a line with sorted keys and no spaces, each line ended by a line feed:

1. the header: `format`, `school`, `programme`, `month`, `number`, `version`, `payer`, `mark`, `calendar`, `tariff`
   (digests of the terms), `categories` where the school had any (the digest of their version), and of a correction
   sheet `base` (digests of what was closed before it);
2. `"line":"objection"`, `"line":"outage"`, then `"line":"row"` (of a correction sheet `"line":"correction"`), each
   kind sorted, empty fields left out;
3. `"line":"day"` for each day with meals, ascending;
4. `"line":"total"`: `rows`, `meals`, `tiyn`.

The same sheet has the same bytes on every machine. `decode_sheet` takes only bytes that `encode_sheet` makes, so one
digest (SHA-256 of all bytes) stands for one sheet. A detached signature is over these bytes as they are.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TypeVar

import msgspec

from sync.money.errors import SheetUnreadable
from sync.money.sheet import CorrectionRow, OutageKind, Sheet, SheetObjection, SheetOutage, SheetRow, SheetSubject

SHEET_FORMAT = "canteen-sheet/1"
SHEET_BYTES_MAX = 64 * 1024 * 1024
MONTH_DAYS_MAX = 31


class _Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    format: str
    school: str
    programme: str
    month: str
    number: int
    version: int
    payer: str
    mark: str
    calendar: str
    tariff: str
    base: tuple[str, ...] = ()
    categories: str = ""


class _Line(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="line"
):
    pass


class _ObjectionLine(_Line, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag="objection"):
    version: int
    side: str
    person: str
    session: str


class _OutageLine(_Line, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag="outage"):
    day: int
    session: str
    device: str
    epoch: str
    seq: int
    kind: OutageKind


class _RowLine(_Line, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag="row"):
    person: str
    session: str
    meals: int
    tiyn: int
    days: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    down: tuple[int, ...] = ()
    held: tuple[int, ...] = ()
    pending: tuple[int, ...] = ()
    outside: tuple[int, ...] = ()


class _CorrectionLine(
    _Line, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag="correction"
):
    person: str
    session: str
    tiyn: int
    added: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()


class _DayLine(_Line, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag="day"):
    day: int
    meals: int


class _TotalLine(_Line, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag="total"):
    rows: int
    meals: int
    tiyn: int


_SheetLine = _ObjectionLine | _OutageLine | _RowLine | _CorrectionLine | _DayLine | _TotalLine

_Line_T = TypeVar("_Line_T")

_encoder = msgspec.json.Encoder(order="sorted")
_header_decoder = msgspec.json.Decoder(_Header)
_line_decoder: msgspec.json.Decoder[_SheetLine] = msgspec.json.Decoder(_SheetLine)


def encode_sheet(sheet: Sheet) -> bytes:
    """Returns the canonical bytes of a sheet."""
    lines = [_encoder.encode(line) for line in _lines(sheet)]
    return b"\n".join([*lines, b""])


def _lines(sheet: Sheet) -> Iterator[msgspec.Struct]:
    subject = sheet.subject
    yield _Header(
        format=SHEET_FORMAT, school=subject.school, programme=subject.programme, month=subject.month,
        number=subject.number, version=sheet.version, payer=sheet.payer, mark=sheet.mark, calendar=sheet.calendar,
        tariff=sheet.tariff, base=sheet.base, categories=sheet.categories,
    )  # fmt: skip
    for objection in sorted(sheet.objections):
        yield _ObjectionLine(
            version=objection.version, side=objection.side, person=objection.person, session=objection.session
        )
    for outage in sorted(sheet.outages):
        yield _OutageLine(
            day=outage.day, session=outage.session, device=outage.device, epoch=outage.epoch, seq=outage.seq,
            kind=outage.kind,
        )  # fmt: skip
    for row in sorted(sheet.rows, key=lambda row: row.key):
        yield _RowLine(
            person=row.person, session=row.session, meals=len(row.days), tiyn=row.tiyn, days=row.days,
            absent=row.absent, down=row.down, held=row.held, pending=row.pending, outside=row.outside,
        )  # fmt: skip
    for correction in sorted(sheet.corrections, key=lambda row: row.key):
        yield _CorrectionLine(
            person=correction.person, session=correction.session, tiyn=correction.tiyn, added=correction.added,
            dropped=correction.dropped,
        )  # fmt: skip
    for day in sheet.days:
        yield _DayLine(day=day.day, meals=day.meals)
    yield _TotalLine(rows=len(sheet.rows) + len(sheet.corrections), meals=sheet.meals, tiyn=sheet.tiyn)


def digest_sheet(content: bytes) -> str:
    """Returns the digest of a sheet's bytes: SHA-256, in hex."""
    return hashlib.sha256(content).hexdigest()


def decode_sheet(content: bytes) -> Sheet:
    """Returns the sheet in its canonical bytes. Raises SheetUnreadable that names the line."""
    if len(content) > SHEET_BYTES_MAX:
        raise SheetUnreadable(f"{len(content)} bytes; at most {SHEET_BYTES_MAX} are read", "ask for the sheet itself")
    sheet = _parse(content)
    _check_days(sheet)
    rendered = encode_sheet(sheet)
    if rendered != content:
        raise SheetUnreadable(
            f"line {_first_difference(rendered, content)} is not in its canonical form, or a sum is wrong",
            "ask for the bytes that `edge-agent ledger sheet sign-request` wrote",
        )
    return sheet


def _check_days(sheet: Sheet) -> None:
    """Raises SheetUnreadable where a row is there twice, or a day is: it could be summed in two ways."""
    keys = [row.key for row in sheet.rows] + [row.key for row in sheet.corrections]
    doubles = len(keys) - len(set(keys))
    if doubles or (sheet.rows and sheet.corrections):
        raise SheetUnreadable(f"{doubles} rows are there twice, or are of two kinds", "ask for the sheet itself")
    for row in sheet.rows:
        _check_ascending(row.key, (row.days, row.absent, row.down, row.held, row.pending, row.outside))
    for correction in sheet.corrections:
        _check_ascending(correction.key, (correction.added, correction.dropped))


def _check_ascending(key: tuple[str, str], lists: Iterable[tuple[int, ...]]) -> None:
    for days in lists:
        if any(a >= b for a, b in pairwise(days)) or (days and not 1 <= days[0] <= days[-1] <= MONTH_DAYS_MAX):
            raise SheetUnreadable(
                f"the row of {key[0]} has days that do not ascend from 1 to 31", "ask for the sheet itself"
            )


def _parse(content: bytes) -> Sheet:
    first, *others = content.split(b"\n")
    header = _read_line(_header_decoder, first, 1)
    if header.format != SHEET_FORMAT:
        raise SheetUnreadable(f"format {header.format!r} is not {SHEET_FORMAT}", "install the newer program")
    rows, corrections, outages, objections = [], [], [], []
    for number, text in enumerate(others[:-1], 2):
        match _read_line(_line_decoder, text, number):
            case _ObjectionLine() as line:
                objections.append(SheetObjection(line.version, line.side, line.person, line.session))
            case _OutageLine() as line:
                outages.append(SheetOutage(line.day, line.session, line.device, line.epoch, line.seq, line.kind))
            case _RowLine() as line:
                rows.append(
                    SheetRow(
                        person=line.person, session=line.session, days=line.days, tiyn=line.tiyn, absent=line.absent,
                        down=line.down, held=line.held, pending=line.pending, outside=line.outside,
                    )
                )  # fmt: skip
            case _CorrectionLine() as line:
                corrections.append(
                    CorrectionRow(
                        person=line.person, session=line.session, added=line.added, dropped=line.dropped,
                        tiyn=line.tiyn,
                    )
                )  # fmt: skip
            case _DayLine() | _TotalLine():
                pass  # sums: the comparison with the rendered bytes checks them
    return Sheet(
        subject=SheetSubject(header.school, header.programme, header.month, header.number), version=header.version,
        payer=header.payer, mark=header.mark, calendar=header.calendar, tariff=header.tariff, rows=tuple(rows),
        corrections=tuple(corrections), outages=tuple(outages), objections=tuple(objections), base=header.base,
        categories=header.categories,
    )  # fmt: skip


def _read_line(decoder: msgspec.json.Decoder[_Line_T], text: bytes, number: int) -> _Line_T:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SheetUnreadable(f"line {number} is no line of a sheet: {error}", "ask for the sheet itself") from error


def _first_difference(a: bytes, b: bytes) -> int:
    """Returns the number of the first line that differs, from 1."""
    lines = zip(a.split(b"\n"), b.split(b"\n"), strict=False)
    same = next((number for number, (line, twin) in enumerate(lines, 1) if line != twin), None)
    return same or min(a.count(b"\n"), b.count(b"\n")) + 1
