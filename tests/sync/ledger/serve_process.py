"""The ledger as a process of its own, for tests that kill it: `python -m … FOLDER PORT`."""

import sys
import threading
from pathlib import Path

from sync.ledger.server import Options, serve_until

if __name__ == "__main__":
    options = Options(data=Path(sys.argv[1]), port=int(sys.argv[2]), rate_per_s=100_000, burst=100_000)
    serve_until(threading.Event().wait, options, lambda url: print(url, flush=True))
