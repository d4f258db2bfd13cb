"""How a payer's files are read: the titles of their columns, and their words for our sessions, as a form."""

from collections.abc import Mapping
from urllib.parse import quote

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sync.errors import SyncError, Wording
from sync.ledger.billing.column_maps import list_maps, store_map
from sync.ledger.errors import LedgerError, NotUnderstood
from sync.ledger.pages import overview
from sync.ledger.pages.access import PageAct
from sync.ledger.pages.accounts import PageSession
from sync.ledger.pages.forms import PageForm
from sync.ledger.pages.reader_desk import PREFIX, ReaderDesk
from sync.money.errors import MoneyError
from sync.money.payer_file import PayerColumns, PayerMap, PayerShape

COLUMNS = ("number", "name", "group", "date", "count", "session", "school", "withdrawn")
BETWEEN_WORDS = ";"  # of a payer's several words for one thing
MAP_ID_CHARS_MAX = 60
TITLE_LINE_MAX = 1_000


class MapPages:
    """Answers with a school's column maps, and keeps new ones."""

    def __init__(self, desk: ReaderDesk) -> None:
        self._desk = desk

    def show(self, connection: psycopg.Connection, request: Request, session: PageSession) -> Response:
        """Responds with the maps of a school, and the form for one of them or a new one."""
        return self._show(connection, request, session)

    def _show(
        self, connection: psycopg.Connection, request: Request, session: PageSession, error: SyncError | None = None
    ) -> Response:
        school, wanted = request.path_params["school"], request.query_params.get("map", "")
        words = self._desk.words(request)
        maps = list_maps(connection, school)
        chosen = next((each for each in maps if each.id == wanted), None)
        labels = overview.read_labels(connection, school, words.language)
        return self._desk.render(
            request, "maps.html", session, 409 if error else 200, school=school, maps=maps, chosen=chosen,
            columns=COLUMNS, shapes=list(PayerShape), sessions=labels.sessions,
            session_words={each: _join(chosen.sessions, each) if chosen else "" for each in labels.sessions},
            school_words=_join(chosen.schools, school) if chosen else "",
            refusal=words.refuse(error) if error else "",
        )  # fmt: skip

    def store(self, connection: psycopg.Connection, request: Request, session: PageSession, form: PageForm) -> Response:
        """Keeps a map in the name of the reader."""
        school = request.path_params["school"]
        if not session.reader.may(PageAct.MAP):
            raise HTTPException(404)
        try:
            column_map = read_map_form(form, school)
            store_map(connection, school, column_map, by=session.reader.acting_name, now=self._desk.clock())
        except (MoneyError, LedgerError) as error:
            return self._show(connection, request, session, error)
        address = f"{PREFIX}/schools/{quote(school, safe='')}/maps"
        return RedirectResponse(f"{address}?map={quote(column_map.id, safe='')}", 303)


def read_map_form(form: PageForm, school: str) -> PayerMap:
    """Returns the map that a form describes. Raises NotUnderstood for a map without a name or a strange line."""
    name = form.field("id").strip()[:MAP_ID_CHARS_MAX]
    if not name:
        raise NotUnderstood("a map without a name", "give it one", Wording("refusal.map_unnamed"))
    sessions = {
        word: key.removeprefix("session-")
        for key in form.fields
        if key.startswith("session-")
        for word in _split(form.field(key))
    }
    return PayerMap(
        id=name,
        shape=PayerShape.WIDE if form.field("shape") == PayerShape.WIDE else PayerShape.LONG,
        columns=PayerColumns(**{each: form.field(each).strip() for each in COLUMNS}),
        worksheet=form.field("worksheet").strip(),
        title_line=_parse_line(form.field("title_line")),
        title_lines=_parse_line(form.field("title_lines")),
        merged=form.field("merged") == "yes",
        sessions=sessions,
        schools=dict.fromkeys(_split(form.field("school_words")), school),
    )


def _parse_line(text: str) -> int:
    """Returns a number of a line, or of lines. Raises NotUnderstood."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= TITLE_LINE_MAX):
        raise NotUnderstood(f"{text[:20]!r} is no line", "give its number, from 1", Wording("refusal.map_line"))
    return int(text)


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(BETWEEN_WORDS) if word.strip()]


def _join(translations: Mapping[str, str], ours: str) -> str:
    return f"{BETWEEN_WORDS} ".join(word for word, meaning in translations.items() if meaning == ours)
