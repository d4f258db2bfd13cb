"""The head of a request or an answer as a signature covers it, out of what ASGI gives."""

from collections.abc import Iterable

from starlette.types import Scope

from sync.contract.signature import SignableRequest

RawHeaders = Iterable[tuple[bytes, bytes]]


def read_headers(raw: RawHeaders) -> dict[str, str]:
    """Returns headers by lower-case name; what comes several times is joined by commas (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def read_head(scope: Scope) -> SignableRequest:
    """Returns a request without its body, from its ASGI scope."""
    return SignableRequest(
        method=scope["method"],
        path=scope.get("raw_path", scope["path"].encode()).decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=read_headers(scope["headers"]),
    )


def announces_body(raw: RawHeaders) -> bool:
    """Returns True where a body follows the headers: an answer that does not read it ends the connection."""
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in raw)
