"""The PN532 driver on what others recorded, with the bytes in memory and the clock in the test's hand."""

from collections.abc import Sequence

import pytest

from drivers.cards.pn532 import Pn532, Pn532Settings
from drivers.errors import DeviceGone
from drivers.protocols import pn532
from drivers.protocols.pn532_host import ANSWER_MS, ATTEMPTS_MAX, EMPTY_POLLS
from drivers.readings import CardRead, CardRemoved, DeviceEvent, StreamFault, Technology
from drivers.simulated.pn532_peer import Chip
from drivers.transports.memory import MemoryTransport
from tests.vectors import load_reader

MS = 1_000_000
POLL_MS = 150
CARDS = [vector for vector in load_reader("pn532_hsu")["vectors"] if vector["expected_uid_hex"]]


class Bench:
    """A driver, the bytes between, and the chip that answers until a test says otherwise."""

    def __init__(self) -> None:
        self.now_ns, self.memory, self.chip = 10**9, MemoryTransport(), Chip()
        settings = Pn532Settings(port="memory", poll_ms=POLL_MS)
        self.reader = Pn532("left", settings, clock=lambda: self.now_ns, transport=self.memory)
        self.reader.open()

    def round(self, answer: bytes | None = None, *, pieces: int = 10_000) -> Sequence[DeviceEvent]:
        """The driver asks what is due, and gets this answer or the chip's own."""
        self.now_ns += POLL_MS * MS
        self.memory.written.clear()
        events = list(self.reader.read(0))
        asked = b"".join(self.memory.written)
        said = self.chip.receive(asked) if answer is None else answer
        for start in range(0, len(said), pieces):
            self.memory.put(said[start : start + pieces])
            events += self.reader.read(0)
        return events

    def ready(self) -> None:
        for _ in range(4):
            assert not self.round()


@pytest.mark.parametrize("vector", CARDS, ids=lambda v: v["expected_uid_hex"])
@pytest.mark.parametrize("pieces", [1, 4, 10_000])
def test_every_published_answer_is_a_card(vector: dict[str, str], pieces: int) -> None:
    bench = Bench()
    bench.ready()
    first, again = bench.round(bytes.fromhex(vector["stream_hex"]), pieces=pieces)
    assert isinstance(first, CardRead)
    assert isinstance(again, CardRead)
    assert (first.uid.hex, first.again, again.again) == (vector["expected_uid_hex"], False, True)
    felica = vector.get("tech") == "F"
    assert first.uid.technology is (Technology.UNKNOWN if felica else Technology.ISO14443A)
    assert not first.uid.partial


def test_the_recorded_answer_in_three_reads_is_taken_in_the_set_up() -> None:
    bench = Bench()
    bench.round()
    bench.round()
    [split] = load_reader("pn532_hsu")["split_reads"]
    bench.now_ns += POLL_MS * MS
    assert not bench.reader.read(0)
    for chunk in split["chunks_hex"]:
        bench.memory.put(bytes.fromhex(chunk))
        assert not bench.reader.read(0)
    bench.memory.written.clear()
    bench.reader.read(0)
    assert bench.memory.written[-1] == pn532.command(pn532.Command.IN_LIST_PASSIVE_TARGET, b"\x01\x00")


def test_a_held_card_is_one_presentation_and_its_leaving_is_told() -> None:
    bench = Bench()
    bench.ready()
    bench.chip.card = bytes.fromhex("047BCB51962280")
    assert len(bench.round()) == 2
    assert not [event for _ in range(20) for event in bench.round()]
    bench.chip.card = b""
    events = [event for _ in range(2 * EMPTY_POLLS) for event in bench.round()]
    assert events == [CardRemoved("left", events[0].monotonic_ns)]
    bench.chip.card = bytes.fromhex("047BCB51962280")
    assert len(bench.round()) == 2


def test_a_phone_is_a_fault_and_its_number_is_not_told() -> None:
    bench = Bench()
    bench.ready()
    bench.chip.card = bytes.fromhex("08A1B2C3")
    [fault] = bench.round()
    assert isinstance(fault, StreamFault)
    assert "phone" in fault.what
    assert "A1B2" not in fault.what.upper()


def test_noise_on_the_line_hides_no_card() -> None:
    bench = Bench()
    bench.ready()
    noise = b"\xff\xaa\x00\xff\x05\xfb\xd5" + b"\x00\xff\x00"
    events = bench.round(noise + bytes.fromhex(CARDS[0]["stream_hex"]))
    assert any(isinstance(event, CardRead) for event in events)
    assert any(isinstance(event, StreamFault) for event in events)


def test_a_board_that_never_answers_is_gone_and_says_what_to_check() -> None:
    bench = Bench()
    for _ in range(ATTEMPTS_MAX * ANSWER_MS // POLL_MS):
        assert not bench.round(b"")
    with pytest.raises(DeviceGone, match="switches say HSU"):
        bench.round(b"")
    bench.reader.close()
    bench.reader.open()
    bench.ready()


def test_a_board_that_loses_power_between_two_cards_is_set_up_again() -> None:
    bench = Bench()
    bench.ready()
    for _ in range(3):
        bench.round(b"")
    bench.chip = Chip()
    bench.chip.card = bytes.fromhex("24D34F59")
    events = [event for _ in range(8) for event in bench.round()]
    assert any(isinstance(event, CardRead) for event in events)
    assert pn532.Command.SAM_CONFIGURATION in bench.chip.commands


def test_closing_says_goodnight_once() -> None:
    bench = Bench()
    bench.ready()
    bench.memory.written.clear()
    bench.reader.close()
    bench.reader.close()
    [said] = bench.memory.written
    bench.chip.receive(said)
    assert bench.chip.asleep
    with pytest.raises(DeviceGone):
        bench.reader.read(0)
