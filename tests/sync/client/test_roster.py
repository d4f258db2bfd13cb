from collections.abc import Sequence
from datetime import datetime

import pytest

from sync.client.channel import LedgerChannel
from sync.client.faults import NetworkFault
from sync.client.paced import SyncOutcome
from sync.client.policy import CAP_S
from sync.client.roster import RosterPull
from sync.contract.roster import Person, RosterPage
from tests.sync.client.bench import Bench
from tests.sync.client.disk import KEY


class MemoryRosterStore:
    """A `RosterStore` in memory that takes pages whole."""

    def __init__(self) -> None:
        self.version = 0
        self.people: set[str] = set()
        self.confirmed: datetime | None = None
        self.applied = 0

    def roster_version(self) -> int:
        return self.version

    def apply_roster(self, pages: Sequence[RosterPage], confirmation_time: datetime) -> None:
        assert not pages[-1].more
        if pages[0].whole:
            self.people.clear()
        self.people |= {change.id for page in pages for change in page.changes if isinstance(change, Person)}
        self.version, self.confirmed = pages[-1].version, confirmation_time
        self.applied += 1

    def confirm_roster(self, confirmation_time: datetime) -> None:
        self.confirmed = confirmation_time


class LedgerRoster:
    """The ledger's side: one roster of some people, in pages of ten."""

    def __init__(self, people: int = 25, version: int = 3) -> None:
        self.people, self.version = people, version
        self.requests: list[tuple[int, str]] = []

    def pages(self, since: int, cursor: str) -> RosterPage | None:
        self.requests.append((since, cursor))
        start = int(cursor or 0)
        ids = range(self.people)[start : start + 10] if since < self.version else range(0)
        more = bool(ids) and start + 10 < self.people
        return RosterPage(
            school="s-12",
            since=since,
            version=self.version,
            changes=tuple(Person(id=f"p-{number}", given_name="А", family_name="Б") for number in ids),
            more=more,
            whole=since == 0,
            cursor=str(start + 10) if more else "",
        )


class PullBench:
    def __init__(self) -> None:
        self.bench, self.store, self.school = Bench(), MemoryRosterStore(), LedgerRoster()
        self.bench.ledger.pages = self.school.pages
        channel = LedgerChannel(self.bench.transport, KEY, self.bench.disk.device, self.bench.now)
        self.pull = RosterPull(
            self.store,
            channel,
            "s-12",
            self.bench.pace,
        )

    def until(self, *ends: SyncOutcome) -> list[SyncOutcome]:
        outcomes: list[SyncOutcome] = []
        while not outcomes or outcomes[-1] not in ends:
            pull = self.pull.step()
            outcomes.append(pull.outcome)
            self.bench.seconds += pull.due_s if pull.outcome not in ends else 0
            assert len(outcomes) < 50
        return outcomes


def test_pages_are_applied_whole() -> None:
    kiosk = PullBench()
    assert kiosk.until(SyncOutcome.APPLIED) == [SyncOutcome.PAGE, SyncOutcome.PAGE, SyncOutcome.APPLIED]
    assert (kiosk.store.version, len(kiosk.store.people), kiosk.store.applied) == (3, 25, 1)
    assert kiosk.store.confirmed == kiosk.bench.now()


def test_nothing_newer_confirms_what_is_here() -> None:
    kiosk = PullBench()
    kiosk.until(SyncOutcome.APPLIED)
    kiosk.bench.seconds += 1000
    assert kiosk.pull.step().outcome is SyncOutcome.CURRENT
    assert kiosk.store.confirmed == kiosk.bench.now()
    assert kiosk.store.applied == 1
    waiting = kiosk.pull.step()
    assert waiting.outcome is SyncOutcome.WAITING
    assert 108 <= waiting.due_s <= 132
    kiosk.pull.hurry()
    assert kiosk.pull.step().outcome is SyncOutcome.CURRENT


@pytest.mark.parametrize("fault", list(NetworkFault))
def test_a_bad_network_costs_a_page_and_not_the_pull(fault: NetworkFault) -> None:
    kiosk = PullBench()
    kiosk.bench.faults = [NetworkFault.NONE, fault, NetworkFault.NONE, fault]
    kiosk.until(SyncOutcome.APPLIED)
    assert (kiosk.store.applied, len(kiosk.store.people)) == (1, 25)
    assert [cursor for _, cursor in kiosk.school.requests].count("") == 1, "the first page was asked for once"


def test_a_roster_that_changes_between_pages_begins_again() -> None:
    kiosk = PullBench()
    kiosk.pull.step()
    kiosk.school.version = 4
    kiosk.school.people = 31
    kiosk.until(SyncOutcome.APPLIED)
    assert (kiosk.store.version, len(kiosk.store.people), kiosk.store.applied) == (4, 31, 1)


def test_a_place_that_the_ledger_forgot_begins_again() -> None:
    kiosk = PullBench()
    kiosk.pull.step()
    kiosk.bench.ledger.pages = lambda since, cursor: None if cursor else kiosk.school.pages(since, cursor)
    kiosk.pull.step()
    kiosk.bench.ledger.pages = kiosk.school.pages
    kiosk.until(SyncOutcome.APPLIED)
    assert len(kiosk.store.people) == 25


def test_a_ledger_that_went_back_is_asked_for_everything() -> None:
    kiosk = PullBench()
    kiosk.store.version = 9
    kiosk.until(SyncOutcome.APPLIED)
    assert kiosk.store.version == 3
    assert [since for since, _ in kiosk.school.requests] == [9, 0, 0, 0]


def test_whole_on_demand() -> None:
    kiosk = PullBench()
    kiosk.until(SyncOutcome.APPLIED)
    kiosk.pull.fetch_whole()
    kiosk.until(SyncOutcome.APPLIED)
    assert kiosk.store.applied == 2


@pytest.mark.parametrize(
    "page",
    [
        RosterPage(school="s-13", since=0, version=3, changes=()),
        RosterPage(school="s-12", since=2, version=3, changes=()),
        RosterPage(school="s-12", since=0, version=3, changes=(), more=True),
    ],
    ids=["another school", "another start", "more, and not where"],
)
def test_pages_that_cannot_be_right_leave_the_old_roster(page: RosterPage) -> None:
    kiosk = PullBench()
    kiosk.bench.ledger.pages = lambda since, cursor: page
    pull = kiosk.pull.step()
    assert pull.outcome is SyncOutcome.STOPPED
    assert pull.due_s >= CAP_S / 2
    assert kiosk.store.applied == 0


def test_pages_in_a_circle_are_noticed() -> None:
    kiosk = PullBench()
    circle = RosterPage(school="s-12", since=0, version=3, changes=(), more=True, cursor="1")
    kiosk.bench.ledger.pages = lambda since, cursor: circle
    assert kiosk.until(SyncOutcome.STOPPED) == [SyncOutcome.PAGE, SyncOutcome.STOPPED]


def test_a_suspended_kiosk_keeps_its_roster() -> None:
    kiosk = PullBench()
    kiosk.until(SyncOutcome.APPLIED)
    kiosk.bench.ledger.devices[kiosk.bench.disk.device].suspended = True
    kiosk.pull.hurry()
    assert kiosk.pull.step().outcome is SyncOutcome.STOPPED
    assert len(kiosk.store.people) == 25
