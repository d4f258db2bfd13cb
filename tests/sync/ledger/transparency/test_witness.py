"""A witness over real HTTP: it cosigns what continues, keeps as evidence what does not, and forgets nothing."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from edge_agent.cli.ledger import app
from sync.errors import Unreachable
from sync.ledger.door.listening import HttpServerThread, ListeningAddress
from sync.ledger.errors import NotUnderstood
from sync.ledger.transparency import logs
from sync.ledger.transparency.cosigner import WitnessPeer, WitnessRefusal, cosign_log, list_uncosigned
from sync.ledger.transparency.outgoing import post
from sync.ledger.transparency.witness import SIZE_MEDIA, Witness, build_witness_application, read_evidence
from sync.proof.checkpoints import open_checkpoint, read_cosignature
from sync.proof.leaves import LogName
from sync.proof.notes import BadNote, NoteKey, SignedNote, parse_key, parse_note, parse_signatures
from sync.proof.signer import LogSigner, WitnessSigner
from sync.proof.tree import HashTree, hash_leaf
from sync.proof.witnessing import CheckpointRequest, parse_request

NOW = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
LEDGER = LogSigner("canteen.example", Ed25519PrivateKey.from_private_bytes(b"log".ljust(32, b".")))
SIGNER = WitnessSigner("witness.example", Ed25519PrivateKey.from_private_bytes(b"witness".ljust(32, b".")))
ORIGIN = "canteen.example/sch-1/events"


class RunningWitness:
    """A witness's server; a second one over the same folder is its restart."""

    def __init__(self, folder: Path, ledger_key: NoteKey = LEDGER.ledger_key) -> None:
        self.witness = Witness(folder, SIGNER, [ledger_key], lambda: NOW)
        self._server = HttpServerThread(build_witness_application(self.witness), ListeningAddress(), "witness-http")
        self.http = httpx.Client(base_url=self._server.url, timeout=30)

    @property
    def peer(self) -> WitnessPeer:
        return WitnessPeer(self._server.url, self.witness.key)

    def add(self, request: CheckpointRequest | bytes) -> httpx.Response:
        body = request if isinstance(request, bytes) else request.encode()
        return self.http.post("/add-checkpoint", content=body)

    def close(self) -> None:
        self.http.close()
        self._server.stop()


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[RunningWitness]:
    running = RunningWitness(tmp_path)
    yield running
    running.close()


def history(count: int, edited: int = -1) -> HashTree:
    return HashTree(hash_leaf(b"edited" if number == edited else b"leaf %d" % number) for number in range(count))


def request(tree: HashTree, old: int, size: int, signer: LogSigner = LEDGER) -> CheckpointRequest:
    note = signer.sign("sch-1", LogName.EVENTS, size, tree.root(size))
    return CheckpointRequest(old, tuple(tree.prove_consistency(old, size)), note)


def test_what_continues_is_cosigned(witness: RunningWitness, tmp_path: Path) -> None:
    tree = history(40)
    for old, size in ((0, 3), (3, 4), (4, 4), (4, 17), (17, 40)):
        asked = request(tree, old, size)
        reply = witness.add(asked)
        assert reply.status_code == 200, reply.text
        note = SignedNote(asked.note.text, (*asked.note.signatures, *parse_signatures(reply.text)))
        again = parse_note(str(note).encode())
        assert read_cosignature(again, SIGNER.key).seconds == int(NOW.timestamp())
        assert open_checkpoint(again, LEDGER.log_key("sch-1", LogName.EVENTS)).size == size
    assert parse_key(witness.http.get("/key").text.strip()) == SIGNER.key
    assert read_evidence(tmp_path) == []


