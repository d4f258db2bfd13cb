"""A kiosk's key changes without a gap: at every moment, whatever is cut off, the key that it has is in force."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from edge_agent import identity
from edge_agent.cli import sync as sync_command
from edge_agent.cli.sync import app
from edge_agent.identity import Registration
from edge_agent.journal.epochs import KioskIdentity
from edge_agent.journal.journal import Journal
from sync.client.batches import BatchSender
from sync.client.channel import LedgerChannel
from sync.client.http import HttpxTransport
from sync.client.keys import DeviceKey
from sync.client.registration import change_key, register_kiosk
from sync.contract import signature, wire
from sync.contract.chain import DeviceId
from sync.contract.device_keys import DeviceKeyRequest, device_keys_path, prove_key
from sync.contract.wire import Cursor, RegistrationReply
from sync.errors import RequestRejected, Unauthorised, Unreachable
from sync.ledger.recovery.acts import ActFile, write_acts
from sync.ledger.recovery.restoring import catch_up
from sync.ledger.registry import schools
from sync.ledger.server import LedgerServer
from tests.edge_agent.journal.samples import migrate_in_process
from tests.sync.client.drain import fill, now
from tests.sync.client.test_real_ledger import pace


def clock() -> datetime:
    return datetime.now(UTC)


class KeyedKiosk:
    """A registered kiosk, and requests by any key of its own."""

    def __init__(self, server: LedgerServer, db: psycopg.Connection, school: str) -> None:
        self.url, self.key = server.url, DeviceKey.make()
        code = schools.issue_code(db, school, "left door", clock())
        with HttpxTransport(self.url) as http:
            self.granted: RegistrationReply = register_kiosk(http, self.key, code, clock=clock)
        self.device = DeviceId(self.granted.device)

    def ask(self, key: DeviceKey) -> bool:
        """Returns True if the ledger answers a question by this key."""
        with HttpxTransport(self.url) as http:
            try:
                LedgerChannel(http, key, self.device, clock).get(Cursor, wire.cursor_path(self.device))
            except Unauthorised:
                return False
        return True

    def change(self, key: DeviceKey, successor: DeviceKey) -> None:
        with HttpxTransport(self.url) as http:
            server_key = bytes.fromhex(self.granted.server_key)
            change_key(http, key, successor, self.device, clock=clock, server_key=server_key)


@pytest.fixture
def keyed(server: LedgerServer, db: psycopg.Connection, school: str) -> KeyedKiosk:
    return KeyedKiosk(server, db, school)


def test_both_keys_are_in_force_until_the_new_one_is_used(keyed: KeyedKiosk) -> None:
    first, second, third = keyed.key, DeviceKey.make(), DeviceKey.make()
    assert not keyed.ask(second)
    keyed.change(first, second)
    keyed.change(first, second)  # the answer was lost
    assert keyed.ask(first)
    assert keyed.ask(second)
    assert not keyed.ask(first)
    with pytest.raises(Unauthorised):
        keyed.change(first, third)
    keyed.change(second, third)
    assert keyed.ask(third)
    assert not keyed.ask(second)
    with pytest.raises(RequestRejected, match="was retired"):
        keyed.change(third, first)


def test_a_key_that_was_never_used_makes_room_for_the_next(keyed: KeyedKiosk) -> None:
    lost, kept = DeviceKey.make(), DeviceKey.make()
    keyed.change(keyed.key, lost)
    keyed.change(keyed.key, kept)
    assert keyed.ask(keyed.key)
    assert not keyed.ask(lost)
    assert keyed.ask(kept)


@pytest.mark.parametrize("harm", ["another device", "another former key", "another key's proof", "no hex"])
def test_a_key_must_prove_itself_for_this_change(harm: str, keyed: KeyedKiosk) -> None:
    successor, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    former, device = keyed.key.public_bytes, keyed.device
    good = prove_key(successor, device, former)
    request = {
        "another device": prove_key(successor, DeviceId(f"{device}x"), former),
        "another former key": prove_key(successor, device, other.public_key().public_bytes_raw()),
        "another key's proof": DeviceKeyRequest(
            public_key=good.public_key, proof=prove_key(other, device, former).proof
        ),
        "no hex": DeviceKeyRequest(public_key=good.public_key, proof="x"),
    }[harm]
    path, body = device_keys_path(device), wire.to_json(request)
    signable = signature.SignableRequest("POST", path, "", {"content-type": wire.JSON}, body)
    headers = {
        "content-type": wire.JSON,
        **signature.sign(signable, keyed.key.private, device, int(clock().timestamp())),
    }
    assert httpx.post(f"{keyed.url}{path}", headers=headers, content=body).status_code == 400
    assert keyed.ask(keyed.key)


def test_a_restored_ledger_knows_the_new_key_and_not_the_old_one(
    keyed: KeyedKiosk, db: psycopg.Connection, tmp_path: Path
) -> None:
    db.execute("CREATE TEMPORARY TABLE act (LIKE public.act INCLUDING ALL)")
    acts = ActFile(tmp_path / "acts.jsonl", Ed25519PrivateKey.generate())
    successor = DeviceKey.make()
    keyed.change(keyed.key, successor)
    assert keyed.ask(successor)
    db.execute("INSERT INTO act SELECT * FROM public.act WHERE kind = 'device_key' AND fields LIKE %s",
               (f"%{keyed.device}%",))  # fmt: skip
    db.execute("UPDATE act SET written = false")
    write_acts(db, acts)
    db.execute("DELETE FROM act")
    db.execute("DELETE FROM device_key WHERE device = %s AND public_key = %s", (keyed.device, successor.public_bytes))
    db.execute("UPDATE device_key SET retired_at = NULL WHERE device = %s", (keyed.device,))
    assert catch_up(db, acts) == 2
    assert keyed.ask(successor)
    assert not keyed.ask(keyed.key)


@pytest.mark.parametrize("cut", ["", "change_key", "adopt_next_key"])
def test_a_command_that_is_cut_off_leaves_a_key_in_force(
    cut: str, keyed: KeyedKiosk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the ledger hears of the key, and between its answer and the file."""
    keyed.key.write(tmp_path / identity.DEVICE_KEY_NAME)
    identity.write_registration(tmp_path, Registration(
        device=keyed.device, school=keyed.granted.school, ledger=keyed.url, server_key=keyed.granted.server_key
    ))  # fmt: skip
    config = tmp_path / "agent.toml"
    config.write_text(f'[kiosk]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n', "utf-8")

    def rotate() -> int:
        return CliRunner().invoke(app, ["rotate-key", "--config", str(config)]).exit_code

    def die(*_: object, **__: object) -> None:
        raise Unreachable("cut off")

    with monkeypatch.context() as patch:
        if cut:
            patch.setattr(sync_command if cut == "change_key" else identity, cut, die)
        assert (rotate() == 0) is (cut == "")
    held = DeviceKey.load(tmp_path / identity.DEVICE_KEY_NAME)
    assert (held.public_bytes != keyed.key.public_bytes) is (cut == "")
    if cut:
        assert keyed.ask(keyed.key)
        assert rotate() == 0
        held = DeviceKey.load(tmp_path / identity.DEVICE_KEY_NAME)
    assert not (tmp_path / identity.NEXT_KEY_NAME).exists()
    assert keyed.ask(held)
    assert not keyed.ask(keyed.key)


