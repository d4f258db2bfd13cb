"""A journal in memory, as an `Outbox`: a disk that can be copied, put back, and cut at any moment."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

from sync.client.keys import DeviceKey
from sync.client.ports import OutboxRow
from sync.contract import chain, event, receipt
from sync.contract.chain import DeviceId, Epoch, Hash, Head

KEY = DeviceKey.make()
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

    @property
    def head(self) -> Head:
        return Head(self.rows[-1].seq, self.rows[-1].hash) if self.rows else Head(0, self.genesis)


class KioskDisk:
    """The disk of one kiosk."""

    def __init__(self, device: str = "kiosk-7") -> None:
        self.device = DeviceId(device)
        self.journal_epochs: list[JournalEpoch] = []
        self.quarantined: dict[tuple[str, int], tuple[str, bool]] = {}
        self.receipts: list[receipt.Receipt] = []
        self.pruned_through = 0
        self.selects = 0
        self._epochs = 0
        self._begin(b"")

    def make_image(self) -> "KioskDisk":
        return copy.deepcopy(self)

    def put_back(self, image: "KioskDisk") -> None:
        """The card is replaced by an old image of it. Epochs are random, so a number is never drawn twice."""
        drawn = self._epochs
        self.__dict__.update(copy.deepcopy(image.__dict__))
        self._epochs = drawn

    def _begin(self, parent: bytes) -> None:
        self._epochs += 1
        epoch = Epoch(f"{self._epochs:016x}")
        self.journal_epochs.append(
            JournalEpoch(epoch, parent, chain.genesis(self.device, KEY.public_bytes, epoch, parent))
        )
        self.pruned_through = 0

    @property
    def current(self) -> JournalEpoch:
        return self.journal_epochs[-1]

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

    def read_rows(self, after: int, events_max: int, bytes_max: int) -> Sequence[OutboxRow]:
        self.selects += 1
        rows: list[OutboxRow] = []
        for row in self.current.rows[max(after, self.pruned_through) : max(after, self.pruned_through) + events_max]:
            if rows and sum(len(earlier.payload) for earlier in rows) + len(row.payload) > bytes_max:
                break
            rows.append(row)
        return rows

    def find_hash(self, seq: int) -> Hash | None:
        if seq == 0:
            return self.current.genesis
        if seq > len(self.current.rows) or seq <= self.pruned_through:
            return None
        return self.current.rows[seq - 1].hash

    def acknowledge(self, head: Head, receipt_bytes: bytes) -> None:
        self.receipts.append(receipt.from_json(receipt_bytes))
        if head.seq > self.current.acknowledged:
            assert self.find_hash(head.seq) == head.hash, "the client must have verified this"
            self.current.acknowledged = head.seq

    def quarantine(self, seq: int, code: str, detail: str, *, tombstone: bool) -> None:
        self.quarantined[self.epoch, seq] = (code, tombstone)

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
