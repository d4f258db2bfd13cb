"""What the running agent tells of the last update."""

from pathlib import Path

import msgspec
import pytest

from edge_agent.domain.health import HealthLevel, KioskHealth, judge_health
from edge_agent.domain.update_plan import UpdateCause, UpdateRecord, UpdateState
from edge_agent.runtime.update_watch import UpdateWatch
from edge_agent.update.versions import InstalledVersions
from sync.contract.wire import UpdateReport

CATALOGUE = Path(__file__).parents[3] / "edge_agent/screen/catalogue"


def test_the_ledger_hears_of_each_state_with_its_reason(tmp_path: Path) -> None:
    watch, versions = UpdateWatch(tmp_path), InstalledVersions(tmp_path)
    assert watch.report() is None
    versions.write_record(UpdateRecord(state=UpdateState.TRIAL, version="2", previous="1"))
    assert watch.report() == UpdateReport(version="2", state="applied")
    versions.write_record(UpdateRecord(state=UpdateState.ROLLED_BACK, version="2", previous="1", reason="it was dumb"))
    assert watch.report() == UpdateReport(version="2", state="rolled-back", why="it was dumb")


def test_a_damaged_record_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "update.json").write_text("{")
    assert UpdateWatch(tmp_path).report() is None


@pytest.mark.parametrize("cause", UpdateCause)
def test_the_staffs_screen_has_a_line_for_each_cause_but_a_persons(cause: UpdateCause) -> None:
    lines = judge_health(KioskHealth(taken_back=cause, taken_back_version="2.0"))
    told = [(line.value, line.level, line.names) for line in lines if line.subject == "update"]
    if cause is UpdateCause.BY_HAND:
        assert told == []
        return
    assert told == [(cause.value, HealthLevel.WATCH, ("2.0",))]
    for language in ("kk", "ru", "en"):
        words = msgspec.json.decode((CATALOGUE / f"{language}.json").read_bytes())
        assert "{names}" in words[f"health.update.{cause.value}"]
