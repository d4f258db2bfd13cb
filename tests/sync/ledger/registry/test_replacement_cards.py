"""Replacement cards between the kiosks of a school, through the ledger: sealed numbers, the ends, and who is told."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import psycopg

from sync.contract import wire
from sync.contract.replacement_cards import (
    ReplacementCardMessage,
    ReplacementCardPage,
    ReplacementCardReply,
    replacement_cards_path,
)
from sync.contract.roster import DeletedRecord, Person
from sync.ledger.registry import replacement_cards, rosters
from sync.ledger.transparency import webhooks
from tests.sync.ledger.kiosk import Kiosk, new_school

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
MADE_AT = "2026-11-20T03:50:00.000Z"


def card(person: str = "u1", name: str = "one", **more: object) -> ReplacementCardMessage:
    fields: dict[str, object] = {"made_at": MADE_AT, "blocked": (f"{person}.card1",), "sealed": b"sealed"}
    return ReplacementCardMessage(id=f"{person}.desk.{name}", person=person, **(fields | more))  # type: ignore[arg-type]


def people(*names: str) -> list[Person]:
    return [Person(id=name, given_name="A", family_name="B") for name in names]


def leave(kiosk: Kiosk, path: str, body: bytes) -> httpx.Response:
    return kiosk.call("POST", path, headers={"content-type": wire.JSON}, body=body)


def post(kiosk: Kiosk, message: ReplacementCardMessage) -> ReplacementCardReply:
    answer = leave(kiosk, replacement_cards_path(kiosk.school), wire.to_json(message))
    assert answer.status_code == 200, answer.text
    return wire.read_json(ReplacementCardReply, answer.content)


def fetch(kiosk: Kiosk, since: int = 0) -> ReplacementCardPage:
    answer = kiosk.call("GET", replacement_cards_path(kiosk.school), query=wire.roster_query(since))
    return wire.read_json(ReplacementCardPage, answer.content)


def test_a_card_given_at_one_kiosk_reaches_the_other_until_the_source_has_it(
    db: psycopg.Connection, enrolled: Callable[[], Kiosk]
) -> None:
    one, other = enrolled(), enrolled()
    rosters.apply_changes(db, one.school, people("u1", "u2"))
    assert post(one, card()) == ReplacementCardReply(version=1, stored=True)
    assert post(one, card()).version == 1, "sent again"
    page = fetch(other)
    assert (page.cards, page.version, page.more) == ((card(),), 1, False)
    assert page.roster == rosters.read_version(db, one.school)
    assert fetch(other, 1).cards == ()
    assert fetch(other, 99).cards == page.cards, "a ledger that was restored is asked from the beginning"

    post(other, card(name="two"))
    assert [each.id for each in fetch(one, 1).cards] == ["u1.desk.two"], "the later one wins"
    ended = card(name="one", sealed=b"", blocked=(), ended=True)
    assert post(one, ended).version == 2, "the end of a former one changes nothing"
    post(other, card(name="two", sealed=b"", ended=True))
    (gone,) = fetch(one, 2).cards
    assert (gone.id, gone.ended, gone.sealed) == ("u1.desk.two", True, b"")
    assert replacement_cards.read_made_at(db, one.school, "u1") == ""


def test_nobody_else_has_cards(db: psycopg.Connection, kiosk: Kiosk) -> None:
    rosters.apply_changes(db, kiosk.school, people("u1"))
    assert not post(kiosk, card("stranger")).stored
    path = replacement_cards_path("sch-x")
    assert kiosk.call("GET", path, query="since=0").status_code == 404
    assert leave(kiosk, path, wire.to_json(card())).status_code == 404
    assert leave(kiosk, replacement_cards_path(kiosk.school), b"{}").status_code == 400
    post(kiosk, card())
    rosters.apply_changes(db, kiosk.school, [DeletedRecord(deleted_type="person", id="u1")])
    assert db.execute("SELECT count(*) FROM replacement_card WHERE school = %s", (kiosk.school,)).fetchone() == (0,)


def test_pages_end_between_two_numbers_and_lose_nobody(db: psycopg.Connection) -> None:
    school, names = new_school(db), [f"u{number}" for number in range(12)]
    rosters.apply_changes(db, school, people(*names))
    for name in names:
        replacement_cards.store_card(db, school, "door", card(name))
    for limit in (1, 5, 12, 100):
        since, found, more = 0, list[str](), True
        while more:
            page = replacement_cards.read_page(db, school, since, limit)
            found += [each.person for each in page.cards]
            since, more = page.version, page.more
        assert found == names, limit


def test_an_address_of_the_families_is_told_once_a_card(db: psycopg.Connection, kiosk: Kiosk) -> None:
    school = kiosk.school
    rosters.apply_changes(db, school, people("u1"))
    webhooks.add_webhook(db, school, "https://parents.example/news", ["parents.example"], by="school", now=NOW)
    for message in (card(), card(), card(name="one", ended=True), card(name="two")):
        post(kiosk, message)
    bodies = db.execute("SELECT body FROM webhook_delivery WHERE school = %s ORDER BY seq", (school,)).fetchall()
    told = [json.loads(bytes(body)) for (body,) in bodies]
    assert [(news["kind"], news["person"], news["credential"]) for news in told] == [
        ("card", "u1", "u1.desk.one"),
        ("card", "u1", "u1.desk.two"),
    ]
    assert told[0]["time"] == MADE_AT
