"""The ledger as a process of its own, for tests that kill it: `python -m … FOLDER PORT`."""

import sys
import threading
from pathlib import Path

from canteen_demo.postgres import EmbeddedPostgres
from sync.ledger.server import LedgerOptions, LedgerServer, serve_until
from tests.sync.ledger.kiosk import OPEN_DOOR

if __name__ == "__main__":
    options = LedgerOptions(folder=Path(sys.argv[1]), port=int(sys.argv[2]), limits=OPEN_DOOR)
    with EmbeddedPostgres(options.folder) as postgres:
        running = LedgerServer(postgres.url, options)
        serve_until(threading.Event().wait, running, lambda url: print(url, flush=True), postgres.revive)
