"""Who has agreed, by a roster's records: one rule for the kiosk that reads palms and the ledger that relays them."""

from collections.abc import Iterable

from sync.contract.roster import Consent, Person, Record


def consents_in_force(consents: Iterable[Consent]) -> frozenset[tuple[str, str]]:
    """Returns person and scope of every consent in force. The last word counts; of two at the same moment, the no."""
    granted: dict[tuple[str, str], str] = {}
    withdrawn: dict[tuple[str, str], str] = {}
    for consent in consents:
        scope = consent.person, consent.scope
        granted[scope] = max(granted.get(scope, ""), consent.given_at)
        withdrawn[scope] = max(withdrawn.get(scope, ""), consent.withdrawn_at)
    return frozenset(scope for scope, moment in granted.items() if moment > withdrawn[scope])


def consenting_people(records: Iterable[Record], scope: str = "palm") -> frozenset[str]:
    """Returns the ids of those of these records' people who have agreed."""
    listed = list(records)
    people = {record.id for record in listed if isinstance(record, Person)}
    consents = [record for record in listed if isinstance(record, Consent) and record.scope == scope]
    return frozenset(person for person, _ in consents_in_force(consents)) & people