def test_two_views_are_never_both_cosigned(witness: RunningWitness, tmp_path: Path) -> None:
    honest, edited = history(20), history(20, edited=2)
    assert witness.add(request(honest, 0, 7)).status_code == 200
    same_size = witness.add(request(edited, 7, 7))
    assert (same_size.status_code, same_size.headers["content-type"], same_size.text) == (409, SIZE_MEDIA, "7\n")
    assert witness.add(request(edited, 7, 20)).status_code == 422
    mixed = CheckpointRequest(7, tuple(honest.prove_consistency(7, 20)), request(edited, 7, 20).note)
    assert witness.add(mixed).status_code == 422
    witness.close()
    restarted = RunningWitness(tmp_path)
    try:
        assert restarted.add(request(edited, 7, 20)).status_code == 422
        from_nothing = restarted.add(request(edited, 0, 20))
        assert (from_nothing.status_code, from_nothing.text) == (409, "7\n")
        assert restarted.add(request(honest, 7, 20)).status_code == 200
        evidence = read_evidence(tmp_path)
    finally:
        restarted.close()
    assert "two histories" in evidence[0].reason
    key = LEDGER.log_key("sch-1", LogName.EVENTS)
    one, other = (open_checkpoint(text.encode(), key) for text in (evidence[0].note, evidence[0].last_note))
    assert one.size == other.size
    assert one.root != other.root  # both signed by the log itself
    folder = tmp_path / "notes"
    shown = CliRunner().invoke(app, ["witness-evidence", str(folder), "--data", str(tmp_path), "--json"])
    assert shown.exit_code == 0, shown.output
    assert [row["log"] for row in json.loads(shown.output)] == [ORIGIN] * len(evidence)
    for number, view in enumerate(evidence, 1):
        assert (folder / f"{number:03}-refused.note").read_text("utf-8") == view.note
        assert (folder / f"{number:03}-cosigned-before.note").read_text("utf-8") == view.last_note
    again = CliRunner().invoke(app, ["witness-evidence", str(folder), "--data", str(tmp_path / "nowhere")])
    assert "no witness has been here" in str(again.exception)


def test_a_log_never_goes_back(witness: RunningWitness) -> None:
    tree = history(9)
    assert witness.add(request(tree, 0, 9)).status_code == 200
    assert witness.add(request(tree, 3, 5)).text == "9\n"
    smaller = CheckpointRequest(9, (), request(tree, 0, 5).note)
    assert witness.add(smaller).status_code == 400


