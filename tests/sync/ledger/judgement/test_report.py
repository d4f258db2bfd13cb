"""Visits and meals from what kiosks really sent, through HTTP and PostgreSQL."""

import io
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Self

import msgspec
import psycopg
import pytest

from sync.contract.chain import Epoch
from sync.contract.event import (
    Boot,
    Claim,
    ClockQuality,
    Entry,
    Exit,
    GuestMeals,
    HandCount,
    Manual,
    Method,
    RecordingResumed,
    Void,
)
from sync.contract.roster import Entitlement, MealSession, Person, Programme
from sync.ledger.errors import NotUnderstood
from sync.ledger.judgement.report import Report, ReportLine, build_city_report, build_report, write_csv
from sync.ledger.registry import rosters
from sync.ledger.registry.schools import issue_code
from sync.ledger.server import LedgerServer
from tests.sync.ledger.kiosk import Kiosk, accepted, carry, entry, new_school

DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def lunch(db: psycopg.Connection, school: str) -> str:
    """A school with one lunch and ten pupils for whom the state pays."""
    pupils = [f"u{n}" for n in range(10)]
    rosters.apply_changes(db, school, [
        MealSession(id="lunch", name="Lunch", start="08:30", end="10:10"),
        Programme(id="state", name="State meals"),
        *(Person(id=id_, given_name="Ә", family_name="Қ") for id_ in pupils),
        *(Entitlement(id=f"{id_}.state", person=id_, programme="state") for id_ in pupils),
    ])  # fmt: skip
    return school


def paid(person: str, school: str, minute: int = 0, **more: object) -> Entry:
    meal = {"programme": "state", "claim": Claim.CLAIMABLE, "mono_ms": minute * 60_000} | more
    return msgspec.structs.replace(entry(person, school=school, minute=minute), **meal)


def made(db: psycopg.Connection, school: str, factor: str = "1") -> Report:
    return build_report(db, school, DAY, DAY, now=NOW, attendance_factor=Decimal(factor))


def only(found: Report) -> ReportLine:
    (line,) = found.lines
    return line


