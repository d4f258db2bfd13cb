"""Ids for the rows of our own files, which stay the same from import to import; and the notations of card numbers."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from sync.contract.oneroster.remembered import RememberedRow, canonical_grades
from sync.contract.oneroster.rows import (
    CardRow,
    ClosedDayRow,
    CodeRow,
    ConsentRow,
    DynamicCodeRow,
    EntitlementRow,
    PayerNumberRow,
    ServiceRow,
    TerminalRow,
)
from sync.contract.oneroster.tables import CheckedRow, CheckedTable, ExportFault
from sync.contract.roster import Notation

_CARD_FORMS: Final = {
    Notation.FULL: "the UID in hex, 3 to 10 bytes in the order of ISO 14443, as 04A2B3C4D5E680",
    Notation.DEC10: "the 10 digits printed on the card, below 4294967296, as 0013267382",
    Notation.W26: "facility and number, as 100,19382, at most 255,65535",
    Notation.W34: "a number below 4294967296",
}


def identify_rows(
    name: str, table: CheckedTable, before: Mapping[str, RememberedRow], faults: list[ExportFault]
) -> dict[str, RememberedRow]:
    """Returns the rows of one of our own files by their ids; such a file is everything of its kind."""
    if name == CardRow.file:
        return _name_after_holders(name, "card", _read_cards(table, faults), _card_key, before, faults)
    if name == CodeRow.file:
        rows_by_line = [(row.line, row.fields) for row in table.rows]
        return _name_after_holders(name, "code", rows_by_line, _code_key, before, faults)
    rows: dict[str, RememberedRow] = {}
    for row in table.rows:
        row_id = _row_id(name, row)
        if row_id in rows:
            faults.append(ExportFault(name, row.line, "", f"the same as line {rows[row_id].line}", "each once"))
        else:
            rows[row_id] = RememberedRow(row.fields, line=row.line)
    return rows


def _row_id(name: str, row: CheckedRow) -> str:
    fields = row.fields
    if name == EntitlementRow.file:
        grades = canonical_grades(fields["grades"])
        return "|".join((fields["userSourcedId"], grades, fields["programme"], fields["first"]))
    if name == ClosedDayRow.file:
        return fields["date"]
    if name == ConsentRow.file:
        return f"{fields['userSourcedId']}|{fields['scope'] or 'palm'}"
    if name == PayerNumberRow.file:
        return f"{fields['userSourcedId']}|{fields['numberHash'].lower()}"
    if name == ServiceRow.file:
        return f"{fields['userSourcedId']}.service"
    if name == DynamicCodeRow.file:
        return f"{fields['userSourcedId']}.dynamic"
    if name == TerminalRow.file:
        return f"{fields['userSourcedId']}.terminal"
    return fields["sourcedId"]


def _read_cards(table: CheckedTable, faults: list[ExportFault]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yields line and fields of every card, its number in the roster's form."""
    for row in table.rows:
        notation = Notation(row.fields["notation"].lower() or "full")
        number = canonical_card_number(row.fields["number"], notation)
        if number is None:
            actual = f"no {notation.value} number"
            faults.append(ExportFault(CardRow.file, row.line, "number", actual, _CARD_FORMS[notation]))
        else:
            yield row.line, {**row.fields, "notation": notation.value, "number": number}


def _name_after_holders(
    name: str, kind: str, rows: Iterable[tuple[int, Mapping[str, str]]], key: Callable[[Mapping[str, str]], object],
    before: Mapping[str, RememberedRow], faults: list[ExportFault],
) -> dict[str, RememberedRow]:  # fmt: skip
    """Returns the cards or codes, each named after its holder, `u-1.card2`: an event holds that name, never the number.

    A name is not used again for another one, so those that are gone stay remembered as inactive.
    """
    merged = {row_id: replace(remembered, active=False) for row_id, remembered in before.items()}
    ids = {key(remembered.fields): row_id for row_id, remembered in before.items()}
    counts: dict[str, int] = defaultdict(int)  # how many a holder has had
    for row_id in before:
        holder, _, ordinal = row_id.rpartition(f".{kind}")
        counts[holder] = max(counts[holder], int(ordinal))
    column = "number" if kind == "card" else "code"
    for line, fields in rows:
        row_id = ids.get(key(fields), "")
        if not row_id:
            holder = fields["userSourcedId"]
            counts[holder] += 1
            row_id = f"{holder}.{kind}{counts[holder]}"
            ids[key(fields)] = row_id
        elif merged[row_id].active:
            actual = f"the {kind} of line {merged[row_id].line} again"
            faults.append(ExportFault(name, line, column, actual, "each once"))
        merged[row_id] = RememberedRow(fields, line=line)
    return merged


def _code_key(fields: Mapping[str, str]) -> tuple[str, str]:
    return fields["userSourcedId"], fields["code"]


def _card_key(fields: Mapping[str, str]) -> tuple[str, str, str, str]:
    return fields["userSourcedId"], fields["notation"], fields["number"], fields["technology"].lower()


def canonical_card_number(number: str, notation: Notation) -> str | None:
    """Returns a card's number in the roster's form; None where it is none of its notation."""
    text = number.upper().replace(" ", "")
    match notation:
        case Notation.FULL:
            digits = text.replace(":", "").replace("-", "")
            fits = len(digits) % 2 == 0 and 6 <= len(digits) <= 20 and set(digits) <= set("0123456789ABCDEF")
            return digits if fits else None
        case Notation.DEC10:
            return f"{int(text):010}" if text.isdecimal() and int(text) < 2**32 else None
        case Notation.W34:
            # in the roster it is hex: a number of eight decimals would be another card there
            return f"{int(text):08X}" if text.isdecimal() and int(text) < 2**32 else None
        case Notation.W26:
            facility, comma, low = text.partition(",")
            fits = bool(comma) and facility.isdecimal() and low.isdecimal()
            return f"{int(facility)},{int(low)}" if fits and int(facility) < 2**8 and int(low) < 2**16 else None
