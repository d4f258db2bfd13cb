"""A control socket that gives one answer to `status`: the daemon as the command line sees it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge_agent.control import SOCKET_NAME, ControlServer


@contextmanager
def answering(run_dir: Path, status: Mapping[str, object]) -> Iterator[None]:
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
