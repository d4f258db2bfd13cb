import fcntl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.errors import DeviceBusy, DeviceGone, NotSupported
from drivers.simulated.card_peer import CardPeer
from drivers.transports.serial import Serial, SerialLine

HANG_S = 20.0
TIOCGEXCL = 0x80045440  # Linux, asm-generic/ioctls.h


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[CardPeer]:
    with CardPeer(tmp_path / "reader") as peer:
        yield peer


@pytest.fixture
def port(peer: CardPeer) -> Iterator[Serial]:
    port = Serial(str(peer.port), SerialLine())
    port.open()
    yield port
    port.close()


def test_bytes_come_as_soon_as_there_are_any_and_stay_as_they_are(peer: CardPeer, port: Serial) -> None:
    everything = bytes(range(256))
    peer.send(everything)
    received = b""
    while len(received) < len(everything):
        chunk = port.read(HANG_S)
        assert chunk, "nothing came within the time of a hang"
        received += chunk
    assert received == everything
    assert port.read(0) == b""


def test_what_was_sent_while_nobody_listened_is_not_read_later(peer: CardPeer) -> None:
    peer.send(b"yesterday's card")
    port = Serial(str(peer.port), SerialLine())
    port.open()
    assert port.read(0.05) == b""
    port.close()


def test_the_name_follows_the_device_after_a_replug(peer: CardPeer, port: Serial) -> None:
    before = peer.port.readlink()
    peer.unplug()
    with pytest.raises(DeviceGone):
        port.read(HANG_S)
    peer.replug()
    assert peer.port.readlink() != before, "the old number is taken until the driver lets go of it"
    port.close()
    port.open()
    peer.send(b"x")
    assert port.read(HANG_S) == b"x"


def test_writing_to_a_vanished_port_is_gone(peer: CardPeer, port: Serial) -> None:
    peer.unplug()
    with pytest.raises(DeviceGone):
        port.write(b"x")


def test_a_port_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeviceGone, match="plugged in"):
        Serial(str(tmp_path / "nothing"), SerialLine()).open()


def test_a_dangling_name_is_an_unplugged_device(tmp_path: Path) -> None:
    (tmp_path / "reader").symlink_to(tmp_path / "ttyUSB7")
    with pytest.raises(DeviceGone, match="plugged in"):
        Serial(str(tmp_path / "reader"), SerialLine()).open()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_serial_port_is_a_mistake_in_the_settings(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    path.touch() if kind == "file" else path.mkdir()
    with pytest.raises(NotSupported, match="no serial port"):
        Serial(str(path), SerialLine()).open()


def test_a_speed_that_no_port_has_is_a_mistake_in_the_settings(peer: CardPeer) -> None:
    with pytest.raises(NotSupported, match="baud"):
        Serial(str(peer.port), SerialLine(baud=-1)).open()


def test_both_stop_bits_are_taken(peer: CardPeer) -> None:
    for stop_bits in (1, 2):
        port = Serial(str(peer.port), SerialLine(stop_bits=stop_bits))
        port.open()
        port.close()


def test_a_flock_of_another_process_is_busy_and_so_are_we_for_it(peer: CardPeer, port: Serial) -> None:
    script = (
        "import fcntl, os, sys\n"
        "fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)\n"
        "fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    refused = subprocess.run(
        [sys.executable, "-c", script, str(peer.port)], capture_output=True, text=True, check=False, timeout=HANG_S
    )
    assert "BlockingIOError" in refused.stderr
    port.close()
    with subprocess.Popen(
        [sys.executable, "-c", script, str(peer.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DeviceBusy, match="fuser"):
            port.open()
        holder.communicate()
    port.open()


def test_a_killed_holder_leaves_the_port_free(peer: CardPeer) -> None:
    script = (
        "import sys\nfrom drivers.transports.serial import SerialLine, Serial\n"
        "port = Serial(sys.argv[1], SerialLine()); port.open()\n"
        "print('held', flush=True); port.read(1000)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(peer.port)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait(HANG_S)
    port = Serial(str(peer.port), SerialLine())
    port.open()
    peer.send(b"x")
    assert port.read(HANG_S) == b"x"
    port.close()


def test_a_pseudo_terminal_is_not_marked_exclusive_since_the_mark_outlives_its_holder(
    peer: CardPeer, port: Serial
) -> None:
    with peer.port.open("rb", buffering=0) as other:
        marked = fcntl.ioctl(other.fileno(), TIOCGEXCL, b"\0" * 4)
    assert marked == b"\0" * 4


def test_opened_twice_is_our_own_mistake(port: Serial) -> None:
    with pytest.raises(RuntimeError, match="already open"):
        port.open()


def test_close_and_read_race_many_times_without_a_foreign_error(peer: CardPeer) -> None:
    port = Serial(str(peer.port), SerialLine())
    strange: list[BaseException] = []

    def read_until_closed() -> None:
        try:
            while True:
                port.read(HANG_S)
        except DeviceGone:
            return
        except BaseException as error:  # noqa: BLE001  whatever it is, the test must tell it
            strange.append(error)

    for _ in range(50):
        port.open()
        thread = threading.Thread(target=read_until_closed, daemon=True)
        thread.start()
        peer.send(b"x")
        port.close()
        thread.join(HANG_S)
        assert not thread.is_alive()
    assert not strange
