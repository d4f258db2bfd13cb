"""Signs of fraud, and what must not be taken for one."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from sync.contract.event import Claim, ClockQuality, Entry, Exit, Manual, Method
from sync.contract.flags import Flag, FlagKind, FlagThresholds, find_flags
from sync.contract.visits import EventId, ReceivedEvent, derive_visits
from tests.sync.contract.test_visits import DAY, EVENING, TIMETABLE, local

START = local("09:40:00")


def by_hand(
    count: int, gap_ms: int, *, group: str = "", start: datetime = START, operator: str = "op"
) -> list[ReceivedEvent]:
    return [
        ReceivedEvent(
            EventId("A", "e1", number),
            Manual(
                school="s",
                at=(start + timedelta(milliseconds=number * gap_ms)).isoformat(),
                boot="b1",
                mono_ms=number * gap_ms,
                clock=ClockQuality.SYNCHRONISED,
                person=f"u{number}",
                session="lunch",
                service_date=DAY,
                method=Method.MANUAL,
                operator=operator,
                note="palm_unread",
                group=group,
                claim=Claim.CLAIMABLE,
            ),
        )
        for number in range(1, count + 1)
    ]


def by_card(gaps_ms: list[int], *, people: int = 1_000, kind: type[Entry] | type[Exit] = Entry) -> list[ReceivedEvent]:
    received, mono_ms = [], 0
    for number, gap_ms in enumerate(gaps_ms, start=1):
        mono_ms += gap_ms
        received.append(
            ReceivedEvent(
                EventId("A", "e1", number),
                kind(
                    school="s",
                    at=(START + timedelta(milliseconds=mono_ms)).isoformat(),
                    boot="b1",
                    mono_ms=mono_ms,
                    clock=ClockQuality.SYNCHRONISED,
                    person=f"u{number % people}",
                    session="lunch",
                    service_date=DAY,
                    reader="gate",
                ),
            )
        )
    return received


def found(received: list[ReceivedEvent], grace: timedelta = timedelta()) -> list[Flag]:
    visits = derive_visits(received, timetable=TIMETABLE, now=EVENING).visits
    return list(find_flags(received, visits, timetable=TIMETABLE, grace=grace))


def test_a_burst_by_hand_is_one_flag_that_names_the_operator() -> None:
    assert found(by_hand(120, 2_000)) == [Flag(FlagKind.MANUAL_BURST, EventId("A", "e1", 1), 120, "op")]


def test_a_wrong_wall_clock_hides_no_burst() -> None:
    assert [flag.kind for flag in found(by_hand(120, 2_000, start=datetime(2026, 11, 9, tzinfo=UTC)))] == [
        FlagKind.AFTER_HOURS,
        FlagKind.MANUAL_BURST,
    ]


def test_a_forgotten_card_now_and_then_is_no_burst() -> None:
    assert found(by_hand(19, 1_000)) == []
    assert found(by_hand(40, 30_000)) == []


def test_a_whole_class_is_one_act_and_a_whole_school_is_not() -> None:
    assert found(by_hand(35, 1, group="class-7")) == []
    assert [flag.count for flag in found(by_hand(300, 1, group="class-7"))] == [300]


def test_two_bursts_are_two_flags() -> None:
    first, second = by_hand(25, 1_000), by_hand(50, 1_000)[25:]
    apart = [
        ReceivedEvent(each.id, replace(each.event, mono_ms=each.event.mono_ms + 3_600_000))
        for each in second
        if isinstance(each.event, Manual)
    ]
    assert [flag.count for flag in found([*first, *apart]) if flag.kind is FlagKind.MANUAL_BURST] == [25, 25]


def test_two_operators_do_not_add_up() -> None:
    both = by_hand(30, 1_000)
    mixed = [
        ReceivedEvent(each.id, replace(each.event, operator=f"op-{each.id.seq % 2}"))
        for each in both
        if isinstance(each.event, Manual)
    ]
    assert found(mixed) == []


def test_a_pile_of_cards_is_flagged_and_a_quick_queue_is_not() -> None:
    assert found(by_card([600] * 12)) == [Flag(FlagKind.CARD_PILE, EventId("A", "e1", 1), 12)]
    assert found(by_card([1_000] * 300)) == []
    assert found(by_card([600] * 11 + [5_000] + [600] * 10)) == []
    assert found(by_card([600] * 40, people=5)) == []  # the same few cards again: the rules see to that
    assert [flag.count for flag in found(by_card([600] * 15, kind=Exit))] == [15]


def test_entries_while_nothing_is_served() -> None:
    late = by_hand(3, 1_000, start=local("10:30:00"))
    assert found(late) == [Flag(FlagKind.AFTER_HOURS, EventId("A", "e1", 1), 3, "op")]
    assert found(late, grace=timedelta(minutes=30)) == []


def test_thresholds_are_arguments() -> None:
    received = by_hand(3, 1_000)
    visits = derive_visits(received, timetable=TIMETABLE, now=EVENING).visits
    strict = FlagThresholds(burst_acts=3)
    assert len(find_flags(received, visits, timetable=TIMETABLE, thresholds=strict)) == 1
