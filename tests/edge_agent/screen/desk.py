"""A running screen, and a stand-in for the staff's actions that keeps its calls."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import httpx
from prometheus_client import CollectorRegistry

from edge_agent.domain.operators import Operator
from edge_agent.runtime.operator_book import CommonPin, OperatorBook
from edge_agent.screen.ports import (
    ActionDone,
    ActionFailed,
    ActionHeld,
    ActionResult,
    CountedByHand,
    DayBoard,
    DaySession,
    EnteredPaper,
    FailureReason,
    PaperList,
    PaperRow,
    PaperSession,
    PaperWanted,
    RosterPerson,
    TickPerson,
    TodayRow,
    WaitingPerson,
    WrongClock,
)
from edge_agent.screen.server import ScreenServer, wall_clock
from edge_agent.screen.state import Language, SoundLevel
from edge_agent.screen.tablets.ports import TabletParts
from sync.contract.chain import Epoch
from sync.contract.event import Method, PersonId

PIN = "2580"
OPERATOR = "Гүлнар Ахметова"
PEOPLE = (
    RosterPerson(PersonId("p1"), "Айгерім Сәрсенбаева", "3 «Б»"),
    RosterPerson(PersonId("p2"), "Айдар Сейтқали", "7 «А»"),
    RosterPerson(PersonId("p3"), "Анна Ли", "3 «Б»"),
)


CLOCK = WrongClock("palm SN1 2026-11-27T04:00:00Z", "SN1", -10_800, 12, "2026-11-27T01:05:00.000Z")


class FakeStaffDesk:
    """Stands in for the runtime: a journal in a list, which a test can make fail."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = []
        self.writable = True
        self.waiting: list[WaitingPerson] = []
        self.counted = 0

    def find_people(self, text: str) -> Sequence[RosterPerson]:
        return [person for person in PEOPLE if text.lower() in f"{person.name} {person.group}".lower()]

    def read_day(self) -> DayBoard:
        """Returns a lunch: the first of the people came by card, and whoever was entered by hand."""
        entered = [PersonId(row[1]) for row in self.rows if row[0] in ("enter", "class")]
        came = [PEOPLE[0].person, *entered]
        by_id = {person.person: person for person in PEOPLE}
        rows = tuple(
            TodayRow(
                epoch=Epoch("ab"),
                seq=seq,
                person=arrival,
                name=by_id[arrival].name,
                group=by_id[arrival].group,
                at=f"09:4{seq}",
                session="lunch",
                method=Method.MANUAL if arrival in entered else Method.CARD,
                voided=any(row[:3] == ("void", "ab", str(seq)) for row in self.rows),
            )
            for seq, arrival in enumerate(came, 7)
        )
        guests = tuple(
            TodayRow(
                epoch=Epoch("ab"),
                seq=seq,
                person=PersonId(""),
                name="",
                group="",
                at="09:59",
                session="lunch",
                method=Method.MANUAL,
                voided=False,
                guests=int(row[1]),
                payer=row[2],
            )
            for seq, row in enumerate((row for row in self.rows if row[0] == "guests"), 90)
        )
        eaten = {row.person for row in rows if not row.voided}
        waiting = tuple(person for person in PEOPLE if person.person not in eaten)
        lunch = DaySession("lunch", "Lunch", "Түскі ас", "Обед", "09:30", "14:00", len(eaten), waiting)
        return DayBoard("2026-11-27", (*guests, *rows[::-1]), (lunch,))

    def list_groups(self) -> Sequence[str]:
        return sorted({person.group for person in PEOPLE})

    def enter_by_hand(self, person: PersonId, operator: str, reason: str) -> ActionResult:
        if not any(candidate.person == person for candidate in PEOPLE):
            return ActionFailed(FailureReason.UNKNOWN_PERSON)
        if not self.writable:
            known = next(candidate for candidate in PEOPLE if candidate.person == person)
            self.waiting.append(WaitingPerson(known.name, known.group, 0))
            return ActionHeld(1)
        return self._keep(("enter", person, operator, reason))

    def enter_class(self, group: str, operator: str, reason: str) -> ActionResult:
        members = [person.person for person in PEOPLE if person.group == group]
        results = [self._keep(("class", person, operator, reason)) for person in members]
        return ActionDone(len(results)) if results else ActionFailed(FailureReason.UNKNOWN_GROUP)

    def list_ticks(self, group: str) -> Sequence[TickPerson]:
        came = {row.person: row for row in self.read_day().rows if not row.voided}
        return [
            TickPerson(person.person, person.name, person.group, "", row.at, row.epoch, row.seq)
            if (row := came.get(person.person))
            else TickPerson(person.person, person.name, person.group, "")
            for person in PEOPLE
            if person.group == group
        ]

    def enter_people(self, people: Sequence[PersonId], operator: str, reason: str) -> ActionResult:
        results = [self._keep(("enter", person, operator, reason)) for person in people]
        return ActionDone(sum(isinstance(result, ActionDone) for result in results))

    def list_paper(self, wanted: PaperWanted) -> PaperList:
        lunch = PaperSession("lunch", "Lunch", "Түскі ас", "Обед", "09:30", "14:00")
        came = {row[1] for row in self.rows if row[0] == "paper"}
        members = [person for person in PEOPLE if person.group == wanted.group or f"c{person.person}" in wanted.codes]
        rows = (
            PaperRow(
                person.person, person.name, person.group, "", f"c{person.person}",
                "09:45" if person.person in came else "",
            )
            for person in members
        )  # fmt: skip
        wrong = () if "c" in wanted.codes or not wanted.codes else (wanted.codes,)
        return PaperList(wanted.day or "2026-11-27", "lunch", "09:30", "14:00", (lunch,), tuple(rows), wrong)

    def enter_paper(self, entered: EnteredPaper, operator: Operator, reason: str) -> ActionResult:
        if operator.only_group not in (None, entered.group):
            return ActionFailed(FailureReason.NOT_YOUR_CLASS)
        label = f"{entered.day} {entered.session} {entered.group} {entered.since}-{entered.until}"
        results = [self._keep(("paper", person, label, operator.id, reason)) for person in entered.people]
        return ActionDone(sum(isinstance(result, ActionDone) for result in results))

    def list_payers(self) -> Sequence[str]:
        return ["guest", "staff", "paid"]

    def enter_guests(self, counted: int, payer: str, operator: str, reason: str) -> ActionResult:
        return self._keep(("guests", str(counted), payer, operator, reason))

    def list_clocks(self) -> Sequence[WrongClock]:
        if any(row[:2] == ("clock", CLOCK.run) for row in self.rows):
            return []
        return [CLOCK]

    def confirm_clock(self, run: str, offset_s: int | None, operator: str, reason: str) -> ActionResult:
        if run not in [clock.run for clock in self.list_clocks()]:
            return ActionFailed(FailureReason.UNKNOWN_RUN)
        return self._keep(("clock", run, str(offset_s), operator, reason))

    def list_waiting(self) -> Sequence[WaitingPerson]:
        return self.waiting

    def change_count(self, step: int, operator: str) -> ActionResult:
        if self.writable:
            return ActionFailed(FailureReason.COUNT_CLOSED)
        self.counted = max(0, self.counted + step)
        return CountedByHand(self.counted)

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
def run_screen(
    station: FakeStaffDesk | None = None,
    *,
    pin: str | None = PIN,
    language: Language = Language.KK,
    sound: SoundLevel = SoundLevel.ON,
    speech: bool = False,
    hall: bool = False,
    metrics: CollectorRegistry | None = None,
    heartbeat_s: float = 5.0,
    port: int = 0,
    operators: OperatorBook | None = None,
    tablets: TabletParts | None = None,
    wall: Callable[[], datetime] = wall_clock,
) -> Iterator[ScreenServer]:
    with TemporaryDirectory() as folder:
        screen = ScreenServer(
            "127.0.0.1",
            port,
            timezone=ZoneInfo("Asia/Almaty"),
            language=language,
            sound=sound,
            speech=speech,
            hall=hall,
            actions=station or FakeStaffDesk(),
            operators=operators or OperatorBook(Path(folder), CommonPin(pin, (OPERATOR,))),
            tablets=tablets,
            wall=wall,
            metrics=metrics,
            heartbeat_s=heartbeat_s,
        )
        screen.start()
        try:
            yield screen
        finally:
            screen.stop()


def open_client(screen: ScreenServer) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{screen.port}", timeout=10)
