"""A small school for tests of money: visits, people and terms by a few words each."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from sync.contract.event import Claim, Method
from sync.contract.roster import Entitlement
from sync.contract.sessions import SessionWindow, Timetable
from sync.contract.visit import EventId, Visit
from sync.money.building import SheetFacts, SheetPerson
from sync.money.calendars import Calendar
from sync.money.sheet import SheetOutage, SheetSubject
from sync.money.tariffs import TariffBook

MONTH = "2025-11"
SUBJECT = SheetSubject("sch-1", "state", MONTH)
PRICE = 90100
WEEK = frozenset(range(1, 7))
TIMETABLE = Timetable(
    ZoneInfo("Asia/Almaty"),
    (
        SessionWindow("breakfast", time(8), time(9), WEEK),  # type: ignore[arg-type]
        SessionWindow("lunch", time(12), time(14), WEEK),  # type: ignore[arg-type]
    ),
)


def visit(person: str, day: int, seq: int = 0, **fields: object) -> Visit:
    """An entry at lunch on a day of the month, which the state pays unless `fields` say otherwise."""
    date = f"{MONTH}-{day:02}"
    values = {
        "id": EventId("sch-1-k1", "e1", seq or 1000 * day + sum(person.encode())), "person": person, "session": "lunch",
        "service_date": date, "method": Method.CARD, "programme": "state", "claim": Claim.CLAIMABLE,
        "entry_time": datetime(2025, 11, day, 7, 30, tzinfo=UTC), "recorded_time": f"{date}T07:30:00.000Z",
    } | fields  # fmt: skip
    return Visit(**values)  # type: ignore[arg-type]


def pupil(person: str, *, grade: str = "05", programme: str = "state", sessions: tuple[str, ...] = ("lunch",),
          first: str = "", last: str = "", category: str = "", group: str = "5 «А»") -> SheetPerson:  # fmt: skip
    """A pupil with one entitlement."""
    right = Entitlement(
        id=f"{person}.{programme}", person=person, programme=programme, sessions=sessions, first=first, last=last
    )
    return SheetPerson(person, grade, group, category, (right,))


def facts(
    visits: Sequence[Visit], people: Sequence[SheetPerson], calendar: Calendar, tariffs: TariffBook,
    outages: Sequence[SheetOutage] = (),
) -> SheetFacts:  # fmt: skip
    """What a sheet follows from, at this school."""
    return SheetFacts(visits, people, TIMETABLE, calendar, tariffs, outages)
