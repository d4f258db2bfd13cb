"""The cells of a payer's file: dates, titles of days and counts, as people and spreadsheets write them.

Only what has one meaning is read. `03/11/2025` has two, so a map must name that form; `45964` is what a spreadsheet
keeps of a date, the days since 30 December 1899, or in some workbooks since 1904.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sync.money.months import Month

SERIAL_ZERO = date(1899, 12, 30)  # day 0 of a spreadsheet's numbers
SERIAL_ZERO_1904 = date(1904, 1, 1)  # and of a workbook that counts as spreadsheets on a Macintosh did
_SERIAL = re.compile(r"([3-6]\d{4})(?:[.,]\d+)?")  # from 1982 to 2091
_INVISIBLE = re.compile("[\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}\N{SOFT HYPHEN}\N{WORD JOINER}]")
_CONSTANT = re.compile(r'="([^"]*)"')  # how exporters keep the zeros of a number: a text, and nothing to reckon
_TIME = re.compile(
    r"(?P<date>.*\d.*?)[t ,]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[+-]\d{2}:?\d{2})?"
)  # a local one: no Z
_YEAR_WORD = re.compile(r"(?<=\d)\s*(?:года|год|г|жылы|жыл|ж)\.?$")
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})\s*(?:жылғы|жылдың|жыл|ж)\.?\s*(?P<rest>\d{1,2}\D+)")
_WHOLE = re.compile(r"(\d+)(?:[.,]0+)?(?:\s*(?:порци[яию]|порций|порц|шт|обед|обеда|обедов|рет)\.?)?")
_QUOTES = re.compile('[«»“”„"]')
_NAMED = re.compile(r"(?P<day>\d{1,2})[\s.\-]*(?P<month>[^\W\d_]+)\.?[\s.\-]*(?P<year>\d{4}|\d{2})?")
_DAY = re.compile(
    r"(?P<day>\d{1,2})(?:-?(?:е|го|ое|ші|шы)|\.)?(?:[./](?P<month>\d{1,2})\.?)?(?:[\s,(]+(?P<weekday>[^\W\d_]+)\.?\)?)?"
)

_MONTHS = tuple(re.compile(pattern) for pattern in (
    "январ[ьяе]|янв|қаңтар|қаң|jan(?:uary)?",
    "феврал[ьяе]|фев|ақпан|ақп|feb(?:ruary)?",
    "март[ае]?|мар|наурыз|нау|mar(?:ch)?",
    "апрел[ьяе]|апр|сәуір|сәу|apr(?:il)?",
    "ма[йяе]|мамыр|мам|may",
    "июн[ьяе]|июн|маусым|мау|june?",
    "июл[ьяе]|июл|шілде|шіл|july?",
    "август[ае]?|авг|тамыз|там|aug(?:ust)?",
    "сентябр[ьяе]|сент?|қыркүйек|қыр|sept?(?:ember)?",
    "октябр[ьяе]|окт|қазан|қаз|oct(?:ober)?",
    "ноябр[ьяе]|нояб?|қараша|қар|nov(?:ember)?",
    "декабр[ьяе]|дек|желтоқсан|жел|dec(?:ember)?",
))  # fmt: skip
_WEEKDAYS = frozenset({
    "пн", "вт", "ср", "чт", "пт", "сб", "вс", "понедельник", "вторник", "среда", "четверг", "пятница", "суббота",
    "воскресенье", "дс", "сс", "сә", "бс", "жм", "сн", "жс", "дүй", "сей", "сәр", "бей", "жұм", "сен", "жек",
    "дүйсенбі", "сейсенбі", "сәрсенбі", "бейсенбі", "жұма", "сенбі", "жексенбі", "число", "күн", "күні",
})  # fmt: skip


def fold(text: str) -> str:
    """Returns a text in one form for comparing: no case, one space between words, nothing invisible."""
    return " ".join(unicodedata.normalize("NFC", _INVISIBLE.sub("", text)).casefold().split())


def clean_cell(text: str) -> str:
    """Returns a cell in whole letters, without invisible marks, the apostrophe that makes it a text, or `="…"`."""
    plain = unicodedata.normalize("NFC", _INVISIBLE.sub("", text)).strip()
    constant = _CONSTANT.fullmatch(plain)
    return constant[1].strip() if constant else plain.removeprefix("'")


def read_whole(text: str) -> int | None:
    """Returns a whole number that may be written with a fraction of zeros or a unit: `1`, `1.0`, `1,00`, `1 шт.`."""
    match = _WHOLE.fullmatch(text)
    return int(match[1]) if match and match[1].isascii() else None


def read_month(text: str) -> int | None:
    """Returns the month (1 to 12) that a word names, in Russian, Kazakh or English, whole or shortened."""
    word = fold(text)
    return next((number for number, pattern in enumerate(_MONTHS, 1) if pattern.fullmatch(word)), None)


def find_month(text: str) -> int | None:
    """Returns the month that stands somewhere in a title, as in `Ноябрь 2025`."""
    return next(filter(None, map(read_month, re.findall(r"[^\W\d_]+", text))), None)


def read_date(text: str, forms: Sequence[str], month: Month, serial_zero: date = SERIAL_ZERO) -> date | None:
    """Returns the date in a cell. `forms`: as the map has them; `month`: whose year is meant where none is named.

    `serial_zero`: the day from which the spreadsheet counts.
    """
    plain = _QUOTES.sub("", fold(text)).strip()
    timed = _TIME.fullmatch(plain)
    plain = _YEAR_WORD.sub("", timed["date"] if timed else plain).rstrip(" ,")
    for form in forms:
        try:
            return datetime.strptime(plain, form).date()  # noqa: DTZ007  a date has no zone
        except ValueError:
            continue
    year_first = _YEAR_FIRST.fullmatch(plain)
    if year_first:
        plain = f"{year_first['rest']} {year_first['year']}"
    serial = _SERIAL.fullmatch(plain)
    if serial:
        return serial_zero + timedelta(days=int(serial[1]))
    named = _NAMED.fullmatch(plain)
    number = read_month(named["month"]) if named else None
    if named is None or number is None:
        return None
    year = int(named["year"] or month.year)
    return _make_date(year if year > 99 else 2000 + year, number, int(named["day"]))


def read_day_title(title: str, forms: Sequence[str], month: Month, serial_zero: date = SERIAL_ZERO) -> date | None:
    """Returns the day of the month that a column's title names: `3`, `03`, `3 пн`, `03.11`, `3 қараша`, or a date."""
    whole = read_date(title, forms, month, serial_zero)
    if whole is not None:
        return whole if month.first <= whole <= month.last else None
    match = _DAY.fullmatch(_QUOTES.sub("", fold(title)).strip())
    if match is None or int(match["month"] or month.number) != month.number:
        return None
    if match["weekday"] and match["weekday"] not in _WEEKDAYS:
        return None
    return _make_date(month.year, month.number, int(match["day"]))


def is_weekday(text: str) -> bool:
    """Returns True for the name of a weekday, whole or shortened."""
    return fold(text).removesuffix(".") in _WEEKDAYS


def is_bare_day(title: str) -> bool:
    """Returns True for a title that names a day's number and no month."""
    match = _DAY.fullmatch(_QUOTES.sub("", fold(title)).strip())
    return match is not None and not match["month"]


def _make_date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
