"""Sealed palms at the ledger: kept with a consent, gone with it, handed to the own school's kiosks and to no other."""

from collections.abc import Callable

import psycopg
import pytest

from sync.contract import wire
from sync.contract.palms import (
    PALM_MESSAGE_BYTES_MAX,
    SEALED_BYTES_MAX,
    SealedPalmMessage,
    SealedPalmPage,
    SealedPalmReply,
    palms_path,
)
from sync.contract.roster import Consent, DeletedRecord, Person, Record
from sync.ledger.registry import palms, rosters
from tests.sync.ledger.kiosk import Kiosk, new_school

AT = "2026-11-23T04:40:00.{:03}Z"


def records(*people: str) -> list[Record]:
    found: list[Record] = [Person(id=person, given_name="Ә", family_name="Б") for person in people]
    return [*found, *(Consent(id=f"k-{person}", person=person, given_at="2026-09-01T00:00:00Z") for person in people)]


def parcel(person: str, number: int = 0, hand: str = "left", sealed: bytes = b"PSL\x01 noise") -> SealedPalmMessage:
    return SealedPalmMessage(person=person, hand=hand, made_at=AT.format(number), quality=80, sealed=sealed)  # type: ignore[arg-type]


def names(page: SealedPalmPage) -> list[tuple[str, str, bool]]:
    return [(each.person, each.hand, bool(each.sealed)) for each in page.palms]


def test_what_one_kiosk_brings_the_others_get_in_its_order(db: psycopg.Connection, school: str) -> None:
    rosters.apply_changes(db, school, records("u1", "u2"))
    assert palms.read_page(db, school, 0) == SealedPalmPage(school=school, since=0, version=0, roster=1)
    first = parcel("u1")
    assert palms.store_palm(db, school, "d1", first) == SealedPalmReply(version=1, stored=True)
    assert palms.store_palm(db, school, "d1", first) == SealedPalmReply(version=1, stored=True), (
        "sent again after a lost reply"
    )
    assert palms.store_palm(db, school, "d2", parcel("u2", 1)).version == 2
    assert palms.store_palm(db, school, "d2", parcel("u1", 2)).version == 3, "enrolled anew: moves behind the others"
    assert names(palms.read_page(db, school, 0)) == [("u2", "left", True), ("u1", "left", True)]
    (one,) = palms.read_page(db, school, 2).palms
    assert one == parcel("u1", 2)
    pages = palms.read_page(db, school, 0, limit=1)
    assert (pages.version, pages.more) == (2, True)
    assert not palms.read_page(db, school, pages.version, limit=1).more
    assert len(palms.read_page(db, school, 900).palms) == 2, "a kiosk ahead of a restored ledger gets everything"


def test_what_is_taken_back_is_told_and_leaves_no_byte(db: psycopg.Connection, school: str) -> None:
    rosters.apply_changes(db, school, records("u1"))
    palms.store_palm(db, school, "d1", parcel("u1"))
    back = parcel("u1", 1, sealed=b"")
    assert (
        palms.store_palm(db, school, "d1", back)
        == palms.store_palm(db, school, "d1", back)
        == SealedPalmReply(version=2, stored=True)
    )
    assert names(palms.read_page(db, school, 0)) == [("u1", "left", False)]
    assert palms.store_palm(db, school, "d1", parcel("u1", 1, "right", b"")).version == 2, "there was none of that hand"
    assert palms.store_palm(db, school, "d1", parcel("u1", 2)) == SealedPalmReply(version=3, stored=True)


def test_without_a_consent_nothing_is_kept_and_with_its_end_everything_goes(
    db: psycopg.Connection, school: str
) -> None:
    rosters.apply_changes(db, school, records("u1", "u2"))
    assert not palms.store_palm(db, school, "d1", parcel("u3")).stored
    for person in ("u1", "u2"):
        palms.store_palm(db, school, "d1", parcel(person))
    other = new_school(db)
    rosters.apply_changes(db, other, records("u1"))
    palms.store_palm(db, other, "d9", parcel("u1"))
    withdrawn = Consent(id="k-u1", person="u1", given_at="2026-09-01T00:00:00Z", withdrawn_at="2026-11-23T00:00:00Z")
    rosters.apply_changes(db, school, [withdrawn])
    assert names(palms.read_page(db, school, 0)) == [("u2", "left", True)]
    assert not palms.store_palm(db, school, "d1", parcel("u1", 1)).stored
    rosters.apply_changes(db, school, [DeletedRecord(deleted_type="person", id="u2")])
    assert palms.read_page(db, school, 0).palms == ()
    assert len(palms.read_page(db, other, 0).palms) == 1


def test_an_id_with_signs_of_its_own_is_found(db: psycopg.Connection, school: str) -> None:
    odd = 'ұл "1" \\ ё'
    rosters.apply_changes(db, school, records(odd, "u1"))
    assert palms.store_palm(db, school, "d1", parcel(odd)).stored
    assert not palms.store_palm(db, school, "d1", parcel("u")).stored, "a part of an id is nobody"


def test_over_http_a_kiosk_reaches_its_own_schools_palms_only(
    db: psycopg.Connection, enrolled: Callable[[], Kiosk]
) -> None:
    one, other = enrolled(), enrolled()
    rosters.apply_changes(db, one.school, records("u1"))
    path = palms_path(one.school)
    kept = one.call("POST", path, headers={"content-type": wire.JSON}, body=wire.to_json(parcel("u1")))
    assert wire.read_json(SealedPalmReply, kept.content).stored
    got = other.call("GET", path, query="since=0")
    assert wire.read_json(SealedPalmPage, got.content).palms == (parcel("u1"),)
    assert one.call("GET", palms_path("sch-1"), query="since=0").status_code == 404
    assert one.call("GET", path, query="since=-1").status_code == 400
    unsigned = one.http.get(f"{path}?since=0")
    assert unsigned.status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 400),
        (wire.to_json(parcel("u1")).replace(b'"left"', b'"third"'), 400),
        (wire.to_json(parcel("u1")).replace(b'"u1"', b'"u\\u00001"'), 400),
        (wire.to_json(parcel("u1")).replace(b".000Z", b"Z"), 400),
        (
            wire.to_json(parcel("u1", sealed=bytes(SEALED_BYTES_MAX))).replace(b'"quality"', b'"x":"AAAA","quality"'),
            200,
        ),
        (bytes(PALM_MESSAGE_BYTES_MAX + 1), 413),
    ],
)
def test_what_is_no_parcel_is_refused(db: psycopg.Connection, kiosk: Kiosk, body: bytes, status: int) -> None:
    rosters.apply_changes(db, kiosk.school, records("u1"))
    answer = kiosk.call("POST", palms_path(kiosk.school), headers={"content-type": wire.JSON}, body=body)
    assert answer.status_code == status, answer.text


def test_a_parcel_shows_nothing_of_what_it_holds() -> None:
    assert "noise" not in repr(parcel("u1"))
    with pytest.raises(ValueError, match="at most"):
        parcel("u1", sealed=bytes(SEALED_BYTES_MAX + 1))
