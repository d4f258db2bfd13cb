"""One key signs the receipts of one database, and a process with another one does not begin."""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from canteen_demo.postgres import EmbeddedPostgres
from edge_agent import identity
from edge_agent.identity import Registration
from sync.client.channel import LedgerChannel
from sync.client.http import HttpxTransport
from sync.client.keys import DeviceKey
from sync.client.pinned_key import PinnedKey
from sync.client.registration import register_kiosk
from sync.contract import wire
from sync.contract.receipt import fingerprint
from sync.contract.receipt_keys import ReceiptKey, ReceiptKeyPage, hand_over
from sync.contract.wire import Cursor
from sync.ledger import keys, receipt_keys
from sync.ledger.errors import ActsDamaged, KeyNotInForce, NotUnderstood
from sync.ledger.receipt_keys import (
    KEY_CHAIN_NAME,
    RECEIPT_KEY_NAME,
    claim_receipt_key,
    read_receipt_keys,
    rotate_receipt_key,
    write_folder_chain,
)
from sync.ledger.recovery.acts import ActFile, write_acts
from sync.ledger.recovery.restoring import open_acts
from sync.ledger.registry import schools
from sync.ledger.server import LedgerOptions, LedgerServer
from sync.ledger.whole_files import replace_file
from tests.sync.ledger.kiosk import OPEN_DOOR

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


@pytest.fixture
def turning(tmp_path: Path) -> Iterator[LedgerServer]:
    """A ledger with a database of its own, whose key may be replaced."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    folder.chmod(0o755)
    options = LedgerOptions(folder=folder / "ledger", port=0, limits=OPEN_DOOR, settle_interval_s=0)
    with EmbeddedPostgres(options.folder) as postgres:
        yield LedgerServer(postgres.url, options)
    shutil.rmtree(folder)


def test_a_kiosk_goes_on_through_a_rotation(turning: LedgerServer, tmp_path: Path) -> None:
    """It sends, the key is replaced twice, it sends again: no alarm, and the newest key is in its registration."""
    folder, device = turning._options.folder, DeviceKey.make()
    with turning, psycopg.connect(turning.database_url, autocommit=True) as db:
        schools.add_school(db, "s-1", "Мектеп 1")
        code = schools.issue_code(db, "s-1", "left door", datetime.now(UTC))
        with HttpxTransport(turning.url) as http:
            granted = register_kiosk(http, device, code, clock=lambda: datetime.now(UTC))
        identity.write_registration(
            tmp_path, Registration(device=granted.device, school="s-1", ledger="", server_key=granted.server_key)
        )
        former = keys.load_or_create(folder / RECEIPT_KEY_NAME)
        chain = rotate_receipt_key(db, folder, NOW)
        chain = rotate_receipt_key(db, folder, NOW)
        assert chain[0].raw == public(former)
        assert send(turning.url, granted.device, device, tmp_path) == public(former).hex(), "until it is started again"
        schools.set_status(db, granted.device, "suspended")  # an act that is signed by the former key
        schools.set_status(db, granted.device, "active")
        write_acts(db, open_acts(folder, former))
    with turning, psycopg.connect(turning.database_url, autocommit=True) as db:
        page = wire.read_json(ReceiptKeyPage, httpx.get(f"{turning.url}/v1/receipt-keys").content)
        assert page.keys == chain == read_receipt_keys(db)
        assert send(turning.url, granted.device, device, tmp_path) == chain[-1].public_key
        schools.set_status(db, granted.device, "suspended")
        acts = open_acts(folder, keys.load_or_create(folder / RECEIPT_KEY_NAME))
        write_acts(db, acts)
    assert [act.fields["status"] for act in acts.read() if act.kind == "suspension"] == [
        "suspended", "active", "suspended",
    ]  # fmt: skip
    with pytest.raises(ActsDamaged):
        ActFile(acts.path, acts.key).read()


def send(url: str, name: str, key: DeviceKey, state_dir: Path) -> str:
    """Asks the ledger where it stands, as a kiosk does, and returns the key that is pinned then."""
    registration = identity.read_registration(state_dir)
    assert registration is not None
    with HttpxTransport(url) as http:
        pinned = PinnedKey(
            bytes.fromhex(registration.server_key), http, partial(identity.replace_server_key, state_dir)
        )
        channel = LedgerChannel(http, key, name, lambda: datetime.now(UTC), pinned)
        channel.get(Cursor, f"/v1/devices/{name}/cursor")
        assert channel.last_was_signed
    stored = identity.read_registration(state_dir)
    assert stored is not None
    assert stored.server_key == pinned.raw.hex()
    return stored.server_key


@pytest.mark.parametrize("steps", range(3))
def test_a_rotation_that_is_cut_off_leaves_a_key_in_force(
    steps: int, blank: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off before the list is written, before the key is, and before the database knows."""
    former = claim_receipt_key(blank, tmp_path, NOW)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        name = ("write_folder_chain", "replace_file", "_insert")[steps]
        if steps == 1:
            patch.setattr(
                receipt_keys,
                name,
                lambda path, *rest: die() if path.name == RECEIPT_KEY_NAME else replace_file(path, *rest),
            )
        else:
            patch.setattr(receipt_keys, name, die)
        with pytest.raises(KeyboardInterrupt):
            rotate_receipt_key(blank, tmp_path, NOW)
    now = public(claim_receipt_key(blank, tmp_path, NOW))
    assert (now == public(former)) is (steps < 2)
    assert read_receipt_keys(blank)[-1].raw == now
    assert rotate_receipt_key(blank, tmp_path, NOW)[-2].raw == now
