"""Who has agreed, by a roster's records: one rule for the kiosk that looks at palms and the ledger that relays them."""

from collections.abc import Iterable

from sync.contract.roster import Consent, Person, Record


def agreed(consents: Iterable[Consent]) -> frozenset[tuple[str, str]]:
    """Person and scope of every consent in force. The last word counts, and of two at the same moment the no."""
    given: dict[tuple[str, str], str] = {}
    withdrawn: dict[tuple[str, str], str] = {}
    for consent in consents:
        scope = consent.person, consent.scope
        given[scope] = max(given.get(scope, ""), consent.given_at)
        withdrawn[scope] = max(withdrawn.get(scope, ""), consent.withdrawn_at)
    return frozenset(scope for scope, at in given.items() if at > withdrawn[scope])


def consenting(records: Iterable[Record], scope: str = "palm") -> frozenset[str]:
    """Who of these records' people has agreed."""
    sorted_ = list(records)
    people = {record.id for record in sorted_ if isinstance(record, Person)}
    consents = [record for record in sorted_ if isinstance(record, Consent) and record.scope == scope]
    return frozenset(person for person, _ in agreed(consents)) & people
