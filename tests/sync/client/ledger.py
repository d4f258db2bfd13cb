"""A small honest ledger on the contract's pure functions, in memory: the kiosk's end is tested against it.

It stores every event, verifies everything, and can be made difficult (`refuses`, `half`, `takes_zstd`,
`events_max`). It lies only where a test makes it (`alter`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.client.channel import HttpResponse
from sync.contract import batch, chain, event, receipt, signature, wire
from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.contract.roster import RosterPage
from sync.contract.wire import BatchReply, Cursor, ProblemDocument, ProblemType, RegistrationReply

SERVER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(100, 132)))
SERVER_PUBLIC = SERVER_KEY.public_key().public_bytes_raw()
TIME = "2026-11-22T04:40:00.000Z"

LedgerRow = tuple[Hash, bytes, bool]  # hash, line, True for a tombstone


@dataclass
class LedgerDevice:
    """The ledger's part of one kiosk."""

    public_key: bytes
    epochs: dict[str, list[LedgerRow]] = field(default_factory=dict)
    geneses: dict[str, Hash] = field(default_factory=dict)
    current: str = ""
    suspended: bool = False
    heard: dict[str, int] = field(default_factory=dict)  # the highest event of each epoch that a heartbeat told of

    def copy(self) -> "LedgerDevice":
        epochs = {epoch: list(rows) for epoch, rows in self.epochs.items()}
        return replace(self, epochs=epochs, geneses=dict(self.geneses), heard=dict(self.heard))


class _ProblemRaised(Exception):
    def __init__(self, status: int, kind: ProblemType, **more: object) -> None:
        fields = {"type": kind.value, "status": status} | more
        self.response = HttpResponse(status, {}, wire.to_json(ProblemDocument(**fields)))  # type: ignore[arg-type]  # names as in ProblemDocument


