"""Records of an import under the names by which the ledger knows its people, in the place of the source's ids. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from sync.contract.roster import Consent, Credential, DynamicCode, Entitlement, Person, Record, record_type


def name_by_surrogates(records: Iterable[Record], surrogates: Mapping[str, str]) -> tuple[Record, ...]:
    """Returns the records with each person's surrogate in the place of the source's id, sorted by type and id.

    What belongs to a person is named after them (`u-17.card1`), and so is renamed with them. Raises KeyError for a
    person without a surrogate.
    """
    renamed = [_rename(record, surrogates) for record in records]
    return tuple(sorted(renamed, key=lambda record: (record_type(record), record.id)))


def _rename(record: Record, surrogates: Mapping[str, str]) -> Record:
    match record:
        case Person(id=person):
            return msgspec.structs.replace(record, id=surrogates[person])
        case Credential() | DynamicCode() | Consent() | Entitlement():
            surrogate = surrogates[record.person]
            ending = record.id.removeprefix(record.person)
            return msgspec.structs.replace(record, id=surrogate + ending, person=surrogate)
        case _:
            return record
