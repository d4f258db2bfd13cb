"""Pairs of counts with planted differences: ours as visits and a sheet, the payer's as the text of a file.

The payer's file starts as a true copy of what we bill. Each plant changes one child's day on one of the two sides and
writes down what the comparison must say of it. No two plants share a child's day.
"""

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from sync.contract.event import Claim
from sync.contract.roster import Entitlement
from sync.contract.visit import ClaimReason, EventId, Visit, VisitClosing
from sync.money.building import SheetPerson, build_sheet
from sync.money.calendars import Calendar
from sync.money.differences import DifferenceKind, OurCount
from sync.money.payer_people import RosterName, hash_number
from sync.money.sheet import OutageKind, SheetOutage
from sync.money.tariffs import TariffBook
from tests.sync.money.school import MONTH, SUBJECT, facts, pupil, visit

KEY = b"the payer's key"
TAUGHT = tuple(day for week in (3, 10, 17, 24) for day in range(week, week + 5))
MADE_AT = datetime(2025, 12, 1, 12, tzinfo=UTC)
FAMILIES = ("Әлиев", "Ахметов", "Бекова", "Жұмабаев", "Ким", "Қасымова", "Оспанов", "Сейітов", "Тілеу", "Юсупова")
NAMES = ("Арман", "Айгүл", "Дана", "Ерлан", "Жанна", "Ілияс", "Нұрлан", "Сәуле", "Тимур", "Ұлпан")

Expected = tuple[DifferenceKind, str, int, frozenset[EventId], frozenset[int]]


@dataclass
class Pair:
    """One pair. `cells`: the payer's meals, (person, day, session, school) → how many."""

    dice: random.Random
    calendar: Calendar
    tariffs: TariffBook
    people: list[SheetPerson]
    visits: dict[EventId, Visit] = field(default_factory=dict)
    elsewhere: list[Visit] = field(default_factory=list)
    received: dict[EventId, datetime] = field(default_factory=dict)
    voids: dict[EventId, EventId] = field(default_factory=dict)
    entitlements: dict[str, list[Entitlement]] = field(default_factory=dict)
    outages: list[SheetOutage] = field(default_factory=list)
    cells: dict[tuple[str, int, str, str], int] = field(default_factory=dict)
    unreadable: set[tuple[str, int]] = field(default_factory=set)
    nameless: set[str] = field(default_factory=set)  # people whose line has no number and an ambiguous name
    withdrawals: dict[str, int] = field(default_factory=dict)
    planted: list[tuple[DifferenceKind, str, int, frozenset[EventId]]] = field(default_factory=list)
    used: set[tuple[str, int]] = field(default_factory=set)

    def add(self, entry: Visit) -> Visit:
        self.visits[entry.id] = entry
        self.received[entry.id] = (entry.entry_time or MADE_AT) + timedelta(seconds=self.dice.randrange(1, 3000))
        return entry

    def change(self, entry: Visit, **fields: object) -> Visit:
        return self.add(replace(entry, **fields))  # type: ignore[arg-type]

    def our_count(self) -> OurCount:
        visits = list(self.visits.values())
        self.dice.shuffle(visits)
        given = facts(visits, self.people, self.calendar, self.tariffs, self.outages)
        return OurCount(
            sheet=build_sheet(SUBJECT, 1, given), visits=visits, elsewhere=self.elsewhere, received=self.received,
            voids=self.voids, entitlements=self.entitlements,
        )  # fmt: skip

    def roster_names(self) -> list[RosterName]:
        return [RosterName(each.person, name_of(each.person), each.group) for each in self.people]

    def numbers(self) -> dict[str, tuple[str, ...]]:
        return {hash_number(number_of(each.person), KEY): (each.person,) for each in self.people}

    def expect(self, kind: DifferenceKind, person: str, day: int, *events: EventId) -> None:
        self.planted.append((kind, person, day, frozenset(events)))


def number_of(person: str) -> str:
    return f"0101015{int(person[1:]):05}"


def name_of(person: str) -> str:
    number = int(person[1:])
    return f"{FAMILIES[number % 10]} {NAMES[number // 10 % 10]}"


