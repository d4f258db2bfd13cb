"""Compares the ledger's log of events with this kiosk's own journal: what it has been promised must be there.

Each step asks for the newest checkpoint. It must be signed by the log, continue the checkpoint of the step before,
contain this kiosk's newest batch, and agree with the journal's own hash at that event. What a receipt covered at the
step before must be in the log by now. Where one of these does not hold, the two signed texts that contradict each
other are stored before anything is said: they are the proof against the ledger, or against a copy of this kiosk.
"""

from typing import Final, Protocol

import msgspec

from sync.client.channel import LedgerChannel
from sync.client.paced import Pace, PacedClient, SyncOutcome, SyncStep
from sync.client.pinned_key import PinnedKey, pin_key
from sync.client.ports import Outbox
from sync.contract import wire
from sync.contract.chain import DeviceId, Epoch, Hash, Head
from sync.contract.log_view import LogView, StrangeLogKey, check_log_key, log_view_path, log_view_query
from sync.errors import RequestRejected, SplitLog
from sync.proof.checkpoints import LogCheckpoint, open_checkpoint
from sync.proof.leaves import LogName, batch_leaf
from sync.proof.notes import BadNote, NoteKey, parse_key, parse_note
from sync.proof.tree import UnprovenTree, hash_leaf, verify_consistency, verify_inclusion

LOG_INTERVAL_S: Final = 600.0


class EvidenceStore(Protocol):
    """Where evidence against a ledger's log is stored."""

    def store_evidence(self, evidence: bytes) -> str:
        """Stores it durably and returns where it is, in words for a technician."""
        ...


class LogEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Two checkpoints as they were signed, and this kiosk's own word: they contradict each other."""

    why: str
    at: str  # this kiosk's clock
    device: str
    epoch: str
    last_checkpoint: str  # a signed note; empty: none was seen since the start
    view: LogView
    acknowledged_seq: int  # of this epoch, by the ledger's receipt, at the step before
    own_hash: str  # hex, of the event up to which the log claims to have this epoch; empty: none


class LogWatch(PacedClient):
    """Watches the events' log of one school. `receipts_key`: 32 raw bytes, as this kiosk learnt it."""

    name = "log"

    def __init__(
        self,
        outbox: Outbox,
        channel: LedgerChannel,
        school: str,
        receipts_key: bytes | PinnedKey,
        evidence: EvidenceStore,
        pace: Pace,
        *,
        interval_s: float = LOG_INTERVAL_S,
    ) -> None:
        super().__init__(pace, interval_s)
        self._outbox = outbox
        self._channel = channel
        self._school = school
        self._receipts_key = pin_key(receipts_key)
        self._evidence = evidence
        self._last: LogCheckpoint | None = None
        self._last_note = ""
        self._promised: tuple[Epoch, int] = (outbox.epoch, 0)  # what a receipt covered at the step before

    def _request(self) -> SyncStep:
        since = self._last.size if self._last else 0
        path, query = log_view_path(self._outbox.device), log_view_query(since)
        try:
            view = self._channel.get(LogView, path, query)
        except RequestRejected as error:
            if error.status == 404:
                return SyncStep(SyncOutcome.CURRENT, self._spread_interval_s(), "this ledger has no logs")
            raise
        promised = self._outbox.epoch, self._outbox.acknowledged().seq
        try:
            checkpoint = self._check(view)
        except (StrangeLogKey, BadNote, UnprovenTree, _Contradiction) as error:
            raise self._accuse(view, str(error)) from error
        self._promised = promised
        if checkpoint is None:
            return SyncStep(SyncOutcome.CURRENT, self._spread_interval_s(), "the log is empty")
        self._last, self._last_note = checkpoint, view.checkpoint
        return SyncStep(SyncOutcome.CURRENT, self._spread_interval_s(), f"the log of {checkpoint.size} leaves holds")

    def _check(self, view: LogView) -> LogCheckpoint | None:
        key = self._read_key(view)
        if not view.checkpoint:
            if self._last is not None:
                raise _Contradiction("the log was emptied")
            self._check_promise(view)
            return None
        checkpoint = open_checkpoint(parse_note(view.checkpoint.encode()), key)
        if self._last is not None:
            consistency = [bytes.fromhex(hashed) for hashed in view.consistency]
            verify_consistency(self._last.size, self._last.root, checkpoint.size, checkpoint.root, consistency)
        if view.epoch:
            self._check_batch(view, checkpoint)
        self._check_promise(view)
        return checkpoint

    def _read_key(self, view: LogView) -> NoteKey:
        check_log_key(self._receipts_key.raw, view.key, view.key_signature)
        key = parse_key(view.key)
        if not key.name.endswith(f"/{self._school}/{LogName.EVENTS.value}"):
            raise _Contradiction(f"a log of {key.name}, not of the events of {self._school}")
        if self._last is not None and key.name != self._last.origin:
            raise _Contradiction(f"the log is called {key.name} now, and was {self._last.origin}")
        return key

    def _check_batch(self, view: LogView, checkpoint: LogCheckpoint) -> None:
        device, epoch = DeviceId(self._outbox.device), Epoch(view.epoch)
        try:
            head = Head(view.last_seq, Hash(bytes.fromhex(view.head)))
        except ValueError as error:
            raise _Contradiction("a head that is no hash") from error
        path = [bytes.fromhex(hashed) for hashed in view.path]
        leaf = hash_leaf(batch_leaf(device, epoch, head))
        verify_inclusion(leaf, view.index, checkpoint.size, path, checkpoint.root)
        if epoch != self._outbox.epoch:
            return  # of an epoch before this one, whose hashes may be pruned
        own = self._outbox.find_hash(head.seq)
        if own is not None and own != head.hash:
            raise _Contradiction(f"the log has another event {head.seq} than this journal")
        if own is None and head.seq > self._outbox.head.seq:
            raise _Contradiction(f"the log has event {head.seq}, which this journal has not written")

    def _check_promise(self, view: LogView) -> None:
        epoch, seq = self._promised
        if epoch == self._outbox.epoch and seq > (view.last_seq if view.epoch == epoch else 0):
            raise _Contradiction(f"the ledger's receipt covers event {seq}, and its log does not have it")

    def _accuse(self, view: LogView, why: str) -> SplitLog:
        """Returns the error, once the evidence is stored."""
        own = self._outbox.find_hash(view.last_seq) if view.epoch == self._outbox.epoch else None
        evidence = LogEvidence(
            why=why, at=wire.time_text(self._pace.clock()), device=self._outbox.device, epoch=self._outbox.epoch,
            last_checkpoint=self._last_note, view=view, acknowledged_seq=self._promised[1],
            own_hash=own.hex() if own else "",
        )  # fmt: skip
        place = self._evidence.store_evidence(wire.to_json(evidence))
        return SplitLog(f"the ledger's log does not hold: {why}", f"give {place} to an auditor; recording goes on")


class _Contradiction(Exception):
    """The log contradicts what this kiosk knows; the message says in what."""
