"""The ledger as a process of its own, for tests that kill it: `python -m … FOLDER PORT`."""

import sys
import threading
from pathlib import Path

from canteen_demo.postgres import EmbeddedPostgres
from sync.ledger.server import LedgerOptions, serve_until

if __name__ == "__main__":
    options = LedgerOptions(folder=Path(sys.argv[1]), port=int(sys.argv[2]), rate_per_s=100_000, burst=100_000)
    with EmbeddedPostgres(options.folder) as postgres:
        serve_until(threading.Event().wait, postgres.url, options, lambda url: print(url, flush=True), postgres.revive)
