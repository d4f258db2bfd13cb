"""Batches of an export, one by one: signed, chained, whole, or with a hole that the kiosk itself has signed."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.audit.archive import AuditFailure, BatchLine, DeviceLine, encode_line
from sync.audit.chains import EpochChain, read_chains, walk_events
from sync.audit.school_archive import read_archive
from sync.contract import batch, chain, signature, wire
from sync.contract.batch import BatchHeader, NamedHole, Tombstone, tombstone_line
from sync.contract.chain import DeviceId, Epoch

DEVICE, EPOCH = DeviceId("sch-1-0011223344556677"), Epoch("00000000000000aa")
KEY = Ed25519PrivateKey.from_private_bytes(b"kiosk".ljust(32, b"."))
PUBLIC = KEY.public_key().public_bytes_raw()
PAYLOADS = [b'{"kind":"stop","number":%d}' % number for number in range(1, 11)]
GENESIS = chain.genesis(DEVICE, PUBLIC, EPOCH)
HASHES = [GENESIS, *chain.chain_hashes(GENESIS, PAYLOADS)]


def send(
    first: int, last: int, *, holes: tuple[NamedHole, ...] = (), tombstones: tuple[int, ...] = (),
    key: Ed25519PrivateKey = KEY, device: str = DEVICE, prev: bytes = b"",
) -> BatchLine:  # fmt: skip
    """A batch of these events, as an export has it."""
    lines = [
        tombstone_line(Tombstone(hash=HASHES[seq].hex(), reason="too odd", seq=seq))
        if seq in tombstones
        else PAYLOADS[seq - 1]
        for seq in range(first, last + 1)
    ]
    header = BatchHeader(
        first_seq=first, count=last - first + 1, prev=(prev or HASHES[first - 1]).hex(), head=HASHES[last].hex(),
        tombstones=tombstones, holes=holes,
    )  # fmt: skip
    body = batch.Compressor()(batch.encode(header, lines))
    headers = {"content-type": wire.NDJSON, "content-encoding": "zstd"}
    request = signature.SignableRequest("POST", wire.batches_path(DEVICE, EPOCH), headers=headers, body=body)
    signed = signature.sign(request, key, device, 1_795_000_000)
    return BatchLine(
        device=DEVICE, epoch=EPOCH, signature_input=signed["signature-input"], signature=signed["signature"],
        content_encoding="zstd", body=body, received_at=datetime(2026, 11, 20, 5, tzinfo=UTC),
    )  # fmt: skip


def audit(*lines: BatchLine) -> EpochChain:
    content = encode_line(DeviceLine(device=DEVICE, public_key=PUBLIC)) + b"".join(map(encode_line, lines))
    return read_chains(read_archive({"batches": content}))[DEVICE, EPOCH]


def hole(first: int, last: int, last_hash: bytes = b"") -> NamedHole:
    return NamedHole(epoch=EPOCH, first_seq=first, last_seq=last, last_hash=(last_hash or HASHES[last]).hex())


def test_batches_make_one_chain_whatever_overlaps() -> None:
    whole = audit(send(1, 4), send(3, 7), send(8, 10), send(2, 5))
    assert [whole.events[seq].payload for seq in sorted(whole.events)] == PAYLOADS
    assert (whole.head.seq, whole.head.hash, whole.holes) == (10, HASHES[10], [])
    assert [event.seq for event in walk_events({(DEVICE, EPOCH): whole})] == list(range(1, 11))


def test_missing_events_are_named_unless_the_kiosk_has_signed_that_they_are_lost() -> None:
    with pytest.raises(AuditFailure, match=r"batches line 3: events 4 to 6 of .* are missing"):
        audit(send(1, 3), send(7, 10))
    with pytest.raises(AuditFailure, match=r"events 1 to 2 of .* are missing"):
        audit(send(3, 10))
    holed = audit(send(1, 3), send(7, 10, holes=(hole(4, 6),)))
    assert (holed.holes, sorted(holed.events)) == ([range(4, 7)], [1, 2, 3, 7, 8, 9, 10])
    for wrong in (hole(4, 5), hole(5, 6), hole(4, 6, bytes(32))):
        with pytest.raises(AuditFailure, match="are missing"):
            audit(send(1, 3), send(7, 10, holes=(wrong,)))


def test_bytes_behind_a_tombstone_may_come_later() -> None:
    tombstoned = audit(send(1, 10, tombstones=(5,)))
    assert tombstoned.events[5].payload is None
    assert audit(send(1, 10, tombstones=(5,)), send(5, 5)).events[5].payload == PAYLOADS[4]


def test_what_is_not_the_kiosk_s_is_refused() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(b"x" * 32)
    for wrong, reason in (
        (send(1, 3, key=stranger), "not signed by any key"),
        (send(1, 3, device="sch-1-other"), "signed as sch-1-other"),
        (send(1, 3, prev=bytes(32)), "not chained"),
    ):
        with pytest.raises(AuditFailure, match=reason):
            audit(wrong)
    with pytest.raises(AuditFailure, match="not chained"):
        audit(send(1, 3), send(4, 6, prev=bytes(32)))
