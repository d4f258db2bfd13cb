"""The logs of a real ledger: what was accepted is in them, once, and each checkpoint continues the one before."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.contract.chain import Head
from sync.ledger import keys
from sync.ledger.errors import NotUnderstood
from sync.ledger.server import LedgerServer
from sync.ledger.transparency import logs
from sync.proof.checkpoints import LogCheckpoint, open_checkpoint
from sync.proof.leaves import LogName, VersionedKind, batch_leaf
from sync.proof.notes import NoteKeyKind, SignedNote
from sync.proof.signer import LogSigner, WitnessSigner, format_private_key, parse_private_key
from sync.proof.tree import HashTree, hash_leaf, verify_consistency, verify_inclusion
from tests.sync.ledger.kiosk import Kiosk, accepted, entry

WITNESS = WitnessSigner("witness.example", Ed25519PrivateKey.from_private_bytes(b"witness".ljust(32, b".")))
NOW = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
SIGNER = LogSigner("canteen.example", Ed25519PrivateKey.from_private_bytes(b"log".ljust(32, b".")))


def read_leaves(db: psycopg.Connection, school: str, log: LogName) -> list[bytes]:
    """The numbered leaves, in order."""
    rows = db.execute(
        "SELECT leaf, number FROM log_leaf WHERE school = %s AND log = %s AND number IS NOT NULL ORDER BY number",
        (school, log),
    ).fetchall()
    assert [number for _, number in rows] == list(range(len(rows)))
    return [leaf for leaf, _ in rows]


def wait_for_leaves(db: psycopg.Connection, school: str, log: LogName, count: int) -> list[bytes]:
    """The leaves, once the running ledger's own checkpointer has numbered so many."""
    for _ in range(600):
        leaves = read_leaves(db, school, log)
        if len(leaves) >= count:
            return leaves
        time.sleep(0.05)
    raise AssertionError(f"{len(leaves)} leaves after half a minute, expected {count}")


def test_each_accepted_batch_is_a_leaf_and_a_repeated_one_is_none(
    db: psycopg.Connection, server: LedgerServer, kiosk: Kiosk, open_folder: Path
) -> None:
    kiosk.record(*(entry(f"p{number}", school=kiosk.school, minute=number) for number in range(7)))
    for first, last in ((1, 3), (1, 3), (2, 5), (4, 5), (6, 7), (1, 7)):
        accepted(kiosk.send(first, last))
    leaves = wait_for_leaves(db, kiosk.school, LogName.EVENTS, 3)
    assert leaves == [batch_leaf(kiosk.device, kiosk.epoch, Head(seq, kiosk.hashes[seq])) for seq in (3, 5, 7)]
    head = logs.read_log_head(db, kiosk.school, LogName.EVENTS)
    signer = keys.load_or_create_signer(open_folder / "ledger" / "log.key", "not.used")
    assert head.checkpoint is not None
    checkpoint = open_checkpoint(head.checkpoint, signer.log_key(kiosk.school, LogName.EVENTS))
    tree = HashTree(map(hash_leaf, leaves))
    assert checkpoint == LogCheckpoint(f"canteen.local/{kiosk.school}/events", 3, tree.root())


def test_a_refused_batch_is_no_leaf(db: psycopg.Connection, enrolled: Callable[[], Kiosk]) -> None:
    kiosk = enrolled()
    kiosk.record(*(entry(f"p{number}", school=kiosk.school, minute=number) for number in range(4)))
    accepted(kiosk.send(1, 2))
    twin = kiosk.twin()
    twin.payloads[1] = twin.payloads[3]
    twin.send(1, 3)  # a fork
    kiosk.send(4, 4)  # a gap
    logs.seal_log(db, kiosk.school, LogName.EVENTS, SIGNER, NOW)
    wait_for_leaves(db, kiosk.school, LogName.EVENTS, 1)
    count = db.execute("SELECT count(*) FROM log_leaf WHERE school = %s", (kiosk.school,)).fetchone()
    assert count == (1,)


def append_versions(db: psycopg.Connection, school: str, numbers: Sequence[int]) -> None:
    # Leaves of `claims`, so that the running checkpointer's own key is the only thing that can come between.
    for number in numbers:
        logs.append_leaf(db, school, LogName.CLAIMS, b"leaf %d" % number)


