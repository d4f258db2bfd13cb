"""One key signs the receipts of one database, and a process with another one does not begin."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
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
from sync.contract import batch, receipt, wire
from sync.contract.receipt import fingerprint
from sync.contract.receipt_keys import ReceiptKey, ReceiptKeyPage, hand_over
from sync.contract.wire import BatchReply, Cursor
from sync.errors import Unreachable
from sync.ledger import keys, receipt_keys
from sync.ledger.errors import ActsDamaged, KeyNotInForce, NotUnderstood
from sync.ledger.receipt_keys import (
    KEY_CHAIN_NAME,
    RECEIPT_KEY_NAME,
    ReceiptSigner,
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
from sync.ledger.workers import run_workers
from tests.sync.ledger.billing.sheet_school import Command
from tests.sync.ledger.kiosk import OPEN_DOOR, Kiosk, entry, new_school

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
        schools.set_status(db, granted.device, "suspended")  # an act that is signed by the first key
        schools.set_status(db, granted.device, "active")
        former = keys.load_or_create(folder / RECEIPT_KEY_NAME)
        write_acts(db, open_acts(folder, former))
        chain = rotate_receipt_key(db, folder, NOW)
        chain = rotate_receipt_key(db, folder, NOW)
        assert chain[0].raw == public(former)
        until = time.monotonic() + 60
        while send(turning.url, granted.device, device, tmp_path) != chain[-1].public_key:
            assert time.monotonic() < until, "the process takes the newest key by itself"
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


def test_processes_follow_a_rotation_while_a_kiosk_sends(turning: LedgerServer, command: Command) -> None:
    """Two processes, the operator's own command, and a new connection for each batch, which reaches either of them.

    No answer counts as unsigned and no receipt as forged; what a process signs with the former key a moment longer, the
    kiosk sends again.
    """
    folder, place = turning._options.folder, ("--database-url", turning.database_url)
    with run_workers(turning.database_url, turning._options, 2) as workers:
        with psycopg.connect(turning.database_url, autocommit=True) as db:
            sending = SendingKiosk.enrol(workers.url, db)
            first = sending.pinned.raw
            while len(sending.signers) < 20:
                sending.send()
            command("receipt-key", "rotate", "--data", folder, *place)
            newest = read_receipt_keys(db)[-1].raw
            until = time.monotonic() + 60
            while sending.signers[-20:] != [newest] * 20:
                assert time.monotonic() < until, "every process takes the new key by itself"
                sending.send()
            stored = db.execute("SELECT count(*) FROM event").fetchone()
        assert stored == (len(sending.kiosk.payloads),)
    switched = sending.signers.index(newest)
    assert sending.signers == [first] * switched + [newest] * (len(sending.signers) - switched)
    sending.kiosk.close()


@dataclass(slots=True)
class SendingKiosk:
    """A kiosk that sends one event after the other. `signers`: the key of each answer, whose receipt was good, too."""

    url: str
    kiosk: Kiosk
    pinned: PinnedKey
    signers: list[bytes] = field(default_factory=list)

    @classmethod
    def enrol(cls, url: str, db: psycopg.Connection) -> "SendingKiosk":
        school = new_school(db)
        kiosk = Kiosk.enrol(url, schools.issue_code(db, school, "left door", datetime.now(UTC)))
        return cls(url, kiosk, PinnedKey(bytes.fromhex(kiosk.identity.server_key)))

    def send(self) -> None:
        """Records an event and sends it until the ledger's answer counts."""
        self.kiosk.record(entry("u1", school=self.kiosk.school))
        number = len(self.kiosk.payloads)
        body = batch.Compressor()(batch.encode(self.kiosk.header(number, number), self.kiosk.payloads[-1:]))
        while not self._post(body):
            pass

    def _post(self, body: bytes) -> bool:
        """Returns if the answer counts: not where it is by a key before the one that this kiosk has met."""
        path = wire.batches_path(self.kiosk.device, self.kiosk.epoch)
        with HttpxTransport(self.url) as http:
            self.pinned = PinnedKey(self.pinned.raw, http)
            device = DeviceKey(self.kiosk.key)
            channel = LedgerChannel(http, device, self.kiosk.device, lambda: datetime.now(UTC), self.pinned)
            try:
                reply = channel.post(BatchReply, path, body, wire.NDJSON, "zstd")
            except Unreachable as error:
                if "its key of before" in str(error):
                    return False
                raise
            assert channel.last_was_signed
            signer = self.pinned.raw
            self.pinned.meet(reply.receipt.key)
            receipt.check(reply.receipt, self.pinned.raw)
        self.signers.append(signer)
        return True


def test_a_running_process_takes_no_key_but_the_one_in_force(
    blank: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its folder is one of its own, which gets another ledger's key, then none, and at last the new one."""
    served, own = tmp_path / "served", tmp_path / "own"
    served.mkdir()
    key = claim_receipt_key(blank, served, NOW)
    shutil.copytree(served, own)
    signer = ReceiptSigner(key)
    (own / RECEIPT_KEY_NAME).write_text(Ed25519PrivateKey.generate().private_bytes_raw().hex(), "ascii")
    signer.follow(blank, own, NOW)
    assert (signer.key, caplog.messages) == (key, []), "while its own is in force, no file says otherwise"
    rotate_receipt_key(blank, served, NOW)
    for _ in range(2):
        signer.follow(blank, own, NOW)
    (own / RECEIPT_KEY_NAME).unlink()
    signer.follow(blank, own, NOW)
    assert signer.key is key
    assert [message.partition(":")[0] for message in caplog.messages] == [
        f"this process goes on signing with key {fingerprint(public(key))}"
    ] * 2, "each reason once"
    shutil.copy(served / RECEIPT_KEY_NAME, own)
    signer.follow(blank, own, NOW)
    assert public(signer.key) == read_receipt_keys(blank)[-1].raw
    assert (own / KEY_CHAIN_NAME).read_bytes() == (served / KEY_CHAIN_NAME).read_bytes()


def test_a_running_process_follows_no_key_that_its_own_has_not_signed(
    blank: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Folder and database agree, and are another ledger's: somebody has put both in the place of this one's."""
    key = claim_receipt_key(blank, tmp_path, NOW)
    signer, other = ReceiptSigner(key), Ed25519PrivateKey.generate()
    foreign = hand_over(Ed25519PrivateKey.generate(), public(other), SINCE)
    receipt_keys._insert(blank, 2, foreign)
    (tmp_path / RECEIPT_KEY_NAME).write_text(other.private_bytes_raw().hex(), "ascii")
    signer.follow(blank, tmp_path, NOW)
    assert signer.key is key
    assert "is not signed by" in caplog.text


def test_a_running_process_brings_its_key_back_into_a_restored_database(
    blank: psycopg.Connection, tmp_path: Path
) -> None:
    signer = ReceiptSigner(claim_receipt_key(blank, tmp_path, NOW))
    chain = rotate_receipt_key(blank, tmp_path, NOW)
    signer.follow(blank, tmp_path, NOW)
    blank.execute("DELETE FROM receipt_key WHERE number > 1")
    signer.follow(blank, tmp_path, NOW)
    assert read_receipt_keys(blank) == chain
    assert public(signer.key) == chain[-1].raw


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
