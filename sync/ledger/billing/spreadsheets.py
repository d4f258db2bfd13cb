"""Sheets as CSV and XLSX, and a payer's CSV and XLSX as rows of text. Formulas are neither written nor reckoned."""

import codecs
import csv
import io
import itertools
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence

from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.worksheet import Worksheet

from sync.errors import Wording
from sync.money.errors import PayerFileWrong
from sync.money.layout import Cell, SheetLayout
from sync.money.neutral import neutralise
from sync.money.payer_cells import SERIAL_ZERO, SERIAL_ZERO_1904
from sync.money.payer_file import PayerTable

PAYER_FILE_BYTES_MAX = 32 * 1024 * 1024
WORKBOOK_BYTES_MAX = 256 * 1024 * 1024
PAYER_ROWS_MAX = 200_000
PAYER_COLUMNS_MAX = 200
_SNIFFED_BYTES = 4_096
_SNIFFED_LINES = 40  # a heading above the table, and sums below, have other numbers of columns
_DELIMITERS = ";\t,|"
_STATED_DELIMITER = re.compile(r"sep=(.)\r?\n")  # Excel's own way to say it
_TITLE_MAX = 31  # of a worksheet
_NOT_IN_TITLES = re.compile(r"[\[\]:*?/\\]")
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def to_csv(layout: SheetLayout) -> bytes:
    """Returns the sheet as one CSV table, UTF-8 with a mark by which Excel recognises it."""
    return table_to_csv(layout.titles, [*(row for page in layout.pages for row in page.rows), layout.total])


def table_to_csv(titles: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Returns a table as CSV, UTF-8 with a mark by which Excel recognises it; nothing in it is a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(titles)
    writer.writerows([neutralise(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def table_to_xlsx(name: str, titles: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Returns a table as a workbook with one worksheet."""
    book = Workbook()
    table = book.worksheets[0]
    table.title = _title(name, set())
    _fill(table, [titles, *rows], bold=(1,))
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def to_xlsx(layout: SheetLayout, total_title: str, no_group: str) -> bytes:
    """Returns the sheet as a workbook: one worksheet a class, and one with the sums."""
    book = Workbook()
    book.remove(book.worksheets[0])
    taken: set[str] = set()
    for page in layout.pages:
        table = book.create_sheet(_title(page.group or no_group, taken))
        _fill(table, [layout.titles, *page.rows, page.total], bold=(1, len(page.rows) + 2))
    table = book.create_sheet(_title(total_title, taken))
    groups = [(page.group or no_group, *page.total) for page in layout.pages]
    summed = [("", *layout.titles), *groups, (total_title, *layout.total)]
    _fill(table, summed, bold=(1, len(summed)))
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


def _fill(table: Worksheet, rows: Sequence[Sequence[Cell]], bold: tuple[int, ...]) -> None:
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
            if row_number in bold:
                target.font = Font(bold=True)
    table.freeze_panes = "A2"


def read_worksheets(name: str, content: bytes) -> dict[str, PayerTable]:
    """Returns the cells of a payer's file as text, by row, of each worksheet that is not hidden.

    A CSV file is one worksheet without a title. A formula comes as its own text, beginning with `=`; its remembered
    result is not believed. Raises PayerFileWrong.
    """
    if len(content) > PAYER_FILE_BYTES_MAX:
        raise PayerFileWrong(
            f"{name} has {len(content)} bytes",
            f"at most {PAYER_FILE_BYTES_MAX} are read: split it by school",
            Wording("refusal.file_large", file=name, most=PAYER_FILE_BYTES_MAX // 2**20),
        )
    tables = _read_xlsx(name, content) if content[:4] == b"PK\x03\x04" else {"": PayerTable(_read_csv(name, content))}
    count = sum(len(table.rows) for table in tables.values())
    if count > PAYER_ROWS_MAX:
        raise PayerFileWrong(
            f"{name} has {count} rows", f"at most {PAYER_ROWS_MAX} are read: split it by school",
            Wording("refusal.file_rows", file=name, most=PAYER_ROWS_MAX),
        )  # fmt: skip
    return tables


def _read_csv(name: str, content: bytes) -> list[list[str]]:
    # Excel for Windows writes UTF-16 as "Unicode text", and its code page as "CSV". KZ-1048 is Windows-1251 with Kazakh
    # letters in the places of some that neither Russian nor Kazakh has.
    head = content[:_SNIFFED_BYTES]
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encodings: tuple[str, ...] = ("utf-16",)
    elif b"\n\0" in head or b"\0\n" in head:  # UTF-16 without its mark: a zero is the higher half of what is ASCII
        encodings = ("utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be",)
    else:
        encodings = ("utf-8-sig", "kz1048")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise PayerFileWrong(
            f"{name} is neither UTF-8, UTF-16 nor Windows-1251 text", "save it as CSV UTF-8 or as XLSX",
            Wording("refusal.file_strange", file=name),
        )  # fmt: skip
    stated = _STATED_DELIMITER.match(text)
    if stated:
        text = text[stated.end() :]  # a spreadsheet does not show this line
    try:
        delimiter = stated[1] if stated else _find_delimiter(text)
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise PayerFileWrong(
            f"{name} is no CSV file: {error}", "save it anew as CSV UTF-8 or as XLSX",
            Wording("refusal.file_strange", file=name),
        ) from error  # fmt: skip


def _find_delimiter(text: str) -> str:
    """Returns the delimiter by which most of the first lines have one and the same number of columns."""

    def count_agreeing(delimiter: str) -> int:
        lines = itertools.islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), _SNIFFED_LINES)
        widths = Counter(map(len, lines))
        return max((count for width, count in widths.items() if width > 1), default=0)

    return max(_DELIMITERS, key=count_agreeing)


def _read_xlsx(name: str, content: bytes) -> dict[str, PayerTable]:
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
            shown = [table for table in book.worksheets if table.sheet_state == "visible"]
            zero = SERIAL_ZERO_1904 if book.epoch == CALENDAR_MAC_1904 else SERIAL_ZERO
            return {table.title: PayerTable(_read_rows(table), zero) for table in shown or book.worksheets[:1]}
        finally:
            book.close()
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, IndexError, EOFError, SyntaxError) as error:
        # SyntaxError is what xml.etree says of a broken document.
        raise PayerFileWrong(
            f"{name} is no workbook that can be read: {error}",
            "save it anew as XLSX or CSV",
            Wording("refusal.file_strange", file=name),
        ) from error


def _read_rows(table: Worksheet) -> list[list[str]]:
    rows = table.iter_rows(values_only=True, max_row=PAYER_ROWS_MAX + 1, max_col=PAYER_COLUMNS_MAX)
    return [_trim([_text(cell) for cell in row]) for row in rows]


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
