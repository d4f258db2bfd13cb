"""Kiosk, ledger and a bad network, in any order that hypothesis can think of.

Whatever happened: once the network is good again, every event that any disk still held, or the ledger had ever
acknowledged to a disk that was not rolled back, is at the ledger exactly once, and every chain there is whole.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sync.client.faults import NetworkFault
from sync.client.paced import SyncOutcome
from sync.contract import chain
from tests.sync.client.bench import Bench
from tests.sync.client.disk import KEY, KioskDisk, make_payload
from tests.sync.client.ledger import LedgerDevice

pytestmark = pytest.mark.slow


class KioskAndLedger(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.number = 0
        self.image: KioskDisk | None = None
        self.backup: dict[str, LedgerDevice] | None = None
        self.bad: set[bytes] = set()

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.bench = Bench(seed=seed)
        self.bench.ledger.refuses = lambda line: line in self.bad

    @rule(count=st.integers(1, 12))
    def record(self, count: int) -> None:
        self.bench.record(*range(self.number, self.number + count))
        self.number += count

    @rule(position=st.integers(0, 11))
    def the_ledger_will_refuse_one_event(self, position: int) -> None:
        self.bad.add(make_payload(max(0, self.number - 1 - position)))

    @rule(faults=st.lists(st.sampled_from(NetworkFault), min_size=1, max_size=6))
    def sync_over_a_bad_network(self, faults: list[NetworkFault]) -> None:
        self.bench.faults = list(faults)
        for _ in faults:
            self.bench.step()
        self.bench.faults = []

    @rule(steps=st.integers(1, 6))
    def sync(self, steps: int) -> None:
        for _ in range(steps):
            self.bench.step()

    @rule(events_max=st.sampled_from([1, 2, 3, 7, 1000]))
    def restart_with_other_batch_boundaries(self, events_max: int) -> None:
        self.bench.restart_client(events_max)

    @rule(events_max=st.sampled_from([1, 3, 1000]), half=st.booleans(), zstd=st.booleans())
    def the_ledger_is_difficult(self, events_max: int, half: bool, zstd: bool) -> None:
        self.bench.ledger.events_max = events_max
        self.bench.ledger.half = half
        self.bench.ledger.takes_zstd = zstd

    @rule()
    def make_an_image_of_the_card(self) -> None:
        self.image = self.bench.disk.make_image()

    @precondition(lambda self: self.image is not None and self._ledger_has_what_it_signed_for())
    @rule(restart=st.booleans())
    def put_the_old_image_back(self, restart: bool) -> None:
        assert self.image is not None
        self.bench.disk.put_back(self.image)
        self.backup = None  # the ledger's backup knows epochs that this disk has never heard of
        if restart:
            self.bench.restart_client()

    @rule()
    def the_journal_is_repaired(self) -> None:
        disk = self.bench.disk
        disk.open_epoch("repair", parent=disk.acknowledged() if disk.acknowledged().seq else None)

    @rule()
    def back_up_the_ledger(self) -> None:
        self.backup = self.bench.ledger.backup()

    @precondition(lambda self: self.backup is not None)
    @rule()
    def restore_the_ledger(self) -> None:
        assert self.backup is not None
        self.bench.ledger.restore(self.backup)
        self.bench.client.realign()  # a heartbeat has compared the heads

    def _ledger_has_what_it_signed_for(self) -> bool:
        ledger_epochs = self.bench.ledger.devices[self.bench.disk.device].epochs
        return all(
            len(ledger_epochs.get(life.epoch, [])) >= life.acknowledged for life in self.bench.disk.journal_epochs
        )

    def teardown(self) -> None:
        bench = self.bench
        bench.faults = []
        bench.ledger.events_max = 1000
        bench.restart_client()
        bench.drain(3000)
        last = bench.client.step()
        assert last.outcome is SyncOutcome.IDLE
        self._no_loss()
        self._whole_chains()

    def _no_loss(self) -> None:
        disk, ledger = self.bench.disk, self.bench.ledger
        facts = dict(ledger.list_events(disk.device))
        assert len(facts) == len(set(facts.values())), "no fact twice under two identities"
        held = {
            line.payload
            for life in disk.journal_epochs
            for line in life.rows
            if b'"kind":"carried"' not in line.payload
        }
        missing = held - set(facts.values()) - self.bad
        assert not missing, f"lost: {sorted(missing)}"
        assert disk.queue_depth() == 0

    def _whole_chains(self) -> None:
        device = self.bench.ledger.devices[self.bench.disk.device]
        for epoch, rows in device.epochs.items():
            link = device.geneses[epoch]
            for stated, line, is_tombstone in rows:
                link = stated if is_tombstone else chain.extend(link, line)
                assert link == stated
        for life in self.bench.disk.journal_epochs:
            assert life.genesis == chain.genesis(self.bench.disk.device, KEY.public_bytes, life.epoch, life.parent)


KioskAndLedger.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestKioskAndLedger = KioskAndLedger.TestCase
