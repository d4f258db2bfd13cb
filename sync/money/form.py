"""The form of a printed sheet as data: which columns, under which titles, with which marks. Official forms change."""

from enum import StrEnum

from sync.money.errors import TermsWrong
from sync.money.terms_file import TermsBase, read_toml


class FormField(StrEnum):
    """The content of a column."""

    NUMBER = "number"  # counted from 1 within a class
    PERSON = "person"  # the opaque id
    NAME = "name"
    GROUP = "group"
    CATEGORY = "category"
    SESSION = "session"
    DAYS = "days"  # one column for each day of the month
    MEALS = "meals"
    TENGE = "tenge"
    TIYN = "tiyn"
    ABSENT = "absent"
    DOWN = "down"
    HELD = "held"
    PENDING = "pending"
    OUTSIDE = "outside"
    EMPTY = "empty"  # for a pen


class FormColumn(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One column (of DAYS: one for each day, titled by its number)."""

    field: FormField
    kk: str = ""
    ru: str = ""

    def title(self, language: str) -> str:
        """Returns the title in a language: kk or ru."""
        return self.kk if language == "kk" else self.ru


class FormMarks(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The signs in a day's cell. A billed meal is the number 1, so that a spreadsheet can add it up."""

    absent: str = "–"
    down: str = "×"
    held: str = "?"
    pending: str = "г"
    outside: str = "!"


class SheetForm(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The columns and marks of a printed sheet."""

    id: str
    source: str = ""  # the order that sets the form
    columns: tuple[FormColumn, ...]
    marks: FormMarks = FormMarks()


def read_form(text: str) -> SheetForm:
    """Returns the form in a TOML text. Raises TermsWrong."""
    form = read_toml(text, SheetForm)
    untitled = [column.field.value for column in form.columns if not column.title("kk") or not column.title("ru")]
    untitled = [name for name in untitled if name not in (FormField.DAYS, FormField.EMPTY)]
    if not form.columns or untitled:
        raise TermsWrong(
            f"form {form.id!r}: " + (f"no title in kk or ru for {', '.join(untitled)}" if untitled else "no columns"),
            "correct the file",
        )
    return form
