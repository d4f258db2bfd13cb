"""The network of the simulation: faults, answers that lie, requests that arrive late, and who signed what.

`FaultyTransport` has the faults that ledgers and networks show. Here are those of somebody who means harm, or of a
machine on the way that means well.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.client.channel import HttpResponse, HttpTransport
from sync.contract import batch, receipt, wire
from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.contract.wire import BatchReply, Cursor, ProblemDocument, ProblemType
from sync.errors import Unreachable
from tests.sync.simulation.power import PowerLine

STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TIME = "2026-11-23T07:00:00.000Z"


class Lie(StrEnum):
    """An answer, or a fate of a request, that no honest network has."""

    EMPTY_CURSOR = "empty-cursor"  # unsigned: the ledger has nothing of this device
    FORGED_RECEIPT = "forged-receipt"  # everything is accepted, by a stranger's key; the ledger never sees it
    RAISED_ANSWER = "raised-answer"  # the ledger's own answer, with a higher number
    CONFLICT = "conflict"  # unsigned: another kiosk has gone on
    REFUSAL = "refusal"  # unsigned: a proxy's page
    EARLIER_ANSWER = "earlier-answer"  # the answer to the request before comes once more
    HELD_BACK = "held-back"  # the request arrives later, behind others


@dataclass
class LyingNetwork:
    """Passes requests on, each with the lie that `draw` returns for it; None: an honest network."""

    transport: HttpTransport
    draw: Callable[[], Lie | None]
    late: list[tuple[str, str, str, dict[str, str], bytes]] = field(default_factory=list)
    earlier: HttpResponse | None = None

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        match self.draw():
            case None:
                pass
            case Lie.EMPTY_CURSOR if path.endswith("cursor"):
                return HttpResponse(200, {}, wire.to_json(Cursor(time=TIME)))
            case Lie.FORGED_RECEIPT if path.endswith("batches"):
                return HttpResponse(200, {}, wire.to_json(forge_acceptance(path, headers, body)))
            case Lie.RAISED_ANSWER:
                return raise_answer(self.transport.request(method, path, query, headers, body, bytes_max))
            case Lie.CONFLICT:
                problem = ProblemDocument(type=ProblemType.EPOCH_SUPERSEDED.value, status=409)
                return HttpResponse(409, {"content-type": wire.PROBLEM_JSON}, wire.to_json(problem))
            case Lie.REFUSAL:
                return HttpResponse(400, {"content-type": "text/html"}, b"<h1>Bad Request</h1>")
            case Lie.EARLIER_ANSWER if self.earlier is not None:
                return self.earlier
            case Lie.HELD_BACK:
                self.late.append((method, path, query, headers, body))
                raise Unreachable("timed out while waiting for the answer")
            case _:
                pass
        self.earlier = self.transport.request(method, path, query, headers, body, bytes_max)
        return self.earlier

    def deliver_late(self, position: int) -> str:
        """Lets one of the requests that were held back arrive; its answer reaches nobody."""
        if not self.late:
            return "nothing late"
        method, path, query, headers, body = self.late.pop(position % len(self.late))
        return f"{path.rsplit('/', 1)[-1]} {self.transport.request(method, path, query, headers, body, 1 << 20).status}"


def forge_acceptance(path: str, headers: dict[str, str], body: bytes) -> BatchReply:
    """Returns what a stranger would answer to a batch to make the kiosk believe that it was stored."""
    _, _, _, device, _, epoch, _ = path.split("/")
    sent = batch.decode(batch.decompress(body, headers.get("content-encoding", "")))
    head = Head(sent.last_seq, Hash(bytes.fromhex(sent.header.head)))
    forged = receipt.issue(STRANGER, DeviceId(device), Epoch(epoch), head, TIME)
    return BatchReply(accepted_through=head.seq, head=sent.header.head, time=TIME, receipt=forged)


def raise_answer(response: HttpResponse) -> HttpResponse:
    """Returns the answer with a higher number in it, under its old signature."""
    try:
        answer = json.loads(response.body)
    except ValueError:  # cut off, or a page
        return response
    if "accepted_through" in answer:
        answer["accepted_through"] += 1
    return replace(response, body=json.dumps(answer).encode())


class RefusingProxy:
    """A proxy that answers batches with one event in them by a page of its own, while it is there."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self.refused = b""

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        if self.refused and body and path.endswith("batches"):
            plain = batch.decompress(body, headers.get("content-encoding", ""))
            if self.refused in plain:
                return HttpResponse(400, {"content-type": "text/html"}, b"<h1>Bad Request</h1>")
        return self._transport.request(method, path, query, headers, body, bytes_max)


@dataclass
class PoweredLine:
    """The kiosk's side of the network: the power may go before a request, and before its answer is read."""

    transport: HttpTransport
    power: PowerLine

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        self.power.pass_point()
        response = self.transport.request(method, path, query, headers, body, bytes_max)
        self.power.pass_point()
        return response


@dataclass
class ReceiptWitness:
    """Remembers every receipt that the true ledger has ever given, also in answers that reached nobody."""

    transport: HttpTransport
    given: set[tuple[str, int, str]] = field(default_factory=set)  # epoch, number, hash
    requests: int = 0

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        self.requests += 1
        response = self.transport.request(method, path, query, headers, body, bytes_max)
        if response.status == 200 and path.endswith(("batches", "cursor")):
            is_batch = path.endswith("batches")
            reply = wire.read_json(BatchReply, response.body) if is_batch else wire.read_json(Cursor, response.body)
            signed = reply.receipt
            if signed is not None:
                self.given.add((signed.epoch, signed.accepted_through, signed.head))
        return response
