"""A control socket that answers `status` with a fixed row, in place of a daemon."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge_agent.control import SOCKET_NAME, ControlServer


@contextmanager
def serve_status(run_dir: Path, status: Mapping[str, object]) -> Iterator[None]:
    """Serves `status` on the control socket of this folder."""
    server = ControlServer(run_dir / SOCKET_NAME, {"status": lambda arguments, requester: [dict(status)]})
    server.listen()
    thread = threading.Thread(target=server.serve, args=(lambda: None, 0.05))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
