"""Pages out of templates, in the reader's language; one way for the staff's pages and for the families'."""

import logging
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from functools import partial
from typing import Final
from urllib.parse import quote

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sync.errors import SyncError, Wording
from sync.ledger.pages.catalogues import LANGUAGES, choose_language, load_catalogues
from sync.money.protocol import SheetSide, SheetState

LANGUAGE_COOKIE: Final = "ledger_language"
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_ENUM_TEXTS: Final[dict[type[StrEnum], str]] = {SheetSide: "side", SheetState: "state"}  # what their texts begin with

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PageWords:
    """The texts of one language, by key."""

    language: str
    texts: dict[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """Returns a text with these values in it."""
        return self.texts[key].format(**values)

    def say(self, wording: Wording) -> str:
        """Returns the text that a wording names. A member of an enum in it is shown by its own text."""
        return self(wording.key, **{name: self._show(value) for name, value in wording.values.items()})

    def refuse(self, error: SyncError) -> str:
        """Returns why something was refused, and what to do next. The log has the words of what has no text here."""
        if error.wording is None:
            log.error("a page refused: %s", error)
            return self("refused.other")
        return self.say(error.wording)

    def _show(self, value: object) -> str:
        if isinstance(value, Wording):
            return self.say(value)
        if isinstance(value, tuple):  # of whole sentences, or of names
            between = " " if value and isinstance(value[0], Wording) else ", "
            return between.join(map(self._show, value))
        if isinstance(value, StrEnum):
            return self(f"{_ENUM_TEXTS[type(value)]}.{value}")
        return str(value)


class PageRenderer:
    """Makes the pages of one package out of its templates and catalogues. `prefix`: of their addresses."""

    def __init__(self, package: str, prefix: str) -> None:
        self.prefix = prefix
        self._catalogues = load_catalogues(package)
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader(package), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters["path"] = lambda text: quote(str(text), safe="")
        self._templates.filters["tenge"] = lambda tiyn: f"{tiyn / 100:,.2f}".replace(",", "\u00a0").replace(".", ",")
        self._templates.filters["sides"] = lambda sides, words: ", ".join(words(f"side.{side}") for side in sides)
        for name, form in (("local_minute", "%Y-%m-%d %H:%M"), ("local_time", "%H:%M")):
            self._templates.filters[name] = partial(_show_local, form)

    def words(self, request: Request) -> PageWords:
        """Returns the texts of the reader's language."""
        language = choose_language(
            request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE, ""),
            request.headers.get("accept-language", ""),
        )
        return PageWords(language, self._catalogues[language])

    def render(self, request: Request, template: str, status: int = 200, **values: object) -> Response:
        """Returns a template as a page. The language that the address names is remembered."""
        words = self.words(request)
        body = self._templates.get_template(template).render(
            w=words, prefix=self.prefix, languages=LANGUAGES, path=request.url.path, **values
        )
        response = HTMLResponse(body, status)
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE, words.language, httponly=True, samesite="strict", secure=is_secure(request)
            )
        return response


def _show_local(form: str, moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime(form)


def guarded(response: Response) -> Response:
    """Returns the response with the headers that keep foreign pages and caches out."""
    response.headers.update(SECURITY_HEADERS)
    return response


def is_secure(request: Request) -> bool:
    """Returns True where the page travels over TLS, to us or to the proxy before us."""
    return request.url.scheme == "https"
