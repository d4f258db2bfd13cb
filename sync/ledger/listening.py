"""An ASGI application on a socket, in a thread of its own: how the ledger and its witness serve HTTP."""

import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from sync.ledger.errors import LedgerError, NotUnderstood


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningAddress:
    """Where to listen, and with which certificate.

    Raises NotUnderstood for a certificate without its key, or a key without its certificate.
    """

    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one
    certificate: Path | None = None
    certificate_key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.certificate_key is None):
            raise NotUnderstood("a certificate needs its key and a key its certificate: name both or neither")


class HttpServerThread:
    """A running HTTP server. The constructor returns once it answers. Raises LedgerError, NotUnderstood."""

    def __init__(self, app: Starlette, address: ListeningAddress, name: str) -> None:
        self._address = address
        self._socket = _listen(address.host, address.port)
        self.port: int = self._socket.getsockname()[1]
        self._http = uvicorn.Server(uvicorn.Config(
            app, access_log=False, log_config=None, lifespan="off", server_header=False, timeout_keep_alive=75,
            timeout_graceful_shutdown=30, limit_concurrency=2_000, ws="none",
            ssl_certfile=str(address.certificate) if address.certificate else None,
            ssl_keyfile=str(address.certificate_key) if address.certificate_key else None,
        ))  # fmt: skip
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

    @property
    def url(self) -> str:
        scheme = "https" if self._address.certificate else "http"
        host = f"[{self._address.host}]" if ":" in self._address.host else self._address.host
        return f"{scheme}://{host}:{self.port}"

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stops it; the requests under way finish."""
        self._http.should_exit = True
        self._thread.join(timeout=40)
        self._socket.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise NotUnderstood(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
