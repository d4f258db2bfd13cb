"""A screen that runs, and a station behind it that keeps what the staff asked for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import httpx
from prometheus_client import CollectorRegistry

from edge_agent.screen.ports import ActionDone, ActionFailed, ActionResult, FailureReason, RosterPerson
from edge_agent.screen.server import ScreenServer
from edge_agent.screen.state import Language
from sync.contract.chain import Epoch
from sync.contract.event import PersonId

PIN = "2580"
OPERATOR = "Гүлнар Ахметова"
PEOPLE = (
    RosterPerson(PersonId("p1"), "Айгерім Сәрсенбаева", "3 «Б»"),
    RosterPerson(PersonId("p2"), "Айдар Сейтқали", "7 «А»"),
    RosterPerson(PersonId("p3"), "Анна Ли", "3 «Б»"),
)


class FakeStaffDesk:
    """Stands where the runtime will: a journal in a list, which can be made to fail."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = []
        self.writable = True

    def find_people(self, text: str) -> Sequence[RosterPerson]:
        return [one for one in PEOPLE if text.lower() in f"{one.name} {one.group}".lower()]

    def list_groups(self) -> Sequence[str]:
        return sorted({one.group for one in PEOPLE})

    def enter_by_hand(self, person: PersonId, operator: str, reason: str) -> ActionResult:
        if not any(one.person == person for one in PEOPLE):
            return ActionFailed(FailureReason.UNKNOWN_PERSON)
        return self._keep(("enter", person, operator, reason))

    def enter_class(self, group: str, operator: str, reason: str) -> ActionResult:
        members = [one.person for one in PEOPLE if one.group == group]
        outcome = [self._keep(("class", person, operator, reason)) for person in members]
        return ActionDone(len(outcome)) if outcome else ActionFailed(FailureReason.UNKNOWN_GROUP)

    def void_entry(self, epoch: Epoch, seq: int, operator: str, reason: str) -> ActionResult:
        return self._keep(("void", epoch, str(seq), operator, reason))

    def _keep(self, row: tuple[str, ...]) -> ActionResult:
        if not self.writable:
            return ActionFailed(FailureReason.NOT_RECORDED)
        if row in self.rows:
            return ActionFailed(FailureReason.ALREADY_VOID if row[0] == "void" else FailureReason.ALREADY_IN)
        self.rows.append(row)
        return ActionDone(1)


@contextmanager
def running(
    station: FakeStaffDesk | None = None,
    *,
    pin: str | None = PIN,
    language: Language = Language.KK,
    metrics: CollectorRegistry | None = None,
    beat_s: float = 5.0,
    port: int = 0,
) -> Iterator[ScreenServer]:
    screen = ScreenServer(
        "127.0.0.1",
        port,
        timezone=ZoneInfo("Asia/Almaty"),
        language=language,
        actions=station or FakeStaffDesk(),
        pin=pin,
        operators=(OPERATOR,),
        metrics=metrics,
        beat_s=beat_s,
    )
    screen.start()
    try:
        yield screen
    finally:
        screen.stop()


def client(screen: ScreenServer) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{screen.port}", timeout=10)
