"""A dialled device on loopback, and what is left behind where it cannot be opened."""

import errno
import socket

import pytest

from drivers.transports.dialled import DialledSocket


def test_nothing_is_held_where_opening_fails_half_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as device:
        way = DialledSocket("127.0.0.1", device.getsockname()[1])

        def refuse() -> tuple[socket.socket, socket.socket]:
            raise OSError(errno.EMFILE, "Too many open files")

        with monkeypatch.context() as patched:
            patched.setattr(socket, "socketpair", refuse)
            with pytest.raises(OSError, match="Too many open files"):
                way.open()
        caller, _ = device.accept()
        caller.settimeout(5)
        with caller:
            assert caller.recv(1) == b""  # the connection was closed
        way.open()  # the name is free again
        way.close()
