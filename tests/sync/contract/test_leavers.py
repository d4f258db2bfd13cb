"""What somebody who has left is still owed."""

from datetime import UTC, datetime

from sync.contract.roster import Entitlement, Person
from sync.contract.roster_history import RecordState, RosterHistory

CHILD = Person(id="u1", given_name="А", family_name="Б")
PAID = Entitlement(id="u1.state", person="u1", programme="state")


def history(*states: RecordState, closed: dict[str, int] | None = None) -> RosterHistory:
    versions = {number: datetime(2026, 11, number * 5, tzinfo=UTC) for number in (1, 2, 3)}
    return RosterHistory(states, versions, UTC, closed)


def test_the_last_roster_that_had_them_speaks() -> None:
    left = history(RecordState(CHILD, 1, 3), RecordState(PAID, 1, 3))
    assert left.choose_entitlement("u1", "lunch", "2026-11-06") == PAID


def test_what_was_taken_from_them_before_they_left_stays_taken() -> None:
    assert (
        history(RecordState(CHILD, 1, 3), RecordState(PAID, 1, 2)).choose_entitlement("u1", "lunch", "2026-11-06")
        is None
    )


def test_whoever_is_there_is_owed_what_the_newest_states() -> None:
    assert (
        history(RecordState(CHILD, 1), RecordState(PAID, 1, 3)).choose_entitlement("u1", "lunch", "2026-11-06") is None
    )
    back = history(RecordState(CHILD, 1, 2), RecordState(PAID, 1, 2), RecordState(CHILD, 3))
    assert back.choose_entitlement("u1", "lunch", "2026-11-06") is None


def test_a_closed_month_does_not_hear_of_a_later_roster() -> None:
    later = history(RecordState(CHILD, 1, 2), RecordState(CHILD, 3), RecordState(PAID, 3), closed={"2026-11": 2})
    assert later.choose_entitlement("u1", "lunch", "2026-11-06") is None
