"""Our own ledger passes the checks that we hold others to; and the checks see a ledger that lies."""

from datetime import UTC, datetime

import psycopg

from sync.ledger.checking.conformance import check_ledger
from sync.ledger.registry import schools
from sync.ledger.server import LedgerServer


def test_our_own_ledger_conforms(server: LedgerServer, db: psycopg.Connection, school: str) -> None:
    code = schools.issue_code(db, school, "", datetime.now(UTC))
    results = check_ledger(server.url, code)
    assert [(result.name, result.detail) for result in results if not result.ok] == []
    assert len(results) > 20


def test_without_a_code_nothing_else_is_tried(server: LedgerServer, school: str) -> None:
    (result,) = check_ledger(server.url, f"{school}-AAAA-AAAA-AAAA-AAAA")
    assert not result.ok
    assert "code-refused" in result.detail
