"""No input device can be made here: a pipe gives its bytes and its end, a terminal the refusal to be grabbed."""

import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.errors import DeviceBusy, DeviceGone, NotSupported
from drivers.transports.evdev import EVENT_BYTES, EVIOCGRAB, InputDevice

HANG_S = 20.0


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    path = tmp_path / "event0"
    os.mkfifo(path)
    device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    yield path, device
    os.close(device)


def test_the_size_of_an_event_is_this_machines() -> None:
    assert (24 if struct.calcsize("l") == 8 else 16) == EVENT_BYTES
    assert 1 << 30 | 4 << 16 | ord("E") << 8 | 0x90 == EVIOCGRAB


def test_bytes_come_as_soon_as_there_are_any(pipe: tuple[Path, int]) -> None:
    path, device = pipe
    reader = InputDevice(str(path))
    reader.open()
    assert reader.read(0) == b""
    os.write(device, bytes(EVENT_BYTES))
    assert reader.read(HANG_S) == bytes(EVENT_BYTES)
    reader.close()


def test_a_second_reader_is_refused_until_the_first_lets_go(pipe: tuple[Path, int]) -> None:
    path, _ = pipe
    first, second = InputDevice(str(path)), InputDevice(str(path))
    first.open()
    with pytest.raises(DeviceBusy, match="fuser"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_a_device_that_goes_away_is_gone(pipe: tuple[Path, int]) -> None:
    path, device = pipe
    reader = InputDevice(str(path))
    reader.open()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, device)
    os.close(null)
    with pytest.raises(DeviceGone):
        reader.read(HANG_S)
    reader.close()
    path.unlink()
    with pytest.raises(DeviceGone, match="plugged in"):
        reader.open()


@pytest.mark.parametrize("kind", ["file", "folder", "terminal"])
def test_what_cannot_be_grabbed_is_a_mistake_in_the_settings_and_leaks_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    ends = os.openpty() if kind == "terminal" else ()
    if ends:
        path.symlink_to(os.ttyname(ends[1]))
    elif kind == "file":
        path.touch()
    else:
        path.mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(NotSupported, match="by-path"):
        InputDevice(str(path)).open()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    for end in ends:
        os.close(end)


def test_looking_on_takes_no_grab(tmp_path: Path) -> None:
    master, slave = os.openpty()
    reader = InputDevice(os.ttyname(slave), grab=False)
    reader.open()
    os.set_blocking(master, False)
    reader.close()
    os.close(master)
    os.close(slave)


def test_a_keyboard_is_not_written_to(pipe: tuple[Path, int]) -> None:
    reader = InputDevice(str(pipe[0]))
    with pytest.raises(DeviceGone, match="not open"):
        reader.read(0)
    with pytest.raises(NotSupported):
        reader.write(b"x")
    reader.open()
    with pytest.raises(RuntimeError, match="already open"):
        reader.open()
    reader.close()


def test_close_and_read_race_many_times_without_a_foreign_error(pipe: tuple[Path, int]) -> None:
    path, device = pipe
    reader = InputDevice(str(path))
    strange: list[BaseException] = []

    def read_until_closed() -> None:
        try:
            while True:
                reader.read(HANG_S)
        except DeviceGone:
            return
        except BaseException as error:  # noqa: BLE001  whatever it is, the test must tell it
            strange.append(error)

    for _ in range(50):
        reader.open()
        thread = threading.Thread(target=read_until_closed, daemon=True)
        thread.start()
        os.write(device, b"x")
        reader.close()
        thread.join(HANG_S)
        assert not thread.is_alive()
    assert not strange


def test_another_programs_lock_is_busy(pipe: tuple[Path, int]) -> None:
    path, _ = pipe
    with path.open("rb", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DeviceBusy):
            InputDevice(str(path)).open()
