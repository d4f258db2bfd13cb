"""The control socket: asked as the command line asks it, and as a stranger might."""

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.control import SOCKET_NAME, Asker, ControlServer, ask
from edge_agent.errors import AgentNotRunning, RequestRefused


def count(arguments: Mapping[str, Any], asker: Asker) -> Iterator[int]:
    yield from range(arguments["to"])


def who(arguments: Mapping[str, Any], asker: Asker) -> Iterator[list[int]]:
    yield [asker.pid, asker.uid]


def refuse(arguments: Mapping[str, Any], asker: Asker) -> Iterator[None]:
    yield None
    raise RequestRefused("not today; ask the school office")


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    handlers = {"count": count, "who": who, "refuse": refuse}
    with ControlServer(tmp_path / "run" / SOCKET_NAME, handlers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield tmp_path / "run"
        server.shutdown()
        thread.join()


def test_rows_arrive_in_order(run_dir: Path) -> None:
    assert list(ask(run_dir, "count", to=3)) == [0, 1, 2]


def test_the_kernel_says_who_asks(run_dir: Path) -> None:
    assert list(ask(run_dir, "who")) == [[os.getpid(), os.getuid()]]


def test_a_refusal_keeps_its_words(run_dir: Path) -> None:
    answers = ask(run_dir, "refuse")
    assert next(answers) is None
    with pytest.raises(RequestRefused, match="ask the school office"):
        next(answers)


def test_an_unknown_command_is_named(run_dir: Path) -> None:
    with pytest.raises(RequestRefused, match="no command 'dance'"):
        list(ask(run_dir, "dance"))


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b'{"command": "count", "arguments": 3'])
def test_rubbish_is_answered_and_the_next_one_is_served(run_dir: Path, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(run_dir / SOCKET_NAME))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        assert "error" in json.loads(connection.makefile("rb").readline())
    assert list(ask(run_dir, "count", to=1)) == [0]


def test_only_owner_and_group_may_connect(run_dir: Path) -> None:
    assert stat.S_IMODE((run_dir / SOCKET_NAME).stat().st_mode) == 0o660


def test_no_daemon_is_said(tmp_path: Path) -> None:
    with pytest.raises(AgentNotRunning, match="start it"):
        list(ask(tmp_path, "count", to=1))


def test_a_left_over_socket_is_no_daemon(tmp_path: Path) -> None:
    with ControlServer(tmp_path / SOCKET_NAME, {}) as server:
        server.path = tmp_path / "elsewhere"  # as after kill -9: the file stays
    with pytest.raises(AgentNotRunning):
        list(ask(tmp_path, "count", to=1))
