"""Sealed palms on their way, whatever the line does: each is sent until the ledger has it, and none is passed over."""

from collections.abc import Sequence

import msgspec
import pytest

from sync.client.channel import LedgerChannel
from sync.client.faults import NetworkFault
from sync.client.paced import SyncOutcome
from sync.client.palms import PalmRelay
from sync.contract import signature, wire
from sync.contract.palms import SealedPalmMessage, SealedPalmPage, SealedPalmReply
from sync.contract.wire import ProblemType
from tests.sync.client.bench import Bench
from tests.sync.client.disk import KEY


def sealed_palm(number: int) -> SealedPalmMessage:
    return SealedPalmMessage(
        person=f"u{number}", hand="left", made_at=f"2026-11-23T04:40:00.{number:03}Z", sealed=b"noise"
    )


class MemoryPalmStore:
    """A `PalmStore` in memory."""

    def __init__(self, *unsent: SealedPalmMessage) -> None:
        self.unsent = list(unsent)
        self.version = 0
        self.received: list[str] = []
        self.roster = 5

    def next_unsent_palm(self) -> SealedPalmMessage | None:
        return self.unsent[0] if self.unsent else None

    def mark_relayed(self, palm: SealedPalmMessage) -> None:
        self.unsent.remove(palm)

    def palms_version(self) -> int:
        return self.version

    def accept_palms(self, palms: Sequence[SealedPalmMessage], version: int) -> None:
        self.received += [palm.person for palm in palms]
        self.version = version

    def roster_version(self) -> int:
        return self.roster


class RelayBench:
    def __init__(self, *unsent: SealedPalmMessage, stored: int = 0) -> None:
        self.bench, self.store = Bench(), MemoryPalmStore(*unsent)
        self.stored = [sealed_palm(100 + number) for number in range(stored)]
        self.bench.ledger.palms = self.respond
        self.relay = PalmRelay(
            self.store,
            LedgerChannel(self.bench.transport, KEY, self.bench.disk.device, self.bench.now),
            "s-12",
            self.bench.pace,
        )

    def respond(self, request: signature.SignableRequest) -> msgspec.Struct:
        if request.method == "POST":
            brought = wire.read_json(SealedPalmMessage, request.body)
            if brought not in self.stored:
                self.stored.append(brought)
            return SealedPalmReply(version=len(self.stored), stored=True)
        since = int(request.query.removeprefix("since="))
        page = tuple(self.stored[since : since + 2])
        last = since + len(page)
        return SealedPalmPage(
            school="s-12", since=since, version=last, roster=5, palms=page, more=last < len(self.stored)
        )

    def until(self, *ends: SyncOutcome) -> list[SyncOutcome]:
        outcomes: list[SyncOutcome] = []
        while not outcomes or outcomes[-1] not in ends:
            relay = self.relay.step()
            outcomes.append(relay.outcome)
            self.bench.seconds += relay.due_s
            assert len(outcomes) < 60, relay.why
        return outcomes


@pytest.mark.parametrize("fault", list(NetworkFault))
def test_everything_is_sent_and_everything_comes_whatever_the_line_does(fault: NetworkFault) -> None:
    kiosk = RelayBench(sealed_palm(1), sealed_palm(2), stored=3)
    kiosk.bench.faults = [fault, NetworkFault.NONE] * 4
    kiosk.until(SyncOutcome.CURRENT)
    assert kiosk.store.unsent == []
    assert len(kiosk.stored) == 5, "none twice"
    assert kiosk.store.received == ["u100", "u101", "u102", "u1", "u2"]
    assert kiosk.store.version == 5


def test_nothing_is_asked_before_it_is_due_unless_in_a_hurry() -> None:
    kiosk = RelayBench()
    assert kiosk.relay.step().outcome is SyncOutcome.CURRENT
    waiting = kiosk.relay.step()
    assert waiting.outcome is SyncOutcome.WAITING
    assert 108 <= waiting.due_s <= 132
    kiosk.store.unsent.append(sealed_palm(1))
    kiosk.relay.hurry()
    assert kiosk.relay.step().outcome is SyncOutcome.SENT


def test_palms_wait_for_the_roster_that_says_who_has_agreed() -> None:
    kiosk = RelayBench(stored=1)
    kiosk.store.roster = 4
    behind = kiosk.relay.step()
    assert (behind.outcome, behind.due_s, kiosk.store.received) == (SyncOutcome.BEHIND, 5.0, [])
    kiosk.store.roster = 5
    kiosk.bench.seconds += 5
    assert kiosk.relay.step().outcome is SyncOutcome.RECEIVED
    assert kiosk.store.received == ["u100"]


def test_a_ledger_that_relays_no_palms_is_asked_rarely_and_keeps_nothing_else_up() -> None:
    kiosk = RelayBench(sealed_palm(1))
    kiosk.bench.ledger.palms = None
    stopped = kiosk.relay.step()
    assert stopped.outcome is SyncOutcome.STOPPED
    assert stopped.due_s >= 60
    assert kiosk.store.unsent == [sealed_palm(1)]
    assert ProblemType.NOT_FOUND in stopped.why or "404" in stopped.why


def test_a_ledger_that_was_restored_is_followed_back_and_not_round_and_round() -> None:
    kiosk = RelayBench(stored=5)
    kiosk.store.version = 90
    respond = kiosk.respond

    def restored(request: signature.SignableRequest) -> msgspec.Struct:
        since = int(request.query.removeprefix("since="))
        if since <= len(kiosk.stored):
            return respond(request)
        return SealedPalmPage(school="s-12", since=since, version=2, roster=5, palms=tuple(kiosk.stored[:2]), more=True)

    kiosk.bench.ledger.palms = restored
    first = kiosk.relay.step()
    assert (first.outcome, first.due_s, kiosk.store.version) == (SyncOutcome.RECEIVED, 5.0, 2)
    kiosk.bench.seconds += 5
    kiosk.until(SyncOutcome.CURRENT)
    assert kiosk.store.received == ["u100", "u101", "u102", "u103", "u104"]
    kiosk.bench.ledger.palms = lambda request: SealedPalmPage(school="s-12", since=5, version=5, roster=5, more=True)
    kiosk.relay.hurry()
    assert kiosk.relay.step().outcome is SyncOutcome.STOPPED


def test_a_page_of_another_school_is_not_taken() -> None:
    kiosk = RelayBench(stored=1)
    kiosk.bench.ledger.palms = lambda request: SealedPalmPage(
        school="s-13", since=0, version=1, roster=1, palms=(sealed_palm(1),)
    )
    assert kiosk.relay.step().outcome is SyncOutcome.STOPPED
    assert kiosk.store.received == []