def test_entry_exit_second_meal_and_void(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    exit_ = Exit(
        school=lunch, at="2026-11-20T04:20:00.000Z", boot="b", mono_ms=20 * 60_000, clock=ClockQuality.SYNCHRONISED,
        person="u1", session="lunch", service_date="2026-11-20", entry_epoch=kiosk.epoch, entry_seq=1,
    )  # fmt: skip
    void = Void(
        school=lunch, at="2026-11-20T04:30:00.000Z", boot="b", mono_ms=30 * 60_000, clock=ClockQuality.SYNCHRONISED,
        void_epoch=kiosk.epoch, void_seq=4, person="u2", operator="o", note="by mistake",
    )  # fmt: skip
    kiosk.record(
        paid("u1", lunch, 1), exit_, paid("u1", lunch, 25, claim=Claim.SECOND), paid("u2", lunch, 26), void,
        paid("u3", lunch, 27, review=True),
    )  # fmt: skip
    accepted(kiosk.send_all())
    line = only(made(db, lunch))
    assert (line.visits, line.meals, line.second, line.void, line.without_exit, line.review) == (3, 2, 1, 1, 2, 1)
    assert (line.day, line.session, line.programme, line.entitled, line.check) == (
        "2026-11-20",
        "lunch",
        "state",
        10,
        "ok",
    )


def test_one_meal_at_two_kiosks(db: psycopg.Connection, lunch: str, enrolled: Callable[[], Kiosk]) -> None:
    left, right = enrolled(), enrolled()
    left.record(paid("u1", lunch, 2))
    right.record(paid("u1", lunch, 1))
    accepted(left.send_all())
    accepted(right.send_all())
    line = only(made(db, lunch))
    assert (line.visits, line.meals, line.second) == (2, 1, 1)


def test_a_copied_code_at_two_kiosks_is_one_meal(
    db: psycopg.Connection, lunch: str, enrolled: Callable[[], Kiosk]
) -> None:
    code = {"method": Method.CODE, "credential": "u1.dynamic", "code_step": 59_369_480}
    left, right = enrolled(), enrolled()
    left.record(paid("u1", lunch, 2, **code))
    right.record(paid("u1", lunch, 2, at="2026-11-20T04:02:20.000Z", **code))
    accepted(left.send_all())
    accepted(right.send_all())
    line = only(made(db, lunch))
    assert (line.visits, line.meals, line.second) == (2, 1, 1)


def test_the_edit_check(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(*(paid(f"u{n}", lunch, n) for n in range(10)))
    accepted(kiosk.send_all())
    assert only(made(db, lunch)).check == "ok"
    assert only(made(db, lunch, "0.938")).check == "over_factor"


def test_a_burst_by_hand_is_noticed(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(*(
        Manual(
            school=lunch, at="2026-11-20T04:00:00.000Z", boot="b", mono_ms=number * 2_000,
            clock=ClockQuality.SYNCHRONISED, person=f"u{number % 10}", session="lunch", service_date="2026-11-20",
            method=Method.MANUAL, operator="cook", note="forgot",
        )
        for number in range(60)
    ))  # fmt: skip
    accepted(kiosk.send_all())
    notices = {(notice.kind, notice.operator): notice.count for notice in made(db, lunch).notices}
    assert notices["manual_burst", "cook"] == 60


class CountingCursor(psycopg.Cursor[Any]):
    """A cursor that counts the rows that statements on the large tables bring."""

    rows = 0

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        super().execute(query, params, **options)
        if re.search(r"FROM (event|carried|visit)\b", str(query)):
            type(self).rows += self.rowcount
        return self


def test_a_count_by_hand_is_noticed_and_bills_nothing(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    head: dict[str, Any] = {
        "at": f"{DAY}T04:50:00.000Z",
        "boot": "b",
        "mono_ms": 9,
        "clock": ClockQuality.SYNCHRONISED,
        "school": lunch,
    }
    since = f"{DAY}T04:30:00.000Z"
    kiosk.record(
        paid("u1", lunch, 1),
        RecordingResumed(**head, since=since, waiting=2, not_kept=1),
        HandCount(**head, counted=7, operator="a1", since=since, session="lunch", service_date=str(DAY)),
    )  # fmt: skip
    accepted(kiosk.send_all())
    report = made(db, lunch)
    assert only(report).meals == 1
    assert [(each.kind, each.count, each.operator) for each in report.notices] == [
        ("written late", 2, ""), ("scans not kept", 1, ""), ("hand count", 7, "a1"),
    ]  # fmt: skip


def test_guests_stand_on_lines_of_their_own(db: psycopg.Connection, lunch: str, enrolled: Callable[[], Kiosk]) -> None:
    def guests(counted: int, payer: str = "guest", **more: Any) -> GuestMeals:
        fields: dict[str, Any] = {
            "school": lunch, "at": f"{DAY}T04:50:00.000Z", "boot": "b", "mono_ms": 9,
            "clock": ClockQuality.SYNCHRONISED, "operator": "op", "note": "inspection",
        }  # fmt: skip
        return GuestMeals(
            **fields | {"session": "lunch", "service_date": str(DAY)} | more, counted=counted, payer=payer
        )

    left, right = enrolled(), enrolled()
    void = Void(
        school=lunch, at=f"{DAY}T05:00:00.000Z", boot="b", mono_ms=10, clock=ClockQuality.SYNCHRONISED,
        void_epoch=left.epoch, void_seq=2, person="", operator="op", note="twice",
    )  # fmt: skip
    yesterday = guests(50, service_date="2026-11-19")
    left.record(paid("u1", lunch, 1), guests(5), guests(4), guests(2, "staff"), yesterday, void)
    right.record(guests(3))
    accepted(left.send_all())
    accepted(right.send_all())
    report = made(db, lunch)
    assert (only(report).visits, only(report).meals, only(report).void) == (1, 1, 0)
    assert [(line.session, line.payer, line.entries, line.meals, line.void) for line in report.guests] == [
        ("lunch", "guest", 2, 7, 1), ("lunch", "staff", 1, 2, 0),
    ]  # fmt: skip


def test_a_city_is_counted_where_its_rows_lie(
    db: psycopg.Connection, server: LedgerServer, lunch: str, enrolled: Callable[[], Kiosk]
) -> None:
    schools = [lunch]
    kiosk = enrolled()
    cards = [paid(f"u{number % 10}", lunch, 10 + number) for number in range(40)]
    pile = [paid(f"p{number}", lunch, mono_ms=number * 500) for number in range(12)]
    kiosk.record(*cards, *pile)
    accepted(kiosk.send_all())
    for _ in range(2):
        schools.append(new_school(db))
        with closing(Kiosk.enrol(server.url, issue_code(db, schools[-1], "left door", datetime.now(UTC)))) as other:
            other.record(*(paid(f"u{number}", schools[-1], number) for number in range(40)))
            accepted(other.send_all())
    alone = [build_report(db, school, DAY, DAY, now=NOW) for school in schools]
    db.cursor_factory = CountingCursor
    city = build_city_report(db, schools, DAY, DAY, now=NOW)
    assert city.lines == tuple(line for report in alone for line in report.lines)
    assert city.notices == tuple(notice for report in alone for notice in report.notices)
    assert [line.visits for line in city.lines if line.school == lunch] == [52]
    assert [(notice.school, notice.count) for notice in city.notices if notice.kind == "card_pile"] == [(lunch, 12)]
    late = sum(notice.count for notice in city.notices if notice.kind == "after_hours")
    assert CountingCursor.rows <= len(city.lines) * 2 + 12 + late + len(city.notices)


def test_a_clock_that_was_put_right_later_in_its_boot(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    """The kiosk woke in 2019 and learnt the time two days on; its lunch still belongs to its day."""
    wrong = {
        "clock": ClockQuality.UNSYNCHRONISED,
        "boot": "long",
        "service_date": "",
        "session": "",
        "claim": Claim.HELD,
    }
    boot = Boot(
        school=lunch,
        at="2019-01-01T00:00:00.000Z",
        boot="long",
        mono_ms=0,
        clock=ClockQuality.UNSYNCHRONISED,
        version="1",
    )
    # The agent was started again meanwhile, and the machine was not.
    right = {"at": "2026-11-22T04:00:00.000Z", "mono_ms": 172_800_000, "clock": ClockQuality.SYNCHRONISED}
    kiosk.record(
        boot,
        paid("u1", lunch, 0, at="2019-01-01T00:10:00.000Z", **(wrong | {"mono_ms": 600_000})),
        msgspec.structs.replace(boot, **right),
    )  # fmt: skip
    accepted(kiosk.send_all())
    line = only(made(db, lunch))
    assert (line.visits, line.meals, line.held) == (1, 1, 0)


def test_carried_events_are_counted_once(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(*(paid(f"u{n}", lunch, n) for n in range(4)))
    accepted(kiosk.send(1, 3))
    successor = replace(kiosk, epoch=Epoch("00000000000000ab"), parent=bytes(kiosk.hashes[2]), payloads=[])
    successor.record(*(carry(kiosk, seq) for seq in (3, 4)))
    accepted(successor.send_all())
    line = only(made(db, lunch))
    assert (line.visits, line.meals) == (4, 4)


def test_both_branches_of_a_copied_card_are_visits(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(paid("u1", lunch, 1), paid("u2", lunch, 2))
    copy = kiosk.twin()
    copy.payloads[1:] = []
    exit_ = Exit(
        school=lunch, at="2026-11-20T04:20:00.000Z", boot="b", mono_ms=20 * 60_000, clock=ClockQuality.SYNCHRONISED,
        person="u3", session="lunch", service_date="2026-11-20", entry_epoch=kiosk.epoch, entry_seq=2,
    )  # fmt: skip
    copy.record(paid("u3", lunch, 3), exit_)
    accepted(kiosk.send_all())
    successor = replace(kiosk, epoch=Epoch("00000000000000ac"), parent=bytes(kiosk.hashes[2]), payloads=[])
    successor.record(*(carry(copy, seq) for seq in (2, 3)))
    accepted(successor.send_all())
    line = only(made(db, lunch))
    assert (line.visits, line.meals, line.without_exit) == (3, 3, 2)  # the exit is of u3, on the copy


def test_what_is_odd_is_listed(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(b"rubbish", paid("stranger", lunch))
    accepted(kiosk.send_all())
    kinds = {notice.kind for notice in made(db, lunch).notices}
    assert {"quarantine: unreadable", "quarantine: unknown-person"} <= kinds


def test_csv_opens_in_a_spreadsheet(db: psycopg.Connection, lunch: str, kiosk: Kiosk) -> None:
    kiosk.record(paid("u1", lunch))
    accepted(kiosk.send_all())
    target = io.StringIO()
    write_csv(made(db, lunch).lines, target)
    header, row, rest = target.getvalue().split("\r\n")
    assert header.startswith("school,day,session,programme,visits,meals")
    assert row.startswith(f"{lunch},2026-11-20,lunch,state,1,1,")
    assert rest == ""


def test_wrong_questions(db: psycopg.Connection, school: str) -> None:
    with pytest.raises(NotUnderstood, match="no school"):
        build_report(db, "nowhere", DAY, DAY, now=NOW)
    with pytest.raises(NotUnderstood, match="the earlier one first"):
        build_report(db, school, DAY, date(2026, 11, 1), now=NOW)
