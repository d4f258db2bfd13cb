"""A kiosk and its ledger's log: whatever the ledger leaves out, changes or shows twice is noticed, with evidence."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.runtime.evidence import EVIDENCE_FILES_MAX, EvidenceFolder
from sync.client.channel import HttpResponse, LedgerChannel
from sync.client.log_watch import LogEvidence, LogWatch
from sync.client.paced import SyncOutcome, SyncStep
from sync.contract import wire
from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.contract.log_view import LogView, vouch_for_log_key
from sync.contract.wire import ProblemDocument
from sync.errors import SyncAlarm
from sync.proof.checkpoints import open_checkpoint
from sync.proof.leaves import LogName, batch_leaf
from sync.proof.notes import parse_key
from sync.proof.signer import LogSigner
from sync.proof.tree import HashTree, hash_leaf
from tests.sync.client.bench import Bench
from tests.sync.client.disk import KEY
from tests.sync.client.ledger import SERVER_KEY, SERVER_PUBLIC

SCHOOL = "s-12"
SIGNER = LogSigner("canteen.example", Ed25519PrivateKey.from_private_bytes(b"log".ljust(32, b".")))


@dataclass
class LoggingLedger:
    """The log of a ledger, as a transport. It lies only where a test makes it (`alter`)."""

    device: DeviceId
    leaves: list[bytes] = field(default_factory=list)
    batches: list[tuple[int, Epoch, Head]] = field(default_factory=list)
    alter: Callable[[LogView], LogView] = lambda view: view
    status: int = 200

    def log(self, epoch: Epoch, head: Head) -> None:
        self.leaves += [b"another kiosk's", batch_leaf(self.device, epoch, head)]
        self.batches.append((len(self.leaves) - 1, epoch, head))

    def view(self, since: int) -> LogView:
        tree, key = HashTree(map(hash_leaf, self.leaves)), str(SIGNER.log_key(SCHOOL, LogName.EVENTS))
        empty = LogView(time="", key=key, key_signature=vouch_for_log_key(SERVER_KEY, key))
        if not self.leaves:
            return empty
        consistency = tree.prove_consistency(since) if since <= tree.size else []
        signed = msgspec.structs.replace(
            empty, checkpoint=str(SIGNER.sign(SCHOOL, LogName.EVENTS, tree.size, tree.root())),
            consistency=tuple(hashed.hex() for hashed in consistency),
        )  # fmt: skip
        if not self.batches:
            return signed
        index, epoch, head = self.batches[-1]
        return msgspec.structs.replace(
            signed, epoch=epoch, last_seq=head.seq, head=head.hash.hex(), index=index,
            path=tuple(hashed.hex() for hashed in tree.prove_inclusion(index)),
        )  # fmt: skip

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        assert (method, path) == ("GET", f"/v1/devices/{self.device}/log")
        if self.status != 200:
            return HttpResponse(self.status, {}, wire.to_json(ProblemDocument(status=self.status)))
        return HttpResponse(200, {}, wire.to_json(self.alter(self.view(int(query.removeprefix("since="))))))


class WatchBench:
    """A kiosk that has sent some events, its ledger's log, and its watch over it."""

    def __init__(self, folder: Path, events: int = 6) -> None:
        self.bench, self.folder = Bench(events), folder
        self.disk = self.bench.disk
        self.ledger = LoggingLedger(self.disk.device)
        channel = LedgerChannel(self.ledger, KEY, self.disk.device, self.bench.now)
        evidence = EvidenceFolder(folder)
        self.watch = LogWatch(self.disk, channel, SCHOOL, SERVER_PUBLIC, evidence, self.bench.pace)

    def deliver(self) -> None:
        """Sends what waits; the honest ledger logs it."""
        self.bench.drain()
        self.ledger.log(self.disk.epoch, self.disk.acknowledged())

    def step(self) -> SyncStep:
        self.watch.hurry()
        return self.watch.step()

    def evidence(self) -> list[LogEvidence]:
        files = sorted(self.folder.glob("log-evidence-*.json"))
        return [msgspec.json.decode(file.read_bytes(), type=LogEvidence) for file in files]


@pytest.fixture
def kiosk(tmp_path: Path) -> WatchBench:
    return WatchBench(tmp_path)


def check_alarm(kiosk: WatchBench, reason: str) -> LogEvidence:
    step = kiosk.step()
    assert (step.outcome, step.alarm) == (SyncOutcome.STOPPED, SyncAlarm.SPLIT_LOG), step
    assert reason in step.why
    assert "log-evidence-01.json" in step.why
    [evidence] = kiosk.evidence()
    assert reason in evidence.why
    return evidence


def test_an_honest_log_raises_no_alarm(kiosk: WatchBench) -> None:
    assert kiosk.step().why == "the log is empty"
    for number in range(5):
        kiosk.deliver()
        step = kiosk.step()
        assert (step.outcome, step.alarm) == (SyncOutcome.CURRENT, SyncAlarm.NONE), step.why
        assert "holds" in step.why
        kiosk.bench.record(100 + number)
        assert kiosk.step().outcome is SyncOutcome.CURRENT
    assert kiosk.evidence() == []


