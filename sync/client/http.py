"""HTTP, by httpx. The only file that knows this library.

Connections are kept and reused. Redirects are not followed. TLS is verified, always; plain http is for a ledger on this
very machine. Neither an answer's size nor its duration is left to the other end.
"""

import ipaddress
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

import httpx

from sync.client.channel import HttpResponse
from sync.errors import Unreachable, Untrusted

RESPONSE_TIMEOUTS_MAX: Final = 6  # an answer that trickles is given up after so many timeouts

_NOT_YET_VALID: Final = 9  # X509_V_ERR_CERT_NOT_YET_VALID
_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED


def _now() -> datetime:
    return datetime.now(UTC)


class HttpxTransport:
    """The way to one ledger. `url`: `https://ledger.example`; `ca_file`: PEM, instead of the system's authorities."""

    def __init__(
        self,
        url: str,
        *,
        ca_file: Path | None = None,
        timeout_s: float = 20.0,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._url = _checked(url)
        self._response_s_max = RESPONSE_TIMEOUTS_MAX * timeout_s
        self._extensions = {"timeout": httpx.Timeout(timeout_s).as_dict()}
        self._monotonic = monotonic
        self._clock = clock
        self._client = httpx.Client(
            verify=_context(ca_file),
            follow_redirects=False,
            trust_env=False,  # neither a proxy nor a .netrc that somebody left behind
            limits=httpx.Limits(max_connections=2, keepalive_expiry=120),
        )

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        url = self._url.copy_with(raw_path=(path + (f"?{query}" if query else "")).encode("ascii"))
        try:
            # Built by hand: the client's own way parses the address three times and merges headers we do not have.
            request = httpx.Request(method, url, headers=headers, content=body or None, extensions=self._extensions)
            response = self._client.send(request, stream=True)
            with closing(response):
                return HttpResponse(response.status_code, dict(response.headers), self._read(response, bytes_max))
        except httpx.HTTPError as error:
            raise self._translated(error) from error
        except RuntimeError as error:
            if not self._client.is_closed:
                raise
            raise Unreachable("the connection was closed from this side: the agent is stopping") from error

    def close(self) -> None:
        """Closes the connections; a request under way ends with `Unreachable`. Any thread may call it."""
        self._client.close()

    def __enter__(self) -> "HttpxTransport":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, response: httpx.Response, bytes_max: int) -> bytes:
        until = self._monotonic() + self._response_s_max
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > bytes_max:
                raise Unreachable(f"an answer of more than {bytes_max} bytes; is this the ledger?")
            if self._monotonic() > until:
                raise Unreachable(f"an answer that was not over after {self._response_s_max:.0f} s")
        return bytes(body)

    def _translated(self, error: httpx.HTTPError) -> Unreachable | Untrusted:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return Untrusted(*self._distrust(cause), verify_code=cause.verify_code)
            cause = cause.__cause__ or cause.__context__
        reason = str(error) or type(error).__name__
        return Unreachable(f"{self._url.host}: {reason}; check network and address")

    def _distrust(self, error: ssl.SSLCertVerificationError) -> tuple[str, str]:
        """Returns why the certificate does not hold, and what to do."""
        clock = f"{self._clock():%Y-%m-%d %H:%M} UTC"
        match error.verify_code:
            case code if code == _NOT_YET_VALID:
                return (
                    f"the ledger's certificate is not yet valid by this kiosk's clock ({clock})",
                    "set the clock if that is wrong, else ask the ledger's operator",
                )
            case code if code == _EXPIRED:
                return (
                    f"the ledger's certificate has expired by this kiosk's clock ({clock})",
                    "set the clock if that is wrong, else the ledger's operator must renew it",
                )
            case _:
                reason = f"the ledger's certificate does not hold ({error.verify_message})"
                return reason, "check address and ledger.ca_file"


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one, too
        raise Untrusted(f"{ca_file}: no readable certificate authorities ({error})", "check ledger.ca_file") from error


def _checked(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise Untrusted(f"{text!r} is no address of a ledger: {error}", "write it as https://ledger.example") from error
    host = text.rpartition("://")[2]
    if url.scheme not in {"http", "https"} or not url.host:
        raise Untrusted(f"{text!r} does not begin with https://", f"write https://{host}")
    if url.path not in {"", "/"} or url.query or url.userinfo:
        raise Untrusted(
            f"{text!r} has more than scheme, host and port, and signatures cover the whole path",
            "leave out what follows the host and the port",
        )
    if url.scheme == "http" and not _loopback(url.host):
        raise Untrusted(f"{text!r} is plain http, which is for this very machine alone", f"write https://{host}")
    return url


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
