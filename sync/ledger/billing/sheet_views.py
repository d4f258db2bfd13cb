"""Sheets as people read them: CSV, XLSX, HTML, PDF. Names, classes and categories are joined here and kept nowhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files

import psycopg

from sync.contract.roster import MealSession, Person, Programme, School
from sync.ledger.billing import terms
from sync.ledger.billing.categories import read_categories
from sync.ledger.billing.pdf import to_pdf
from sync.ledger.billing.sheet_store import StoredVersion
from sync.ledger.billing.spreadsheets import to_csv, to_xlsx
from sync.ledger.registry import rosters
from sync.money.canonical import decode_sheet
from sync.money.form import SheetForm, read_form
from sync.money.layout import ShownPerson, lay_out
from sync.money.months import Month
from sync.money.printing import SheetHeading, SheetWords, render_html
from sync.money.sheet import SheetSubject
from sync.money.terms_file import read_toml


class SheetLanguage(StrEnum):
    """The languages of a printed sheet."""

    KK = "kk"
    RU = "ru"


class SheetFormat(StrEnum):
    """The kinds of file that a sheet is shown as."""

    CSV = "csv"
    XLSX = "xlsx"
    HTML = "html"
    PDF = "pdf"


@dataclass(frozen=True, slots=True)
class SheetNames:
    """The names that are joined to the opaque ids of a sheet, as the newest roster has them."""

    school: str
    programme: str
    people: Mapping[str, ShownPerson]
    sessions: Mapping[str, str] = field(default_factory=dict)


@cache
def load_words(language: SheetLanguage) -> SheetWords:
    """Returns the catalogue of a language."""
    return read_toml(_resource(f"{language.value}.toml"), SheetWords)


def load_form_text() -> str:
    """Returns the text of the form that is taken where no other is named: an example to edit."""
    return _resource("form.toml")


def _resource(name: str) -> str:
    return files("sync.money").joinpath("words", name).read_text("utf-8")


def read_names(
    connection: psycopg.Connection, subject: SheetSubject, language: SheetLanguage, *, categories: bool
) -> SheetNames:
    """Returns the names for a sheet. With `categories` False, for a caterer, no category is joined."""
    records = rosters.read_records(connection, subject.school)
    codes = read_categories(connection, subject.school, Month.parse(subject.month)) if categories else {}
    school, programme = subject.school, subject.programme
    people, sessions = {}, {}
    for record in records:
        match record:
            case Person():
                name = f"{record.family_name} {record.given_name}".strip()
                people[record.id] = ShownPerson(name, record.group, codes.get(record.id, ""))
            case School():
                school = record.name
            case MealSession():
                named = record.name_kk if language is SheetLanguage.KK else record.name_ru
                sessions[record.id] = named or record.name
            case Programme() if record.id == subject.programme:
                programme = record.name
    programme = read_programme_name(connection, subject.school, subject.programme, language) or programme
    return SheetNames(school, programme, people, sessions)


def read_programme_name(connection: psycopg.Connection, school: str, programme: str, language: SheetLanguage) -> str:
    """Returns what the tariffs call a programme in a language; empty where they do not name it."""
    stored = terms.find_programme(connection, school, programme)
    if stored is None:
        return ""
    return stored.name_kk if language is SheetLanguage.KK else stored.name_ru


def render(
    stored: StoredVersion, names: SheetNames, form: SheetForm, language: SheetLanguage, wanted: SheetFormat
) -> bytes:
    """Returns a sheet as a file. Raises BrowserMissing for a PDF where no Chromium is."""
    sheet, words = decode_sheet(stored.body), load_words(language)
    layout = lay_out(sheet, form, names.people, language.value, names.sessions)
    if wanted is SheetFormat.CSV:
        return to_csv(layout)
    if wanted is SheetFormat.XLSX:
        return to_xlsx(layout, words.total, words.no_group)
    heading = SheetHeading(names.school, names.programme, stored.digest, language.value, names.sessions)
    html = render_html(sheet, layout, form, heading, words)
    return to_pdf(html) if wanted is SheetFormat.PDF else html.encode()


def load_form(text: str = "") -> SheetForm:
    """Returns the form in a TOML text, or the example form. Raises TermsWrong."""
    return read_form(text or load_form_text())
