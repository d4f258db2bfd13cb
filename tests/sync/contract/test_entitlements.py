"""Which entitlement pays."""

import pytest

from sync.contract.entitlements import check_dates, choose_entitlement
from sync.contract.roster import Entitlement


def entitlement(name: str, **fields: object) -> Entitlement:
    return Entitlement(id=name, person="u1", programme=f"programme-{name}", **fields)  # type: ignore[arg-type]


def chosen(*entitlements: Entitlement, session: str = "lunch", day: str = "2026-11-23") -> str:
    found = choose_entitlement(entitlements, session, day)
    return found.id if found else ""


def test_the_lowest_priority_pays_then_the_lowest_id_in_any_order() -> None:
    a, b, c = entitlement("a", priority=2), entitlement("b", priority=1), entitlement("c", priority=1)
    assert chosen(a, b, c) == chosen(c, b, a) == "b"


def test_dates_are_inclusive_and_may_be_open() -> None:
    term = entitlement("t", first="2026-11-23", last="2026-11-24")
    assert [chosen(term, day=f"2026-11-{day}") for day in (22, 23, 24, 25)] == ["", "t", "t", ""]
    assert chosen(entitlement("open")) == "open"


def test_only_the_sessions_named() -> None:
    assert chosen(entitlement("b", sessions=("breakfast",)), entitlement("l", sessions=("lunch",))) == "l"
    assert chosen(entitlement("b", sessions=("breakfast",))) == ""


@pytest.mark.parametrize(
    ("first", "last"), [("2026-13-01", ""), ("", "01.09.2026"), ("20260901", ""), ("2026-09-02", "2026-09-01")]
)
def test_dates_that_cannot_be(first: str, last: str) -> None:
    with pytest.raises(ValueError, match=r"is no date|ends on|month"):
        check_dates(entitlement("e", first=first, last=last))
