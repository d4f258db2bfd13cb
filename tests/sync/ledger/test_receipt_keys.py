"""One key signs the receipts of one database, and a process with another one does not begin."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract.receipt import fingerprint
from sync.contract.receipt_keys import ReceiptKey, hand_over
from sync.ledger import keys
from sync.ledger.errors import KeyNotInForce, NotUnderstood
from sync.ledger.receipt_keys import (
    KEY_CHAIN_NAME,
    RECEIPT_KEY_NAME,
    claim_receipt_key,
    read_receipt_keys,
    write_folder_chain,
)
from sync.ledger.server import LedgerOptions, LedgerServer

NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)
SINCE = "2026-11-30T10:00:00.000Z"


@pytest.fixture
def blank(db: psycopg.Connection) -> psycopg.Connection:
    """A connection to a database that knows no key yet; the other tests' is as it was afterwards."""
    db.execute("CREATE TEMPORARY TABLE receipt_key (LIKE public.receipt_key INCLUDING ALL)")
    return db


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


@pytest.mark.parametrize("has_key", [True, False])
def test_a_process_with_another_key_does_not_begin(
    has_key: bool, tmp_path: Path, server: LedgerServer, db: psycopg.Connection
) -> None:
    if has_key:
        keys.load_or_create(tmp_path / RECEIPT_KEY_NAME)
    (in_force,) = read_receipt_keys(db)
    with pytest.raises(KeyNotInForce, match=f"{fingerprint(in_force.raw)}.*copy receipt.key and receipt-keys.json"):
        LedgerServer(server.database_url, LedgerOptions(folder=tmp_path, port=0)).start()
    assert (tmp_path / RECEIPT_KEY_NAME).exists() is has_key, "none is drawn that is good for nothing"
    assert read_receipt_keys(db) == (in_force,)
    assert httpx.get(f"{server.url}/v1/health").status_code == 200


def test_the_first_start_takes_the_folders_key(blank: psycopg.Connection, tmp_path: Path) -> None:
    folders = keys.load_or_create(tmp_path / RECEIPT_KEY_NAME)
    assert public(claim_receipt_key(blank, tmp_path, NOW)) == public(folders)
    assert public(claim_receipt_key(blank, tmp_path, NOW)) == public(folders)
    assert read_receipt_keys(blank) == (ReceiptKey(public_key=public(folders).hex(), since=SINCE),)
    assert (tmp_path / RECEIPT_KEY_NAME).stat().st_mode & 0o777 == 0o600


def test_a_restored_database_takes_the_keys_that_it_lost(blank: psycopg.Connection, tmp_path: Path) -> None:
    former = claim_receipt_key(blank, tmp_path, NOW)
    newer = Ed25519PrivateKey.generate()
    chain = (*read_receipt_keys(blank), hand_over(former, public(newer), SINCE))
    write_folder_chain(tmp_path, chain)
    assert public(claim_receipt_key(blank, tmp_path, NOW)) == public(former), "cut off before the key was replaced"
    write_folder_chain(tmp_path, chain)
    (tmp_path / RECEIPT_KEY_NAME).write_text(newer.private_bytes_raw().hex(), "ascii")
    assert public(claim_receipt_key(blank, tmp_path, NOW)) == public(newer)
    assert read_receipt_keys(blank) == chain
    (tmp_path / RECEIPT_KEY_NAME).write_text(former.private_bytes_raw().hex(), "ascii")
    with pytest.raises(KeyNotInForce, match=fingerprint(public(newer))):
        claim_receipt_key(blank, tmp_path, NOW)


def test_a_key_that_the_former_one_has_not_signed_is_not_taken(blank: psycopg.Connection, tmp_path: Path) -> None:
    claim_receipt_key(blank, tmp_path, NOW)
    newer = Ed25519PrivateKey.generate()
    forged = hand_over(Ed25519PrivateKey.generate(), public(newer), SINCE)
    write_folder_chain(tmp_path, (*read_receipt_keys(blank), forged))
    (tmp_path / RECEIPT_KEY_NAME).write_text(newer.private_bytes_raw().hex(), "ascii")
    with pytest.raises(KeyNotInForce):
        claim_receipt_key(blank, tmp_path, NOW)
    (tmp_path / KEY_CHAIN_NAME).write_text("[", "ascii")
    with pytest.raises(NotUnderstood, match="damaged"):
        claim_receipt_key(blank, tmp_path, NOW)
