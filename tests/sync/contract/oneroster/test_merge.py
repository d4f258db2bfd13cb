"""The sample export of a Kazakh school, and what breaks exports in the field."""

import contextlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.contract.oneroster.build import ImportedRoster, import_roster
from sync.contract.oneroster.records import WHOLE_DAY
from sync.contract.oneroster.remembered import RememberedFiles
from sync.contract.oneroster.tables import ExportRefused
from sync.contract.roster import (
    Consent,
    Credential,
    Entitlement,
    MealSession,
    Notation,
    Person,
    PersonKind,
    Programme,
    School,
    SchoolOperator,
)
from sync.contract.roster_diff import TooManyVanished, compare_rosters, refuse_vanished_pupils
from tests.vectors import find_vector, load_json

SAMPLES = find_vector("canteen/oneroster12")

Files = dict[str, bytes]


def load(name: str) -> Files:
    return {file.name: file.read_bytes() for file in (SAMPLES / name).iterdir()}


@pytest.fixture
def bulk() -> Files:
    return load("bulk")


@pytest.fixture
def delta() -> Files:
    return load("delta")


@pytest.fixture(scope="module")
def expected() -> Mapping[str, object]:
    return load_json("canteen/oneroster12/expected.json")


def build(files: Files, base: RememberedFiles | None = None) -> ImportedRoster:
    return import_roster(files, "sch-0151", base, date="2026-11-22")


def people(built: ImportedRoster) -> dict[str, Person]:
    return {record.id: record for record in built.records if isinstance(record, Person)}


def refused(files: Files, base: RememberedFiles | None = None) -> list[str]:
    with pytest.raises(ExportRefused) as caught:
        build(files, base)
    return [str(fault) for fault in caught.value.faults]


def edit(files: Files, name: str, old: str, new: str) -> None:
    text = files[name].decode()
    assert old in text
    files[name] = text.replace(old, new).encode()


def test_bulk(bulk: Files, expected: Mapping[str, object]) -> None:
    built = build(bulk)
    assert list(people(built)) == expected["after_bulk"]
    assert people(built)["u-1"] == Person(
        id="u-1", given_name="Әлия", family_name="Қасымова", kind=PersonKind.PUPIL, grade="01", group="1 «А»"
    )
    assert next(r for r in built.records if isinstance(r, School)).name == 'Школа № 151, "Таскен"'


def test_delta_revokes_renames_and_adds(bulk: Files, delta: Files, expected: Mapping[str, object]) -> None:
    before = build(bulk)
    after = build(delta, before.files)
    assert list(people(after)) == expected["after_delta_active"]
    assert [record.id for record in compare_rosters(before.records, after.records).removed] == expected["revoked"]
    renamed = people(after)["u-3"]
    assert {"u-3": f"{renamed.family_name} {renamed.given_name}"} == expected["renamed"]


def test_delta_twice_is_no_change(bulk: Files, delta: Files) -> None:
    once = build(delta, build(bulk).files)
    twice = build(delta, once.files)
    assert twice.records == once.records
    assert compare_rosters(once.records, twice.records).changes == ()


def test_delta_before_any_bulk_is_refused(delta: Files) -> None:
    assert any("no bulk import before it" in fault for fault in refused(delta))


def test_older_delta_after_newer_is_passed_over(bulk: Files, delta: Files) -> None:
    newer = build(delta, build(bulk).files)
    for name in ("users.csv", "roles.csv", "enrollments.csv"):
        edit(delta, name, "2026-11-20", "2026-11-19")
    edit(delta, "users.csv", "Сейітова", "Ескі")
    late = build(delta, newer.files)
    assert late.records == newer.records
    assert any("passed over" in note for note in late.notes)


def test_moments_compare_as_moments(bulk: Files, delta: Files) -> None:
    newer = build(delta, build(bulk).files)
    edit(
        delta, "users.csv", "2026-11-20T06:00:00.000Z", "2026-11-20T11:00:00+05:00"
    )  # the same moment, written otherwise
    edit(delta, "users.csv", "Сейітова", "Омарова")
    assert people(build(delta, newer.files))["u-3"].family_name == "Омарова"


def test_who_is_missing_in_a_bulk_file_is_gone_and_remembered(bulk: Files) -> None:
    before = build(bulk)
    for name in ("users.csv", "roles.csv", "enrollments.csv"):
        bulk[name] = b"".join(line for line in bulk[name].splitlines(keepends=True) if b"u-5" not in line)
    after = build(bulk, before.files)
    assert "u-5" not in people(after)
    assert not after.files["users.csv"]["u-5"].active
    gone = compare_rosters(before.records, after.records)
    refuse_vanished_pupils(gone, before.records, 0.2)
    with pytest.raises(TooManyVanished, match="1 of 6 pupils"):
        refuse_vanished_pupils(gone, before.records, 0.1)