def test_proofs_from_the_tables_hold_at_every_size(db: psycopg.Connection, school: str) -> None:
    roots = {}
    total = 0
    with db.transaction():  # so that the running checkpointer sees all of it at once, and nothing of it twice
        for count in (1, 1, 2, 3, 1, 9, 6):
            append_versions(db, school, range(total, total + count))
            total += count
            assert logs.seal_log(db, school, LogName.CLAIMS, SIGNER, NOW) == count
            note = logs.read_log_head(db, school, LogName.CLAIMS).checkpoint
            assert note is not None
            roots[total] = open_checkpoint(note, SIGNER.log_key(school, LogName.CLAIMS)).root
    leaves = read_leaves(db, school, LogName.CLAIMS)
    assert leaves == [b"leaf %d" % number for number in range(total)]
    assert logs.seal_log(db, school, LogName.CLAIMS, SIGNER, NOW) == 0
    for size, root in roots.items():
        assert root == HashTree(map(hash_leaf, leaves[:size])).root()
        for index in range(size):
            path = logs.prove_inclusion(db, school, LogName.CLAIMS, index, size)
            verify_inclusion(hash_leaf(leaves[index]), index, size, path, root)
        for old in filter(lambda old: old <= size, roots):
            path = logs.prove_consistency(db, school, LogName.CLAIMS, old, size)
            verify_consistency(old, roots[old], size, root, path)


def test_a_version_is_a_leaf_of_the_events(db: psycopg.Connection, school: str) -> None:
    logs.append_version(db, school, VersionedKind.CALENDAR, "2026/27", 3, bytes(32))
    assert wait_for_leaves(db, school, LogName.EVENTS, 1) == [
        b"canteen version v1\ncalendar\n2026/27\n3\n" + b"0" * 64 + b"\n"
    ]


def test_leaves_of_a_transaction_that_failed_are_not_there(db: psycopg.Connection, school: str) -> None:
    with db.transaction(force_rollback=True):
        append_versions(db, school, [1])
    assert (school, LogName.CLAIMS) not in logs.list_waiting(db)


def test_the_key_of_the_logs_is_drawn_once_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    signer = keys.load_or_create_signer(path, "canteen.example")
    assert path.stat().st_mode & 0o777 == 0o600
    again = keys.load_or_create_signer(path, "another.example")
    assert again.ledger_key == signer.ledger_key
    again = LogSigner(*parse_private_key(format_private_key(SIGNER.ledger_key, SIGNER.private), NoteKeyKind.ED25519))
    assert again.ledger_key == SIGNER.ledger_key
    with pytest.raises(NotUnderstood, match="choose another name"):
        keys.load_or_create_signer(tmp_path / "other.key", "a name")
    path.write_text("PRIVATE+KEY+canteen.example+00000000+AAAA\n", encoding="ascii")
    with pytest.raises(NotUnderstood, match="backup"):
        keys.load_or_create_signer(path, "canteen.example")


def test_a_ledger_with_a_new_key_or_name_begins_its_logs_anew(db: psycopg.Connection, school: str) -> None:
    log, other = LogName.CLAIMS, Ed25519PrivateKey.generate()
    with db.transaction(force_rollback=True):
        append_versions(db, school, range(5))
        logs.seal_log(db, school, log, SIGNER, NOW)
        before = logs.read_log_head(db, school, log)
        assert before.checkpoint is not None
        logs.store_cosigned(db, school, log, 5, before.checkpoint)
        logs.renew_checkpoints(db, SIGNER)  # of other tests' schools, which the running ledger signs
        assert logs.read_log_head(db, school, log) == logs.LogHead(5, before.checkpoint, 5, before.checkpoint)
        for witness, renewed in ((WITNESS, False), (WitnessSigner(WITNESS.name, other), True)):
            note = before.checkpoint
            cosigned = SignedNote(note.text, (*note.signatures, WITNESS.cosign(note.text, 7)))
            logs.store_cosigned(db, school, log, 5, cosigned)
            logs.renew_checkpoints(db, SIGNER, witness.key)
            assert (logs.read_log_head(db, school, log).cosigned is None) is renewed
        for signer in (LogSigner("canteen.example/2", SIGNER.private), LogSigner("canteen.example/2", other)):
            assert logs.renew_checkpoints(db, signer) >= 1
            after = logs.read_log_head(db, school, log)
            assert (after.size, after.cosigned_size, after.cosigned) == (5, 0, None)
            assert after.checkpoint is not None
            again = open_checkpoint(after.checkpoint, signer.log_key(school, log))
            assert again.root == open_checkpoint(before.checkpoint, SIGNER.log_key(school, log)).root
            assert logs.renew_checkpoints(db, signer) == 0
