"""sd_notify over real datagram sockets."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.process.systemd import STATUS_CHARS_MAX, SystemdNotifier


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The value of NOTIFY_SOCKET, and systemd's end of it."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(5)
        systemd.bind(path if request.param == "path" else "\0" + path)
        yield (path if request.param == "path" else "@" + path), systemd


def test_every_message_arrives(listening: tuple[str, socket.socket]) -> None:
    address, systemd = listening
    notifier = SystemdNotifier({"NOTIFY_SOCKET": address})
    notifier.notify_ready("700 pupils")
    notifier.notify_status("сүт таусылды")
    notifier.feed_watchdog()
    notifier.notify_stopping()
    assert [systemd.recv(4096).decode() for _ in range(4)] == [
        "READY=1\nSTATUS=700 pupils",
        "STATUS=сүт таусылды",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_a_status_cannot_smuggle_a_second_message(listening: tuple[str, socket.socket]) -> None:
    address, systemd = listening
    SystemdNotifier({"NOTIFY_SOCKET": address}).notify_status("reader gone\nWATCHDOG=trigger\r\n" + "x" * 1_000)
    message = systemd.recv(4096).decode()
    assert message.startswith("STATUS=reader gone WATCHDOG=trigger x")
    assert "\n" not in message
    assert len(message) == len("STATUS=") + STATUS_CHARS_MAX


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "notify"])
def test_without_systemd_nothing_is_sent(address: str) -> None:
    notifier = SystemdNotifier({"NOTIFY_SOCKET": address} if address else {})
    notifier.notify_ready("fine")
    notifier.feed_watchdog()


def fill(filler: socket.socket, path: Path) -> None:
    for _ in range(100_000):
        filler.sendto(b"x", str(path))


def test_a_systemd_that_is_away_or_does_not_read_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    notifier = SystemdNotifier({"NOTIFY_SOCKET": str(path)})
    notifier.feed_watchdog()  # nothing there yet
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.setblocking(False)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with pytest.raises(BlockingIOError):
                fill(filler, path)
        notifier.feed_watchdog()  # its queue is full: given up after a second
        assert systemd.recv(10) == b"x"
    notifier.feed_watchdog()  # bound once, closed now
