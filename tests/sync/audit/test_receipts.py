"""Receipts of former keys are proved by the chain of keys, and by nothing else."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.audit.archive import ArchivePlace, AuditFailure, ReceiptLine, SubjectLine, encode_line
from sync.audit.chains import EpochChain, check_receipts
from sync.audit.school_archive import SchoolArchive
from sync.contract import receipt
from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.contract.receipt_keys import ReceiptKey, hand_over

SINCE = "2026-11-30T10:00:00.000Z"
DEVICE, EPOCH = DeviceId("k1"), Epoch("00000000000000aa")
HASHES = {seq: Hash(bytes([seq]) * 32) for seq in range(4)}
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(3)]
RAW = [key.public_key().public_bytes_raw() for key in KEYS]
CHAIN = (ReceiptKey(public_key=RAW[0].hex(), since=SINCE), hand_over(KEYS[0], RAW[1], SINCE))


def make_archive(*former: ReceiptKey) -> SchoolArchive:
    """An export with a receipt by each of the first two keys, which states the second one."""
    archive, place = SchoolArchive(), ArchivePlace("receipt.ndjson", 1)
    subject = SubjectLine(
        school="s", timezone="Asia/Almaty", programme="state", month="2026-11",
        exported_at=datetime(2026, 11, 30, tzinfo=UTC), receipts_key=RAW[1], former_keys=former, ledger_key="",
        witness_key="",
    )  # fmt: skip
    archive.lines[SubjectLine] = [(place, subject)]
    archive.lines[ReceiptLine] = [
        (place, ReceiptLine(body=receipt.to_json(receipt.issue(key, DEVICE, EPOCH, Head(seq, HASHES[seq]), SINCE))))
        for seq, key in enumerate(KEYS[:2], 1)
    ]
    return archive


def test_receipts_of_both_keys_hold() -> None:
    signed = check_receipts(make_archive(*CHAIN), {(DEVICE, EPOCH): EpochChain(b"", HASHES)})
    assert signed == {(DEVICE, EPOCH, 1), (DEVICE, EPOCH, 2)}


@pytest.mark.parametrize(
    "former",
    [
        (),
        CHAIN[1:],
        (CHAIN[0], hand_over(KEYS[2], RAW[1], SINCE)),
        (CHAIN[0], hand_over(KEYS[0], RAW[2], SINCE)),
    ],
)
def test_a_former_key_that_no_chain_leads_from_proves_nothing(former: tuple[ReceiptKey, ...]) -> None:
    with pytest.raises(AuditFailure):
        check_receipts(make_archive(*former), {(DEVICE, EPOCH): EpochChain(b"", HASHES)})


def test_an_export_of_the_first_key_is_written_as_ever() -> None:
    assert b"former_keys" not in encode_line(make_archive().subject)