def test_all_faults_are_listed_with_their_places(bulk: Files) -> None:
    edit(bulk, "users.csv", "u-2,,,true", "u-2,,,yes")
    edit(bulk, "users.csv", "Жүнісова", "")
    edit(bulk, "roles.csv", "u-6,primary,student", "u-6,primary,pupil")
    edit(bulk, "manifest.csv", "oneroster.version,1.2", "oneroster.version,1.1")
    faults = refused(bulk)
    assert "users.csv line 3, column enabledUser: found 'yes', accepted: true or false" in faults
    assert any(
        fault.startswith("roles.csv line 7, column role: found 'pupil', accepted: one of aide") for fault in faults
    )
    assert "manifest.csv line 3, column oneroster.version: found '1.1', accepted: 1.2" in faults


def test_dangling_references_are_named(bulk: Files) -> None:
    edit(bulk, "enrollments.csv", "u-6", "u-66")
    edit(bulk, "roles.csv", "r-5,,,u-5,primary,student,,,sch-0151", "r-5,,,u-5,primary,student,,,sch-9")
    assert refused(bulk) == [
        "roles.csv line 6, column orgSourcedId: found 'sch-9', accepted: an id from orgs.csv",
        "enrollments.csv line 7, column userSourcedId: found 'u-66', accepted: an id from users.csv",
    ]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text.decode("utf-8-sig").encode("cp1251", "replace"), "UTF-8"),
        (lambda text: text.replace(b",", b";"), "semicolons"),
        (lambda text: text.replace(b"u-3,,,true", b"u-3,,,true,extra"), "as many as the header"),
        (lambda text: text.replace(b"u-3,,,true,u-3", b"u-2,,,true,u-3"), "again, first in line 3"),
        (lambda text: text.replace(b"familyName", b"lastName"), "no such column"),
        (lambda text: text.replace(b"u-3,,,true", b'u-3,,,"true'), "line"),
        (lambda text: b"", "no such column"),
    ],
)  # fmt: skip
def test_damaged_users(bulk: Files, damage: object, says: str) -> None:
    assert callable(damage)
    bulk["users.csv"] = damage(bulk["users.csv"])
    assert any(fault.startswith("users.csv") and says in fault for fault in refused(bulk))


def test_manifest_and_files_must_agree(bulk: Files) -> None:
    del bulk["roles.csv"]
    bulk["demographics.csv"] = b"sourcedId\r\n"
    faults = refused(bulk)
    assert any("bulk, but the file is missing" in fault for fault in faults)
    assert any("absent, but demographics.csv is there" in fault for fault in faults)


def test_no_faults_leak_a_card(bulk: Files) -> None:
    bulk["cards.csv"] = (
        b"userSourcedId,number,notation\nu-1,77A2B3C4D5E68,full\nu-2,99999999999,dec10\nu-3,!77A2B3C4,\n"
    )
    faults = refused(bulk)
    assert len(faults) == 1  # the forms of cells come before what they mean
    bulk["cards.csv"] = b"userSourcedId,number,notation\nu-1,77A2B3C4D5E68,full\nu-2,99999999999,dec10\n"
    faults += refused(bulk)
    assert len(faults) == 3
    assert not any("77A2" in fault or "99999" in fault for fault in faults)


def own(bulk: Files) -> Files:
    bulk["cards.csv"] = (
        b"userSourcedId,number,notation,technology,status\n"
        b"u-1,04:a2:b3:c4:d5:e6:80,,iso14443a,\n"
        b'u-2,"100, 19382",w26,,\n'
        b"u-3,13267382,dec10,em4100,lost\n"
    )
    bulk["entitlements.csv"] = b"userSourcedId,grades,programme,first,last\n,1,state,2026-09-01,\nu-6,,voucher,,\n"
    bulk["sessions.csv"] = "sourcedId,name,start,end,weekdays,nameKk\nlunch,Lunch,09:30,10:10,12345,Түскі ас\n".encode()
    bulk["closed_days.csv"] = b"date,why\n2026-12-16,Independence Day\n"
    bulk["consents.csv"] = b"userSourcedId,givenAt,givenBy,version\nu-1,2026-09-01T09:00:00+05:00,mother,3\n"
    return bulk


