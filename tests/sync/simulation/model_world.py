"""Makes a world without I/O: the journal in memory, and a small honest ledger. Its writes are whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from sync.client.channel import HttpResponse
from sync.client.ports import DEFERRED
from sync.contract.chain import DeviceId, Epoch, Head
from tests.sync.client.disk import KEY, KioskDisk, make_payload
from tests.sync.client.ledger import SERVER_PUBLIC, LedgerModel
from tests.sync.simulation.power import PowerLine
from tests.sync.simulation.real_kiosk import SimulatedClock, read_inside
from tests.sync.simulation.world import Name, World

PRUNINGS_FROM = 1_000  # numbers of what pruning says, by the power's points; below them are those of opened epochs


class PoweredDisk(KioskDisk):
    """A disk in memory; the power may go before and after each of its writes."""

    def __init__(self, power: PowerLine) -> None:
        self.power = power
        self.is_writing = False
        self.folded: dict[str, int] = {}  # epoch → how many rows came with its opening, and cannot go with a log's tail
        self.marked = 0  # the last event that the mark beside the journal tells of, where rows are gone
        super().__init__()

    @contextmanager
    def _written(self) -> Iterator[None]:
        if self.is_writing:  # a write that is made of others
            yield
            return
        self.power.pass_point()
        self.is_writing = True
        try:
            yield
        finally:
            self.is_writing = False
        self.power.pass_point()

    def append(self, payload: bytes) -> None:
        with self._written():
            super().append(payload)

    def acknowledge(self, head: Head, receipt_bytes: bytes, epoch: Epoch | None = None) -> None:
        with self._written():
            super().acknowledge(head, receipt_bytes, epoch)

    def quarantine(self, seq: int, code: str, detail: str, *, tombstone: bool, epoch: Epoch | None = None) -> None:
        with self._written():
            super().quarantine(seq, code, detail, tombstone=tombstone, epoch=epoch)

    def declare_lost(self, through: int) -> Epoch:
        with self._written():
            return super().declare_lost(through)

    def open_epoch(self, why: str, *, parent: Head | None, kept_as: str = "") -> Epoch:
        with self._written():
            opened = super().open_epoch(why, parent=parent, kept_as=kept_as)
            super().append(make_payload(-self._epochs))  # as the journal's own event, which says why
            self.folded[opened] = len(self.current.rows)
            return opened

    def prune(self) -> int:
        """Removes what is acknowledged, and says so by an event of the journal's own, in the same write."""
        with self._written():
            deferred = [name for name, (code, tombstone) in self.quarantined.items() if code.startswith(DEFERRED)]
            rows = 0
            for life in self.journal_epochs:
                first = min((seq for epoch, seq in deferred if epoch == life.epoch), default=life.acknowledged + 1)
                through = max(life.pruned_through, min(life.acknowledged, first - 1))
                rows, life.pruned_through = rows + through - life.pruned_through, through
            if rows:
                super().append(make_payload(-PRUNINGS_FROM - self.power.passed))
        return rows


class ModelKiosk:
    """A kiosk whose journal is a `PoweredDisk`."""

    damages = ("none", "tail lost")

    def __init__(self, power: PowerLine, clock: SimulatedClock) -> None:
        self.outbox = PoweredDisk(power)
        self.outbox.clock = clock.wall

    def start(self) -> None:
        disk = self.outbox
        if disk.marked > disk.head.seq:
            disk.declare_lost(disk.marked)
        disk.marked = 0

    def stop(self) -> None:
        """A disk in memory needs no closing."""

    def copy_card(self) -> KioskDisk:
        return self.outbox.make_image()

    def put_card(self, card: KioskDisk) -> None:
        self.outbox.put_back(card)

    def damage(self, card: Any, kind: str, random: Random) -> None:
        """Takes the last rows of the current epoch from a card; the mark beside them stays."""
        life = card.current
        if kind == "none":
            return
        spared = max(life.pruned_through, card.folded.get(life.epoch, 0))
        left = max(spared, len(life.rows) - random.randrange(1, 5))
        card.marked = len(life.rows) if left < len(life.rows) else card.marked
        del life.rows[left:]
        covered = [r.accepted_through for r in card.receipts if r.epoch == life.epoch and r.accepted_through <= left]
        life.acknowledged = min(life.acknowledged, max(covered, default=0))

    def record(self, number: int) -> tuple[Name, bytes]:
        payload = make_payload(number)
        self.outbox.append(payload)
        return (self.outbox.epoch, self.outbox.head.seq), payload

    def prune(self) -> int:
        return self.outbox.prune()

    def fold(self) -> str:
        return "nothing to fold"

    def list_own(self) -> tuple[set[bytes], set[Name]]:
        disk = self.outbox
        payloads = {
            read_inside(row.payload)[0] for life in disk.journal_epochs for row in life.rows[life.pruned_through :]
        }
        return payloads, {(epoch, seq) for epoch, first, last in disk.lost for seq in range(first, last + 1)}


class ModelledLedger:
    """The small honest ledger, with backups and what it has."""

    public_key = SERVER_PUBLIC

    def __init__(self, clock: SimulatedClock) -> None:
        self.model = LedgerModel()
        self.model.clock = clock.true
        self.changes = 0

    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse:
        self.changes += 1
        return self.model.request(method, path, query, headers, body, bytes_max)

    def back_up(self) -> Any:
        return self.model.backup(), list(self.model.holes)

    def restore(self, backup: Any) -> None:
        self.changes += 1
        devices, holes = backup
        self.model.restore(devices)
        self.model.holes = list(holes)

    def list_backed_up(self, backup: Any) -> set[bytes]:
        (device,) = backup[0].values()
        return {read_inside(line)[0] for rows in device.epochs.values() for _, line, _ in rows}

    def list_heard(self, backup: Any) -> dict[str, int]:
        (device,) = backup[0].values()
        return dict(device.heard)

    def count_delivered(self) -> dict[bytes, int]:
        (device,) = self.model.devices
        facts = dict(self.model.list_events(DeviceId(device)))
        counts: dict[bytes, int] = {}
        for payload in facts.values():
            counts[payload] = counts.get(payload, 0) + 1
        return counts

    def list_unsigned(self) -> list[Name]:
        """Every answer of the model has a receipt; there is no other way in."""
        return []

    def list_holes(self) -> set[Name]:
        return {(epoch, seq) for epoch, first, last in self.model.holes for seq in range(first, last + 1)}


def make_model_world(seed: int) -> World:
    """Returns the world of this seed."""
    clock, power = SimulatedClock(Random(seed + 1)), PowerLine(lambda: None)
    kiosk, ledger = ModelKiosk(power, clock), ModelledLedger(clock)
    ledger.model.register(kiosk.outbox.device, KEY.public_bytes)
    replay = f"SIMULATION_SEEDS={seed} .venv/bin/pytest -m 'not soak' tests/sync/simulation/test_model.py"
    return World(seed, kiosk, ledger, clock, KEY, kiosk.outbox.device, power, replay)
