"""One kiosk, its card, the network, the ledger and its backups under one seed. No real time passes.

`World.play` draws one step after the other. After each of them every event that the kiosk had confirmed is on the
kiosk, or at the ledger, which has signed for it, or named as a hole; and the kiosk believes in no receipt that the
ledger has not given. The same seed plays the same schedule again.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Protocol

from sync.client.batches import BatchSender
from sync.client.channel import HttpResponse, LedgerChannel
from sync.client.faults import FaultyTransport, NetworkFault
from sync.client.heartbeat import AgentReport, HeartbeatSender
from sync.client.keys import DeviceKey
from sync.client.paced import Pace, SyncOutcome
from sync.client.ports import Outbox
from tests.edge_agent.journal.samples import BOOT
from tests.sync.simulation.network import Lie, LyingNetwork, PoweredLine, ReceiptWitness, RefusingProxy
from tests.sync.simulation.power import PowerCut, PowerLine

Name = tuple[str, int]  # epoch and number under which an event was recorded
EVENTS_AT_ONCE = (3, 7, 1000)


class KioskEnd(Protocol):
    """A kiosk with a card that can be copied and put back; `Any` is whatever a copy of it is."""

    @property
    def damages(self) -> Sequence[str]: ...
    @property
    def outbox(self) -> Outbox: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def copy_card(self) -> Any: ...
    def put_card(self, card: Any) -> None: ...
    def damage(self, card: Any, kind: str, random: Random) -> None: ...
    def record(self, number: int) -> tuple[Name, bytes]: ...
    def prune(self) -> int: ...
    def fold(self) -> str: ...
    def list_own(self) -> tuple[set[bytes], set[Name]]: ...


class LedgerEnd(Protocol):
    """A ledger as a transport, with backups; `changes` stands while nothing has reached it."""

    changes: int

    @property
    def public_key(self) -> bytes: ...
    def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, bytes_max: int
    ) -> HttpResponse: ...
    def back_up(self) -> Any: ...
    def restore(self, backup: Any) -> None: ...
    def list_backed_up(self, backup: Any) -> set[bytes]: ...
    def list_heard(self, backup: Any) -> dict[str, int]: ...
    def count_delivered(self) -> dict[bytes, int]: ...
    def list_unsigned(self) -> list[Name]: ...
    def list_holes(self) -> set[Name]: ...


class WorldClock(Protocol):
    """Seconds since the start, and the kiosk's wall clock, which may be wrong."""

    seconds: float
    wrong: timedelta

    def wall(self) -> datetime: ...


class InvariantBroken(AssertionError):
    """An event is nowhere, or twice, or the kiosk believes what nobody signed."""


