"""The roster of a whole city: how much memory its import takes, and what a kill in the middle leaves."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import psycopg

from canteen_demo.postgres import EmbeddedPostgres
from sync.ledger.migrate import migrate
from sync.ledger.registry.schools import add_school
from tests.benchmarks.figures import Figure, Result, Run
from tests.sync.ledger.registry.city_export import write_city

SCHOOLS, PEOPLE = 151, 1_729  # 261,079 people
QUICK_SCHOOLS, QUICK_PEOPLE = 4, 60
MEMORY_MB = 300

# The command as an operator types it; it tells its own greatest memory at its end.
_IMPORT = """
import resource, sys
from edge_agent.cli.main import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def run(run: Run) -> Result:
    """Imports a city twice: the first is killed when some schools have their roster, the second does the rest."""
    schools, people = (QUICK_SCHOOLS, QUICK_PEOPLE) if run.quick else (SCHOOLS, PEOPLE)
    export, ledger = run.folder / "export", run.folder / "ledger"
    export.mkdir()
    with EmbeddedPostgres(ledger) as postgres, closing(psycopg.connect(postgres.url, autocommit=True)) as db:
        migrate(db)
        for name in write_city(export, schools, people):
            add_school(db, name, name)
        command = [
            sys.executable, "-c", _IMPORT, "roster", "import", str(export), "--json", "--data", str(ledger),
            "--database-url", postgres.url,
        ]  # fmt: skip
        done_before = _kill_in_the_middle(db, command)
        begun = time.monotonic()
        again = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        took_s = time.monotonic() - begun
        versions = db.execute("SELECT roster_version FROM school").fetchall()
        counted = db.execute(
            "SELECT count(DISTINCT id) FROM roster_record WHERE type = 'person' AND superseded IS NULL"
        ).fetchone()
    assert counted is not None
    memory_mb = int(again.stderr.split()[-1]) / 1024
    teaching = schools * len(range(19, people, 20))  # at the next school too, under a name of their own there
    figures = [
        Figure("memory", memory_mb, "MB", at_most=MEMORY_MB),
        Figure("schools that are not at their first version", sum(row != (1,) for row in versions), "", at_most=0),
        Figure("people missing or twice", abs(counted[0] - schools * people - teaching), "", at_most=0),
        Figure("schools that the killed import had done", done_before, ""),
        Figure("the second import", took_s, "s"),
    ]
    what = f"roster import of {schools} schools and {schools * people:,} people, killed in the middle and run again"
    return Result("city_import", what, figures)


def _kill_in_the_middle(db: psycopg.Connection, command: list[str]) -> int:
    """Kills an import once a school has its roster. Returns how many had it then."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and _count_done(db) == 0:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    return _count_done(db)


def _count_done(db: psycopg.Connection) -> int:
    row = db.execute("SELECT count(*) FROM school WHERE roster_version > 0").fetchone()
    return int(row[0]) if row else 0
