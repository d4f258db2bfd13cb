"""Ids for the rows of our own files, which stay the same from import to import; and the notations of card numbers."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sync.contract.oneroster.remembered import RememberedRow, canonical_grades
from sync.contract.oneroster.rows import CardRow, ClosedDayRow, ConsentRow, EntitlementRow, PayerNumberRow, TerminalRow
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
        return _identify_cards(table, before, faults)
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
    if name == TerminalRow.file:
        return f"{fields['userSourcedId']}.terminal"
    return fields["sourcedId"]


def _identify_cards(
    table: CheckedTable, before: Mapping[str, RememberedRow], faults: list[ExportFault]
) -> dict[str, RememberedRow]:
    """Returns the cards, each named after its holder, `u-1.card2`: an event holds that name, never the card's number.

    A name is not used again for another card, so cards that are gone stay remembered as inactive.
    """
    merged = {card_id: replace(remembered, active=False) for card_id, remembered in before.items()}
    ids = {_card_key(remembered.fields): card_id for card_id, remembered in before.items()}
    counts: dict[str, int] = defaultdict(int)  # cards that a holder has had
    for card_id in before:
        holder, _, ordinal = card_id.rpartition(".card")
        counts[holder] = max(counts[holder], int(ordinal))
    for row in table.rows:
        notation = Notation(row.fields["notation"].lower() or "full")
        number = canonical_card_number(row.fields["number"], notation)
        if number is None:
            actual = f"no {notation.value} number"
            faults.append(ExportFault(CardRow.file, row.line, "number", actual, _CARD_FORMS[notation]))
            continue
        fields = {**row.fields, "notation": notation.value, "number": number}
        card_id = ids.get(_card_key(fields), "")
        if not card_id:
            holder = fields["userSourcedId"]
            counts[holder] += 1
            card_id = f"{holder}.card{counts[holder]}"
            ids[_card_key(fields)] = card_id
        elif merged[card_id].active:
            actual = f"the card of line {merged[card_id].line} again"
            faults.append(ExportFault(CardRow.file, row.line, "number", actual, "each once"))
        merged[card_id] = RememberedRow(fields, line=row.line)
    return merged


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
            return str(int(text)) if text.isdecimal() and int(text) < 2**32 else None
        case Notation.W26:
            facility, comma, low = text.partition(",")
            fits = bool(comma) and facility.isdecimal() and low.isdecimal()
            return f"{int(facility)},{int(low)}" if fits and int(facility) < 2**8 and int(low) < 2**16 else None
