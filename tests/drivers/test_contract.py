"""The rules of `drivers.base`, held against every driver of the registry. Bounds of time only tell a hang."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from drivers.base import Reader
from drivers.errors import DeviceBusy, DeviceGone
from drivers.readings import CardRead, CardRemoved, CodeRead, DeviceEvent, PalmFrame, PersonMatched, StreamFault
from drivers.registry import DRIVERS, DriverKind
from tests.drivers.rigs import INDICATORS, READERS, ReaderRig, rig_params

Seen = CardRead | CodeRead | PersonMatched | PalmFrame

HANG_S = 20.0
TRIES = 200


@pytest.fixture(params=rig_params(READERS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReaderRig]:
    rig = READERS[request.param](tmp_path)
    yield rig
    rig.dispose()


@pytest.fixture
def camera(request: pytest.FixtureRequest, rig: ReaderRig) -> bool:
    """Whether it gives pictures: those anybody may look at, and nobody may record."""
    return DRIVERS[request.node.callspec.params["rig"].split("/")[0]].camera


@pytest.fixture
def reader(rig: ReaderRig) -> Iterator[Reader]:
    reader = rig.build()
    reader.open()
    yield reader
    reader.close()


def read_some(reader: Reader) -> Sequence[DeviceEvent]:
    """The next events; an empty read is allowed at any time, and some readers say that the card before has left."""
    for _ in range(TRIES):
        events = [event for event in reader.read(0.1) if not isinstance(event, CardRemoved)]
        if events:
            return events
    pytest.fail("the reader reports nothing")


def read_until_gone(reader: Reader) -> None:
    for _ in range(TRIES):
        try:
            reader.read(0.1)
        except DeviceGone:
            return
    pytest.fail("the reader does not notice that its device is away")


def test_every_driver_of_the_registry_has_a_rig() -> None:
    tested = {name.split("/")[0] for name in (*READERS, *INDICATORS)}
    assert tested == set(DRIVERS)
    assert {name for name, entry in DRIVERS.items() if entry.kind is DriverKind.INDICATOR} == set(INDICATORS)


def test_a_reading_carries_the_readers_name(rig: ReaderRig, reader: Reader) -> None:
    rig.show()
    event = read_some(reader)[0]
    assert isinstance(event, Seen)
    assert event.reader == reader.name


def test_rubbish_is_a_fault_and_the_reading_behind_it_is_not_lost(rig: ReaderRig, reader: Reader) -> None:
    rig.rubbish()
    assert isinstance(read_some(reader)[0], StreamFault)
    rig.show()
    assert isinstance(read_some(reader)[0], Seen)


def test_the_constructor_opens_nothing(rig: ReaderRig) -> None:
    rig.build()
    reader = rig.build()
    reader.open()
    rig.build()
    reader.close()


def test_a_reader_that_is_not_open_says_so(rig: ReaderRig) -> None:
    reader = rig.build()
    with pytest.raises(DeviceGone):
        reader.read(0)
    reader.open()
    reader.close()
    with pytest.raises(DeviceGone):
        reader.read(0)


def test_a_read_without_an_event_returns_empty_in_its_time(reader: Reader) -> None:
    assert not reader.read(0)
    assert not reader.read(0.05)


def test_close_is_allowed_twice_and_before_open(rig: ReaderRig) -> None:
    reader = rig.build()
    reader.close()
    reader.open()
    reader.close()
    reader.close()


def test_close_from_another_thread_wakes_a_blocked_read(reader: Reader) -> None:
    outcome: list[str] = []
    started = threading.Event()

    def wait_for_a_card() -> None:
        started.set()
        try:
            outcome.append(f"returned {list(reader.read(HANG_S * 10))}")
        except DeviceGone:
            outcome.append("gone")

    thread = threading.Thread(target=wait_for_a_card, daemon=True)
    thread.start()
    assert started.wait(HANG_S)
    reader.close()
    thread.join(HANG_S)
    assert not thread.is_alive()
    assert outcome in (["returned []"], ["gone"])


def test_many_threads_may_close_at_once(reader: Reader) -> None:
    threads = [threading.Thread(target=reader.close, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    assert not any(thread.is_alive() for thread in threads)


def test_unplugged_is_gone_and_stays_gone_until_reopened(rig: ReaderRig, reader: Reader) -> None:
    rig.unplug()
    read_until_gone(reader)
    with pytest.raises(DeviceGone):
        reader.read(0)
    reader.close()
    rig.replug()
    reader.open()
    rig.show()
    assert isinstance(read_some(reader)[0], Seen)


def test_it_reopens_many_times_and_leaves_no_descriptor_behind(rig: ReaderRig) -> None:
    descriptors = Path("/proc/self/fd")
    reader = rig.build()
    reader.open()
    reader.close()
    before = len(list(descriptors.iterdir()))
    for _ in range(20):
        reader.open()
        rig.unplug()
        read_until_gone(reader)
        reader.close()
        rig.replug()
    assert len(list(descriptors.iterdir())) <= before


def test_a_device_that_somebody_holds_is_busy_until_he_lets_go(rig: ReaderRig, reader: Reader, camera: bool) -> None:
    if camera:
        pytest.skip("a network camera and a folder serve several at once; a V4L2 camera cannot be had here")
    second = rig.build()
    with pytest.raises(DeviceBusy, match=r"fuser|lsof"):
        second.open()
    rig.show()
    assert read_some(reader), "the refused one took nothing away"
    reader.close()
    second.open()
    second.close()


def test_what_was_half_received_before_a_replug_is_not_joined_to_what_comes_after(rig: ReaderRig) -> None:
    reader = rig.build()
    for _ in range(2):
        reader.open()
        rig.show()
        event = read_some(reader)[0]
        assert isinstance(event, Seen), "the same card after a reopen is put down anew"
        reader.close()


def test_the_tap_sees_every_byte_and_no_picture(rig: ReaderRig, camera: bool) -> None:
    seen: list[tuple[str, bytes]] = []
    reader = rig.build(lambda direction, data: seen.append((direction, data)))
    reader.open()
    rig.show()
    read_some(reader)
    reader.close()
    assert {direction for direction, _ in seen} <= {"RECV", "SEND"}
    assert bool(b"".join(data for direction, data in seen if direction == "RECV")) is not camera
