"""Printed lists: whose meal of which day may be entered, by whom, and what the event says."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from edge_agent.domain.moment import Moment
from edge_agent.domain.operators import Operator, OperatorRole
from edge_agent.runtime.paper_list import PaperRefused, check_paper, read_paper_list
from edge_agent.screen.ports import EnteredPaper, FailureReason, PaperWanted
from sync.contract.event import ClockQuality, PersonId
from tests.edge_agent.runtime.test_staff_day import DAY, NOON, ROSTER

COOK = Operator("op-1", "Cook", frozenset({OperatorRole.COOK}))
TEACHER = Operator("op-2", "Teacher", frozenset({OperatorRole.CLASS_TEACHER}), "2 «Б»")
NOW = Moment(NOON, 1, "b", ClockQuality.SYNCHRONISED)
LIST = EnteredPaper(DAY, "lunch", "2 «Б»", "09:40", "10:30", (PersonId("p3"),))


def changed(**fields: Any) -> EnteredPaper:
    return structs.replace(LIST, **fields)


def test_a_list_names_its_meal_and_its_hours() -> None:
    slot, act = check_paper(ROSTER, NOW, LIST, TEACHER, "no_power")
    assert (slot.session, slot.service_date) == ("lunch", DAY)
    assert (act.operator, act.note, act.paper, act.group) == ("op-2", "no_power", f"{DAY} lunch 2 «Б»", act.paper)
    assert (act.eaten_from, act.eaten_until) == ("2026-11-23T04:40:00.000Z", "2026-11-23T05:30:00.000Z")


@pytest.mark.parametrize(("entered", "operator", "why"), [
    (changed(day="2026-11-24"), COOK, FailureReason.WRONG_DAY),
    (changed(day="2026-10-20"), COOK, FailureReason.WRONG_DAY),
    (changed(session="sunday"), COOK, FailureReason.NO_SESSION),
    (changed(day="2026-99-99"), COOK, FailureReason.NO_SESSION),
    (changed(since="10:31"), COOK, FailureReason.WRONG_HOURS),
    (changed(since="07:00"), COOK, FailureReason.WRONG_HOURS),
    (changed(until="11:30"), COOK, FailureReason.WRONG_HOURS),  # still to come
    (changed(until="25:00"), COOK, FailureReason.WRONG_HOURS),
    (changed(people=(PersonId("p9"),)), COOK, FailureReason.UNKNOWN_PERSON),
    (changed(people=(PersonId("p3"), PersonId("p4"))), TEACHER, FailureReason.NOT_YOUR_CLASS),
    (LIST, replace(TEACHER, group=""), FailureReason.NOT_YOUR_CLASS),
])  # fmt: skip
def test_a_list_that_may_not_be_entered(entered: EnteredPaper, operator: Operator, why: FailureReason) -> None:
    with pytest.raises(PaperRefused) as refused:
        check_paper(ROSTER, NOW, entered, operator, "no_power")
    assert refused.value.reason is why


def test_a_clock_that_is_wrong_after_the_outage_keeps_no_list_out() -> None:
    wrong = Moment(datetime(2020, 1, 1, tzinfo=UTC), 1, "b", ClockQuality.UNSYNCHRONISED)
    assert check_paper(ROSTER, wrong, LIST, COOK, "no_power")[0].service_date == DAY


def test_a_list_of_a_day_that_no_calendar_has_is_empty() -> None:
    paper = read_paper_list(ROSTER, NOON, PaperWanted("2026-99-99", group="2 «Б»"), lambda _: ())
    assert (paper.sessions, paper.session, [row.name for row in paper.rows]) == ((), "", ["Дана Ли"])