@pytest.mark.parametrize("before", [5, 0])
def test_what_a_former_key_had_sent_comes_again(
    before: int, keyed: KeyedKiosk, db: psycopg.Connection, tmp_path: Path
) -> None:
    """The ledger is put back to before the change of the key: in the middle of the old epoch, or before it."""
    key, path = keyed.key, tmp_path / "journal.db"
    drain(keyed, key, path, lambda journal: fill(journal, 10))
    successor = DeviceKey.make()
    keyed.change(key, successor)
    drain(keyed, successor, path, lambda journal: fill(journal, 3, 10))
    expected = count(keyed, db)
    ((old,), _) = db.execute("SELECT epoch FROM epoch WHERE device = %s ORDER BY opened_at", (keyed.device,)).fetchall()
    there = {"device": keyed.device, "old": old}
    head = db.execute(
        "SELECT seq, hash FROM event WHERE device = %(device)s AND epoch = %(old)s AND seq = %(seq)s",
        {**there, "seq": before},
    ).fetchone()
    for table in ("carried", "receipt", "batch", "heard_head", "quarantine"):
        db.execute(f"DELETE FROM {table} WHERE device = %(device)s".encode(), there)
    db.execute(
        "DELETE FROM event WHERE device = %(device)s AND (epoch <> %(old)s OR seq > %(seq)s)", {**there, "seq": before}
    )
    if head is not None:
        db.execute("DELETE FROM epoch WHERE device = %(device)s AND epoch <> %(old)s", there)
        db.execute(
            "UPDATE epoch SET superseded_at = NULL, last_seq = 0, last_hash = NULL WHERE device = %s", (keyed.device,)
        )
        place = {"epoch": old, "seq": head[0], "hash": bytes(head[1])}
    else:
        db.execute("DELETE FROM epoch WHERE device = %(device)s", there)
        place = {"epoch": "", "seq": 0, "hash": b""}
    db.execute(
        "UPDATE head SET epoch = %(epoch)s, seq = %(seq)s, hash = %(hash)s WHERE device = %(device)s", there | place
    )
    drain(keyed, successor, path, lambda journal: fill(journal, 1, 13))
    assert count(keyed, db) == expected + 1


def count(keyed: KeyedKiosk, db: psycopg.Connection) -> int:
    entries = "SELECT DISTINCT epoch, seq, hash FROM fact WHERE device = %s AND kind = 'entry'"
    return len(db.execute(entries, (keyed.device,)).fetchall())


def drain(keyed: KeyedKiosk, key: DeviceKey, path: Path, record: Callable[[Journal], object]) -> None:
    """Starts the kiosk with a key, records, and sends until nothing is left."""
    kiosk = KioskIdentity(keyed.device, key.public_bytes, keyed.granted.school)
    with (
        Journal.open(path, kiosk, now=now, ballast_bytes=0, migrate=migrate_in_process) as journal,
        HttpxTransport(keyed.url) as http,
    ):
        record(journal)
        channel = LedgerChannel(http, key, keyed.device, clock)
        client = BatchSender(journal.outbox, channel, bytes.fromhex(keyed.granted.server_key), pace())
        for _ in range(60):
            client.hurry()
            if client.step().outcome == "idle":
                return
        raise AssertionError(client.last)
