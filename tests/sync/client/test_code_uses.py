"""Used steps on their way to a kiosk, from a new ledger and from one that does not know them."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
import pytest

from sync.client.channel import LedgerChannel
from sync.client.code_uses import CodeUsePull
from sync.client.numbered_pages import OLD_LEDGER_WAIT_S, STRANGER_WAIT_S
from sync.client.paced import SyncOutcome
from sync.contract.dynamic_codes import CodeUse, CodeUsePage
from sync.contract.wire import ProblemDocument
from sync.errors import RequestRejected
from tests.sync.client.bench import Bench

MessageT = TypeVar("MessageT", bound=msgspec.Struct)


class MemoryUses:
    """A `CodeUseStore` in memory."""

    def __init__(self) -> None:
        self.wanted, self.version, self.steps = True, 0, dict[str, int]()

    def wants_code_uses(self) -> bool:
        return self.wanted

    def code_uses_version(self) -> int:
        return self.version

    def accept_code_uses(self, uses: Sequence[CodeUse], version: int) -> None:
        self.steps |= {use.person: use.step for use in uses}
        self.version = version


class Answers(LedgerChannel):
    """A channel that answers with what a test has laid ready."""

    def __init__(self, *answers: CodeUsePage | RequestRejected) -> None:
        self.answers, self.queries = list(answers), list[str]()

    def _request(
        self, kind: type[MessageT], method: str, path: str, query: str, headers: object, body: bytes, bytes_max: int
    ) -> MessageT:
        self.queries.append(query)
        answer = self.answers.pop(0)
        if isinstance(answer, RequestRejected):
            raise answer
        assert isinstance(answer, kind)
        return answer


def page(since: int, version: int, *uses: CodeUse, more: bool = False, school: str = "s") -> CodeUsePage:
    return CodeUsePage(school=school, since=since, version=version, uses=uses, more=more)


def pull(store: MemoryUses, channel: Answers) -> CodeUsePull:
    return CodeUsePull(store, channel, "s", Bench().pace)


def test_pages_are_taken_over_in_order() -> None:
    store = MemoryUses()
    channel = Answers(
        page(0, 3, CodeUse(person="u1", step=7), more=True), page(3, 5, CodeUse(person="u2", step=8)), page(5, 5)
    )
    client = pull(store, channel)
    assert client.step().outcome is SyncOutcome.RECEIVED
    assert client.step().outcome is SyncOutcome.RECEIVED
    assert (store.steps, store.version) == ({"u1": 7, "u2": 8}, 5)
    client.hurry()
    assert client.step().outcome is SyncOutcome.CURRENT
    assert channel.queries == ["since=0", "since=3", "since=5"]


def test_a_ledger_that_does_not_know_codes_is_left_alone_for_an_hour() -> None:
    problem = ProblemDocument(type="about:blank", title="no such page", status=404)
    for is_signed, wait_s in ((True, OLD_LEDGER_WAIT_S), (False, STRANGER_WAIT_S)):
        step = pull(MemoryUses(), Answers(RequestRejected(404, problem, is_signed=is_signed))).step()
        assert (step.outcome, step.due_s) == (SyncOutcome.CURRENT, wait_s)


def test_without_codes_on_the_roster_nothing_is_asked() -> None:
    store = MemoryUses()
    store.wanted = False
    channel = Answers()
    assert pull(store, channel).step().outcome is SyncOutcome.CURRENT
    assert channel.queries == []


@pytest.mark.parametrize("wrong", [page(1, 3), page(0, 3, school="x"), page(0, 0, more=True)])
def test_a_page_of_something_else_is_not_taken(wrong: CodeUsePage) -> None:
    store = MemoryUses()
    assert pull(store, Answers(wrong)).step().outcome not in (SyncOutcome.RECEIVED, SyncOutcome.CURRENT)
    assert store.version == 0
