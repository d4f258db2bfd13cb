"""A control socket that gives one answer to `status`: the daemon as the command line sees it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_agent.control import SOCKET_NAME, ControlServer


@contextmanager
def answering(run_dir: Path, status: Mapping[str, Any]) -> Iterator[None]:
    server = ControlServer(run_dir / SOCKET_NAME, {"status": lambda arguments, asker: iter([dict(status)])})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
