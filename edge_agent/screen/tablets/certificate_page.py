"""The page without TLS from which a tablet gets the kiosk's authority: only while a pairing is open.

Nothing on it is secret, and nothing that it says can be trusted: whoever stands between could change it. That is why
it shows no fingerprint. The person compares the one that the tablet's system shows with the kiosk's screen, which shows
the code only after that.
"""

from html import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from edge_agent.screen.assets import PageFile, read_catalogue
from edge_agent.screen.state import Language

AUTHORITY_TYPE = "application/x-x509-ca-cert"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
CERTIFICATE_STEPS = ("get", "android", "apple", "compare", "next")


def build_certificate_app(certificate: bytes, style: PageFile) -> Starlette:
    """Returns the application: the page in three languages, its style, and the authority's certificate, DER."""
    page = _write_page()

    def show_page(_: Request) -> Response:
        return HTMLResponse(page, headers=_HEADERS)

    def give_style(_: Request) -> Response:
        return Response(style.body, media_type=style.type, headers=_HEADERS)

    def give_certificate(_: Request) -> Response:
        disposition = {"Content-Disposition": 'attachment; filename="canteen-kiosk.crt"'}
        return Response(certificate, media_type=AUTHORITY_TYPE, headers=_HEADERS | disposition)

    return Starlette(
        routes=[
            Route("/", show_page),
            Route("/pair.css", give_style),
            Route("/canteen-kiosk.crt", give_certificate),
        ]
    )


def _write_page() -> str:
    sections = "".join(_write_section(language) for language in Language)
    return (
        '<!doctype html><html lang="kk"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<title>Асхана · Столовая · Canteen</title><link rel="stylesheet" href="/pair.css"></head>'
        f"<body><main>{sections}</main></body></html>"
    )


def _write_section(language: Language) -> str:
    words = read_catalogue(language)
    title = escape(words["pair.certificate.title"])
    link = f'<p><a class="strong" href="/canteen-kiosk.crt">{escape(words["pair.certificate.link"])}</a></p>'
    steps = "".join(f"<li>{escape(words[f'pair.certificate.{step}'])}</li>" for step in CERTIFICATE_STEPS)
    return f'<section lang="{language}"><h1>{title}</h1>{link}<ol>{steps}</ol></section>'
