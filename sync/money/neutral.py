"""Text that a spreadsheet must not run: a cell that begins like a formula is shown, never reckoned."""

from sync.money.layout import Cell

# OWASP, CSV Injection: what spreadsheets take for the start of a formula, also after a tab or a line break.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
                   "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip


def is_formula(text: str) -> bool:
    """Returns True if a spreadsheet could take this text for a formula."""
    return text.lstrip(" ").startswith(_FORMULA_STARTS)


def neutralise(cell: Cell) -> Cell:
    """Returns the cell for a CSV file: text that looks like a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and is_formula(cell) else cell
