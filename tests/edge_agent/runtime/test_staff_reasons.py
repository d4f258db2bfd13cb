"""A reason in the staff's own words goes into an event for ever, so it names nobody."""

from types import SimpleNamespace
from typing import cast

import pytest

from edge_agent.journal.terminal_runs import TerminalRuns
from edge_agent.runtime.inbox import FULL_WAIT_S, Inbox, PalmScan, Scan, StationJob
from edge_agent.runtime.outage import OutageDesk
from edge_agent.runtime.staff import StaffDesk
from edge_agent.screen.ports import ActionDone, ActionFailed, ActionResult, FailureReason
from edge_agent.station.station import Station
from sync.contract.chain import Epoch
from sync.contract.event import PersonId
from sync.contract.roster import Person
from tests.edge_agent.journal.samples import StandingClock

CHILD = Person(id="u1", given_name="Айгүл", family_name="Алиева", group="1 А")


class PromptInbox(Inbox):
    """Takes every job and does it at once, as one row of the journal."""

    def add_work(self, work: Scan | PalmScan | StationJob, wait_s: float = FULL_WAIT_S) -> bool:
        assert isinstance(work, StationJob)
        work.result.set_result(1)
        return True


def act(desk: StaffDesk, reason: str) -> list[ActionResult]:
    return [
        desk.enter_by_hand(PersonId("u1"), "Cook", reason),
        desk.enter_class("1 А", "Cook", reason),
        desk.void_entry(Epoch("e"), 1, "Cook", reason),
        desk.confirm_clock("r", None, "Cook", reason),
    ]


@pytest.mark.parametrize(("reason", "outcome"), [
    ("карта Алиевой сломана", ActionFailed(FailureReason.NAMES_SOMEBODY)),
    ("карта сломана", ActionDone(1)),
    ("forgot_card", ActionDone(1)),
])  # fmt: skip
def test_a_reason_with_a_name_does_nothing(reason: str, outcome: ActionResult) -> None:
    station = cast("Station", SimpleNamespace(roster=SimpleNamespace(people={"u1": CHILD})))
    runs, outage = cast("TerminalRuns", None), cast("OutageDesk", None)
    desk = StaffDesk(station, PromptInbox(), StandingClock(), runs, lambda _: (), outage)
    assert act(desk, reason) == [outcome] * 4
