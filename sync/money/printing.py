"""A sheet as a page to print: HTML with everything in it, one class a page, in Kazakh or Russian."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from sync.money.form import SheetForm
from sync.money.layout import Cell, SheetLayout, SheetPage, format_tenge
from sync.money.months import Month
from sync.money.sheet import Sheet, SheetOutage
from sync.money.tariffs import DailyMark
from sync.money.terms_file import TermsBase


class SheetWords(TermsBase, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Every text of a printed sheet but the titles of its columns; one catalogue a language."""

    title: str
    days_title: str
    correction: str
    school: str
    programme: str
    month: str
    version: str
    digest: str
    group: str
    no_group: str
    group_total: str
    total: str
    meals: str
    tenge: str
    caterer: str
    principal: str
    date: str
    legend: str
    billed: str
    absent: str
    down: str
    held: str
    pending: str
    outside: str
    outages: str
    outage_day: str
    outage_session: str
    outage_kiosk: str
    outage_event: str
    boot: str
    stop: str
    fault: str
    months: tuple[str, ...]
    month_year: str

    def name_month(self, month: Month) -> str:
        """Returns the month as people write it."""
        return self.month_year.format(year=month.year, month=self.months[month.number - 1])


@dataclass(frozen=True, slots=True)
class SheetHeading:
    """The heading of a printed sheet."""

    school: str
    programme: str
    digest: str
    language: str
    sessions: Mapping[str, str] = field(default_factory=dict)  # id → the name that people use


_SUM = re.compile("−?\\d[\\d\N{NO-BREAK SPACE}]*,\\d\\d")  # as `format_tenge` writes it

_STYLE = """
@page { size: A4 landscape; margin: 10mm }
body { font: 9pt/1.3 "Noto Sans", "DejaVu Sans", sans-serif; color: #000; margin: 0 }
section:not(:last-child) { break-after: page }
h1 { font-size: 13pt; margin: 0 0 2mm } h2 { font-size: 11pt; margin: 3mm 0 1mm }
table { border-collapse: collapse; width: 100% }
th, td { border: 0.3mm solid #555; padding: 0.5mm; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { font-size: 8pt; hyphens: auto }
td.n, th.n { text-align: right; overflow-wrap: normal; white-space: nowrap }
tr { break-inside: avoid } thead { display: table-header-group } tfoot td { font-weight: bold }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 4mm; margin: 0 0 2mm }
dd { margin: 0; overflow-wrap: anywhere }
.sign { display: flex; gap: 10mm; margin-top: 10mm } .sign p { flex: 1; border-top: 0.3mm solid #000 }
"""


def render_html(sheet: Sheet, layout: SheetLayout, form: SheetForm, heading: SheetHeading, words: SheetWords) -> str:
    """Returns the sheet as one HTML document that needs nothing besides itself."""
    month = Month.parse(sheet.subject.month)
    title = words.title if sheet.mark == DailyMark.MEAL else words.days_title
    if sheet.subject.number:
        title = f"{title}. {words.correction.format(number=sheet.subject.number)}"
    parts = [
        f'<!doctype html><html lang="{escape(heading.language)}"><head><meta charset="utf-8">',
        f"<title>{escape(title)}: {escape(heading.school)}, {escape(words.name_month(month))}</title>",
        f"<style>{_STYLE}</style></head><body><main>",
        *(part for page in layout.pages for part in _page(page, layout, title, heading, words, month)),
        *_summary(sheet, form, layout, title, heading, words, month),
        "</main></body></html>\n",
    ]
    return "".join(parts)


def _page(
    page: SheetPage, layout: SheetLayout, title: str, heading: SheetHeading, words: SheetWords, month: Month
) -> Iterator[str]:
    group = page.group or words.no_group
    yield f"<section><h1>{escape(title)}</h1>"
    facts = [(words.school, heading.school), (words.programme, heading.programme), (words.group, group)]
    yield _facts([*facts, (words.month, words.name_month(month))])
    yield _table(layout.titles, page.rows, page.total, words.group_total)
    yield "</section>"


def _summary(
    sheet: Sheet, form: SheetForm, layout: SheetLayout, title: str, heading: SheetHeading, words: SheetWords,
    month: Month,
) -> Iterator[str]:  # fmt: skip
    yield f"<section><h1>{escape(title)}</h1>"
    yield _facts([
        (words.school, heading.school), (words.programme, heading.programme),
        (words.month, words.name_month(month)), (words.version, str(sheet.version)), (words.digest, heading.digest),
    ])  # fmt: skip
    groups = [(page.group or words.no_group, page.total) for page in layout.pages]
    yield f"<h2>{escape(words.total)}</h2>"
    # What a total has no word for (name, number, session) has no column here.
    summed = [place for place, title in enumerate(layout.titles) if title.isdigit() or layout.total[place] != ""]
    titles = (words.group, *(layout.titles[place] for place in summed))
    rows = [(name, *(total[place] for place in summed)) for name, total in groups]
    yield _table(titles, rows, (words.total, *(layout.total[place] for place in summed)), "")
    yield _facts([(words.meals, str(sheet.meals)), (words.tenge, format_tenge(sheet.tiyn))])
    if sheet.outages:
        yield f"<h2>{escape(words.outages)}</h2>{_outages(sheet.outages, heading, words)}"
    yield f"<h2>{escape(words.legend)}</h2>{_legend(form, words)}"
    yield f'<div class="sign"><p>{escape(words.caterer)}</p><p>{escape(words.principal)}</p>'
    yield f"<p>{escape(words.date)}</p></div></section>"


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs) + "</dl>"


def _legend(form: SheetForm, words: SheetWords) -> str:
    marks = form.marks
    pairs = [
        ("1", words.billed), (marks.absent, words.absent), (marks.down, words.down), (marks.held, words.held),
        (marks.pending, words.pending), (marks.outside, words.outside),
    ]  # fmt: skip
    return _facts(pairs)


def _outages(outages: Sequence[SheetOutage], heading: SheetHeading, words: SheetWords) -> str:
    kinds = {"boot": words.boot, "stop": words.stop, "fault": words.fault}
    rows = [
        (
            outage.day,
            heading.sessions.get(outage.session, outage.session),
            outage.device,
            f"{kinds[outage.kind]} ({outage.epoch} {outage.seq})",
        )
        for outage in outages
    ]
    titles = (words.outage_day, words.outage_session, words.outage_kiosk, words.outage_event)
    return _table(titles, rows, (), "")


def _table(titles: Sequence[str], rows: Iterable[Sequence[Cell]], total: Sequence[Cell], label: str) -> str:
    head = "".join(f'<th scope="col"{" class=n" if title.isdigit() else ""}>{escape(title)}</th>' for title in titles)
    body = "".join(f"<tr>{_row(row)}</tr>" for row in rows)
    foot = ""
    if total:
        named = [label if place == _label_place(total) and label else cell for place, cell in enumerate(total)]
        foot = f"<tfoot><tr>{_row(named)}</tr></tfoot>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table>"


def _label_place(total: Sequence[Cell]) -> int:
    """Returns the place for the words of a total: the second column where it is empty, for the first one is narrow."""
    return 1 if len(total) > 1 and total[0] == total[1] == "" else 0


def _row(cells: Sequence[Cell]) -> str:
    return "".join(
        f'<td class="n">{cell}</td>' if isinstance(cell, int) else f"<td>{escape(cell)}</td>" for cell in cells
    )
