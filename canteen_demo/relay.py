"""The school's line to the ledger: a TCP relay that can be cut, so that the outage is real."""

import contextlib
import socket
import threading


class Relay:
    """Passes bytes from a loopback port to the ledger's; `cut` drops every connection and refuses new ones."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._up = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def cut(self) -> None:
        """Drops every connection, and refuses new ones."""
        with self._lock:
            self._up = False
            for connection in self._open:
                with contextlib.suppress(OSError):  # the other end may have gone first
                    connection.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Accepts connections again."""
        with self._lock:
            self._up = True

    @property
    def is_up(self) -> bool:
        """False while the line is cut."""
        return self._up

    def close(self) -> None:
        """Ends the relay."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):  # a cut shows as an error on both ends; that is its purpose
            with self._lock:
                if not self._up:
                    return
                far = socket.create_connection(self._target, timeout=5)
                far.settimeout(None)
                self._open |= {near, far}
            with far:
                back = threading.Thread(target=_pump, args=(far, near), daemon=True)
                back.start()
                _pump(near, far)
                back.join()
            with self._lock:
                self._open -= {near, far}


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65_536):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
