"""An ASGI application on a socket, in a thread of its own: how the ledger and its witness serve HTTP."""

import logging
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from sync.ledger.door.limits import DoorLimits
from sync.ledger.door.lobby import Lobby
from sync.ledger.errors import LedgerError, NotUnderstood

logger = logging.getLogger(__name__)

DEFAULT_LIMITS = DoorLimits()

# asyncio takes as many new connections in one go as may wait: two thousand strangers would stop all others meanwhile.
_ACCEPTED_AT_ONCE = 32
_WAITING_MAX = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningAddress:
    """Where to listen, and with which certificate.

    Raises NotUnderstood for a certificate without its key, or a key without its certificate.
    """

    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one
    certificate: Path | None = None
    certificate_key: Path | None = None
    is_shared: bool = False  # several processes listen here, and the kernel deals out the connections
    proxies: str = "127.0.0.1"  # whose X-Forwarded-For is believed, with commas between

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.certificate_key is None):
            raise NotUnderstood("a certificate needs its key and a key its certificate: name both or neither")

    def listen(self) -> socket.socket:
        """Returns a socket at this address. Raises NotUnderstood where there can be none."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            listening = socket.create_server((self.host, self.port), family=family, reuse_port=self.is_shared)
        except OSError as error:
            raise NotUnderstood(
                f"cannot listen on {self.host}:{self.port}: {error.strerror}; choose another --port"
            ) from error
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening

    def url(self, port: int) -> str:
        """Returns the URL under which `port` answers."""
        scheme = "https" if self.certificate else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{port}"


class HttpServerThread:
    """A running HTTP server. The constructor returns once it answers. Raises LedgerError, NotUnderstood."""

    def __init__(
        self, app: Starlette, address: ListeningAddress, name: str, limits: DoorLimits = DEFAULT_LIMITS
    ) -> None:
        self._address = address
        self._socket = address.listen()
        self.port: int = self._socket.getsockname()[1]
        self._certificate_times = self._read_certificate_times()
        self._config = uvicorn.Config(
            app, access_log=False, log_config=None, lifespan="off", server_header=False, timeout_keep_alive=75,
            timeout_graceful_shutdown=30, ws="none", backlog=_ACCEPTED_AT_ONCE, http=Lobby(limits).protocol(),
            forwarded_allow_ips=address.proxies,
            ssl_certfile=str(address.certificate) if address.certificate else None,
            ssl_keyfile=str(address.certificate_key) if address.certificate_key else None,
        )  # fmt: skip
        self._http = uvicorn.Server(self._config)
        self._thread = threading.Thread(
            target=self._http.run, kwargs={"sockets": [self._socket]}, name=name, daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._http.started:
            if not self.alive or time.monotonic() > deadline:
                self.stop()
                raise LedgerError("the HTTP server did not start: see the log above")
            time.sleep(0.01)
        self._socket.listen(_WAITING_MAX)

    @property
    def url(self) -> str:
        return self._address.url(self.port)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def renew_certificate(self) -> None:
        """Takes a certificate that was renewed in its files, for the connections that begin from here on.

        Files that do not fit together change nothing, and are logged: half of a renewal may be there.
        """
        times = self._read_certificate_times()
        if times == self._certificate_times:
            return
        self._certificate_times = times
        certificate, key = self._address.certificate, self._address.certificate_key
        assert certificate is not None, "without one there are no times to differ"
        try:
            ssl.create_default_context().load_cert_chain(certificate, key)
            assert self._config.ssl is not None, "it began with a certificate"
            self._config.ssl.load_cert_chain(certificate, key)
        except OSError as error:  # ssl.SSLError is one, too
            logger.error("%s: %s; the certificate in use stays; replace both files", certificate, error)  # noqa: TRY400
        else:
            logger.info("%s: taken for new connections", certificate)

    def _read_certificate_times(self) -> list[float]:
        files = (self._address.certificate, self._address.certificate_key)
        return [file.stat().st_mtime if file.exists() else 0.0 for file in files if file is not None]

    def stop(self) -> None:
        """Stops it; the requests under way finish."""
        self._http.should_exit = True
        self._thread.join(timeout=40)
        self._socket.close()