@dataclass
class World:
    """Everything that one seed decides. `replay`: the command that plays it again."""

    seed: int
    kiosk: KioskEnd
    ledger: LedgerEnd
    clock: WorldClock
    key: DeviceKey
    device: str
    power: PowerLine
    replay: str
    trace: list[str] = field(default_factory=list)  # the steps, for a failing seed

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.witness = ReceiptWitness(self.ledger)
        self.proxy = RefusingProxy(self.witness)
        self.faults: list[NetworkFault | Lie] = []
        faulty = FaultyTransport(self.proxy, lambda: self._draw_fault(NetworkFault) or NetworkFault.NONE)
        self.lying = LyingNetwork(faulty, lambda: self._draw_fault(Lie))
        self.line = PoweredLine(self.lying, self.power)
        self.power.save = self._save_card
        self.saved: Any = None  # the card as it was when the power went
        self.confirmed: dict[Name, bytes] = {}
        self.excused: set[bytes] = set()
        self.backup: Any = None
        self.image: tuple[Any, set[Name]] | None = None
        self.heard: dict[str, int] = {}
        self.numbers = itertools.count(1)
        self.seen_change, self.at_ledger = -1, (dict[bytes, int](), set[Name]())
        self.start_agent()

    def _draw_fault(self, kind: type) -> Any:
        """Returns the next request's fault where it is of this kind. The outer one of the two networks asks first."""
        return self.faults.pop() if self.faults and isinstance(self.faults[-1], kind) else None

    # The kiosk

    def start_agent(self) -> None:
        """Starts the agent; where the power goes meanwhile, the card that remains is started."""
        while True:
            try:
                self.kiosk.start()
                break
            except PowerCut:
                self.kiosk.stop()
                self.kiosk.put_card(self.saved)
        pace = Pace(self.clock.wall, lambda: self.clock.seconds, Random(self.seed))
        channel = LedgerChannel(self.line, self.key, self.device, self.clock.wall, self.ledger.public_key)
        self.channel = channel
        self.sender = BatchSender(
            self.kiosk.outbox, channel, self.ledger.public_key, pace, events_max=self.random.choice(EVENTS_AT_ONCE)
        )
        report = AgentReport("sim", 0, BOOT, "synchronised")
        self.heart = HeartbeatSender(self.kiosk.outbox, channel, lambda: report, pace)

    def _save_card(self) -> None:
        self.saved = self.kiosk.copy_card()

    def swap_card(self, card: Any) -> None:
        self.kiosk.stop()
        self.kiosk.put_card(card)
        self.start_agent()

    # The steps. Each returns a word about what it did.

    def record(self) -> str:
        return self.record_some(self.random.randrange(1, 8))

    def record_one(self) -> str:
        return self.record_some(1)

    def record_some(self, count: int) -> str:
        for number in itertools.islice(self.numbers, count):
            name, payload = self.kiosk.record(number)
            self.confirmed[name] = payload
        return str(count)

    def sync(self) -> str:
        steps = self.random.randrange(1, 7)
        kinds: list[NetworkFault | Lie] = [*NetworkFault, *Lie]
        self.faults = [self.random.choice(kinds) for _ in range(steps)] if self.random.random() < 0.5 else []
        outcomes = [self.step_sender() for _ in range(steps)]
        self.faults = []
        return " ".join(outcomes)

    def send_all(self) -> str:
        """Sends over an honest network until nothing is left."""
        outcomes = [self.step_sender()]
        while outcomes[-1] != SyncOutcome.IDLE and len(outcomes) < 300:
            outcomes.append(self.step_sender())
        return " ".join(outcomes)

    def step_sender(self) -> str:
        step = self.sender.step()
        if step.outcome is SyncOutcome.WAITING:
            self.clock.seconds += step.due_s
            step = self.sender.step()
        return step.outcome.value

    def beat(self) -> str:
        self.clock.seconds += 70
        step = self.heart.step()
        if step.outcome is SyncOutcome.SENT and self.channel.last_was_signed:
            outbox = self.kiosk.outbox
            self.heard[outbox.epoch] = max(outbox.head.seq, self.heard.get(outbox.epoch, 0))
            if self.heart.differs:
                self.sender.realign()
        return step.outcome.value

    def beat_badly(self) -> str:
        self.faults = [self.random.choice([*NetworkFault, *Lie])]
        outcome = self.beat()
        self.faults = []
        return outcome

    def deliver_late(self) -> str:
        """A request that was held back arrives behind others; where there is none, the next ones are held back."""
        if not self.lying.late:
            self.faults = [Lie.HELD_BACK, Lie.HELD_BACK]
            outcomes = [self.step_sender(), self.beat()]
            self.faults = []
            return f"held back: {outcomes}"
        return self.lying.deliver_late(self.random.randrange(8))

    def crash(self) -> str:
        """The power goes. Sometimes the card returns damaged."""
        card, kind = self.kiosk.copy_card(), self.random.choice(self.kiosk.damages)
        self.kiosk.damage(card, kind, self.random)
        self.swap_card(card)
        return kind

    def arm(self) -> str:
        """The power will go at one of the next points at which something is written or sent."""
        ahead = self.random.randrange(1, 20)
        self.power.cut_at = self.power.passed + ahead
        return f"{ahead} points ahead"

    def repair(self) -> str:
        outbox = self.kiosk.outbox
        outbox.open_epoch("repair", parent=outbox.acknowledged() if outbox.acknowledged().seq else None)
        return outbox.epoch

    def prune(self) -> str:
        """Retention takes weeks, heartbeats a minute: it does not meet a ledger that was restored just now."""
        if self.beat() != SyncOutcome.SENT or self.heart.differs:
            return "not now"
        return str(self.kiosk.prune())

    def fold(self) -> str:
        return self.kiosk.fold()

    def take_image(self) -> str:
        payloads, pruned = self.kiosk.list_own()[0], self.list_pruned()
        known = {name for name, payload in self.confirmed.items() if payload in payloads or name in pruned}
        self.image = self.kiosk.copy_card(), known
        return f"of {len(known)} events"

    def put_image_back(self) -> str:
        """What was recorded since, and neither sent nor told of by a heartbeat of the image's epochs, is forgotten."""
        if self.image is None:
            return "no image"
        self.power.cut_at = None
        (card, known), self.image = self.image, None
        delivered, (_, holes) = self.read_ledger()[0], self.kiosk.list_own()
        for name, payload in self.confirmed.items():
            told = name[1] <= self.heard.get(name[0], 0) and name[0] in {epoch for epoch, _ in known}
            if payload not in delivered and (name in holes or (name not in known and not told)):
                self.excused.add(payload)
        self.swap_card(card)
        return f"of {len(known)} events, then {self.beat()}"

    def jump(self) -> str:
        self.clock.wrong = timedelta(days=self.random.choice([-3650, -1, 0, 0, 3]))
        return str(self.clock.wrong)

    def toggle_proxy(self) -> str:
        payload = self.random.choice(list(self.confirmed.values()) or [b""])
        self.proxy.refused = b"" if self.proxy.refused else payload
        return self.proxy.refused.decode()[-40:]

    def back_up(self) -> str:
        self.backup = self.ledger.back_up()
        return f"{len(self.ledger.list_backed_up(self.backup))} payloads and hashes"

    def restore(self) -> str:
        """What was at the ledger alone, since the card is an old image, and not in the backup, is forgotten.

        Not what retention has removed: the kiosk knows of it, and must name it.
        """
        if self.backup is None:
            return "no backup"
        payloads, _ = self.kiosk.list_own()
        pruned = self.list_pruned()
        known = payloads | {payload for name, payload in self.confirmed.items() if name in pruned}
        gone = set(self.read_ledger()[0]) - known - self.ledger.list_backed_up(self.backup)
        self.excused |= set(self.confirmed.values()) & gone
        self.ledger.restore(self.backup)
        self.heard = self.ledger.list_heard(self.backup)
        return "done"

    # The invariants

    def read_ledger(self) -> tuple[dict[bytes, int], set[Name]]:
        """Returns how often each payload counts at the ledger, and the holes that it names."""
        if self.seen_change != self.ledger.changes:
            self.seen_change = self.ledger.changes
            self.at_ledger = self.ledger.count_delivered(), self.ledger.list_holes()
            unsigned = self.ledger.list_unsigned()
            self.require(not unsigned, f"stored without a receipt: {unsigned[:3]}")
        return self.at_ledger

    def list_pruned(self) -> set[Name]:
        """Returns the names of the events that the kiosk remembers to have removed."""
        return {(epoch.id, seq) for epoch in self.kiosk.outbox.epochs() for seq in range(1, epoch.anchor.seq + 1)}

    def check(self, *, finished: bool = False) -> None:
        """Raises InvariantBroken where a confirmed event is nowhere, or twice, or once `finished` is not delivered."""
        delivered, named = self.read_ledger()
        payloads, holes = self.kiosk.list_own()
        holes |= named
        for epoch in self.kiosk.outbox.epochs():
            head = epoch.acknowledged
            believed = head.seq == 0 or (epoch.id, head.seq, head.hash.hex()) in self.witness.given
            self.require(believed, f"acknowledged without a receipt: {epoch.id}, {head.seq}")
        if not finished:  # the kiosk's event tells of them; the ledger hears of it with the next batch
            holes |= self.list_pruned()
        # The journal's own word of a loss may come twice: a card that is damaged again tells of it again.
        twice = [payload for payload in self.confirmed.values() if delivered.get(payload, 0) > 1]
        self.require(not twice, f"counted twice: {twice[:3]}")
        for name, payload in self.confirmed.items():
            if payload in delivered or payload in self.excused or name in holes:
                continue
            where = "on the kiosk alone" if payload in payloads else "nowhere"
            self.require(payload in payloads and not finished, f"{where}: {name}")

    def require(self, holds: bool, what: str) -> None:
        if not holds:
            raise InvariantBroken(f"seed {self.seed}: {what}\n{self.replay}\n" + "\n".join(self.trace))

    # The play

    def list_steps(self) -> list[Callable[[], str]]:
        """Returns the steps, each as often as its weight."""
        return [
            *[self.record] * 6, *[self.sync] * 6, *[self.beat] * 2, self.beat_badly, self.deliver_late,
            *[self.crash] * 2, *[self.arm] * 2, self.repair, self.prune, self.fold, self.take_image,
            self.put_image_back, self.jump, self.toggle_proxy, self.back_up, *[self.restore] * 2,
        ]  # fmt: skip

    def play(self, steps: int) -> None:
        """Plays so many steps, then lets everything heal, and checks that every event has arrived."""
        weighted = self.list_steps()
        for _ in range(steps):
            self.take_step(self.random.choice(weighted))
        self.heal()

    def take_step(self, step: Callable[[], str]) -> None:
        """Takes one step, to its end or until the power goes, and checks the invariants."""
        self.trace.append(f"{step.__name__}: …")
        try:
            self.trace[-1] = f"{step.__name__}: {step()}"
        except PowerCut as cut:
            self.faults = []
            self.trace[-1] = f"{step.__name__}: the power goes at {cut}"
            self.swap_card(self.saved)
        self.check()

    def heal(self) -> None:
        self.proxy.refused, self.faults, self.power.cut_at = b"", [], None
        for _ in range(3):
            self.clock.seconds += 25 * 3600  # what was deferred is offered again
            self.clock.wrong = timedelta()
            self.trace.append(f"heal: {self.beat()}")
            self.send_all()
            rests = self.sender.last.outcome is SyncOutcome.IDLE
            self.require(rests, f"does not come to rest: {self.sender.last.why}")
        self.check(finished=True)
        self.kiosk.stop()
