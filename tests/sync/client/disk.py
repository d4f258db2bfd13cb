"""A journal in memory that does what `Outbox` asks: a disk that can be copied, put back, and cut at any moment."""

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


def fact(number: int) -> bytes:
    return event.encode(event.Repeat(**BASE, note=f"fact {number}"))  # type: ignore[arg-type]  # names as in Event


@dataclass
class Life:
    epoch: Epoch
    parent: bytes
    genesis: Hash
    lines: list[OutboxRow] = field(default_factory=list)
    acknowledged: int = 0

    @property
    def head(self) -> Head:
        return Head(self.lines[-1].seq, self.lines[-1].hash) if self.lines else Head(0, self.genesis)


class Disk:
    def __init__(self, device: str = "kiosk-7") -> None:
        self.device = DeviceId(device)
        self.lives: list[Life] = []
        self.quarantined: dict[tuple[str, int], tuple[str, bool]] = {}
        self.receipts: list[receipt.Receipt] = []
        self.pruned_through = 0
        self.selects = 0
        self._epochs = 0
        self._begin(b"")

    def copied(self) -> "Disk":
        return copy.deepcopy(self)

    def put_back(self, image: "Disk") -> None:
        """The card is replaced by an old image of it. Epochs are random, so a number is never drawn twice."""
        drawn = self._epochs
        self.__dict__.update(copy.deepcopy(image.__dict__))
        self._epochs = drawn

    def _begin(self, parent: bytes) -> None:
        self._epochs += 1
        epoch = Epoch(f"{self._epochs:016x}")
        self.lives.append(Life(epoch, parent, chain.genesis(self.device, KEY.public_bytes, epoch, parent)))
        self.pruned_through = 0

    @property
    def life(self) -> Life:
        return self.lives[-1]

    def append(self, payload: bytes) -> None:
        head = self.life.head
        self.life.lines.append(OutboxRow(head.seq + 1, payload, chain.extend(head.hash, payload)))

    # As `Outbox` wants it

    @property
    def epoch(self) -> Epoch:
        return self.life.epoch

    @property
    def head(self) -> Head:
        return self.life.head

    @property
    def parent_head(self) -> bytes:
        return self.life.parent

    def acknowledged(self) -> Head:
        through = self.life.acknowledged
        return Head(through, self.life.lines[through - 1].hash) if through else Head(0, self.life.genesis)

    def read_rows(self, after: int, events_max: int, bytes_max: int) -> Sequence[OutboxRow]:
        self.selects += 1
        taken: list[OutboxRow] = []
        for line in self.life.lines[max(after, self.pruned_through) : max(after, self.pruned_through) + events_max]:
            if taken and sum(len(one.payload) for one in taken) + len(line.payload) > bytes_max:
                break
            taken.append(line)
        return taken

    def find_hash(self, seq: int) -> Hash | None:
        if seq == 0:
            return self.life.genesis
        if seq > len(self.life.lines) or seq <= self.pruned_through:
            return None
        return self.life.lines[seq - 1].hash

    def acknowledge(self, head: Head, receipt_bytes: bytes) -> None:
        self.receipts.append(receipt.from_json(receipt_bytes))
        if head.seq > self.life.acknowledged:
            assert self.find_hash(head.seq) == head.hash, "the client must have verified this"
            self.life.acknowledged = head.seq

    def quarantine(self, seq: int, code: str, detail: str, *, tombstone: bool) -> None:
        self.quarantined[self.epoch, seq] = (code, tombstone)

    def open_epoch(self, why: str, *, parent: Head | None, kept_as: str = "") -> Epoch:
        old = self.life
        self._begin(parent.hash if parent else b"")
        for line in old.lines[old.acknowledged :]:
            try:
                known = isinstance(event.decode(line.payload), event.Carried)
            except event.UnreadableEvent:
                known = False
            self.append(line.payload if known else _carried(old.epoch, line))
        return self.epoch

    def queue_depth(self) -> int:
        return len(self.life.lines) - self.life.acknowledged


def _carried(epoch: Epoch, line: OutboxRow) -> bytes:
    return event.encode(
        event.Carried(
            **BASE,  # type: ignore[arg-type]  # names as in Event
            old_epoch=epoch,
            old_seq=line.seq,
            old_hash=line.hash.hex(),
            payload=line.payload.decode(),
        )
    )