def make_pair(seed: int, calendar: Calendar, tariffs: TariffBook, plants: int = 12) -> Pair:
    """Returns a pair with some differences of every kind that its dice choose."""
    dice = random.Random(seed)
    people = [pupil(f"p{number}", group=f"{5 + number % 3} «А»") for number in range(30)]
    pair = Pair(dice, calendar, tariffs, people)
    pair.entitlements = {each.person: list(each.entitlements) for each in people}
    sequence = iter(range(1, 100_000))
    for each in people:
        for day in TAUGHT:
            if dice.random() < 0.85:
                entry = pair.add(visit(each.person, day, next(sequence), recorded_claim=Claim.CLAIMABLE,
                                       recorded_programme="state"))  # fmt: skip
                pair.cells[each.person, day, entry.session, ""] = 1
    for _ in range(plants):
        dice.choice(PLANTS)(pair)
    return pair


def _pick(pair: Pair, *, eaten: bool) -> tuple[str, int, Visit | None]:
    """Returns a child's day that no plant has used; with `eaten`, and a billed meal of it."""
    billed = {(entry.person, int(entry.service_date[8:])): entry for entry in pair.visits.values()}
    free = [
        (each.person, day) for each in pair.people for day in TAUGHT
        if (each.person, day) not in pair.used and ((each.person, day) in billed) == eaten
        and each.person not in pair.nameless and each.person not in pair.withdrawals
    ]  # fmt: skip
    person, day = pair.dice.choice(free)
    pair.used.add((person, day))
    return person, day, billed.get((person, day))


def _eaten(pair: Pair) -> tuple[str, int, Visit]:
    person, day, entry = _pick(pair, eaten=True)
    assert entry is not None
    return person, day, entry


def _new_id(pair: Pair) -> EventId:
    return EventId("sch-1-k1", "e1", 200_000 + len(pair.visits) + len(pair.voids) + len(pair.elsewhere))


