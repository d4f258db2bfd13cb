"""A kiosk on a bench: disk, client, ledger, and a clock that the test moves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

from sync.client.batches import BatchSender
from sync.client.channel import HttpTransport, LedgerChannel
from sync.client.faults import FaultyTransport, NetworkFault
from sync.client.paced import Pace, SyncOutcome, SyncStep
from tests.sync.client.disk import KEY, KioskDisk, make_payload
from tests.sync.client.ledger import SERVER_PUBLIC, LedgerModel

START = datetime(2026, 11, 22, 4, 40, tzinfo=UTC)


class Bench:
    """One kiosk and its ledger."""

    def __init__(
        self, events: int = 0, *, seed: int = 1, transport: Callable[[HttpTransport], HttpTransport] | None = None
    ) -> None:
        self.disk, self.ledger = KioskDisk(), LedgerModel()
        self.ledger.register(self.disk.device, KEY.public_bytes)
        self.ledger.clock = self.disk.clock = self.now
        self.seconds = 0.0
        self.faults: list[NetworkFault] = []
        self.pace = Pace(self.now, lambda: self.seconds, Random(seed))
        self.transport: HttpTransport = FaultyTransport(
            self.ledger, lambda: self.faults.pop(0) if self.faults else NetworkFault.NONE
        )
        if transport:
            self.transport = transport(self.transport)
        self.client = self.restart_client()
        self.record(*range(events))

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def restart_client(self, events_max: int = 1000) -> BatchSender:
        self.client = BatchSender(
            self.disk,
            LedgerChannel(self.transport, KEY, self.disk.device, self.now, SERVER_PUBLIC),
            SERVER_PUBLIC,
            self.pace,
            agent="0.1.0",
            events_max=events_max,
        )
        return self.client

    def record(self, *numbers: int) -> None:
        for number in numbers:
            self.disk.append(make_payload(number))

    def step(self) -> SyncStep:
        """Does one step when it is due: time passes as far as that needs."""
        step = self.client.step()
        if step.outcome is SyncOutcome.WAITING:
            self.seconds += step.due_s
            step = self.client.step()
        return step

    def drain(self, steps_max: int = 500) -> list[SyncStep]:
        """SyncStep until everything is sent."""
        steps: list[SyncStep] = []
        while not steps or steps[-1].outcome is not SyncOutcome.IDLE:
            steps.append(self.step())
            assert len(steps) <= steps_max, [step.why for step in steps[-10:]]
        return steps
