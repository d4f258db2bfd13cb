"""The alarms of a kiosk: what each is raised by, at which level, and what raises none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sync.contract.wire import PartHealth, PartKind, UpdateReport
from sync.ledger.fleet.alarms import (
    QUEUE_LONG,
    ROSTER_OLD_S,
    ROSTER_STALE_S,
    SILENT_ACT,
    SILENT_WATCH,
    AlarmKind,
    AlarmLevel,
    KioskState,
    judge_kiosk,
)
from sync.ledger.fleet.listing import FleetFilter, count_versions, list_kiosks

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
WELL = KioskState(
    school="sch-1", school_name="№ 1", timezone="Asia/Almaty", device="sch-1-a", name="left door", status="active",
    enrolled_at=NOW - timedelta(days=9), heard=NOW, twins=False, missing=0, newest_roster=3, version="0.2", queue=1,
    roster=3, roster_age_s=60, scanned=NOW, clock="synchronised", parts=(PartHealth("door", "ok", "", "reader"),),
)  # fmt: skip
OLD_VERSION = replace(WELL, roster_age_s=-1, scanned=None, parts=(PartHealth("door", "ok"),))
NEVER_HEARD = replace(WELL, heard=None, version="", queue=-1, roster=-1, roster_age_s=-1, clock="", parts=())


def failed(part: str, kind: str = "") -> tuple[PartHealth, ...]:
    return (PartHealth(part, "failed", "", kind),)


def update(state: str) -> UpdateReport:
    return UpdateReport(version="0.3", state=state)


@pytest.mark.parametrize(
    ("state", "kind", "level"),
    [
        (replace(WELL, twins=True), AlarmKind.TWINS, AlarmLevel.ACT),
        (replace(WELL, missing=2), AlarmKind.MISSING, AlarmLevel.ACT),
        (replace(WELL, status="suspended"), AlarmKind.SUSPENDED, AlarmLevel.WATCH),
        (replace(WELL, heard=NOW - SILENT_WATCH), AlarmKind.SILENT, AlarmLevel.WATCH),
        (replace(WELL, heard=NOW - SILENT_ACT, roster_age_s=-1), AlarmKind.SILENT, AlarmLevel.ACT),
        (NEVER_HEARD, AlarmKind.SILENT, AlarmLevel.ACT),
        (replace(WELL, queue=QUEUE_LONG), AlarmKind.QUEUE, AlarmLevel.WATCH),
        (replace(WELL, roster=0, roster_age_s=-1), AlarmKind.ROSTER, AlarmLevel.ACT),
        (replace(WELL, roster_age_s=ROSTER_OLD_S), AlarmKind.ROSTER, AlarmLevel.WATCH),
        (replace(WELL, roster_age_s=ROSTER_STALE_S + 1), AlarmKind.ROSTER, AlarmLevel.ACT),
        (replace(WELL, clock="unsynchronised"), AlarmKind.CLOCK, AlarmLevel.WATCH),
        (replace(WELL, update=update("rolled-back")), AlarmKind.UPDATE, AlarmLevel.ACT),
        (replace(WELL, parts=failed("door", PartKind.READER)), AlarmKind.READERS, AlarmLevel.ACT),
        (replace(WELL, parts=failed("journal", PartKind.READER)), AlarmKind.READERS, AlarmLevel.ACT),
        (replace(WELL, parts=failed("journal")), AlarmKind.JOURNAL, AlarmLevel.ACT),
        (replace(WELL, parts=failed("technician")), AlarmKind.TECHNICIAN, AlarmLevel.ACT),
        (replace(WELL, parts=failed("log")), AlarmKind.LOG, AlarmLevel.ACT),
        (replace(WELL, parts=failed("palms 17 clock")), AlarmKind.TERMINAL_CLOCK, AlarmLevel.ACT),
        (replace(WELL, parts=failed("door")), AlarmKind.READERS, AlarmLevel.ACT),
        (replace(WELL, parts=failed("fan", "cooling")), AlarmKind.OTHER, AlarmLevel.ACT),
    ],
)
def test_what_is_wrong_is_one_alarm(state: KioskState, kind: AlarmKind, level: AlarmLevel) -> None:
    assert [(alarm.kind, alarm.level) for alarm in judge_kiosk(state, NOW)] == [(kind, level)]


@pytest.mark.parametrize(
    "state",
    [
        WELL,
        OLD_VERSION,
        replace(NEVER_HEARD, enrolled_at=NOW),
        replace(WELL, heard=NOW - SILENT_WATCH + timedelta(seconds=1)),
        replace(WELL, status="active", queue=QUEUE_LONG - 1, roster_age_s=ROSTER_OLD_S - 1),
        replace(WELL, update=update("applied")),
        replace(WELL, parts=(PartHealth("door", "degraded", "", "reader"),)),
    ],
)
def test_what_is_well_raises_none(state: KioskState) -> None:
    assert judge_kiosk(state, NOW) == ()


def test_a_suspended_kiosk_is_not_called_silent() -> None:
    state = replace(WELL, status="suspended", heard=NOW - timedelta(days=30), roster_age_s=-1)
    assert [alarm.kind for alarm in judge_kiosk(state, NOW)] == [AlarmKind.SUSPENDED]


def test_a_roster_ages_while_nobody_hears_the_kiosk() -> None:
    state = replace(WELL, heard=NOW - timedelta(days=4), roster_age_s=0)
    assert [(alarm.kind, alarm.level) for alarm in judge_kiosk(state, NOW)] == [
        (AlarmKind.SILENT, AlarmLevel.ACT),
        (AlarmKind.ROSTER, AlarmLevel.ACT),
    ]


def test_those_who_need_somebody_come_first_and_filters_find_them() -> None:
    watched = replace(WELL, device="sch-1-b", clock="unknown", version="0.1")
    acting = replace(WELL, school="sch-2", school_name="Алматы № 2", device="sch-2-c", name="", twins=True)
    rows = list_kiosks([WELL, watched, acting], NOW)
    assert [row.state.device for row in rows] == ["sch-2-c", "sch-1-b", "sch-1-a"]

    def found(**query: str) -> list[str]:
        return [row.state.device for row in rows if FleetFilter.from_query(query).admits(row)]

    assert found() == ["sch-2-c", "sch-1-b", "sch-1-a"]
    assert found(text="АЛМАТЫ") == ["sch-2-c"]
    assert found(text="left") == ["sch-1-b", "sch-1-a"]
    assert found(level="act") == ["sch-2-c"]
    assert found(level="watch") == ["sch-2-c", "sch-1-b"]
    assert found(level="ok") == ["sch-1-a"]
    assert found(alarm="clock", version="0.1") == ["sch-1-b"]
    assert found(alarm="nonsense") == found(level="nonsense") == found(version="9") == []
    assert count_versions(rows) == {"0.1": 1, "0.2": 2}
