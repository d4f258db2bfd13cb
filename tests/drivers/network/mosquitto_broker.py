"""A real mosquitto on loopback, on a port of its own; tests that need it are skipped where Debian's is missing."""

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

START_S = 10.0
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin") or ""
needs_mosquitto = pytest.mark.skipif(
    not MOSQUITTO, reason="there is no mosquitto: `sh scripts/install-test-packages.sh` installs it"
)


class MosquittoBroker:
    """One broker. `stop` and `start` keep the port; what was kept for absent clients is lost with it."""

    def __init__(self, folder: Path, lines: Sequence[str] = ("allow_anonymous true",), *, tls: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._config = folder / f"mosquitto-{self.port}.conf"
        listener = f"listener {self.port} 127.0.0.1\n{tls}"
        self._config.write_text("\n".join(("user root", listener, *lines, "persistence false")) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < until, "mosquitto does not start"
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
