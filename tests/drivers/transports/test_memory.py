import threading

import pytest

from drivers.errors import DeviceBusy, DeviceGone
from drivers.transports.memory import MemoryTransport


def test_each_chunk_is_one_read() -> None:
    memory = MemoryTransport()
    memory.open()
    memory.put(b"ab")
    memory.put(b"c")
    assert [memory.read(0), memory.read(0), memory.read(0)] == [b"ab", b"c", b""]


def test_nobody_hears_what_is_sent_to_a_closed_port() -> None:
    memory = MemoryTransport()
    memory.put(b"early")
    memory.open()
    assert memory.read(0) == b""


def test_unplugged_busy_and_closed() -> None:
    memory = MemoryTransport()
    with pytest.raises(DeviceGone):
        memory.read(0)
    memory.open()
    memory.write(b"hello")
    assert list(memory.written) == [b"hello"]
    memory.unplug()
    with pytest.raises(DeviceGone):
        memory.read(0)
    memory.close()
    with pytest.raises(DeviceGone):
        memory.open()
    memory.replug()
    memory.busy = True
    with pytest.raises(DeviceBusy):
        memory.open()


def test_close_wakes_a_reader() -> None:
    memory = MemoryTransport()
    memory.open()
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(memory.read(1000)), daemon=True)
    thread.start()
    while not got and thread.is_alive():
        memory.close()
        thread.join(0.01)
        if not thread.is_alive():
            break
    assert got in ([b""], [])
