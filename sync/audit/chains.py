"""From batches to events: each batch signed by its kiosk, each event chained to the one before it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sync.audit.archive import ArchivePlace, AuditFailure, BatchLine, DeviceLine, ReceiptLine, SubjectLine
from sync.audit.school_archive import SchoolArchive
from sync.contract import batch as batches
from sync.contract import receipt, signature, wire
from sync.contract.batch import Batch
from sync.contract.chain import DeviceId, Epoch, Hash, Head, genesis
from sync.contract.receipt_keys import BrokenKeyChain, ReceiptKey, follow_keys

EpochName = tuple[str, str]  # device and epoch


@dataclass(frozen=True, slots=True)
class ChainedEvent:
    """One event of a chain; `payload` is None where the kiosk sent a tombstone."""

    device: str
    epoch: str
    seq: int
    hash: Hash
    payload: bytes | None
    received_at: datetime


@dataclass(slots=True)
class EpochChain:
    """The events of one epoch by number, from its first on. `holes`: runs that the kiosk has signed to be lost."""

    parent: bytes  # the head that its genesis cites
    hashes: dict[int, Hash]  # of number 0, the genesis, and of each event
    events: dict[int, ChainedEvent] = field(default_factory=dict)
    holes: list[range] = field(default_factory=list)

    @property
    def head(self) -> Head:
        """Returns the last event."""
        seq = max(self.hashes)
        return Head(seq, self.hashes[seq])


def read_chains(archive: SchoolArchive) -> dict[EpochName, EpochChain]:
    """Returns the chains of all kiosks. Raises AuditFailure at the first batch that does not hold."""
    keys: dict[str, list[bytes]] = defaultdict(list)
    for device in archive.read_lines(DeviceLine):
        keys[device.device].append(device.public_key)
    chains: dict[EpochName, EpochChain] = {}
    for place, line in archive.read(BatchLine):
        content, public_key = _open(place, line, keys.get(line.device, []))
        _extend(place, chains, line, content, public_key, keys.get(line.device, []))
    return chains


def _open(place: ArchivePlace, line: BatchLine, keys: list[bytes]) -> tuple[Batch, bytes]:
    """Returns the batch in a line and the key that signed it."""
    request = signature.SignableRequest(
        "POST", wire.batches_path(DeviceId(line.device), Epoch(line.epoch)),
        headers={
            "content-type": wire.NDJSON, "content-digest": signature.content_digest(line.body),
            "signature-input": line.signature_input, "signature": line.signature,
        } | ({"content-encoding": line.content_encoding} if line.content_encoding else {}),
        body=line.body,
    )  # fmt: skip
    for key in keys:
        try:
            verified = signature.verify(request, key)
        except signature.BadSignature:
            continue
        if verified.keyid != line.device:
            raise AuditFailure(place, f"signed as {verified.keyid}, not as {line.device}")
        try:
            return batches.decode(batches.decompress(line.body, line.content_encoding)), key
        except (batches.MalformedBatch, batches.BodyTooLarge, batches.UnknownEncoding) as error:
            raise AuditFailure(place, f"no batch: {error}") from error
    raise AuditFailure(place, f"not signed by any key of {line.device} over these bytes")


def _extend(
    place: ArchivePlace, chains: dict[EpochName, EpochChain], line: BatchLine, content: Batch, public_key: bytes,
    keys: list[bytes],
) -> None:  # fmt: skip
    name, header = (line.device, line.epoch), content.header
    chain = chains.get(name)
    if chain is None:
        parent = bytes.fromhex(header.parent)
        starts = [genesis(DeviceId(line.device), key, Epoch(line.epoch), parent) for key in (public_key, *keys)]
        # An epoch of a former key comes again, signed by the key in force, where the ledger had lost it.
        start = next((start for start in starts if start.hex() == header.prev), starts[0])
        chain = chains[name] = EpochChain(parent, {0: start})
    last, before = chain.head.seq, header.first_seq - 1
    if before > last:
        named = (line.epoch, last + 1, before, header.prev)
        if not any((hole.epoch, hole.first_seq, hole.last_seq, hole.last_hash) == named for hole in header.holes):
            raise AuditFailure(place, f"events {last + 1} to {before} of {line.epoch} are missing")
        chain.holes.append(range(last + 1, before + 1))
        chain.hashes[before] = content.prev
    if content.prev != chain.hashes.get(before):
        raise AuditFailure(place, f"event {header.first_seq} is not chained to the one before it")
    tombstones = set(header.tombstones)
    try:
        hashes = batches.link_hashes(content)
    except batches.MalformedBatch as error:
        raise AuditFailure(place, str(error)) from error
    for seq, (payload, hashed) in enumerate(zip(content.lines, hashes, strict=True), header.first_seq):
        if chain.hashes.setdefault(seq, hashed) != hashed:
            raise AuditFailure(place, f"another event {seq} than an earlier batch has")
        stored = chain.events.get(seq)
        if stored is None or stored.payload is None:  # new, or the bytes behind a tombstone
            kept = None if seq in tombstones else payload
            received_at = stored.received_at if stored else line.received_at
            chain.events[seq] = ChainedEvent(line.device, line.epoch, seq, hashed, kept, received_at)


def check_receipts(archive: SchoolArchive, chains: dict[EpochName, EpochChain]) -> set[tuple[str, str, int]]:
    """Returns device, epoch and number of each event up to which the ledger has signed.

    Raises AuditFailure at the first receipt that is not the ledger's, or covers what no batch has.
    """
    keys, signed = _read_receipt_keys(archive.subject), set()
    for place, line in archive.read(ReceiptLine):
        try:
            given = receipt.from_json(line.body)
            head = receipt.check(given, keys.get(given.key, archive.subject.receipts_key))
        except receipt.ForgedReceipt as error:
            raise AuditFailure(place, str(error)) from error
        chain = chains.get((given.device, given.epoch))
        if chain is None or head.seq > chain.head.seq:
            raise AuditFailure(
                place, f"the ledger has signed for event {head.seq} of {given.epoch}, which is not there"
            )
        if chain.hashes.get(head.seq) != head.hash:
            raise AuditFailure(place, f"the ledger has signed for another event {head.seq} of {given.epoch}")
        signed.add((given.device, given.epoch, head.seq))
    return signed


def _read_receipt_keys(subject: SubjectLine) -> dict[str, bytes]:
    """Returns the keys that receipts may be signed with, by fingerprint. Raises AuditFailure for a broken chain."""
    chain = subject.former_keys or (ReceiptKey(public_key=subject.receipts_key.hex(), since=""),)
    try:
        follow_keys(chain, chain[0].raw)
    except BrokenKeyChain as error:
        raise AuditFailure(None, str(error)) from error
    if chain[-1].raw != subject.receipts_key:
        raise AuditFailure(None, "the chain of receipts keys does not lead to the one that is stated")
    return {receipt.fingerprint(key.raw): key.raw for key in chain}


def walk_events(chains: Mapping[EpochName, EpochChain]) -> Iterator[ChainedEvent]:
    """Yields all events, by device, epoch and number."""
    for name in sorted(chains):
        for _, chained in sorted(chains[name].events.items()):
            yield chained
