"""A roster comes whole, of one version, whatever changes meanwhile."""

import threading

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync.contract import wire
from sync.contract.roster import Change, DeletedRecord, Person, RosterPage, record_type
from sync.ledger.registry import rosters
from sync.ledger.server import LedgerServer
from tests.sync.ledger.kiosk import Kiosk, new_school

State = dict[tuple[str, str], Change]


def person(number: int, name: str = "Әлия") -> Person:
    return Person(id=f"u{number:05}", given_name=name, family_name="Қасымова")


def pull(db: psycopg.Connection, school: str, state: State, since: int, limit: int = 7) -> int:
    """A kiosk's pull: all pages, then applied at once."""
    cursor = ""
    changes: list[Change] = []
    while True:
        page = rosters.read_page(db, school, since, cursor, limit)
        assert page is not None
        changes += page.changes
        if not page.more:
            break
        cursor = page.cursor
    if page.whole:
        state.clear()
    for change in changes:
        if isinstance(change, DeletedRecord):
            del state[change.deleted_type, change.id]
        else:
            state[record_type(change), change.id] = change
    return page.version


def as_state(records: tuple[Change, ...]) -> State:
    return {(record_type(record), record.id): record for record in records if not isinstance(record, DeletedRecord)}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.lists(
        st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["", "Ә", "Б"])), max_size=10), min_size=1, max_size=6
    )
)
def test_a_kiosk_that_follows_is_where_the_ledger_is(
    db: psycopg.Connection, server: LedgerServer, rounds: list[list[tuple[int, str]]]
) -> None:
    school = new_school(db)
    state: State = {}
    version = 0
    for edits in rounds:
        rosters.apply_changes(
            db,
            school,
            [person(n, name) if name else DeletedRecord(deleted_type="person", id=f"u{n:05}") for n, name in edits],
        )
        version = pull(db, school, state, version)
        assert state == as_state(rosters.read_records(db, school))
        assert version == rosters.read_version(db, school)


def test_the_same_again_is_no_new_version(db: psycopg.Connection, school: str) -> None:
    first = rosters.apply_changes(db, school, [person(1), person(2)])
    assert (first.version, first.changed) == (1, 2)
    again = rosters.apply_changes(db, school, [person(2), person(1), DeletedRecord(deleted_type="person", id="u99999")])
    assert (again.version, again.changed, again.deleted) == (1, 0, 0)


def test_pages_show_one_moment(db: psycopg.Connection, school: str) -> None:
    rosters.apply_changes(db, school, [person(n) for n in range(50)])
    first = rosters.read_page(db, school, 0, "", 20)
    assert first is not None
    rosters.apply_changes(
        db, school, [*(person(n, "Кейін") for n in range(50)), DeletedRecord(deleted_type="person", id="u00030")]
    )
    second = rosters.read_page(db, school, 0, first.cursor, 20)
    assert second is not None
    third = rosters.read_page(db, school, 0, second.cursor, 20)
    assert third is not None
    pages = (first, second, third)
    assert {page.version for page in pages} == {1}
    assert [change.id for page in pages for change in page.changes] == [f"u{n:05}" for n in range(50)]
    assert {change.given_name for page in pages for change in page.changes if isinstance(change, Person)} == {"Әлия"}
    assert [page.more for page in pages] == [True, True, False]


def test_pulls_while_the_roster_changes(server: LedgerServer, db: psycopg.Connection, school: str) -> None:
    """Every version has all people under one name: a page of two versions would show two."""
    stop = threading.Event()

    def change() -> None:
        with psycopg.connect(server.database_url, autocommit=True) as own:
            number = 0
            while not stop.is_set():
                number += 1
                rosters.apply_changes(own, school, [person(n, f"нұсқа {number}") for n in range(30)])

    thread = threading.Thread(target=change)
    thread.start()
    state: State = {}
    version = 0
    for _ in range(40):
        version = pull(db, school, state, version)
        assert len({each.given_name for each in state.values() if isinstance(each, Person)}) <= 1
    stop.set()
    thread.join(30)


def test_a_pull_that_a_restore_overtook_begins_again(db: psycopg.Connection, school: str) -> None:
    rosters.apply_changes(db, school, [person(n) for n in range(30)])
    begun = rosters.read_page(db, school, 0, "", 10)
    assert begun is not None
    db.execute("UPDATE school SET roster_version = 0 WHERE school = %s", (school,))
    with pytest.raises(rosters.PullRestart, match="begin it again"):
        rosters.read_page(db, school, 0, begun.cursor, 10)


def test_a_kiosk_ahead_of_a_restored_ledger_gets_everything(db: psycopg.Connection, school: str) -> None:
    rosters.apply_changes(db, school, [person(1)])
    page = rosters.read_page(db, school, 900, "")
    assert page is not None
    assert (page.whole, page.version, len(page.changes)) == (True, 1, 1)


def test_over_http_a_kiosk_sees_its_own_school_only(kiosk: Kiosk, db: psycopg.Connection) -> None:
    rosters.apply_changes(db, kiosk.school, [person(n) for n in range(1_500)])
    own = kiosk.call("GET", wire.roster_path(kiosk.school), query=wire.roster_query(0))
    page = wire.read_json(RosterPage, own.content)
    assert (len(page.changes), page.more, page.whole) == (1_000, True, True)
    rest = kiosk.call("GET", wire.roster_path(kiosk.school), query=wire.roster_query(0, page.cursor))
    assert len(wire.read_json(RosterPage, rest.content).changes) == 500
    assert kiosk.call("GET", wire.roster_path("sch-1"), query=wire.roster_query(0)).status_code == 404
    assert kiosk.call("GET", wire.roster_path(kiosk.school), query="since=x").status_code == 400
    assert kiosk.call("GET", wire.roster_path(kiosk.school), query=wire.roster_query(0, "00")).status_code == 410
