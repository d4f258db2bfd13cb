"""The finding about tablets: none where they are off, and a next step for each thing that can be wrong."""

from pathlib import Path

import pytest

from edge_agent.cli.checks.finding import FindingState
from edge_agent.cli.checks.tablets import check_tablets
from edge_agent.control_api import TabletsStatus
from edge_agent.domain.tablets import DoorFault
from tests.edge_agent.cli.checks.kiosk import kiosk
from tests.edge_agent.cli.checks.test_daemon import status_with

WELL = TabletsStatus(
    fault=DoorFault.NONE, name="kiosk.local", addresses=("10.1.2.3",), port=8641, until="2027-03-01T05:00:00", paired=2
)


def test_tablets_that_are_off_have_no_finding(tmp_path: Path) -> None:
    assert list(check_tablets(kiosk(tmp_path, status=status_with()))) == []
    assert list(check_tablets(kiosk(tmp_path))) == []


def test_a_door_that_is_open_says_where_and_until_when(tmp_path: Path) -> None:
    (finding,) = check_tablets(kiosk(tmp_path, status=status_with(tablets=WELL)))
    assert (finding.state, str(finding.detail)) == (
        FindingState.GOOD,
        "https://kiosk.local:8641/ at 10.1.2.3; paired: 2; certificate until 2027-03-01",
    )


@pytest.mark.parametrize("fault", [fault for fault in DoorFault if fault is not DoorFault.NONE])
def test_whatever_is_wrong_has_a_next_step_and_stops_no_lunch(tmp_path: Path, fault: DoorFault) -> None:
    status = status_with(tablets=TabletsStatus(fault=fault, why="10.1.2.3:8641"))
    (finding,) = check_tablets(kiosk(tmp_path, status=status))
    assert finding.state is FindingState.ATTENTION
    assert finding.next_step
