"""Refusals: counted by their sentence, logged at each power of ten, and told to the child for a while only."""

import logging
from datetime import UTC, datetime

import pytest

from drivers.bench.line_signs import LineSigns
from drivers.protocols import em4100
from drivers.readings import FaultCause, StreamFault
from edge_agent.domain.decision import DecisionReason
from edge_agent.domain.feedback import Advice, FeedbackKind
from edge_agent.domain.moment import Moment
from edge_agent.runtime.refusals import CHILD_TOLD_MS, SENTENCES_MAX, RefusalBook
from sync.contract.event import ClockQuality
from tests.drivers.uart import line_levels, receive


def moment(mono_ms: int = 0) -> Moment:
    return Moment(datetime(2026, 11, 20, 7, 0, tzinfo=UTC), mono_ms, "boot", ClockQuality.SYNCHRONISED)


def fault(what: str = "a line of unknown form", cause: FaultCause = FaultCause.CARD) -> StreamFault:
    return StreamFault("door", what, 0, cause)


def test_a_repeating_fault_is_logged_at_each_power_of_ten(caplog: pytest.LogCaptureFixture) -> None:
    book = RefusalBook("door")
    with caplog.at_level(logging.INFO):
        for _ in range(120):
            book.note(fault(), moment())
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "door refused what came",
        "door refused what came, 10 times now",
        "door refused what came, 100 times now",
    ]
    assert book.last is not None
    assert book.last.count == 120


def test_the_child_is_told_again_after_a_while_and_never_of_noise() -> None:
    book = RefusalBook("door")
    told = [book.note(fault(), moment(at)) for at in (0, CHILD_TOLD_MS - 1, CHILD_TOLD_MS)]
    assert [feedback is not None for feedback in told] == [True, False, True]
    assert RefusalBook("door").note(fault("bytes outside a frame", FaultCause.LINE), moment()) is None


@pytest.mark.parametrize(
    ("cause", "kind", "advice", "reason"),
    [
        (FaultCause.PHONE, FeedbackKind.USE_CARD, Advice.NO_PHONE, DecisionReason.PHONE_REFUSED),
        (FaultCause.CARD, FeedbackKind.ASK_STAFF, Advice.UNREAD, DecisionReason.CARD_UNREAD),
        (FaultCause.SETTINGS, FeedbackKind.ASK_STAFF, Advice.UNREAD, DecisionReason.READER_MISSET),
    ],
)
def test_child_and_staff_are_told_by_the_cause(
    cause: FaultCause, kind: FeedbackKind, advice: Advice, reason: DecisionReason
) -> None:
    feedback = RefusalBook("door").note(fault(cause=cause), moment())
    assert feedback is not None
    assert feedback.staff is not None
    assert (feedback.kind, feedback.advice, feedback.staff.reason) == (kind, advice, reason)


def test_a_wrong_speed_is_told_once_a_burst_and_stands_above_single_faults() -> None:
    book = RefusalBook("door", LineSigns("em4100"))
    garbage = receive(line_levels(em4100.encode(bytes.fromhex("1F00644BB6")) * 4), sent_baud=9_600, read_baud=19_200)
    told = []
    for at_ms in (0, 100, 5_000):  # two cards; the first one's bytes come in two parts
        book.hear(garbage)
        told.append(book.judge_line(moment(at_ms)))
        assert book.note(fault("bytes outside a frame", FaultCause.LINE), moment(at_ms)) is None
    assert [feedback is not None for feedback in told] == [True, False, True]
    assert book.judge_line(moment(9_000)) is None  # nothing new has come
    assert book.last is not None
    assert "set a lower baud" in book.last.what
    assert (book.last.cause, book.last.count) == (FaultCause.SETTINGS, 2)


def test_noise_on_a_line_that_has_read_a_card_is_told_to_the_staff_alone() -> None:
    book = RefusalBook("door", LineSigns("em4100"))
    book.note_reading()
    book.hear(b"\x00" * 40)
    assert book.judge_line(moment()) is None
    assert book.last is not None
    assert "only 00 and FF" in book.last.what
    book.note_reading()
    assert book.judge_line(moment(2_000)) is None
    assert book.last is None  # a reading has shown that the line is sound


def test_sentences_without_end_are_bounded() -> None:
    book = RefusalBook("door")
    for number in range(SENTENCES_MAX * 3):
        book.note(fault(f"a number of {number} digits"), moment())
    assert len(book._counts) == SENTENCES_MAX