def plant_late(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    pair.received[entry.id] = MADE_AT + timedelta(hours=1)
    del pair.cells[person, day, "lunch", ""]
    pair.expect(DifferenceKind.LATE, person, day, entry.id)


def plant_void(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    pair.change(entry, claim=Claim.NONE, why=ClaimReason.VOIDED, closing=VisitClosing.VOID)
    void = pair.voids[entry.id] = _new_id(pair)
    pair.expect(DifferenceKind.VOID, person, day, entry.id, void)


def plant_second_meal(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    second = pair.change(entry, id=_new_id(pair), claim=Claim.SECOND, why=ClaimReason.SECOND_MEAL, first=entry.id)
    pair.cells[person, day, "lunch", ""] = 2
    pair.expect(DifferenceKind.SECOND_MEAL, person, day, second.id, entry.id)


def _last_day(pair: Pair) -> tuple[str, int, Visit] | None:
    """A child's last meal of the month, if no plant has touched it or a later day; the days after it are used up."""
    person, day, entry = _eaten(pair)
    later = {(person, other) for other in TAUGHT if other > day}
    if later & pair.used or any(each[0] == person and each[1] > day for each in pair.cells):
        pair.used.discard((person, day))
        return None
    pair.used |= later
    return person, day, entry


def plant_withdrawn_here(pair: Pair) -> None:
    """Our roster ended the entitlement the day before; the payer counts on."""
    chosen = _last_day(pair)
    if chosen is None:
        return
    person, day, entry = chosen
    pair.entitlements[person] = [
        Entitlement(id=f"{person}.state", person=person, programme="state", last=f"{MONTH}-{day - 1:02}")
    ]
    pair.change(entry, claim=Claim.NONE, why=ClaimReason.NO_ENTITLEMENT)
    pair.expect(DifferenceKind.WITHDRAWN_VOUCHER, person, day, entry.id)


def plant_withdrawn_there(pair: Pair) -> None:
    """The payer withdrew the voucher, and our roster has not heard of it."""
    chosen = _last_day(pair)
    if chosen is None:
        return
    person, day, entry = chosen
    pair.withdrawals[person] = day
    del pair.cells[person, day, "lunch", ""]
    pair.expect(DifferenceKind.WITHDRAWN_VOUCHER, person, day, entry.id)


def plant_roster_version_here(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    pair.change(entry, claim=Claim.NONE, why=ClaimReason.NO_ENTITLEMENT)
    pair.expect(DifferenceKind.ROSTER_VERSION, person, day, entry.id)


def plant_roster_version_there(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    pair.change(entry, recorded_programme="paid")
    del pair.cells[person, day, "lunch", ""]
    pair.expect(DifferenceKind.ROSTER_VERSION, person, day, entry.id)


def plant_held(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    pair.change(entry, claim=Claim.HELD, why=ClaimReason.CLOCK)
    pair.expect(DifferenceKind.HELD, person, day, entry.id)


def plant_held_there(pair: Pair) -> None:
    """Their kiosk's file left out what was held then; the ledger has judged it since."""
    person, day, entry = _eaten(pair)
    pair.change(entry, recorded_claim=Claim.HELD, why=ClaimReason.JUDGED_AGAIN)
    del pair.cells[person, day, "lunch", ""]
    pair.expect(DifferenceKind.HELD, person, day, entry.id)


def plant_without_a_roster(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    pair.change(entry, claim=Claim.HELD, why=ClaimReason.NO_ROSTER)
    pair.expect(DifferenceKind.HELD, person, day, entry.id)


def plant_reversed(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    pair.change(entry, claim=Claim.NONE, why=ClaimReason.REVERSED)
    pair.expect(DifferenceKind.REVERSED, person, day, entry.id)


def plant_reversed_there(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    pair.change(entry, why=ClaimReason.REVERSED)
    del pair.cells[person, day, "lunch", ""]
    pair.expect(DifferenceKind.REVERSED, person, day, entry.id)


def plant_contested(pair: Pair) -> None:
    """A family said that it was not right, and a named person found so, or has not answered yet."""
    person, day, entry = _eaten(pair)
    upheld = pair.dice.random() < 0.5
    pair.change(entry, claim=Claim.NONE if upheld else Claim.HELD, why=ClaimReason.CONTESTED)
    pair.expect(DifferenceKind.REVERSED if upheld else DifferenceKind.HELD, person, day, entry.id)


def plant_guest(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    pair.change(entry, claim=Claim.PENDING)
    pair.expect(DifferenceKind.GUEST, person, day, entry.id)


def plant_other_session(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    del pair.cells[person, day, "lunch", ""]
    pair.cells[person, day, "breakfast", ""] = 1
    pair.expect(DifferenceKind.OTHER_SESSION, person, day, entry.id)


def plant_other_school_here(pair: Pair) -> None:
    """The child ate at another school; the payer has it on this one's sheet."""
    person, day, entry = _eaten(pair)
    del pair.visits[entry.id]
    there = replace(entry, id=EventId("sch-2-k1", "e9", entry.id.seq))
    pair.elsewhere.append(there)
    pair.expect(DifferenceKind.OTHER_SCHOOL, person, day, there.id)


def plant_other_school_there(pair: Pair) -> None:
    """The child ate here; the payer has it at another school."""
    person, day, entry = _eaten(pair)
    del pair.cells[person, day, "lunch", ""]
    pair.cells[person, day, "lunch", "sch-2"] = 1
    pair.expect(DifferenceKind.OTHER_SCHOOL, person, day, entry.id)


def plant_other_programme(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    pair.change(entry, programme="paid")
    pair.expect(DifferenceKind.OTHER_PROGRAMME, person, day, entry.id)


def plant_theirs_without_ours(pair: Pair) -> None:
    person, day, _ = _pick(pair, eaten=False)
    pair.cells[person, day, "lunch", ""] = 1
    away = [outage.id for outage in pair.outages if outage.day == day]
    pair.expect(DifferenceKind.THEIRS_WITHOUT_OURS, person, day, *away)


def plant_counted_twice(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    pair.cells[person, day, "lunch", ""] = 2
    pair.expect(DifferenceKind.THEIRS_WITHOUT_OURS, person, day, entry.id)


def plant_outage(pair: Pair) -> None:
    """A kiosk was away on a day of which the payer alone has a meal."""
    person, day, _ = _pick(pair, eaten=False)
    if any(outage.day == day for outage in pair.outages) or any(
        kind is DifferenceKind.THEIRS_WITHOUT_OURS and planted_day == day for kind, _, planted_day, _ in pair.planted
    ):
        pair.used.discard((person, day))
        return
    outage = SheetOutage(day, "lunch", "sch-1-k1", "e1", 300_000 + day, OutageKind.BOOT)
    pair.outages.append(outage)
    pair.cells[person, day, "lunch", ""] = 1
    pair.expect(DifferenceKind.THEIRS_WITHOUT_OURS, person, day, outage.id)


def plant_ours_without_theirs(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    del pair.cells[person, day, "lunch", ""]
    pair.expect(DifferenceKind.OURS_WITHOUT_THEIRS, person, day, entry.id)


def plant_unreadable(pair: Pair) -> None:
    person, day, entry = _eaten(pair)
    del pair.cells[person, day, "lunch", ""]
    pair.unreadable.add((person, day))
    pair.expect(DifferenceKind.UNREADABLE, person, day, entry.id)


PLANTS = (
    plant_late, plant_void, plant_second_meal, plant_withdrawn_here, plant_withdrawn_there, plant_roster_version_here,
    plant_roster_version_there, plant_held, plant_guest, plant_other_session, plant_other_school_here,
    plant_other_school_there, plant_other_programme, plant_theirs_without_ours, plant_counted_twice, plant_outage,
    plant_ours_without_theirs, plant_unreadable, plant_held_there, plant_without_a_roster, plant_reversed,
    plant_reversed_there, plant_contested,
)  # fmt: skip


def write_long(pair: Pair) -> list[list[str]]:
    """The payer's file with a line a meal, in any order."""
    rows = [
        [number_of(person), name_of(person), day_text(day, pair), session, school, str(count), ""]
        for (person, day, session, school), count in pair.cells.items()
    ]
    rows += [[number_of(person), "", day_text(day, pair), "lunch", "", "два", ""] for person, day in pair.unreadable]
    rows += [[number_of(person), "", "", "", "", "", f"{MONTH}-{day:02}"] for person, day in pair.withdrawals.items()]
    pair.dice.shuffle(rows)
    return [["ИИН", "ФИО", "Дата", "Приём", "Школа", "Порций", "Отозван"], *rows, ["Итого", "", "", "", "", "9999", ""]]


def write_wide(pair: Pair) -> list[list[str]]:
    """The payer's file with a row a child and session, and a column a day; sums stand below."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for (person, day, session, school), count in pair.cells.items():
        row = rows.setdefault((person, session, school), [""] * 30)
        row[day - 1] = "+" if count == 1 else str(count)
    for person, day in pair.unreadable:
        rows.setdefault((person, "lunch", ""), [""] * 30)[day - 1] = "??"
    for person in pair.withdrawals:
        rows.setdefault((person, "lunch", ""), [""] * 30)
    listed = list(rows.items())
    pair.dice.shuffle(listed)
    table = [
        ["Табель за ноябрь"],
        ["ИИН", "Фамилия", "Имя", "Приём", "Школа", "Отозван", *map(str, range(1, 31)), "Всего"],
    ]
    for (person, session, school), days in listed:
        gone = pair.withdrawals.get(person)
        until = day_text(gone, pair) if gone and session == "lunch" and not school else ""
        table.append([number_of(person), *name_of(person).split(), session, school, until, *days, "=SUM(G3:AJ3)"])
    return [*table, [], ["Барлығы", "", "", "", "", "", *["=SUM(G3:G9)"] * 31]]


def day_text(day: int, pair: Pair) -> str:
    return date(2025, 11, day).strftime(pair.dice.choice(["%Y-%m-%d", "%d.%m.%Y"]))
