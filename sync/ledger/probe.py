"""A kiosk that tests a ledger: speaks the contract over one plain HTTP connection, and can also break it on purpose."""

import http.client
import secrets
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
_M = TypeVar("_M", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]  # lower-case names
    body: bytes = field(repr=False)

    def message(self, kind: type[_M]) -> _M:
        """Raises `wire.InvalidMessage`."""
        return wire.read_json(kind, self.body)

    @property
    def problem(self) -> wire.ProblemDocument:
        return self.message(wire.ProblemDocument)


class Line:
    """Requests to one ledger, a connection each: what one of them breaks does not reach the next."""

    def __init__(self, url: str, authority: Path | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._prefix = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._tls = ssl.create_default_context(cafile=authority) if parts.scheme == "https" else None

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=self._tls)

    def send(self, request: signature.SignableRequest, *, hang_up: bool = False) -> Reply | None:
        """The reply; None after `hang_up`, which sends the whole request and closes before anything comes back.

        Raises `Unreachable`.
        """
        connection = self._connection()
        target = self._prefix + request.path + (f"?{request.query}" if request.query else "")
        try:
            connection.request(request.method, target, request.body or None, dict(request.headers))
            if hang_up:
                return None
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, headers, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self._host}: {error or type(error).__name__}") from error
        finally:
            connection.close()


@dataclass(slots=True)
class Probe:
    """A registered test kiosk with a chain of its own."""

    line: Line
    identity: wire.RegistrationReply
    key: Ed25519PrivateKey
    now_s: int  # what its signatures say
    epoch: Epoch = field(default_factory=lambda: Epoch(secrets.token_hex(8)))
    parent: bytes = b""
    payloads: list[bytes] = field(default_factory=list)

    @property
    def device(self) -> DeviceId:
        return DeviceId(self.identity.device)

    def hashes(self) -> list[Hash]:
        """The genesis, then the hash of each event."""
        public = self.key.public_key().public_bytes_raw()
        start = chain.genesis(self.device, public, self.epoch, self.parent)
        return [start, *chain.chain_hashes(start, self.payloads)]

    def body(self, first: int, last: int) -> bytes:
        """The batch of the events from `first` to `last`, before compression."""
        hashes = self.hashes()
        header = batch.BatchHeader(
            first_seq=first, count=last - first + 1, prev=hashes[first - 1].hex(), head=hashes[last].hex(),
            parent=self.parent.hex() if first == 1 else "",
        )  # fmt: skip
        return batch.encode(header, self.payloads[first - 1 : last])

    def begin_epoch(self, parent: bytes, payloads: Sequence[bytes]) -> None:
        self.epoch, self.parent, self.payloads = Epoch(secrets.token_hex(8)), parent, list(payloads)

    def send(self, first: int, last: int) -> Reply:
        return self.post(batch.Compressor()(self.body(first, last)), "zstd")

    def post(self, body: bytes, encoding: str = "") -> Reply:
        return self.ask("POST", wire.batches_path(self.device, self.epoch), body, encoding=encoding, kind=wire.NDJSON)

    def ask(
        self, method: str, path: str, body: bytes = b"", *, query: str = "", encoding: str = "", kind: str = wire.JSON
    ) -> Reply:
        reply = self.line.send(self.request(method, path, body, query=query, encoding=encoding, kind=kind))
        assert reply is not None
        return reply

    def request(
        self, method: str, path: str, body: bytes = b"", *, query: str = "", encoding: str = "", kind: str = wire.JSON
    ) -> signature.SignableRequest:
        return signed(self.key, self.device, self.now_s, method, path, body, query=query, encoding=encoding, kind=kind)


def signed(
    key: Ed25519PrivateKey, keyid: str, now_s: int, method: str, path: str, body: bytes = b"", *, query: str = "",
    encoding: str = "", kind: str = wire.JSON,
) -> signature.SignableRequest:  # fmt: skip
    """A request with all that the contract wants on it."""
    headers = {"content-type": kind} if body else {}
    headers |= {"content-encoding": encoding} if encoding else {}
    bare = signature.SignableRequest(method, path, query, headers, body)
    return signature.SignableRequest(method, path, query, headers | signature.sign(bare, key, keyid, now_s), body)


def ask_identity(line: Line, code: str, key: Ed25519PrivateKey, now_s: int) -> Reply:
    public = key.public_key().public_bytes_raw()
    body = wire.to_json(
        wire.RegistrationRequest(code=code, public_key=public.hex(), agent="conformance", name="conformance")
    )
    reply = line.send(signed(key, receipt.fingerprint(public), now_s, "POST", wire.REGISTRATIONS_PATH, body))
    assert reply is not None
    return reply