def test_a_ledger_without_logs_is_none_of_our_business(kiosk: WatchBench) -> None:
    kiosk.ledger.status = 404
    assert (kiosk.step().outcome, kiosk.step().alarm) == (SyncOutcome.CURRENT, SyncAlarm.NONE)


def test_a_ledger_that_is_away_is_asked_again(kiosk: WatchBench) -> None:
    kiosk.ledger.status = 503
    assert kiosk.step().outcome is SyncOutcome.UNREACHABLE
    assert kiosk.evidence() == []


def test_events_that_were_acknowledged_and_never_logged(kiosk: WatchBench) -> None:
    kiosk.deliver()
    kiosk.step()
    kiosk.bench.record(7, 8)
    kiosk.bench.drain()  # the receipt comes; the log stays as it was
    assert kiosk.step().alarm is SyncAlarm.NONE  # it may be on its way
    evidence = check_alarm(kiosk, "receipt covers event 8")
    assert evidence.acknowledged_seq == 8


def test_a_history_that_was_edited(kiosk: WatchBench) -> None:
    kiosk.deliver()
    kiosk.step()
    kiosk.ledger.leaves[0] = b"edited"
    kiosk.bench.record(7)
    kiosk.deliver()
    evidence = check_alarm(kiosk, "does not continue")
    key = parse_key(evidence.view.key)
    sizes = [open_checkpoint(text.encode(), key).size for text in (evidence.last_checkpoint, evidence.view.checkpoint)]
    assert sizes == [2, 4]  # both signed by the log


def test_a_log_that_shrank(kiosk: WatchBench) -> None:
    kiosk.deliver()
    kiosk.ledger.leaves.append(b"one more")
    kiosk.step()
    kiosk.ledger.leaves.pop()
    check_alarm(kiosk, "cannot continue")


def test_a_log_that_was_emptied(kiosk: WatchBench) -> None:
    kiosk.deliver()
    kiosk.step()
    kiosk.ledger.leaves.clear()
    check_alarm(kiosk, "emptied")


def test_another_event_under_our_number(kiosk: WatchBench) -> None:
    kiosk.bench.drain()
    kiosk.ledger.log(kiosk.disk.epoch, Head(6, Hash(b"x" * 32)))
    evidence = check_alarm(kiosk, "another event 6")
    own = kiosk.disk.find_hash(6)
    assert own is not None
    assert evidence.own_hash == own.hex()


def test_an_event_that_we_never_wrote(kiosk: WatchBench) -> None:
    kiosk.bench.drain()
    kiosk.ledger.log(kiosk.disk.epoch, Head(60, Hash(b"x" * 32)))
    check_alarm(kiosk, "has not written")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda view: {"key_signature": "00" * 64}, "vouches"),
        (lambda view: {"key": str(SIGNER.log_key("s-13", LogName.EVENTS))}, "vouches"),
        (lambda view: {"checkpoint": view.checkpoint.replace("\n3\n", "\n4\n").replace("\n2\n", "\n3\n")}, "not good"),
        (lambda view: {"checkpoint": "rubbish"}, "a note is"),
        (lambda view: {"index": view.index - 1}, "is not in this tree"),
        (lambda view: {"path": ()}, "below the root"),
        (lambda view: {"head": "zz"}, "no hash"),
        (lambda view: {"last_seq": view.last_seq - 1}, "is not in this tree"),
    ],
)
def test_a_view_that_does_not_hold(
    kiosk: WatchBench, change: Callable[[LogView], dict[str, object]], reason: str
) -> None:
    kiosk.deliver()
    kiosk.ledger.alter = lambda view: msgspec.structs.replace(view, **change(view))
    check_alarm(kiosk, reason)


def test_a_log_of_another_school_or_name(kiosk: WatchBench) -> None:
    kiosk.deliver()
    kiosk.step()

    def rename(view: LogView, ledger: str, school: str) -> LogView:
        signer, checkpoint = (
            LogSigner(ledger, SIGNER.private),
            open_checkpoint(view.checkpoint.encode(), parse_key(view.key)),
        )
        key = str(signer.log_key(school, LogName.EVENTS))
        note = str(signer.sign(school, LogName.EVENTS, checkpoint.size, checkpoint.root))
        return msgspec.structs.replace(view, key=key, key_signature=vouch_for_log_key(SERVER_KEY, key), checkpoint=note)

    kiosk.ledger.alter = lambda view: rename(view, "canteen.example", "s-13")
    check_alarm(kiosk, "not of the events of s-12")
    kiosk.ledger.alter = lambda view: rename(view, "other.example", SCHOOL)
    assert "is called other.example" in kiosk.step().why


def test_evidence_has_an_end(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path)
    places = [folder.store_evidence(b"%d" % number) for number in range(EVIDENCE_FILES_MAX + 3)]
    assert len(set(places)) == EVIDENCE_FILES_MAX
    assert (tmp_path / "log-evidence-01.json").read_bytes() == b"0"
