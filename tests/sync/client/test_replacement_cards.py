"""Replacement cards on their way, whatever the line does, and under ledgers that do not know them."""

from collections.abc import Sequence

import msgspec
import pytest

from sync.client.channel import LedgerChannel
from sync.client.faults import NetworkFault
from sync.client.paced import SyncOutcome
from sync.client.replacement_cards import ReplacementCardRelay
from sync.contract import signature, wire
from sync.contract.replacement_cards import ReplacementCardMessage, ReplacementCardPage, ReplacementCardReply
from tests.sync.client.bench import Bench
from tests.sync.client.disk import KEY


def given_card(number: int) -> ReplacementCardMessage:
    return ReplacementCardMessage(
        id=f"rc-{number}", person=f"u{number}", made_at=f"2026-11-23T04:40:00.{number:03}Z", sealed=b"noise"
    )


class MemoryCardStore:
    """A `ReplacementCardStore` in memory."""

    def __init__(self, *unsent: ReplacementCardMessage) -> None:
        self.unsent = list(unsent)
        self.version = 0
        self.received: list[str] = []
        self.roster = 5

    def next_unsent_card(self) -> ReplacementCardMessage | None:
        return self.unsent[0] if self.unsent else None

    def mark_card_relayed(self, card: ReplacementCardMessage) -> None:
        self.unsent.remove(card)

    def cards_version(self) -> int:
        return self.version

    def accept_cards(self, cards: Sequence[ReplacementCardMessage], version: int) -> None:
        self.received += [card.id for card in cards]
        self.version = version

    def roster_version(self) -> int:
        return self.roster


class CardRelayBench:
    def __init__(self, *unsent: ReplacementCardMessage, stored: int = 0) -> None:
        self.bench, self.store = Bench(), MemoryCardStore(*unsent)
        self.stored = [given_card(100 + number) for number in range(stored)]
        self.bench.ledger.replacement_cards = self.respond
        self.relay = ReplacementCardRelay(
            self.store,
            LedgerChannel(self.bench.transport, KEY, self.bench.disk.device, self.bench.now),
            "s-12",
            self.bench.pace,
        )

    def respond(self, request: signature.SignableRequest) -> msgspec.Struct:
        if request.method == "POST":
            brought = wire.read_json(ReplacementCardMessage, request.body)
            if brought not in self.stored:
                self.stored.append(brought)
            return ReplacementCardReply(version=len(self.stored), stored=True)
        since = int(request.query.removeprefix("since="))
        page = tuple(self.stored[since : since + 2])
        last = since + len(page)
        return ReplacementCardPage(
            school="s-12", since=since, version=last, roster=5, cards=page, more=last < len(self.stored)
        )

    def until_current(self) -> None:
        for _ in range(60):
            step = self.relay.step()
            if step.outcome is SyncOutcome.CURRENT:
                return
            self.bench.seconds += step.due_s
        pytest.fail(step.why)


@pytest.mark.parametrize("fault", list(NetworkFault))
def test_each_card_is_sent_and_each_comes_whatever_the_line_does(fault: NetworkFault) -> None:
    kiosk = CardRelayBench(given_card(1), given_card(2), stored=3)
    kiosk.bench.faults = [fault, NetworkFault.NONE] * 4
    kiosk.until_current()
    assert kiosk.store.unsent == []
    assert kiosk.store.received == ["rc-100", "rc-101", "rc-102", "rc-1", "rc-2"]
    assert (kiosk.store.version, len(kiosk.stored)) == (5, 5)


def test_a_new_card_does_not_wait_for_the_next_time() -> None:
    kiosk = CardRelayBench()
    assert kiosk.relay.step().outcome is SyncOutcome.CURRENT
    assert kiosk.relay.step().outcome is SyncOutcome.WAITING
    kiosk.store.unsent.append(given_card(1))
    kiosk.bench.seconds += 2
    assert kiosk.relay.step().outcome is SyncOutcome.SENT


def test_cards_wait_for_the_roster_that_has_their_people() -> None:
    kiosk = CardRelayBench(stored=1)
    kiosk.store.roster = 4
    behind = kiosk.relay.step()
    assert (behind.outcome, behind.due_s, kiosk.store.received) == (SyncOutcome.BEHIND, 5.0, [])
    kiosk.store.roster = 5
    kiosk.bench.seconds += 5
    assert kiosk.relay.step().outcome is SyncOutcome.RECEIVED
    assert kiosk.store.received == ["rc-100"]


def test_an_old_ledger_is_no_fault_and_gets_the_cards_once_it_knows_them() -> None:
    kiosk = CardRelayBench(given_card(1))
    kiosk.bench.ledger.replacement_cards = None
    unknowing = kiosk.relay.step()
    assert unknowing.outcome is SyncOutcome.CURRENT
    assert 60 < unknowing.due_s <= 3_600
    assert kiosk.relay.step().outcome is SyncOutcome.WAITING, "not asked again and again for what waits"
    assert kiosk.store.unsent == [given_card(1)]
    kiosk.bench.ledger.replacement_cards = kiosk.respond
    kiosk.bench.seconds += unknowing.due_s
    kiosk.until_current()
    assert kiosk.stored == [given_card(1)]
