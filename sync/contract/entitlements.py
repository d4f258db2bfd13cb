"""Which of a person's entitlements pays for a meal. Kiosk and ledger choose by the same rule."""

import re
from collections.abc import Iterable
from datetime import date

from sync.contract.roster import Entitlement

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def check_dates(entitlement: Entitlement) -> None:
    """Raises ValueError when the entitlement's dates cannot be read or are the wrong way round."""
    for day in filter(None, (entitlement.first, entitlement.last)):
        if _DATE.fullmatch(day) is None:
            raise ValueError(f"{day!r} is no date; write it as 2026-09-01")
        date.fromisoformat(day)
    if entitlement.first and entitlement.last and entitlement.last < entitlement.first:
        raise ValueError(f"it ends on {entitlement.last}, before it begins on {entitlement.first}")


def choose_entitlement(entitlements: Iterable[Entitlement], session: str, service_date: str) -> Entitlement | None:
    """Returns the entitlement that pays for this session on this date: the lowest priority, then the lowest id."""
    chosen: Entitlement | None = None
    for entitlement in entitlements:
        if (
            (not entitlement.sessions or session in entitlement.sessions)
            and (not entitlement.first or entitlement.first <= service_date)
            and (not entitlement.last or service_date <= entitlement.last)
            and (chosen is None or (entitlement.priority, entitlement.id) < (chosen.priority, chosen.id))
        ):
            chosen = entitlement
    return chosen
