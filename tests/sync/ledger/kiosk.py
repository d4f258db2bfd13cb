"""A kiosk for the ledger's tests: speaks the contract over real HTTP, and lies where a test wants it to."""

import itertools
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import httpx
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract import batch, chain, receipt, signature, wire
from sync.contract.chain import DeviceId, Epoch, Hash
from sync.contract.event import Carried, ClockQuality, Entry, Event, encode
from sync.contract.wire import BatchReply, Cursor, ProblemDocument, RegistrationReply
from sync.ledger.door.limits import DoorLimits
from sync.ledger.registry import schools

OPEN_DOOR = DoorLimits(1e5, 100_000, 1e5, 100_000, 1e5, 100_000)  # no test waits for a bucket

_numbers = itertools.count(1)


def new_school(db: psycopg.Connection) -> str:
    """A school that no other test knows."""
    name = f"sch-{next(_numbers)}"
    schools.add_school(db, name, f"Мектеп {name}")
    return name


def entry(person: str, *, school: str, day: str = "2026-11-20", minute: int = 0, **more: object) -> Entry:
    """An entry to lunch; `more` overrides any field."""
    fields: dict[str, object] = {
        "school": school, "at": f"{day}T04:{minute % 60:02}:00.000Z", "boot": "b", "mono_ms": minute * 60_000,
        "clock": ClockQuality.SYNCHRONISED, "person": person, "session": "lunch", "service_date": day, "reader": "left",
    }  # fmt: skip
    return Entry(**(fields | more))  # type: ignore[arg-type]  # a test's own keywords


@dataclass(slots=True)
class Kiosk:
    http: httpx.Client
    identity: RegistrationReply
    key: Ed25519PrivateKey
    epoch: Epoch = field(default_factory=lambda: Epoch(secrets.token_hex(8)))
    parent: bytes = b""
    payloads: list[bytes] = field(default_factory=list)

    @classmethod
    def enrol(cls, url: str, code: str, key: Ed25519PrivateKey | None = None) -> Self:
        key = key or Ed25519PrivateKey.generate()
        http = httpx.Client(base_url=url, timeout=30)
        response = ask_identity(http, code, key)
        assert response.status_code in (200, 201), response.text
        return cls(http, wire.read_json(RegistrationReply, response.content), key)

    def close(self) -> None:
        self.http.close()

    @property
    def device(self) -> DeviceId:
        return DeviceId(self.identity.device)

    @property
    def school(self) -> str:
        return self.identity.school

    @property
    def hashes(self) -> list[Hash]:
        """Of every event, the genesis before them."""
        genesis = chain.genesis(self.device, self.key.public_key().public_bytes_raw(), self.epoch, self.parent)
        return [genesis, *chain.chain_hashes(genesis, self.payloads)]

    def record(self, *facts: Event | bytes) -> None:
        self.payloads += [fact if isinstance(fact, bytes) else encode(fact) for fact in facts]

    def twin(self) -> Self:
        """The same identity and past, a future of its own: a cloned card."""
        return replace(self, payloads=list(self.payloads))

    def header(self, first: int, last: int) -> batch.BatchHeader:
        hashes = self.hashes
        return batch.BatchHeader(
            first_seq=first, count=last - first + 1, prev=hashes[first - 1].hex(), head=hashes[last].hex(),
            parent=self.parent.hex() if first == 1 else "",
        )  # fmt: skip

    def send(self, first: int, last: int) -> BatchReply | ProblemDocument:
        body = batch.encode(self.header(first, last), self.payloads[first - 1 : last])
        response = self.post_body(batch.Compressor()(body), "zstd")
        return read_reply(response)

    def send_all(self, size: int = 1000) -> list[BatchReply | ProblemDocument]:
        total = len(self.payloads)
        return [self.send(first, min(first + size - 1, total)) for first in range(1, total + 1, size)]

    def post_body(self, body: bytes, encoding: str = "", *, epoch: Epoch | None = None) -> httpx.Response:
        headers = {"content-type": wire.NDJSON} | ({"content-encoding": encoding} if encoding else {})
        return self.call("POST", wire.batches_path(self.device, epoch or self.epoch), headers=headers, body=body)

    def call(
        self, method: str, path: str, *, query: str = "", headers: dict[str, str] | None = None, body: bytes = b""
    ) -> httpx.Response:
        return call(self.http, self.key, self.device, method, path, query, headers or {}, body)

    def cursor(self) -> Cursor:
        return wire.read_json(Cursor, self.call("GET", wire.cursor_path(self.device)).content)

    def checked(self, given: receipt.Receipt) -> chain.Head:
        return receipt.check(given, bytes.fromhex(self.identity.server_key))


def carry(kiosk: Kiosk, seq: int) -> Carried:
    """An event of a kiosk's closed epoch, for its successor."""
    return Carried(
        school=kiosk.school, at="2026-11-20T05:00:00.000Z", boot="b", mono_ms=1, clock=ClockQuality.SYNCHRONISED,
        old_epoch=kiosk.epoch, old_seq=seq, old_hash=kiosk.hashes[seq].hex(), payload=kiosk.payloads[seq - 1].decode(),
    )  # fmt: skip


def call(
    http: httpx.Client, key: Ed25519PrivateKey, keyid: str, method: str, path: str, query: str = "",
    headers: dict[str, str] | None = None, body: bytes = b"",
) -> httpx.Response:  # fmt: skip
    request = signature.SignableRequest(method, path, query, headers or {}, body)
    signed = signature.sign(request, key, keyid, int(time.time()))
    url = f"{path}?{query}" if query else path
    return http.request(method, url, headers={**(headers or {}), **signed}, content=body or None)


def ask_identity(http: httpx.Client, code: str, key: Ed25519PrivateKey) -> httpx.Response:
    public = key.public_key().public_bytes_raw()
    body = wire.to_json(wire.RegistrationRequest(code=code, public_key=public.hex(), agent="test", name="a kiosk"))
    return call(
        http, key, receipt.fingerprint(public), "POST", wire.REGISTRATIONS_PATH, headers={"content-type": wire.JSON},
        body=body,
    )  # fmt: skip


def read_reply(response: httpx.Response) -> BatchReply | ProblemDocument:
    if response.status_code == 200:
        return wire.read_json(BatchReply, response.content)
    return wire.read_json(ProblemDocument, response.content)


def accepted(replies: BatchReply | ProblemDocument | Sequence[BatchReply | ProblemDocument]) -> BatchReply:
    """The last reply, which must be a yes like all before it."""
    listed = [replies] if isinstance(replies, BatchReply | ProblemDocument) else list(replies)
    for reply in listed:
        assert isinstance(reply, BatchReply), reply
    last = listed[-1]
    assert isinstance(last, BatchReply)
    return last
