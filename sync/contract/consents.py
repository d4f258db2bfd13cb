"""Who has agreed, by a roster's records: one rule for the kiosk that reads palms and the ledger that relays them."""

from collections.abc import Iterable
from typing import Final, TypeGuard

from sync.contract.roster import Consent, Person, Record

# Ids of consents that were noted at a desk begin so, and no id of a source does: an import of the roster leaves them.
DESK_RECORD_PREFIX: Final = "desk:"


def desk_record_id(person: str, scope: str) -> str:
    """Returns the id of the record of what desks have noted of a person and scope."""
    return f"{DESK_RECORD_PREFIX}{person}:{scope}"


def is_desk_consent(record: Record) -> TypeGuard[Consent]:
    """Returns True for a consent that was noted at a desk."""
    return isinstance(record, Consent) and record.id.startswith(DESK_RECORD_PREFIX)


def merge_words(present: Iterable[Consent], words: Iterable[Consent]) -> list[Consent]:
    """Returns one record for each person and scope of `words`: the latest consent and the latest end of one."""
    merged = {record.id: record for record in present}
    changed: dict[str, Consent] = {}
    for word in words:
        before = merged.get(word.id, word)
        later = word if word.given_at > before.given_at else before
        merged[word.id] = changed[word.id] = Consent(
            id=word.id, person=word.person, scope=word.scope, version=later.version, given_at=later.given_at,
            given_by=later.given_by, withdrawn_at=max(before.withdrawn_at, word.withdrawn_at),
        )  # fmt: skip
    return list(changed.values())


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
