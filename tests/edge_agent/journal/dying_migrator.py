"""The program that migrates a journal, killed before its nth statement: as by a power cut, or a kernel short of memory.

python -m tests.edge_agent.journal.dying_migrator STATEMENTS PATH --lock DESCRIPTOR
"""

import os
import signal
import sqlite3
import sys
from pathlib import Path

from edge_agent.journal import migrate
from edge_agent.journal.store import connect


def main() -> int:
    statements = int(sys.argv.pop(1))

    def connect_and_die(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.set_trace_callback(count)
        return connection

    def count(_: str) -> None:
        nonlocal statements
        statements -= 1
        if statements < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return migrate.main(connect=connect_and_die)


if __name__ == "__main__":
    sys.exit(main())
