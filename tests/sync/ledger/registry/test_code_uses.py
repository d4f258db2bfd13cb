"""One use a step across the kiosks of a school, through the ledger."""

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg

from sync.contract import wire
from sync.contract.dynamic_codes import STEP_S, CodeUse, CodeUsePage, code_uses_path
from sync.contract.event import Refusal
from sync.contract.roster import DeletedRecord, Person
from sync.contract.wire import BatchReply
from sync.ledger.registry import code_uses, rosters
from tests.sync.ledger.kiosk import Kiosk, entry, new_school

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
STEP = int(NOW.timestamp()) // STEP_S


def people(*names: str) -> list[Person]:
    return [Person(id=name, given_name="A", family_name="B") for name in names]


def test_a_step_used_at_one_kiosk_reaches_the_other(db: psycopg.Connection, enrolled: Callable[[], Kiosk]) -> None:
    one, other = enrolled(), enrolled()
    rosters.apply_changes(db, one.school, people("u1", "u2"))
    seen = entry("u1", school=one.school, credential="u1.dynamic", code_step=STEP)
    plain = entry("u2", school=one.school, credential="u2.card1")
    refused = Refusal(
        school=one.school, at=seen.at, boot="b", mono_ms=5, clock=seen.clock, person="u2", code_step=STEP + 1
    )
    one.record(seen, plain, refused)
    assert isinstance(one.send(1, 3), BatchReply)
    assert isinstance(one.send(1, 3), BatchReply), "sent again"

    def fetch(kiosk: Kiosk, since: int) -> CodeUsePage:
        answer = kiosk.call("GET", code_uses_path(kiosk.school), query=wire.roster_query(since))
        return wire.read_json(CodeUsePage, answer.content)

    page = fetch(other, 0)
    assert (page.uses, page.version, page.more) == ((CodeUse(person="u1", step=STEP),), 1, False)
    assert fetch(other, 1).uses == ()
    assert fetch(other, 99).uses == page.uses, "a ledger that was restored is asked from the beginning"
    other.record(entry("u1", school=one.school, credential="u1.dynamic", code_step=STEP, minute=1))
    assert isinstance(other.send(1, 1), BatchReply)
    assert fetch(one, 1).uses == (), "the same step again changes nothing"
    assert one.call("GET", code_uses_path("sch-x"), query="since=0").status_code == 404
    assert one.call("GET", code_uses_path(one.school), query="since=x").status_code == 400

    rosters.apply_changes(db, one.school, [DeletedRecord(deleted_type="person", id="u1")])
    assert db.execute("SELECT count(*) FROM code_use WHERE school = %s", (one.school,)).fetchone() == (0,)


def test_only_the_last_step_counts_and_none_of_the_future(db: psycopg.Connection) -> None:
    school, other = new_school(db), new_school(db)
    code_uses.note_code_uses(db, school, {"u1": STEP, "u2": STEP}, NOW)
    code_uses.note_code_uses(db, school, {"u1": STEP - 1, "u2": STEP + 1, "u3": STEP + 9, "u\0": STEP, "u4": 0}, NOW)
    code_uses.note_code_uses(db, other, {"u9": STEP}, NOW)
    page = code_uses.read_page(db, school, 0)
    assert {(use.person, use.step) for use in page.uses} == {("u1", STEP), ("u2", STEP + 1)}
    assert [use.person for use in code_uses.read_page(db, school, 1).uses] == ["u2"]


def test_pages_end_between_two_numbers_and_lose_nobody(db: psycopg.Connection) -> None:
    school = new_school(db)
    for batch in range(4):
        code_uses.note_code_uses(db, school, {f"u{batch}{number}": STEP for number in range(3)}, NOW)
    for limit in (1, 2, 3, 4, 7, 100):
        since, found, more = 0, set[str](), True
        while more:
            page = code_uses.read_page(db, school, since, limit)
            found |= {use.person for use in page.uses}
            assert page.version > since
            since, more = page.version, page.more
        assert len(found) == 12, limit
