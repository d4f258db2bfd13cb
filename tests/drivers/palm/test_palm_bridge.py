import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from drivers.errors import DeviceGone
from drivers.palm.palm_bridge import PalmBridge, PalmBridgeSettings
from drivers.protocols import bridge
from drivers.readings import DeviceEvent, PersonMatched, StreamFault
from drivers.settings import parse
from drivers.simulated.palm_bridge_vendor import PalmVendor
from drivers.transports.memory import MemoryTransport

TRIES = 200


def build(path: Path, **options: object) -> PalmBridge:
    return PalmBridge("palm", parse(PalmBridgeSettings, {"socket": str(path)} | options), clock=lambda: 7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bridge.sock"


@pytest.fixture
def reader(path: Path) -> Iterator[PalmBridge]:
    reader = build(path)
    reader.open()
    yield reader
    reader.close()


def some(reader: PalmBridge, count: int = 1) -> Sequence[DeviceEvent]:
    events: list[DeviceEvent] = []
    for _ in range(TRIES):
        events += reader.read(0.1)
        if len(events) >= count:
            return events
    pytest.fail(f"only {len(events)} of {count} events came")


def test_a_vendors_process_from_hello_to_a_match(path: Path, reader: PalmBridge) -> None:
    vendor = PalmVendor(path)
    vendor.hello()
    vendor.say("ping")
    vendor.match("1042", 9731, hand="left")
    assert some(reader) == [PersonMatched("palm", "1042", 7, "palm", 9731)]
    heard = vendor.hear()
    assert bridge.Message("hello", {"api": 1}) in heard
    assert bridge.Message("pong") in heard
    vendor.close()


def test_the_reference_process_is_a_program_that_works(path: Path, reader: PalmBridge) -> None:
    command = [sys.executable, "-W", "error", "-m", "drivers.simulated.palm_bridge_vendor", str(path)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, cwd=root) as vendor:
        assert vendor.stdin is not None
        vendor.stdin.write("1042\n\n1043\n")
        vendor.stdin.close()
        events = some(reader, 2)
        assert [event.number for event in events if isinstance(event, PersonMatched)] == ["1042", "1043"]
        assert vendor.wait(20) == 0


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (bridge.encode("match", {"subject": "1 or 1"}), "data is wrong"),
        (bridge.encode("match", {"subject": "7", "score": 10_001}), "data is wrong"),
        (bridge.encode("match", {"subject": "7", "template": "AAAA"}), "data is wrong"),
        (bridge.encode("match", {"subject": "7"}, b"template"), "stay with the vendor"),
        (bridge.encode("match", {"subject": "7", "live": False}), "not live"),
        (bridge.encode("match", {"subject": "7", "score": 4_999}), "score_min"),
        (bridge.encode("frame", {}, bytes(100)), "unknown type"),
        (bridge.encode("fault", {"what": "lens\ndirty"}), r"lens\\ndirty"),
        (b"rubbish\n", "no message"),
    ],
)
def test_what_is_no_match_is_a_fault_and_the_next_is_taken(message: bytes, words: str) -> None:
    memory = MemoryTransport()
    settings = parse(PalmBridgeSettings, {"socket": "m", "score_min": 5_000})
    reader = PalmBridge("palm", settings, clock=lambda: 7, transport=memory)
    reader.open()
    memory.put(message + bridge.encode("match", {"subject": "8", "score": 5_000}))
    fault, match = reader.read(0)
    assert isinstance(fault, StreamFault)
    assert words.replace("\\\\", "\\") in fault.what
    assert match == PersonMatched("palm", "8", 7, "palm", 5_000)


def test_what_was_matched_before_the_scanner_went_is_told_first(path: Path, reader: PalmBridge) -> None:
    vendor = PalmVendor(path)
    vendor.match("1042")
    vendor.unplugged()
    vendor.match("1043")
    assert len(some(reader)) == 1
    with pytest.raises(DeviceGone, match="unplugged"):
        some(reader)
    vendor.close()


def test_another_version_of_the_bridge_is_refused(path: Path, reader: PalmBridge) -> None:
    vendor = PalmVendor(path)
    vendor.hello(api=2)
    with pytest.raises(DeviceGone, match="api 2"):
        some(reader)
    vendor.close()


def test_a_vendor_that_dies_in_the_middle_of_a_message_leaves_the_way_free(path: Path, reader: PalmBridge) -> None:
    first = PalmVendor(path)
    first.send(b'{"type":"match","payload_length":1000}\nabc')
    first.close()
    second = PalmVendor(path)
    second.hello()
    second.match("1043")
    assert PersonMatched("palm", "1043", 7, "palm", 9_000) in some(reader)
    second.close()


def test_no_agent_no_vendor(path: Path) -> None:
    with pytest.raises(DeviceGone, match="start it first"):
        PalmVendor(path)


def test_what_a_vendor_said_before_it_hung_up_counts_though_nobody_hears_our_answer(
    path: Path, reader: PalmBridge
) -> None:
    vendor = PalmVendor(path)
    vendor.hello()
    vendor.say("ping")
    vendor.match("1042")
    vendor.close()
    assert some(reader) == [PersonMatched("palm", "1042", 7, "palm", 9_000)]
