"""Records under the names by which the ledger knows people."""

from sync.contract.oneroster.surrogates import name_by_surrogates
from sync.contract.roster import Consent, Credential, DynamicCode, Entitlement, MealSession, Person, Record, to_json

RECORDS: tuple[Record, ...] = (
    Consent(id="u-1.palm", person="u-1"),
    Credential(id="u-1.card2", person="u-1", value="04A2B3C4"),
    Credential(id="u-12.terminal", person="u-12", value="7"),
    DynamicCode(id="u-1.dynamic", person="u-1", surrogate="qr-1", sealed="AA=="),
    Entitlement(id="u-1.state.2026-09-01", person="u-1", programme="state"),
    Person(id="u-1", given_name="Арман", family_name="Ким"),
    Person(id="u-12", given_name="Дана", family_name="Ким"),
    MealSession(id="lunch", name="Lunch", start="10:00", end="11:00"),
)


def test_what_belongs_to_a_person_is_named_after_the_surrogate() -> None:
    renamed = name_by_surrogates(RECORDS, {"u-1": "zz", "u-12": "aa"})
    assert sorted(record.id for record in renamed) == [
        "aa", "aa.terminal", "lunch", "zz", "zz.card2", "zz.dynamic", "zz.palm", "zz.state.2026-09-01",
    ]  # fmt: skip
    assert not any(b"u-1" in to_json(record) for record in renamed)
    assert [record.id for record in renamed if isinstance(record, Person)] == ["aa", "zz"]


def test_a_source_id_may_be_its_own_surrogate() -> None:
    names = {"u-1": "u-1", "u-12": "u-12"}
    assert sorted(map(to_json, name_by_surrogates(RECORDS, names))) == sorted(map(to_json, RECORDS))
