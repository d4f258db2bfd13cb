"""An export can be walked by anybody who has read the contract."""

import json
import struct
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from edge_agent.journal.backup import back_up_journal
from edge_agent.journal.errors import JournalDamaged
from edge_agent.journal.export import NotAnExport, export_journal, verify_export
from edge_agent.journal.verify import ChainBreak, verify_journal
from tests.edge_agent.journal.samples import StandingClock, build_entry, open_journal
from tests.edge_agent.journal.test_epochs import append_raw
from tests.edge_agent.journal.test_open import ALTERED, spoil


def walk_as_auditor(path: Path) -> int:
    """An own little checker: no word of our code, only json, hashlib and the contract."""

    def lp(field: bytes) -> bytes:
        return struct.pack(">I", len(field)) + field

    rows = 0
    own, seq, end = b"", 0, (0, "")
    for line in path.read_bytes().splitlines():
        line_content = json.loads(line)
        if "device" in line_content:
            assert (seq, own.hex()) == end or not rows
            fields = [
                line_content["device"].encode(),
                bytes.fromhex(line_content["public_key"]),
                line_content["epoch"].encode(),
            ]
            start = sha256(b"cnt1-genesis" + b"".join(map(lp, [*fields, bytes.fromhex(line_content["parent_head"])])))
            seq, own = line_content["anchor_seq"], bytes.fromhex(line_content["anchor_hash"])
            assert seq > 0 or own == start.digest()
            end = (line_content["head_seq"], line_content["head_hash"])
            continue
        payload = line[line.index(b'"event":') + 8 : -1]
        own = sha256(b"cnt1" + own + struct.pack(">I", len(payload)) + payload).digest()
        seq, rows = seq + 1, rows + 1
        assert (line_content["seq"], line_content["hash"]) == (seq, own.hex())
        assert json.loads(payload) == line_content["event"]
    assert (seq, own.hex()) == end
    return rows


def make_history(path: Path) -> None:
    clocks = StandingClock()
    with open_journal(path, now=clocks) as journal:
        journal.append_all([build_entry(number, note="қазақша «x» \\ \n") for number in range(1, 1_101)])
        early = journal.outbox.read_rows(499, 1, 1)[0]
        journal.outbox.acknowledge(type(journal.outbox.head)(early.seq, early.hash), b"receipt")
        clocks.forward(days=40)
        journal.prune(before=clocks.utc)
        journal.outbox.open_epoch("fork", parent=journal.outbox.acknowledged())
        journal.append(build_entry(2_000))


def test_an_export_has_every_row_and_can_be_verified(tmp_path: Path) -> None:
    path, target = tmp_path / "j.db", tmp_path / "out.jsonl"
    make_history(path)
    append_raw(path, b'{"kind":"thought","of":"a later version"}')
    count = export_journal(path, target)
    assert count == verify_journal(path).rows == walk_as_auditor(target)
    verdict = verify_export(target)
    assert (verdict.whole, verdict.rows, verdict.epochs) == (True, count, 2)
    with pytest.raises(FileExistsError):
        export_journal(path, target)
    assert target.stat().st_mode & 0o077 == 0


def test_an_altered_export_is_detected(tmp_path: Path) -> None:
    path, target = tmp_path / "j.db", tmp_path / "out.jsonl"
    with open_journal(path) as journal:
        journal.append_all([build_entry(number) for number in range(1, 11)])
        epoch = journal.outbox.epoch
    export_journal(path, target)
    lines = target.read_bytes().splitlines(keepends=True)

    def verdict_on(changed: list[bytes]) -> ChainBreak | None:
        target.write_bytes(b"".join(changed))
        return verify_export(target).broken

    assert verdict_on(lines) is None
    altered = [*lines[:4], lines[4].replace(b"lunch", b"brunch"), *lines[5:]]
    assert verdict_on(altered) == ChainBreak(epoch, 4, "its bytes are not those that were hashed")
    assert verdict_on([*lines[:4], *lines[5:]]) == ChainBreak(epoch, 4, "missing")
    assert verdict_on(lines[:-1]) == ChainBreak(epoch, 10, "missing")
    assert verdict_on([lines[0].replace(b"kiosk-1", b"kiosk-2"), *lines[1:]]) == ChainBreak(
        epoch, 0, "the chain does not start at its genesis"
    )
    assert verdict_on([]) == ChainBreak("", 0, "an empty file")
    for wrong in ([*lines[:-1], lines[-1][:-9]], lines[1:], [b"{}\n"], [lines[0], b"x" * 200_000]):
        target.write_bytes(b"".join(wrong))
        with pytest.raises(NotAnExport, match="line"):
            verify_export(target)


def test_a_broken_journal_is_not_exported_as_if_it_were_whole(tmp_path: Path) -> None:
    path, target = tmp_path / "j.db", tmp_path / "out.jsonl"
    with open_journal(path) as journal:
        journal.append_all([build_entry(number) for number in range(1, 11)])
    spoil(path, ALTERED + " 6")
    with pytest.raises(JournalDamaged, match="row 6"):
        export_journal(path, target)
    assert not target.exists()


def test_a_journal_is_exported_and_backed_up_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    stop = threading.Event()
    with open_journal(path) as journal:
        journal.append_all([build_entry(number) for number in range(1, 2_001)])

        def scans() -> None:
            number = 3_000
            while not stop.is_set():
                number += 1
                journal.append(build_entry(number))

        thread = threading.Thread(target=scans)
        thread.start()
        try:
            before = journal.outbox.head.seq
            assert before <= export_journal(path, tmp_path / "out.jsonl")
            verdict = back_up_journal(path, tmp_path / "copy.db")
            assert verdict.whole
            assert verdict.rows >= before
        finally:
            stop.set()
            thread.join()
        assert walk_as_auditor(tmp_path / "out.jsonl") >= before
    assert verify_journal(path).whole
    with open_journal(tmp_path / "copy.db") as copy:
        copy.append(build_entry(1))
    with pytest.raises(FileExistsError):
        back_up_journal(path, tmp_path / "copy.db")


def test_a_backup_is_a_single_proven_file(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    make_history(path)
    target = tmp_path / "stick" / "copy.db"
    target.parent.mkdir()
    assert back_up_journal(path, target).rows == verify_journal(path).rows
    assert [file.name for file in target.parent.iterdir()] == ["copy.db"]
    assert target.stat().st_mode & 0o077 == 0
    spoil(path, ALTERED + " 1001")
    with pytest.raises(JournalDamaged, match="row 1001"):
        back_up_journal(path, tmp_path / "second.db")
    assert not (tmp_path / "second.db").exists()
