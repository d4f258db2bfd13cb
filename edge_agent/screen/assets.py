"""The page files and the catalogues, read once from the package. Their digest is the version of the page."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

import msgspec

from edge_agent.screen.state import Language

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the pages, with its media type."""

    body: bytes
    type: str


@dataclass(frozen=True, slots=True)
class ScreenAssets:
    """Everything that the pages are made of, in memory."""

    pages: dict[str, PageFile]  # by file name
    catalogues: bytes  # JSON: language → key → words
    child_catalogues: bytes  # the same, of the child's page alone: it stays light however much staff are told
    version: str  # when it changes, an open page loads itself anew


def read_catalogue(language: Language) -> dict[str, str]:
    """Returns every text of one language, by key."""
    body = files("edge_agent.screen").joinpath("catalogue", f"{language}.json").read_bytes()
    return msgspec.json.decode(body, type=dict[str, str])


def read_clip(language: str, name: str) -> bytes | None:
    """Returns a spoken message as Ogg Opus: of an advice, or of a state; None where there is none."""
    if language not in set(Language) or not name.replace("_", "").isalpha():
        return None
    clip = files("edge_agent.screen").joinpath("speech", language, f"{name}.ogg")
    return clip.read_bytes() if clip.is_file() else None


def load_assets() -> ScreenAssets:
    """Reads all page files and catalogues from the package."""
    pages = {}
    for file in files("edge_agent.screen").joinpath("page").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _TYPES:
            pages[file.name] = PageFile(file.read_bytes(), _TYPES[suffix])
    texts = {language: read_catalogue(language) for language in Language}
    catalogues, child_catalogues = msgspec.json.encode(texts), msgspec.json.encode(_choose_childs(texts))
    digest = sha256(catalogues)
    for name in sorted(pages):
        digest.update(pages[name].body)
    return ScreenAssets(pages, catalogues, child_catalogues, digest.hexdigest()[:16])


def _choose_childs(texts: dict[Language, dict[str, str]]) -> dict[Language, dict[str, str]]:
    """Returns the texts that the child's page may show."""
    return {
        language: {key: words for key, words in of_language.items() if key.startswith("child.")}
        for language, of_language in texts.items()
    }
