"""Which of a person's entitlements pays for a meal. Kiosk and ledger choose by the same rule."""

import re
from collections.abc import Iterable
from datetime import date

from sync.contract.roster import Entitlement

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def check(entitlement: Entitlement) -> None:
    """Raise ValueError when its dates cannot be read or are the wrong way round."""
    for day in filter(None, (entitlement.first, entitlement.last)):
        if _DATE.fullmatch(day) is None:
            raise ValueError(f"{day!r} is no date; write it as 2026-09-01")
        date.fromisoformat(day)
    if entitlement.first and entitlement.last and entitlement.last < entitlement.first:
        raise ValueError(f"it ends on {entitlement.last}, before it begins on {entitlement.first}")


def due(entitlements: Iterable[Entitlement], session: str, service_date: str) -> Entitlement | None:
    """The entitlement that pays for this session on this date: the lowest priority, then the lowest id."""
    fitting = (
        each
        for each in entitlements
        if (not each.sessions or session in each.sessions)
        and (not each.first or each.first <= service_date)
        and (not each.last or service_date <= each.last)
    )
    return min(fitting, key=lambda each: (each.priority, each.id), default=None)
