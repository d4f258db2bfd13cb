"""A journal in memory, as an `Outbox`: a disk that can be copied, put back, and cut at any moment."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.client.keys import DeviceKey
from sync.client.ports import DEFERRED, DeferredEvent, OutboxEpoch, OutboxRow
from sync.contract import chain, event, receipt
from sync.contract.chain import DeviceId, Epoch, Hash, Head

KEY = DeviceKey(Ed25519PrivateKey.from_private_bytes(bytes(range(60, 92))))
BASE = {
    "school": "s-12",
    "at": "2026-11-22T04:40:00.000Z",
    "boot": "b",
    "mono_ms": 1,
    "clock": event.ClockQuality.UNKNOWN,
}


def make_payload(number: int) -> bytes:
    """Returns the payload of an event; another number gives other bytes."""
    return event.encode(event.Repeat(**BASE, note=f"event {number}"))  # type: ignore[arg-type]  # names as in Event


@dataclass
class JournalEpoch:
    """One life of the journal."""

    epoch: Epoch
    parent: bytes
    genesis: Hash
    rows: list[OutboxRow] = field(default_factory=list)
    acknowledged: int = 0
    pruned_through: int = 0

    def hash_at(self, seq: int) -> Hash | None:
        """Returns the hash at this number, also of the last pruned row."""
        if seq == 0:
            return self.genesis
        return self.rows[seq - 1].hash if self.pruned_through <= seq <= len(self.rows) else None

    @property
    def head(self) -> Head:
        return Head(self.rows[-1].seq, self.rows[-1].hash) if self.rows else Head(0, self.genesis)


class KioskDisk:
    """The disk of one kiosk."""

    def __init__(self, device: str = "kiosk-7") -> None:
        self.device = DeviceId(device)
        self.journal_epochs: list[JournalEpoch] = []
        self.quarantined: dict[tuple[str, int], tuple[str, bool]] = {}
        self.noted: dict[tuple[str, int], datetime] = {}
        self.clock: Callable[[], datetime] = lambda: datetime(2026, 11, 22, tzinfo=UTC)
        self.lost: list[tuple[str, int, int]] = []
        self.receipts: list[receipt.Receipt] = []
        self.selects = 0
        self._epochs = 0
        self._begin(b"")

    def make_image(self) -> "KioskDisk":
        image = copy.copy(self)
        image.__dict__.update(self._copy_state())
        return image

    def _copy_state(self) -> dict[str, object]:
        """Returns what is on the card: clock and power are not."""
        state = {name: copy.copy(value) for name, value in self.__dict__.items() if name not in ("clock", "power")}
        return state | {"journal_epochs": [replace(life, rows=list(life.rows)) for life in self.journal_epochs]}

    def put_back(self, image: "KioskDisk") -> None:
        """The card is replaced by an old image of it. Epochs are random, so a number is never drawn twice."""
        drawn = self._epochs
        self.__dict__.update(image._copy_state())
        self._epochs = drawn

    def _begin(self, parent: bytes) -> None:
        self._epochs += 1
        epoch = Epoch(f"{self._epochs:016x}")
        self.journal_epochs.append(
            JournalEpoch(epoch, parent, chain.genesis(self.device, KEY.public_bytes, epoch, parent))
        )

    @property
    def current(self) -> JournalEpoch:
        return self.journal_epochs[-1]

    @property
    def pruned_through(self) -> int:
        return self.current.pruned_through

    @pruned_through.setter
    def pruned_through(self, through: int) -> None:
        self.current.pruned_through = through

    def _life(self, epoch: Epoch | None) -> JournalEpoch:
        return next(life for life in reversed(self.journal_epochs) if epoch in (None, life.epoch))

    def append(self, payload: bytes) -> None:
        head = self.current.head
        self.current.rows.append(OutboxRow(head.seq + 1, payload, chain.extend(head.hash, payload)))

    # The methods of `Outbox`

    @property
    def epoch(self) -> Epoch:
        return self.current.epoch

    @property
    def head(self) -> Head:
        return self.current.head

    @property
    def parent_head(self) -> bytes:
        return self.current.parent

    def acknowledged(self) -> Head:
        through = self.current.acknowledged
        return Head(through, self.current.rows[through - 1].hash) if through else Head(0, self.current.genesis)

    def epochs(self) -> Sequence[OutboxEpoch]:
        return [
            OutboxEpoch(
                life.epoch,
                life.parent,
                life.genesis,
                Head(life.pruned_through, life.hash_at(life.pruned_through) or life.genesis),
                life.head,
                Head(life.acknowledged, life.rows[life.acknowledged - 1].hash if life.acknowledged else life.genesis),
            )
            for life in self.journal_epochs
        ]

    def read_rows(self, after: int, events_max: int, bytes_max: int, epoch: Epoch | None = None) -> Sequence[OutboxRow]:
        self.selects += 1
        rows: list[OutboxRow] = []
        life = self._life(epoch)
        start = max(after, life.pruned_through)
        for row in life.rows[start : start + events_max]:
            if rows and sum(len(earlier.payload) for earlier in rows) + len(row.payload) > bytes_max:
                break
            rows.append(row)
        return rows

    def find_hash(self, seq: int, epoch: Epoch | None = None) -> Hash | None:
        return self._life(epoch).hash_at(seq)

    def acknowledge(self, head: Head, receipt_bytes: bytes, epoch: Epoch | None = None) -> None:
        self.receipts.append(receipt.from_json(receipt_bytes))
        life = self._life(epoch)
        if head.seq > life.acknowledged:
            assert life.hash_at(head.seq) == head.hash, "the client must have verified this"
            life.acknowledged = head.seq

    def quarantine(self, seq: int, code: str, detail: str, *, tombstone: bool, epoch: Epoch | None = None) -> None:
        self.quarantined[epoch or self.epoch, seq] = (code, tombstone)
        self.noted[epoch or self.epoch, seq] = self.clock()

    def list_deferred(self) -> Sequence[DeferredEvent]:
        return [
            DeferredEvent(Epoch(epoch), seq, self.noted[epoch, seq])
            for (epoch, seq), (code, tombstone) in self.quarantined.items()
            if tombstone and code.startswith(DEFERRED)
        ]

    def declare_lost(self, through: int) -> Epoch:
        self.lost.append((self.epoch, self.head.seq + 1, through))
        return self.open_epoch("missing", parent=self.acknowledged())

    def open_epoch(self, why: str, *, parent: Head | None, kept_as: str = "") -> Epoch:
        old = self.current
        self._begin(parent.hash if parent else b"")
        for row in old.rows[old.acknowledged :]:
            try:
                carried = isinstance(event.decode(row.payload), event.Carried)
            except event.UnreadableEvent:
                carried = False
            self.append(row.payload if carried else _carry(old.epoch, row))
        return self.epoch

    def queue_depth(self) -> int:
        return len(self.current.rows) - self.current.acknowledged


def _carry(epoch: Epoch, row: OutboxRow) -> bytes:
    return event.encode(
        event.Carried(
            **BASE,  # type: ignore[arg-type]  # names as in Event
            old_epoch=epoch,
            old_seq=row.seq,
            old_hash=row.hash.hex(),
            payload=row.payload.decode(),
        )
    )
