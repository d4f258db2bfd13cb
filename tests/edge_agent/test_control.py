"""The control socket: asked as the command line asks it, and as a stranger might."""

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge_agent.control import SOCKET_NAME, ControlCommand, ControlServer, Requester, ask, bind_handler
from edge_agent.control_api import NO_ARGUMENTS, NoArguments
from edge_agent.errors import AgentNotRunning, DaemonVersionDiffers, RequestRefused


class CountArguments(msgspec.Struct, frozen=True):
    to: int


COUNT = ControlCommand("count", CountArguments, int)
WHO = ControlCommand("who", NoArguments, list[int])
REFUSE = ControlCommand("refuse", NoArguments, int)
DANCE = ControlCommand("dance", NoArguments, int)


def count(arguments: CountArguments, requester: Requester) -> Iterator[int]:
    yield from range(arguments.to)


def who(_: NoArguments, requester: Requester) -> Iterator[list[int]]:
    yield [requester.pid, requester.uid]


def refuse(_: NoArguments, requester: Requester) -> Iterator[int]:
    yield 0
    raise RequestRefused("not today; ask the school office")


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    handlers = dict([bind_handler(COUNT, count), bind_handler(WHO, who), bind_handler(REFUSE, refuse)])
    with ControlServer(tmp_path / "run" / SOCKET_NAME, handlers) as server:
        server.listen()
        thread = threading.Thread(target=server.serve, args=(lambda: None, 0.02))
        thread.start()
        yield tmp_path / "run"
        server.shutdown()
        thread.join()


def test_rows_arrive_in_order(run_dir: Path) -> None:
    assert list(ask(run_dir, COUNT, CountArguments(3))) == [0, 1, 2]


def test_the_kernel_says_who_asks(run_dir: Path) -> None:
    assert list(ask(run_dir, WHO, NO_ARGUMENTS)) == [[os.getpid(), os.getuid()]]


def test_a_refusal_keeps_its_words(run_dir: Path) -> None:
    answers = ask(run_dir, REFUSE, NO_ARGUMENTS)
    assert next(answers) == 0
    with pytest.raises(RequestRefused, match="ask the school office"):
        next(answers)


def test_an_unknown_command_is_named(run_dir: Path) -> None:
    with pytest.raises(RequestRefused, match="no command 'dance'"):
        list(ask(run_dir, DANCE, NO_ARGUMENTS))


@pytest.mark.parametrize("arguments", ["{}", '{"to": "three"}', "[]", "null"])
def test_wrong_arguments_are_refused_with_their_reason(run_dir: Path, arguments: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(run_dir / SOCKET_NAME))
        connection.sendall(f'{{"command": "count", "arguments": {arguments}}}\n'.encode())
        reply = json.loads(connection.makefile("rb").readline())
    assert "the arguments of count are wrong" in reply["error"]


def test_a_row_with_unknown_keys_missing_says_what_to_do(run_dir: Path) -> None:
    with pytest.raises(DaemonVersionDiffers, match="restart it"):
        list(ask(run_dir, ControlCommand("count", CountArguments, str), CountArguments(1)))


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b'{"command": "count", "arguments": 3'])
def test_rubbish_is_refused_and_the_next_request_is_served(run_dir: Path, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(run_dir / SOCKET_NAME))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        assert "error" in json.loads(connection.makefile("rb").readline())
    assert list(ask(run_dir, COUNT, CountArguments(1))) == [0]


def test_only_owner_and_group_may_connect(run_dir: Path) -> None:
    assert stat.S_IMODE((run_dir / SOCKET_NAME).stat().st_mode) == 0o660


def test_no_daemon_is_said(tmp_path: Path) -> None:
    with pytest.raises(AgentNotRunning, match="start it"):
        list(ask(tmp_path, COUNT, CountArguments(1)))


def test_a_forgotten_socket_is_no_daemon(tmp_path: Path) -> None:
    with ControlServer(tmp_path / SOCKET_NAME, {}) as server:
        server.listen()
        server.path = tmp_path / "elsewhere"  # as after kill -9: the file stays
    with pytest.raises(AgentNotRunning):
        list(ask(tmp_path, COUNT, CountArguments(1)))
