"""The ledger's lines in the log: its loss and its return are one line each, whatever the clients do meanwhile."""

import logging

import pytest

from edge_agent.runtime.ledger_log import LedgerLog
from sync.client.paced import SyncOutcome, SyncStep
from sync.errors import SyncAlarm

CLIENTS = ("ledger", "roster", "heartbeat", "log", "palms", "code uses", "cards")


def step(outcome: SyncOutcome, why: str = "so it is", alarm: SyncAlarm = SyncAlarm.NONE) -> SyncStep:
    return SyncStep(outcome, 0.0, why, alarm)


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def ledger(now: list[float], caplog: pytest.LogCaptureFixture) -> LedgerLog:
    caplog.set_level(logging.INFO)
    return LedgerLog(lambda: now[0])


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_a_day_without_trouble_is_one_line(ledger: LedgerLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(1_000):
        for client in CLIENTS:
            for outcome in (SyncOutcome.SENT, SyncOutcome.IDLE, SyncOutcome.CURRENT, SyncOutcome.WAITING):
                ledger.note(client, step(outcome))
    assert said(caplog) == [("INFO", "line to the ledger: reached")]


def test_an_outage_is_one_line_for_all_clients_and_one_at_its_end(
    ledger: LedgerLog, now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        for client in CLIENTS:
            ledger.note(client, step(SyncOutcome.UNREACHABLE, "no route"))
            ledger.note(client, step(SyncOutcome.IDLE))  # nothing to send is no contact
    now[0] = 125.0
    for client in CLIENTS:
        ledger.note(client, step(SyncOutcome.SENT))
    assert said(caplog) == [
        ("WARNING", "line to the ledger: no route"),
        ("INFO", "line to the ledger: reached again after 125 s; it happened 69 more times"),
    ]


def test_an_outage_of_days_is_said_once_an_hour(
    ledger: LedgerLog, now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    for minute in range(48 * 60):
        now[0] = minute * 60.0
        ledger.note("heartbeat", step(SyncOutcome.UNREACHABLE, "no route"))
    assert len(said(caplog)) == 48
    assert said(caplog)[1] == ("WARNING", "line to the ledger: no route (60 times since this was last said)")


def test_a_ledger_that_says_no_is_for_somebody_to_act(ledger: LedgerLog, caplog: pytest.LogCaptureFixture) -> None:
    ledger.note("ledger", step(SyncOutcome.STOPPED, "the key is unknown", SyncAlarm.UNAUTHORISED))
    ledger.note("roster", step(SyncOutcome.STOPPED, "the key is unknown", SyncAlarm.UNAUTHORISED))
    assert said(caplog) == [("ERROR", "line to the ledger: the key is unknown")]


def test_a_new_epoch_and_an_alarm_are_lines(ledger: LedgerLog, caplog: pytest.LogCaptureFixture) -> None:
    ledger.note("ledger", step(SyncOutcome.ALIGNED))
    ledger.note("ledger", step(SyncOutcome.NEW_EPOCH, "it was registered again"))
    for _ in range(3):
        ledger.note("ledger", step(SyncOutcome.NARROWED, "event 7 is refused", SyncAlarm.DEFERRED))
    ledger.note("ledger", step(SyncOutcome.SENT))
    assert said(caplog)[1:] == [
        ("INFO", "line to the ledger: a new epoch: it was registered again"),
        ("ERROR", "ledger: event 7 is refused"),
        ("INFO", "ledger: this is over; it happened 2 more times"),
    ]
