"""Every statement in the ledger's code is about one school, or marked as the city's."""

import pytest

from tests.sync.ledger.distribution.school_statements import LEDGER, find_unbound, list_school_tables, list_statements

TABLES = list_school_tables()


def test_every_statement_is_about_one_school_or_marked_as_the_citys() -> None:
    statements = [*list_statements(sorted(LEDGER.rglob("*.py")))]
    assert len(statements) > 300
    loose = {
        str(each): unbound for each in statements if not each.is_marked and (unbound := find_unbound(each.text, TABLES))
    }
    assert loose == {}, "hold each of these tables to one school, or say above the statement why it is the city's"


@pytest.mark.parametrize(
    ("text", "unbound"),
    [
        ("SELECT 1 FROM event WHERE school = %s", []),
        ("SELECT 1 FROM event WHERE day = %(school)s", ["event"]),
        ("SELECT 1 FROM event WHERE school = %s OR day = %s", ["event"]),
        ("SELECT 1 FROM event e JOIN batch b ON b.school = e.school WHERE e.school = %s", []),
        ("SELECT 1 FROM event e JOIN batch b ON b.epoch = e.epoch WHERE e.school = %s", ["b"]),
        ("SELECT 1 FROM event JOIN batch USING (school, device) WHERE school = %s", []),
        ("SELECT (SELECT max(seq) FROM head) FROM event WHERE school = %s", ["head"]),
        ("SELECT (SELECT max(seq) FROM head h WHERE h.school = e.school) FROM event e WHERE e.school = %s", ["h"]),
        ("SELECT (SELECT max(seq) FROM head h WHERE h.school = %(s)s) FROM event e WHERE e.school = %(s)s", []),
        ("WITH a AS (SELECT * FROM event) SELECT * FROM a", ["event"]),
        ("DELETE FROM carried USING event WHERE carried.school = %s AND event.school = carried.school", []),
        ("DELETE FROM carried USING event WHERE carried.school = %s AND event.seq = carried.seq", ["event"]),
        ("UPDATE head SET seq = 1 WHERE device = %s", ["head"]),
        ("INSERT INTO head (school, device) VALUES (%s, %s) ON CONFLICT DO NOTHING", []),
        ("INSERT INTO head (device) SELECT device FROM device", ["head", "device"]),
        ("SELECT number FROM receipt_key", []),
    ],
)  # fmt: skip
def test_a_table_that_is_not_held_to_a_school_is_found(text: str, unbound: list[str]) -> None:
    assert find_unbound(text, TABLES) == unbound