def test_strangers_and_rubbish_are_refused(witness: RunningWitness) -> None:
    tree = history(5)
    stranger = LogSigner("canteen.example", Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    assert witness.add(request(tree, 0, 5, stranger)).status_code == 403
    elsewhere = LogSigner("canteen.example.evil", LEDGER.private)
    assert witness.add(request(tree, 0, 5, elsewhere)).status_code == 404
    good = request(tree, 0, 5).encode()
    for wrong in (b"", b"old 0\n", good.replace(b"old 0", b"old 00"), good.replace(b"old 0", b"old -1"), good[:-1],
                  good.replace(b"old 0\n", b"old 0\nAAAA\n"), good + b"\n", b"\xff" + good):  # fmt: skip
        assert witness.add(wrong).status_code == 400, wrong
    assert witness.add(b"old 0\n" + b"x" * 70_000).status_code == 413
    assert witness.add(good.replace(b"old 0\n", b"old 0\n" + b"A" * 43 + b"=\n")).status_code == 422
    assert witness.add(good).status_code == 200


def test_of_many_histories_at_once_one_is_cosigned(witness: RunningWitness) -> None:
    requests = [request(history(8, edited=number), 0, 8) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        statuses = [reply.status_code for reply in pool.map(witness.add, requests)]
    assert sorted(statuses) == [200, *[409] * 7]


def test_a_request_reads_back_as_it_was_written() -> None:
    asked = request(history(12), 5, 12)
    assert parse_request(asked.encode()) == asked
    with pytest.raises(BadNote):
        parse_request(asked.encode().replace(b"old 5\n", b"old 5\n" + (b"A" * 43 + b"=\n") * 64))


def append(db: psycopg.Connection, school: str, count: int, leaf: bytes = b"a leaf") -> None:
    for _ in range(count):
        logs.append_leaf(db, school, LogName.CLAIMS, leaf)


def test_a_ledger_has_its_logs_cosigned_and_a_restored_one_does_not(
    db: psycopg.Connection, school: str, witness: RunningWitness, tmp_path: Path
) -> None:
    name = (school, LogName.CLAIMS)
    with db.transaction(force_rollback=True):  # in one transaction: the running checkpointer signs with another key
        for count in (3, 5):
            append(db, school, count)
            logs.seal_log(db, *name, LEDGER, NOW)
            assert name in list_uncosigned(db)
            cosign_log(db, *name, witness.peer)
            assert name not in list_uncosigned(db)
        head = logs.read_log_head(db, *name)
        assert (head.size, head.cosigned_size) == (8, 8)
        assert head.cosigned is not None
        assert read_cosignature(head.cosigned, witness.witness.key).seconds == int(NOW.timestamp())
        db.execute("UPDATE log_head SET cosigned_size = 3 WHERE school = %s", (school,))  # an older backup of this row
        append(db, school, 1)
        logs.seal_log(db, *name, LEDGER, NOW)
        cosign_log(db, *name, witness.peer)
        assert logs.read_log_head(db, *name).cosigned_size == 9
    # Everything above is gone, as after a restored backup: another history of the same log begins.
    with db.transaction(force_rollback=True):
        append(db, school, 2, b"another")
        logs.seal_log(db, *name, LEDGER, NOW)
        with pytest.raises(WitnessRefusal, match="restored or edited"):
            cosign_log(db, *name, witness.peer)
        append(db, school, 12)
        logs.seal_log(db, *name, LEDGER, NOW)
        with pytest.raises(WitnessRefusal, match="422"):
            cosign_log(db, *name, witness.peer)
        assert logs.read_log_head(db, *name).cosigned is None
    assert read_evidence(tmp_path)


def test_a_witness_that_lies_is_not_believed(db: psycopg.Connection, school: str, witness: RunningWitness) -> None:
    other = WitnessSigner("witness.example", Ed25519PrivateKey.from_private_bytes(b"z" * 32))
    with db.transaction(force_rollback=True):
        append(db, school, 1)
        logs.seal_log(db, school, LogName.CLAIMS, LEDGER, NOW)
        with pytest.raises(WitnessRefusal, match="no cosignature"):
            cosign_log(db, school, LogName.CLAIMS, WitnessPeer(witness.peer.url, other.key))


def test_addresses_that_the_ledger_does_not_speak_to() -> None:
    for url in ("http://example.org/", "ftp://127.0.0.1/", "https://", "https://user@host/", "https://host:0/", "x"):
        with pytest.raises(NotUnderstood):
            post(url, b"", {})
    with pytest.raises(Unreachable):
        post("http://127.0.0.1:9/", b"", {}, 1)


@pytest.mark.parametrize(("stated", "sent"), [("100", 100), ("100", 5)], ids=["byte by byte", "broken off"])
def test_no_answer_takes_longer_than_it_may_or_passes_for_a_whole_one(stated: str, sent: int) -> None:
    done = threading.Event()

    class SlowHandler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("content-length", stated)
            self.end_headers()
            with suppress(OSError):  # the other end has hung up
                for _ in range(sent):
                    self.wfile.write(b"x")
                    done.wait(0.1 if sent == int(stated) else 0)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), SlowHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(Unreachable, match="broke off, or took too long"):
                post(f"http://127.0.0.1:{server.server_port}/", b"", {}, 0.5)
        finally:
            done.set()
            server.shutdown()


def test_the_command_runs_a_witness_with_its_own_key(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("edge-agent")), "ledger"]
    key = subprocess.run(
        [*command, "log-key", "--data", str(tmp_path / "ledger"), "--log-name", "canteen.example", "--json"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    log_key = json.loads(key.stdout)["key"]
    arguments = ["witness", log_key, "--name", "witness.example", "--data", str(tmp_path / "witness"), "--port", "0"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("witness at ").strip()
            shown = process.stdout.readline().strip()
            assert httpx.get(f"{url}/key", timeout=30).text.strip() == shown
            assert parse_key(shown).name == "witness.example"
        finally:
            process.terminate()
    assert process.returncode == 0
