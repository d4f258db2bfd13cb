"""A fault that repeats is logged once and counted."""

import logging

import pytest

from edge_agent.process.repeated_faults import TEXTS_MAX, RepeatedFaults


def test_a_fault_is_said_once_then_counted_then_said_again_after_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    faults = RepeatedFaults(logging.getLogger("kiosk"), lambda: now[0])
    caplog.set_level(logging.INFO)
    for second in range(3_700):
        now[0] = float(second)
        faults.note("ledger", logging.WARNING, "the disk is full")
        if second == 10:
            faults.note("roster", logging.WARNING, "the disk is full")
            faults.note("ledger", logging.ERROR, "the disk is gone")
    faults.end("ledger")
    faults.end("ledger")
    faults.note("ledger", logging.WARNING, "the disk is full")  # a new time begins
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "ledger: the disk is full"),
        ("WARNING", "roster: the disk is full"),
        ("ERROR", "ledger: the disk is gone"),
        ("WARNING", "ledger: the disk is full (3600 times since this was last said)"),
        ("INFO", "ledger: this is over; it happened 99 more times"),
        ("WARNING", "ledger: the disk is full"),
    ]


def test_words_that_are_new_each_time_fill_no_memory(caplog: pytest.LogCaptureFixture) -> None:
    faults = RepeatedFaults(logging.getLogger("kiosk"), lambda: 0.0)
    for number in range(3 * TEXTS_MAX):
        faults.note("reader", logging.WARNING, f"byte {number}")
    faults.note("reader", logging.WARNING, "byte 0")  # forgotten long since
    assert len(caplog.records) == 3 * TEXTS_MAX + 1


def test_a_trace_comes_with_the_first_one_alone(caplog: pytest.LogCaptureFixture) -> None:
    faults = RepeatedFaults(logging.getLogger("kiosk"), lambda: 0.0)
    for _ in range(2):
        try:
            int("odd")
        except ValueError as error:
            faults.note("station", logging.ERROR, str(error), trace=True)
    assert [bool(record.exc_info) for record in caplog.records] == [True]