def test_language_and_signs_of_service_come_with_a_file_of_their_own(bulk: Files) -> None:
    assert all((person.language, person.hints) == ("", ()) for person in people(build(bulk)).values())
    bulk["service.csv"] = b'userSourcedId,language,hints\nu-1,ru,"Longer_time, sound_off"\nu-2,,diet\nu-404,kk,helper\n'
    first = build(bulk)
    assert (people(first)["u-1"].language, people(first)["u-1"].hints) == ("ru", ("longer_time", "sound_off"))
    assert (people(first)["u-2"].language, people(first)["u-2"].hints) == ("", ("diet",))
    del bulk["service.csv"]  # what an earlier import brought stays
    assert people(build(bulk, first.files))["u-2"].hints == ("diet",)
    bulk["service.csv"] = b"userSourcedId,language,hints\nu-1,de,\nu-2,,deaf\n"
    assert len(refused(bulk)) == 2


def test_operators_come_with_a_file_of_their_own(bulk: Files) -> None:
    assert not [record for record in build(bulk).records if isinstance(record, SchoolOperator)]
    bulk["operators.csv"] = (
        'sourcedId,name,roles,group\nt-1,Гүлнар  Ахметова,"head, cook",\nt-7,Анна Ли,cook,\n'.encode()
    )
    first = build(bulk)
    operators = [record for record in first.records if isinstance(record, SchoolOperator)]
    assert operators == [
        SchoolOperator(id="t-1", name="Гүлнар Ахметова", roles=("cook", "head")),
        SchoolOperator(id="t-7", name="Анна Ли", roles=("cook",)),
    ]
    assert "Анна" not in repr(operators)
    bulk["operators.csv"] = b"sourcedId,name,roles\nt-1,,cook\nt-2,Anna,boss\nt-3,Anna,\n"
    assert len(refused(bulk)) == 3


def test_our_own_files(bulk: Files) -> None:
    records = build(own(bulk)).records
    assert [r for r in records if isinstance(r, Credential)] == [
        Credential(id="u-1.card1", person="u-1", value="04A2B3C4D5E680", technology="iso14443a"),
        Credential(id="u-2.card1", person="u-2", value="100,19382", notation=Notation.W26),
        Credential(
            id="u-3.card1",
            person="u-3",
            value="0013267382",
            technology="em4100",
            notation=Notation.DEC10,
            blocked="lost",
        ),
    ]
    entitled = {(r.person, r.programme) for r in records if isinstance(r, Entitlement)}
    assert entitled == {("u-1", "state"), ("u-5", "state"), ("u-6", "voucher")}
    assert {r.id for r in records if isinstance(r, Programme)} == {"state", "voucher"}
    assert [r.name_kk for r in records if isinstance(r, MealSession)] == ["Түскі ас"]
    assert [r.given_at for r in records if isinstance(r, Consent)] == ["2026-09-01T04:00:00.000Z"]


def test_a_second_card_gets_a_second_name(bulk: Files) -> None:
    first = build(own(bulk))
    edit(bulk, "cards.csv", "04:a2:b3:c4:d5:e6:80,,iso14443a,", "04A2B3C4D5E6FF,,iso14443a,")
    second = build(bulk, first.files)
    cards = [r.id for r in second.records if isinstance(r, Credential) and r.person == "u-1"]
    assert cards == ["u-1.card2"]


def test_own_files_may_stay_away_afterwards(bulk: Files, delta: Files) -> None:
    before = build(own(bulk))
    after = build(delta, before.files)
    assert any(isinstance(r, Credential) for r in after.records)
    assert [r.id for r in after.records if isinstance(r, MealSession)] == ["lunch"]


def test_one_whole_number_has_one_holder(bulk: Files) -> None:
    bulk["cards.csv"] = b"userSourcedId,number\nu-1,04A2B3C4\nu-2,04A2B3C4\n"
    found = "found the number of line 2, of another person"
    assert refused(bulk) == [f"cards.csv line 3, column number: {found}, accepted: a whole number with one holder"]


def test_without_own_files_a_day_is_one_session(bulk: Files) -> None:
    built = build(bulk)
    assert [r for r in built.records if isinstance(r, MealSession)] == [WHOLE_DAY]
    assert len([note for note in built.notes if note.startswith("no ")]) == 3


@given(st.binary(max_size=2_000), st.sampled_from(["manifest.csv", "users.csv", "cards.csv", "orgs.csv"]))
def test_rubbish_is_refused_and_nothing_else(rubbish: bytes, name: str) -> None:
    files = load("bulk")
    files[name] = rubbish
    with contextlib.suppress(ExportRefused):
        assert build(files).records


@given(st.data())
def test_any_row_of_a_shuffled_export_gives_the_same_roster(data: st.DataObject) -> None:
    files = load("bulk")
    wanted = build(files).records
    for name in ("users.csv", "roles.csv", "enrollments.csv"):
        header, *rows = files[name].splitlines(keepends=True)
        files[name] = header + b"".join(data.draw(st.permutations(rows)))
    assert build(files).records == wanted
