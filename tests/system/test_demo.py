"""The demo of `make demo`, with fewer pupils and without a browser."""

import json

import pytest

from tests.system.daemon import edge_agent

pytest.importorskip("psycopg_pool", reason="the ledger extra is not installed")


def test_a_lunch_break_with_an_outage_a_kill_and_a_pulled_reader_adds_up() -> None:
    done = edge_agent(
        "demo", "--headless", "--json", "--pupils", "30", "--minutes", "3", "--speed", "30", "--seed", "7"
    )
    proof = json.loads(done.stdout)
    assert proof["holds"], done.stdout
    figures = proof["figures"]
    assert figures["rows journaled"] == figures["rows in the ledger"] > figures["of them scans"] > 30
    assert figures["meals"] > 20
    assert figures["meals on the day's sheets"] == figures["meals"]
    assert figures["of them by palm (drawn, nobody's)"] >= 3