class LedgerModel:
    """The ledger, as a transport."""

    def __init__(self) -> None:
        self.devices: dict[str, LedgerDevice] = {}
        self.forks: list[tuple[str, int, bytes]] = []
        self.refuses: Callable[[bytes], bool] = lambda line: False
        self.half = False
        self.takes_zstd = True
        self.events_max = batch.EVENTS_MAX
        self.alter: Callable[[msgspec.Struct], msgspec.Struct] = lambda message: message
        self.pages: Callable[[int, str], RosterPage | None] = lambda since, cursor: None
        self.palms: Callable[[signature.SignableRequest], msgspec.Struct] | None = None
        self.replacement_cards: Callable[[signature.SignableRequest], msgspec.Struct] | None = None
        self.beats: list[wire.Heartbeat] = []
        self.codes: dict[str, str] = {}  # code → public key that used it, or empty
        self.requests = 0
        self.signs = True  # False: a ledger of the first version
        self.knows_holes = True  # likewise
        self.holes: list[tuple[str, int, int]] = []
        self.clock: Callable[[], datetime] = lambda: datetime(2026, 11, 22, 4, 40, tzinfo=UTC)

    def register(self, device: DeviceId, public_key: bytes) -> None:
        self.devices[device] = LedgerDevice(public_key)

    def backup(self) -> dict[str, LedgerDevice]:
        return {name: device.copy() for name, device in self.devices.items()}

    def restore(self, backup: dict[str, LedgerDevice]) -> None:
        self.devices = {name: device.copy() for name, device in backup.items()}

    def list_events(self, device: DeviceId) -> Iterator[tuple[tuple[str, int, str], bytes]]:
        """Yields every event by its identity (epoch, seq, hash), a carried one by its old identity; no tombstones."""
        for epoch, rows in self.devices[device].epochs.items():
            for seq, (link, line, is_tombstone) in enumerate(rows, 1):
                if is_tombstone:
                    continue
                decoded = event.decode(line)
                if isinstance(decoded, event.Carried):
                    yield (decoded.old_epoch, decoded.old_seq, decoded.old_hash), decoded.payload.encode()
                else:
                    yield (epoch, seq, link.hex()), line

    # The transport's end

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        self.requests += 1
        request = signature.SignableRequest(method, path, query, headers, body)
        try:
            return self._sign(HttpResponse(200, {}, wire.to_json(self.alter(self._route(request)))), request)
        except _ProblemRaised as problem:
            return self._sign(problem.response, request)

    def _sign(self, response: HttpResponse, request: signature.SignableRequest) -> HttpResponse:
        if not self.signs:
            return response
        answer = signature.SignableAnswer(response.status, response.headers, response.body)
        keyid = receipt.fingerprint(SERVER_PUBLIC)
        signed = signature.sign_answer(answer, request, SERVER_KEY, keyid, int(self.clock().timestamp()))
        return HttpResponse(response.status, {**response.headers, **signed}, response.body)

    def _route(self, request: signature.SignableRequest) -> msgspec.Struct:
        match request.method, request.path.split("/")[2:]:
            case "POST", ["devices", name, "epochs", epoch, "batches"]:
                return self._batch(DeviceId(name), wire.parse_epoch(epoch), request)
            case "GET", ["devices", name, "cursor"]:
                return self._cursor(DeviceId(name), self._authentic(name, request))
            case "POST", ["devices", name, "heartbeats"]:
                return self._beat(self._authentic(name, request), wire.read_json(wire.Heartbeat, request.body))
            case "GET", ["schools", _, "roster"]:
                self._authentic(signature.read_keyid(request), request)
                return self._page(request.query)
            case _, ["schools", _, "palms"] if self.palms is not None:
                self._authentic(signature.read_keyid(request), request)
                return self.palms(request)
            case _, ["schools", _, "replacement-cards"] if self.replacement_cards is not None:
                self._authentic(signature.read_keyid(request), request)
                return self.replacement_cards(request)
            case "POST", ["enrolments"]:
                return self._register(request)
            case _:
                raise _ProblemRaised(404, ProblemType.NOT_FOUND)

    def _authentic(self, name: str, request: signature.SignableRequest) -> LedgerDevice:
        device = self.devices.get(name)
        if device is None:
            raise _ProblemRaised(401, ProblemType.UNAUTHORISED, detail="unknown device")
        try:
            verified = signature.verify(request, device.public_key)
        except signature.BadSignature as error:
            raise _ProblemRaised(401, ProblemType.UNAUTHORISED, detail=str(error)) from error
        if verified.keyid != name or device.suspended:
            raise _ProblemRaised(403, ProblemType.SUSPENDED)
        return device

    def _beat(self, device: LedgerDevice, beat: wire.Heartbeat) -> wire.HeartbeatReply:
        self.beats.append(beat)
        heard = device.heard[beat.epoch] = max(beat.head.seq, device.heard.get(beat.epoch, 0))
        if not device.current:
            return wire.HeartbeatReply(time=TIME, roster=5, heard=heard)
        head = self._head(device, device.current)
        return wire.HeartbeatReply(
            time=TIME, roster=5, epoch=device.current, accepted_through=head.seq, head=head.hash.hex(), heard=heard
        )

    def _page(self, query: str) -> RosterPage:
        parameters = dict(pair.split("=") for pair in query.split("&"))
        page = self.pages(int(parameters["since"]), parameters.get("cursor", ""))
        if page is None:
            raise _ProblemRaised(410, ProblemType.ROSTER_RESTART)
        return page

    def _register(self, request: signature.SignableRequest) -> RegistrationReply:
        registration = wire.read_json(wire.RegistrationRequest, request.body)
        signature.verify(request, bytes.fromhex(registration.public_key))
        if self.codes.get(registration.code) not in {"", registration.public_key}:
            raise _ProblemRaised(403, ProblemType.CODE_REFUSED, title="code refused")
        self.codes[registration.code] = registration.public_key
        device = DeviceId(f"kiosk-{registration.public_key[:8]}")
        self.register(device, bytes.fromhex(registration.public_key))
        return RegistrationReply(device=device, school="s-12", server_key=SERVER_PUBLIC.hex(), time=TIME)

    def _cursor(self, name: DeviceId, device: LedgerDevice) -> Cursor:
        now = wire.time_text(self.clock())
        if not device.current:
            return Cursor(time=now)
        head = self._head(device, device.current)
        signed = receipt.issue(SERVER_KEY, name, Epoch(device.current), head, now)
        wanted = [seq for seq, row in enumerate(device.epochs[device.current], 1) if row[2]]
        return Cursor(
            time=now,
            epoch=device.current,
            accepted_through=head.seq,
            head=head.hash.hex(),
            receipt=signed,
            wanted=tuple(wanted) if self.knows_holes else (),
        )

    def _head(self, device: LedgerDevice, epoch: str) -> Head:
        rows = device.epochs[epoch]
        return Head(len(rows), rows[-1][0]) if rows else Head(0, device.geneses[epoch])

    def _batch(self, name: DeviceId, epoch: Epoch, request: signature.SignableRequest) -> BatchReply:
        device = self._authentic(name, request)
        coding = request.headers.get("content-encoding", "")
        if coding == "zstd" and not self.takes_zstd:
            raise _ProblemRaised(415, ProblemType.ENCODING)
        try:
            sent = batch.decode(batch.decompress(request.body, coding))
            if sent.header.count > self.events_max:
                raise _ProblemRaised(413, ProblemType.TOO_LARGE)
            links = batch.link_hashes(sent)
        except batch.MalformedBatch as error:
            raise _ProblemRaised(422, ProblemType.MALFORMED, detail=str(error)) from error
        tombstones = set(sent.header.tombstones)
        lines = list(enumerate(zip(links, sent.lines, strict=True), sent.header.first_seq))
        if any(self.refuses(line) for seq, (_, line) in lines if seq not in tombstones):
            raise _ProblemRaised(400, ProblemType.MALFORMED, detail="one event is not to my taste")
        self._open(name, device, epoch, sent.header)
        if epoch != device.current and not (sent.header.closed and self.knows_holes):
            raise _ProblemRaised(409, ProblemType.EPOCH_SUPERSEDED)
        rows = device.epochs[epoch]
        if self.knows_holes:
            self._note_holes(epoch, rows, sent.header)
        self._check_joint(device, epoch, sent.header)
        duplicates, filled = 0, []
        for seq, (link, line) in lines:
            if seq <= len(rows):
                duplicates += 1
                if rows[seq - 1][0] == link and rows[seq - 1][2] and seq not in tombstones and self.knows_holes:
                    rows[seq - 1] = (link, line, False)
                    filled.append(seq)
                if rows[seq - 1][0] != link:
                    self.forks.append((epoch, seq, line))
                    raise _ProblemRaised(
                        409, ProblemType.FORK, seq=seq, stored=rows[seq - 1][0].hex(), received=link.hex()
                    )
        fresh = [(link, line, seq in tombstones) for seq, (link, line) in lines if seq > len(rows)]
        if self.half and len(fresh) > 1:
            fresh = fresh[: len(fresh) // 2]
        rows.extend(fresh)
        through = min(sent.last_seq, len(rows))
        head, now = Head(through, rows[through - 1][0]), wire.time_text(self.clock())
        odd = tuple(wire.QuarantinedEvent(seq, "tombstone") for seq in sorted(tombstones))
        signed = receipt.issue(SERVER_KEY, name, epoch, head, now)
        return BatchReply(
            accepted_through=through,
            head=head.hash.hex(),
            time=now,
            receipt=signed,
            duplicates=duplicates,
            quarantined=odd,
            filled=tuple(filled),
        )

    def _note_holes(self, epoch: str, rows: list[LedgerRow], header: batch.BatchHeader) -> None:
        """Goes over the hole that the batch names between the last row and its first: rows without bytes."""
        for hole in header.holes:
            self.holes.append((hole.epoch, hole.first_seq, hole.last_seq))
            if hole.epoch == epoch and hole.first_seq == len(rows) + 1 and hole.last_seq == header.first_seq - 1:
                link = Hash(bytes.fromhex(hole.last_hash))
                rows.extend((link, b"", True) for _ in range(hole.first_seq, hole.last_seq + 1))

    def _open(self, name: DeviceId, device: LedgerDevice, epoch: Epoch, header: batch.BatchHeader) -> None:
        if epoch in device.epochs:
            return
        head = self._head(device, device.current).hash.hex() if device.current else ""
        if self.knows_holes and header.follows and header.follows != head:
            raise _ProblemRaised(409, ProblemType.GAP)
        behind_hole = any(hole.epoch == epoch and hole.first_seq == 1 for hole in header.holes) and self.knows_holes
        if header.first_seq != 1 and not behind_hole:
            raise _ProblemRaised(409, ProblemType.EPOCH_UNKNOWN)
        genesis = chain.genesis(name, device.public_key, epoch, bytes.fromhex(header.parent))
        if genesis.hex() != header.prev and not behind_hole:
            raise _ProblemRaised(409, ProblemType.EPOCH_UNKNOWN, detail="another genesis")
        device.epochs[epoch], device.geneses[epoch], device.current = [], genesis, epoch

    def _check_joint(self, device: LedgerDevice, epoch: Epoch, header: batch.BatchHeader) -> None:
        rows = device.epochs[epoch]
        if header.first_seq > len(rows) + 1:
            raise _ProblemRaised(409, ProblemType.GAP, expected_seq=len(rows) + 1)
        before = rows[header.first_seq - 2][0] if header.first_seq > 1 else device.geneses[epoch]
        if before.hex() != header.prev:
            raise _ProblemRaised(
                409, ProblemType.FORK, seq=header.first_seq - 1, stored=before.hex(), received=header.prev
            )
