"""Sheets as CSV and XLSX, and a payer's CSV and XLSX as rows of text. Formulas are neither written nor reckoned."""

import csv
import io
import re
import zipfile
from collections.abc import Sequence

from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.worksheet import Worksheet

from sync.errors import Wording
from sync.money.errors import PayerFileWrong
from sync.money.layout import Cell, SheetLayout
from sync.money.neutral import neutralise

PAYER_FILE_BYTES_MAX = 32 * 1024 * 1024
WORKBOOK_BYTES_MAX = 256 * 1024 * 1024
PAYER_ROWS_MAX = 200_000
PAYER_COLUMNS_MAX = 200
_SNIFFED_LINES = 20  # a title above the table has no delimiter
_TITLE_MAX = 31  # of a worksheet
_NOT_IN_TITLES = re.compile(r"[\[\]:*?/\\]")
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def to_csv(layout: SheetLayout) -> bytes:
    """Returns the sheet as one CSV table, UTF-8 with a mark by which Excel recognises it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(layout.titles)
    for page in layout.pages:
        writer.writerows([neutralise(cell) for cell in row] for row in page.rows)
    writer.writerow([neutralise(cell) for cell in layout.total])
    return text.getvalue().encode("utf-8-sig")


def to_xlsx(layout: SheetLayout, total_title: str, no_group: str) -> bytes:
    """Returns the sheet as a workbook: one worksheet a class, and one with the sums."""
    book = Workbook()
    book.remove(book.worksheets[0])
    taken: set[str] = set()
    for page in layout.pages:
        table = book.create_sheet(_title(page.group or no_group, taken))
        _fill(table, [layout.titles, *page.rows, page.total])
    table = book.create_sheet(_title(total_title, taken))
    groups = [(page.group or no_group, *page.total) for page in layout.pages]
    _fill(table, [("", *layout.titles), *groups, (total_title, *layout.total)])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _title(wanted: str, taken: set[str]) -> str:
    """Returns a worksheet's title that Excel takes and no other worksheet has."""
    plain = _NOT_IN_TITLES.sub(" ", _NOT_IN_XML.sub("", wanted)).strip("' ") or "-"
    title, number = plain[:_TITLE_MAX], 2
    while title.lower() in taken:
        suffix = f" {number}"
        title, number = plain[: _TITLE_MAX - len(suffix)] + suffix, number + 1
    taken.add(title.lower())
    return title


def _fill(table: Worksheet, rows: Sequence[Sequence[Cell]]) -> None:
    for row_number, row in enumerate(rows, 1):
        for column_number, cell in enumerate(row, 1):
            if cell == "":
                continue
            target = table.cell(row_number, column_number)
            if isinstance(cell, int):
                target.value = cell
            else:
                target.value = _NOT_IN_XML.sub("", cell)
                target.data_type = "s"  # a text, also where it begins with "=": nothing reckons it
            if row_number in (1, len(rows)):
                target.font = Font(bold=True)
    table.freeze_panes = "A2"


def read_table(name: str, content: bytes) -> list[list[str]]:
    """Returns the cells of a payer's file as text, by row; the first worksheet of a workbook. Raises PayerFileWrong.

    A formula comes as its own text, beginning with `=`; its remembered result is not believed.
    """
    if len(content) > PAYER_FILE_BYTES_MAX:
        raise PayerFileWrong(
            f"{name} has {len(content)} bytes",
            f"at most {PAYER_FILE_BYTES_MAX} are read: split it by school",
            Wording("refusal.file_large", file=name, most=PAYER_FILE_BYTES_MAX // 2**20),
        )
    rows = _read_xlsx(name, content) if content[:4] == b"PK\x03\x04" else _read_csv(name, content)
    if len(rows) > PAYER_ROWS_MAX:
        raise PayerFileWrong(
            f"{name} has {len(rows)} rows", f"at most {PAYER_ROWS_MAX} are read: split it by school",
            Wording("refusal.file_rows", file=name, most=PAYER_ROWS_MAX),
        )  # fmt: skip
    return rows


def _read_csv(name: str, content: bytes) -> list[list[str]]:
    for encoding in ("utf-8-sig", "cp1251"):  # Excel for Windows writes the second one where people save "CSV"
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise PayerFileWrong(
            f"{name} is neither UTF-8 nor Windows-1251 text", "save it as CSV UTF-8 or as XLSX",
            Wording("refusal.file_strange", file=name),
        )  # fmt: skip
    head = "\n".join(text.split("\n", _SNIFFED_LINES)[:_SNIFFED_LINES])
    delimiter = max(";\t,", key=head.count)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise PayerFileWrong(
            f"{name} is no CSV file: {error}", "save it anew as CSV UTF-8 or as XLSX",
            Wording("refusal.file_strange", file=name),
        ) from error  # fmt: skip


def _read_xlsx(name: str, content: bytes) -> list[list[str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > WORKBOOK_BYTES_MAX:
            raise PayerFileWrong(
                f"{name} unpacks to {unpacked} bytes", "save it anew with one worksheet only",
                Wording("refusal.file_unpacked", file=name),
            )  # fmt: skip
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=False)
        try:
            table = book.worksheets[0]
            return [
                _trim([_text(cell) for cell in row])
                for row in table.iter_rows(values_only=True, max_row=PAYER_ROWS_MAX + 1, max_col=PAYER_COLUMNS_MAX)
            ]
        finally:
            book.close()
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, IndexError, EOFError, SyntaxError) as error:
        # SyntaxError is what xml.etree says of a broken document.
        raise PayerFileWrong(
            f"{name} is no workbook that can be read: {error}",
            "save it anew as XLSX or CSV",
            Wording("refusal.file_strange", file=name),
        ) from error


def _trim(row: list[str]) -> list[str]:
    """Returns the row without the empty cells at its end, of which a workbook may have thousands."""
    end = next((place for place in range(len(row), 0, -1) if row[place - 1]), 0)
    return row[:end]


def _text(cell: object) -> str:
    """Returns a cell as the text that people see: whole numbers without a point, dates as 2026-11-03."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    text = getattr(cell, "isoformat", lambda: str(cell))()
    return str(text).removesuffix("T00:00:00")
