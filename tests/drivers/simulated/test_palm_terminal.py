import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.errors import DeviceGone, NotSupported
from drivers.protocols.fault import Fault
from drivers.protocols.json_lines import Decoder
from drivers.readings import PersonMatched, StreamFault
from drivers.simulated.palm_terminal import PalmFeeder, SimulatedPalmTerminal, SimulatedPalmTerminalSettings
from drivers.transports.memory import MemoryTransport
from tests.drivers.protocols import cutting

TRIES = 200


@pytest.fixture
def memory() -> MemoryTransport:
    return MemoryTransport()


@pytest.fixture
def terminal(memory: MemoryTransport) -> Iterator[SimulatedPalmTerminal]:
    terminal = SimulatedPalmTerminal(
        "palm", SimulatedPalmTerminalSettings(socket="unused"), clock=lambda: 7, transport=memory
    )
    terminal.open()
    yield terminal
    terminal.close()


def test_a_match_with_score_and_method(memory: MemoryTransport, terminal: SimulatedPalmTerminal) -> None:
    memory.put(b'{"number":"1042","score":9731}\n{"number":"7","method":"face"}\n')
    assert list(terminal.read(0)) == [
        PersonMatched("palm", "1042", 7, score=9731),
        PersonMatched("palm", "7", 7, method="face"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"rubbish",
        b"{}",
        b"[]",
        b'{"number":7}',
        b'{"number":"1 or 1"}',
        b'{"number":"7","score":10001}',
        b'{"number":"7","template":"AAAA"}',
        b"\xff\xfe",
        b'{"number":"' + b"9" * 65 + b'"}',
        b"x" * 5000,
    ],
)
def test_what_is_no_match_is_a_fault_and_the_next_line_is_read(
    memory: MemoryTransport, terminal: SimulatedPalmTerminal, line: bytes
) -> None:
    memory.put(line + b'\n{"number":"7"}\n')
    fault, match = terminal.read(0)
    assert isinstance(fault, StreamFault)
    assert match == PersonMatched("palm", "7", 7)


def test_what_was_matched_before_the_unplug_is_told_first(
    memory: MemoryTransport, terminal: SimulatedPalmTerminal
) -> None:
    memory.put(b'{"number":"7"}\n{"unplug":true}\n{"number":"8"}\n')
    assert list(terminal.read(0)) == [PersonMatched("palm", "7", 7)]
    with pytest.raises(DeviceGone, match="unplugged"):
        terminal.read(0)


def test_a_stream_without_a_line_end_stays_bounded() -> None:
    decoder = Decoder(line_bytes_max=100)
    faults = cutting.run(decoder.feed, [b"x" * 1000] * 1000)
    assert faults == [Fault("a line is too long")]
    assert decoder.feed(b"\n{}\n") == [b"{}"]


def test_lines_are_the_same_however_they_are_cut() -> None:
    stream = b"one\r\n\n  two\n" + b"y" * 5000 + b"\nthree\nfour"
    assert cutting.every_way(lambda: Decoder().feed, stream) == [b"one", b"two", Fault("a line is too long"), b"three"]


def build(path: Path) -> SimulatedPalmTerminal:
    return SimulatedPalmTerminal("palm", SimulatedPalmTerminalSettings(socket=str(path)))


def test_one_feeder_after_another_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "palm.sock"
    terminal = build(path)
    terminal.open()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for number in ("1", "2", "3"):
        feeder = PalmFeeder(path)
        feeder.match(number)
        feeder.close()
    numbers: list[str] = []
    for _ in range(TRIES):
        numbers += [event.number for event in terminal.read(0.1) if isinstance(event, PersonMatched)]
        if len(numbers) == 3:
            break
    terminal.close()
    assert numbers == ["1", "2", "3"]
    assert not path.exists()


def test_a_socket_left_behind_by_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "palm.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))
    terminal = build(path)
    terminal.open()
    terminal.close()


def test_a_file_in_the_way_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "palm.sock"
    path.write_text("mine")
    with pytest.raises(NotSupported, match="no socket"):
        build(path).open()
    assert path.read_text() == "mine"


def test_a_path_that_no_socket_can_have_and_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotSupported, match="shorter"):
        build(tmp_path / ("x" * 120)).open()
    with pytest.raises(DeviceGone, match="folder"):
        build(tmp_path / "missing" / "palm.sock").open()


def test_no_terminal_no_feeder(tmp_path: Path) -> None:
    with pytest.raises(DeviceGone, match="start the kiosk"):
        PalmFeeder(tmp_path / "palm.sock")
