"""A kiosk that tests a ledger: speaks the contract over one plain HTTP connection, and can also break it on purpose."""

import http.client
import secrets
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import batch, chain, receipt, signature, wire
from sync.contract.chain import DeviceId, Epoch, Hash
from sync.errors import Unreachable

TIMEOUT_S = 30.0
_MessageT = TypeVar("_MessageT", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class LedgerReply:
    """An HTTP response of the ledger, read to its end."""

    status: int
    headers: Mapping[str, str]  # lower-case names
    body: bytes = field(repr=False)
    request: signature.SignableRequest = field(repr=False)

    def message(self, kind: type[_MessageT]) -> _MessageT:
        """Returns the message in the body. Raises `wire.InvalidMessage`."""
        return wire.read_json(kind, self.body)

    @property
    def problem(self) -> wire.ProblemDocument:
        """Returns the problem document in the body."""
        return self.message(wire.ProblemDocument)


class LedgerConnection:
    """Sends requests to one ledger, each over a new connection: a broken one does not reach the next."""

    def __init__(self, url: str, authority: Path | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._prefix = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._tls = ssl.create_default_context(cafile=authority) if parts.scheme == "https" else None

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=self._tls)

    def connect(self) -> socket.socket:
        """Returns a bare connection, over TLS where the ledger's address says so. Raises `Unreachable`."""
        connection = self._connection()
        try:
            connection.connect()
        except OSError as error:
            raise Unreachable(f"{self._host}: {error}") from error
        assert connection.sock is not None, "it has just been connected"
        return connection.sock

    def request_line(self, method: str, path: str) -> bytes:
        """Returns the beginning of a request that is written by hand: its first line, and the host."""
        return f"{method} {self._prefix}{path} HTTP/1.1\r\nHost: {self._host}\r\n".encode()

    def send(self, request: signature.SignableRequest, *, hang_up: bool = False) -> LedgerReply | None:
        """Returns the reply; None after `hang_up`, which sends the whole request and closes before anything comes back.

        Raises `Unreachable`.
        """
        connection = self._connection()
        target = self._prefix + request.path + (f"?{request.query}" if request.query else "")
        try:
            connection.request(request.method, target, request.body or None, dict(request.headers))
            if hang_up:
                return None
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return LedgerReply(response.status, headers, response.read(), request)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self._host}: {error or type(error).__name__}") from error
        finally:
            connection.close()

    def ask(self, request: signature.SignableRequest) -> LedgerReply:
        """Returns the reply. Raises `Unreachable`."""
        reply = self.send(request)
        assert reply is not None, "it was waited for"
        return reply


@dataclass(slots=True)
class ConformanceKiosk:
    """A registered test kiosk with a chain of its own."""

    connection: LedgerConnection
    identity: wire.RegistrationReply
    key: Ed25519PrivateKey
    now_s: int  # the time in its signatures, Unix seconds
    code: str  # with which it was registered
    patience_s: float = 0.0  # for the end of half requests; 0: these are not tried
    epoch: Epoch = field(default_factory=lambda: Epoch(secrets.token_hex(8)))
    parent: bytes = b""
    payloads: list[bytes] = field(default_factory=list)

    @property
    def device(self) -> DeviceId:
        return DeviceId(self.identity.device)

    def hashes(self) -> list[Hash]:
        """Returns the genesis, then the hash of each event."""
        public = self.key.public_key().public_bytes_raw()
        start = chain.genesis(self.device, public, self.epoch, self.parent)
        return [start, *chain.chain_hashes(start, self.payloads)]

    def compose(self, first: int, last: int) -> bytes:
        """Returns the batch of the events from `first` to `last`, before compression."""
        hashes = self.hashes()
        header = batch.BatchHeader(
            first_seq=first, count=last - first + 1, prev=hashes[first - 1].hex(), head=hashes[last].hex(),
            parent=self.parent.hex() if first == 1 else "",
        )  # fmt: skip
        return batch.encode(header, self.payloads[first - 1 : last])

    def begin_epoch(self, parent: bytes, payloads: Sequence[bytes]) -> None:
        """Begins a new chain with these events; `parent` is the head of the former one."""
        self.epoch, self.parent, self.payloads = Epoch(secrets.token_hex(8)), parent, list(payloads)

    def send_events(self, first: int, last: int) -> LedgerReply:
        """Sends the events from `first` to `last`, compressed."""
        return self.send_body(batch.Compressor()(self.compose(first, last)), "zstd")

    def send_body(self, body: bytes, encoding: str = "") -> LedgerReply:
        """Posts a batch that is made already, whole or broken."""
        return self.send("POST", wire.batches_path(self.device, self.epoch), body, encoding=encoding, kind=wire.NDJSON)

    def send(
        self, method: str, path: str, body: bytes = b"", *, query: str = "", encoding: str = "", kind: str = wire.JSON
    ) -> LedgerReply:
        """Sends one signed request and returns the reply."""
        return self.connection.ask(self.sign(method, path, body, query=query, encoding=encoding, kind=kind))

    def sign(
        self, method: str, path: str, body: bytes = b"", *, query: str = "", encoding: str = "", kind: str = wire.JSON
    ) -> signature.SignableRequest:
        """Returns a request signed by this kiosk."""
        return sign_request(
            self.key, self.device, self.now_s, method, path, body, query=query, encoding=encoding, kind=kind
        )


def sign_request(
    key: Ed25519PrivateKey, keyid: str, now_s: int, method: str, path: str, body: bytes = b"", *, query: str = "",
    encoding: str = "", kind: str = wire.JSON,
) -> signature.SignableRequest:  # fmt: skip
    """Returns a request with all the headers that the contract wants."""
    headers = {"content-type": kind} if body else {}
    headers |= {"content-encoding": encoding} if encoding else {}
    bare = signature.SignableRequest(method, path, query, headers, body)
    return signature.SignableRequest(method, path, query, headers | signature.sign(bare, key, keyid, now_s), body)


def request_identity(connection: LedgerConnection, code: str, key: Ed25519PrivateKey, now_s: int) -> LedgerReply:
    """Asks for an identity by a code, and returns the reply."""
    public = key.public_key().public_bytes_raw()
    body = wire.to_json(
        wire.RegistrationRequest(code=code, public_key=public.hex(), agent="conformance", name="conformance")
    )
    return connection.ask(sign_request(key, receipt.fingerprint(public), now_s, "POST", wire.REGISTRATIONS_PATH, body))
